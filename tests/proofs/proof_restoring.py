"""Backup and restore of a PostgreSQL server of its own, as docs/operating.md shows it, and to an instant."""

import time
from pathlib import Path

import psycopg
import pytest

from app.kit.database.engine import Database
from tests.database import ENGINES, prepare
from tests.docs.pages import ROOT
from tests.postgres import machine
from tests.restoring.test_restoring import BACKUP
from tests.restoring.world import PATIENCE, Rehearsal, operate, read_block, replace_places


@pytest.mark.skipif("postgres" not in ENGINES, reason="RATA_TEST_ENGINES leaves PostgreSQL out")
def test_a_backup_of_postgres_during_writes_restores_also_to_an_instant(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path)
    with machine() as host:
        backup = host.home / "backup"
        (backup / "wal").mkdir(parents=True)
        host.take(backup)
        lines = replace_places(read_block("archive_mode"), backup=str(backup)).splitlines()
        archiving = {name: value.strip("'") for name, _, value in (line.partition(" = ") for line in lines)}
        with host.serve(host.create_cluster(), archiving) as (admin, _):
            url = admin.replace("//postgres@/postgres", "//rata@/rata")
            settings = {
                "RATA_DATABASE_URL": url,
                "PGHOST": str(host.home),
                "PGUSER": "postgres",
                "PATH": str(host.binaries),
            }
            set_up = ROOT / "deploy" / "database.sql"
            operate(
                f"psql --quiet --set=ON_ERROR_STOP=1 < {set_up}\n",
                tmp_path,
                settings | {"PGDATABASE": "postgres"},
            )
            database = prepare(url)
            with rehearsal.prepare(database) as writing:
                operate(replace_places(read_block("pg_basebackup"), backup=str(backup)), tmp_path, settings)
                begun = writing.count
                operate(BACKUP, tmp_path, settings)
                ended = writing.count + 1
                writing.wait_for(2)
                writing.stop()
                kept, instant = writing.count, _query(admin, "SELECT clock_timestamp()::text")
                writing.write_line()
            database.close()
            restored = url.replace("/rata?", "/rata_restored?")
            way_back = replace_places(
                read_block("pg_restore"), restored=f"'{restored}'", server=settings["PGHOST"]
            )
            assert "PGUSER=rata" in way_back
            operate(way_back, tmp_path, settings)
            _restore_without_the_right_to_create(admin, way_back, tmp_path, settings)
            database = Database(restored)
            rehearsal.check(database, at_least=begun, at_most=ended)
            database.close()
            _wait_for_archive(admin)
        data = backup / "base"
        commands = replace_places(read_block("recovery.signal"), backup=str(backup), instant=instant)
        operate(commands, tmp_path, {"PGDATA": str(data)})
        host.take(data)
        with host.serve(data, {}):
            operate("rata verify", tmp_path, settings)
            database = Database(url)
            rehearsal.check(database, at_least=kept, at_most=kept)
            database.close()
    rehearsal.close()


def _restore_without_the_right_to_create(
    admin: str, way_back: str, folder: Path, settings: dict[str, str]
) -> None:
    """Restore as a role without CREATEDB into a database that the administrator creates for it."""
    with psycopg.connect(admin.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER ROLE rata NOCREATEDB")
    lines = way_back.replace("rata_restored", "rata_second").splitlines(keepends=True)
    export, create, *others = lines
    operate(create.replace("createdb ", "createdb --owner=rata "), folder, settings)
    operate(export + "".join(others), folder, settings)


def _query(url: str, statement: str) -> str:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return str(row[0])


def _wait_for_archive(admin: str) -> None:
    """Wait until the server has archived all writes."""
    file = _query(admin, "SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + PATIENCE
    while _query(admin, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < file:
        assert time.monotonic() < deadline
        time.sleep(0.05)
