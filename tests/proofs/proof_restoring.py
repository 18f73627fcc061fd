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
from tests.restoring.world import PATIENCE, Rehearsal, at, documented, operate


@pytest.mark.skipif("postgres" not in ENGINES, reason="RATA_TEST_ENGINES leaves PostgreSQL out")
def test_postgres_while_somebody_writes_and_to_an_instant(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path)
    with machine() as here:
        backup = here.home / "backup"
        (backup / "wal").mkdir(parents=True)
        here.take(backup)
        lines = at(documented("archive_mode"), backup=str(backup)).splitlines()
        archiving = {name: value.strip("'") for name, _, value in (line.partition(" = ") for line in lines)}
        with here.serving(here.new_cluster(), archiving) as (admin, _):
            url = admin.replace("//postgres@/postgres", "//rata@/rata")
            settings = {
                "RATA_DATABASE_URL": url,
                "PGHOST": str(here.home),
                "PGUSER": "postgres",
                "PATH": str(here.binaries),
            }
            set_up = ROOT / "deploy" / "database.sql"
            operate(
                f"psql --quiet --set=ON_ERROR_STOP=1 < {set_up}\n",
                tmp_path,
                settings | {"PGDATABASE": "postgres"},
            )
            database = prepare(url)
            with rehearsal.before(database) as writing:
                operate(at(documented("pg_basebackup"), backup=str(backup)), tmp_path, settings)
                begun = writing.count
                operate(BACKUP, tmp_path, settings)
                ended = writing.count + 1
                writing.wait_for(2)
                writing.stop()
                kept, instant = writing.count, _told(admin, "SELECT clock_timestamp()::text")
                writing.one()
            database.close()
            restored = url.replace("/rata?", "/rata_restored?")
            way_back = at(documented("pg_restore"), restored=f"'{restored}'", server=settings["PGHOST"])
            assert "PGUSER=rata" in way_back
            operate(way_back, tmp_path, settings)
            _restore_without_the_right_to_create(admin, way_back, tmp_path, settings)
            database = Database(restored)
            rehearsal.after(database, at_least=begun, at_most=ended)
            database.close()
            _archived(admin)
        data = backup / "base"
        told = at(documented("recovery.signal"), backup=str(backup), instant=instant)
        operate(told, tmp_path, {"PGDATA": str(data)})
        here.take(data)
        with here.serving(data, {}):
            operate("rata verify", tmp_path, settings)
            database = Database(url)
            rehearsal.after(database, at_least=kept, at_most=kept)
            database.close()
    rehearsal.close()


def _restore_without_the_right_to_create(
    admin: str, way_back: str, folder: Path, settings: dict[str, str]
) -> None:
    """Restore as a role that may not create databases: the administrator makes one that the role owns."""
    with psycopg.connect(admin.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER ROLE rata NOCREATEDB")
    lines = way_back.replace("rata_restored", "rata_second").splitlines(keepends=True)
    export, create, *others = lines
    operate(create.replace("createdb ", "createdb --owner=rata "), folder, settings)
    operate(export + "".join(others), folder, settings)


def _told(url: str, statement: str) -> str:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return str(row[0])


def _archived(admin: str) -> None:
    """Wait until what was written is where the archive is; a minute of an operator's time."""
    file = _told(admin, "SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + PATIENCE
    while _told(admin, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < file:
        assert time.monotonic() < deadline
        time.sleep(0.05)
