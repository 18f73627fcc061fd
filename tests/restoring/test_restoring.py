"""Backup and restore by the commands of docs/operating.md during writes."""

import re
import sqlite3
from contextlib import chdir, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from app.console.storage import cli
from app.kit.database.backups import NotBackedUp, back_up, name_backup
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow
from tests.database import ENGINES, copy_prepared, own_url
from tests.docs.pages import ROOT
from tests.postgres import program
from tests.restoring.world import Rehearsal, close_databases, operate, read_block

pytestmark = pytest.mark.both_engines

BACKUP = read_block("rata backup rata.backup")


@pytest.mark.skipif("sqlite" not in ENGINES, reason="RATA_TEST_ENGINES leaves SQLite out")
def test_a_backup_of_sqlite_during_writes_restores(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    rehearsal, database = Rehearsal(tmp_path), Database(copy_prepared(tmp_path / "var"))
    url = str(database.url)
    with rehearsal.prepare(database) as writing:
        begun = writing.count
        operate(BACKUP, tmp_path, {"RATA_DATABASE_URL": url})
        ended = writing.count + 1
        writing.wait_for(2)
    database.close()
    operate(read_block("cp rata.backup var/rata.db"), tmp_path, {})
    database = Database(url)
    rehearsal.check(database, at_least=begun, at_most=ended)
    rehearsal.close()
    database.close()


def test_a_failed_backup_keeps_the_existing_one(tmp_path: Path) -> None:
    database = Database(copy_prepared(tmp_path))
    file, journal = tmp_path / "rata.backup", get_table(JournalRow)
    file.write_bytes(b"PGDMP of yesterday")

    def check_refused(into: Path, message: str) -> None:
        settings = {"RATA_DATABASE_URL": str(database.url)}
        with close_databases():
            done = CliRunner().invoke(cli, ["backup", str(into)], env=settings)
        assert (done.exit_code, message in str(done.exception)) == (1, True), done.exception
        assert sorted(path.name for path in tmp_path.glob("rata.backup*")) == ["rata.backup"]
        assert file.read_bytes() == b"PGDMP of yesterday"

    check_refused(tmp_path / "rata.db", "the database itself")
    check_refused(tmp_path / "none" / "rata.backup", "No such file")
    with database.writing() as session:
        session.execute(sa.update(journal).where(journal.c.sequence == 1).values(actor="another"))
    check_refused(file, "journal of the copy is broken")
    database.close()
    with closing(sqlite3.connect(tmp_path / "rata.db")) as connection, connection:
        connection.execute("UPDATE service_package_service SET edition = 'none'")
    check_refused(file, "without its service_package")


def test_a_backup_replaces_only_a_backup(tmp_path: Path) -> None:
    database = Database(copy_prepared(tmp_path))
    database.close()
    text, foreign = tmp_path / "notes.txt", tmp_path / "foreign.db"
    text.write_text("notes")
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE plan (note TEXT)")
    for file in (text, foreign, Path("/dev/null")):
        before = file.read_bytes()
        with close_databases():
            settings = {"RATA_DATABASE_URL": str(database.url)}
            done = CliRunner().invoke(cli, ["backup", str(file)], env=settings)
        assert (done.exit_code, "is not a backup" in str(done.exception)) == (1, True), done.exception
        assert file.read_bytes() == before
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("engine", ENGINES)
def test_dated_backups_are_deleted_after_their_days(engine: str, tmp_path: Path) -> None:
    nightly, today = read_block("mkdir -p backups"), datetime.now(UTC).astimezone().date()
    folder, names = tmp_path / "backups", [name_backup(today - timedelta(days=age)) for age in range(17)]
    folder.mkdir()
    for name in (*names[1:], "rata-notes.backup", "rata-2020-01-01.backup.new", "other-2020-01-01.backup"):
        (folder / name).write_text("of another day")
    before = {path.name for path in folder.iterdir()}
    with own_url(engine) as url:
        settings = {"RATA_DATABASE_URL": url, "PATH": str(program("pg_dump").parent)}
        with chdir(tmp_path), close_databases():
            failed = CliRunner().invoke(cli, ["backup", "--keep", "14", "none"], env=settings)
        assert failed.exit_code == 1
        assert {path.name for path in folder.iterdir()} == before
        for _ in range(2):  # the second backup of the day replaces the first
            operate(nightly, tmp_path, settings)
    assert {path.name for path in folder.iterdir()} == (before | {names[0]}) - set(names[15:])
    kept = folder / names[0]
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.read_bytes()[:6] == (b"SQLite" if engine == "sqlite" else b"PGDMP\x01")


def test_the_timer_runs_the_documented_command() -> None:
    unit = (ROOT / "deploy" / "rata-backup.service").read_text()
    (command,) = re.findall(r"^ExecStart=/opt/rata/bin/(rata backup .*)$", unit, re.MULTILINE)
    assert command in read_block("RATA_ENV_FILE=")
    assert "OnCalendar=*-*-* 01:30" in (ROOT / "deploy" / "rata-backup.timer").read_text()


def test_a_backup_without_the_tools_of_the_server_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotBackedUp, match="pg_dump --format=custom"):
        back_up(Database("postgresql+psycopg://nobody@/nothing"), tmp_path / "rata.backup", lambda copy: None)
    assert [*tmp_path.iterdir()] == []
