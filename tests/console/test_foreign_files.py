"""Databases of other programs: every command refuses them and changes no byte."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.settings import Settings
from app.startup.configuration import CannotStart
from app.startup.database import open_database
from tests.console.test_refusals import CALLS, call
from tests.database import sqlite_url
from tests.test_cli import Rata, prepared, rata
from tests.test_migrations import run_alembic

__all__ = ["prepared", "rata"]  # fixtures

REFUSAL = "is a database of another program; name another in RATA_DATABASE_URL."


def make_foreign(file: Path, tables: set[str], mode: str = "delete") -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        for table in sorted(tables):
            connection.execute(f'CREATE TABLE "{table}" (note TEXT)')
            connection.execute(f'INSERT INTO "{table}" VALUES (?)', ("kept",))


def read_contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("command", sorted(CALLS))
def test_no_command_changes_a_file_of_another_program(
    rata: Rata, tmp_path: Path, command: str, mode: str
) -> None:
    make_foreign(tmp_path / "rata.db", {"plan", "moz_places"}, mode)
    (tmp_path / "matrix.csv").write_text("x\n")
    before = read_contents(tmp_path)
    message, _ = call(rata, command, RATA_DATABASE_URL="sqlite:///rata.db")
    assert message == f"{tmp_path / 'rata.db'} {REFUSAL}"
    assert read_contents(tmp_path) == before


def test_an_empty_file_stays_empty_until_it_is_migrated(rata: Rata, tmp_path: Path) -> None:
    file = tmp_path / "rata.db"
    file.touch()
    for command in sorted(CALLS.keys() - {"migrate"}):
        message, _ = call(rata, command, RATA_DATABASE_URL="sqlite:///rata.db")
        assert message == f"The database {file} is empty. Run: rata migrate"
        assert file.stat().st_size == 0, command
    assert rata("migrate", RATA_DATABASE_URL="sqlite:///rata.db").returncode == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tables=st.sets(
        st.sampled_from(["alembic_version", "journal", "journal_head", "plan", "user", "région"]), max_size=5
    ),
    mode=st.sampled_from(["delete", "wal"]),
    creates=st.booleans(),
)
def test_a_file_counts_as_ours_by_its_versions_and_its_journal(
    tmp_path_factory: pytest.TempPathFactory, tables: set[str], mode: str, creates: bool
) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    make_foreign(folder / "rata.db", tables, mode)
    before = read_contents(folder)
    is_empty = tables <= {"alembic_version"}
    is_ours = tables >= {"alembic_version", "journal", "journal_head"}
    config = Settings(_env_file=None, database_url=sqlite_url(folder, "rata"))  # type: ignore[call-arg]
    if is_ours or (is_empty and creates):
        open_database(config, creates=creates).close()
    else:
        with pytest.raises(CannotStart, match="is empty" if is_empty else "another program"):
            open_database(config, creates=creates)
    assert read_contents(folder) == before


def test_a_file_in_use_is_read_with_its_log(rata: Rata, prepared: object, tmp_path: Path) -> None:
    """A foreign file with its tables still in the log is foreign; one of ours in use is ours."""
    with contextlib.closing(sqlite3.connect(tmp_path / "busy.db")) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("CREATE TABLE plan (note TEXT)")
        connection.commit()
        message, _ = call(rata, "migrate", RATA_DATABASE_URL="sqlite:///busy.db")
        assert message == f"{tmp_path / 'busy.db'} {REFUSAL}"
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "rata.db")) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        assert rata("verify").returncode == 0


def test_alembic_refuses_in_one_sentence_and_names_what_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_foreign(tmp_path / "foreign.db", {"plan"})
    (tmp_path / "text.db").write_text("a text\n" * 99)
    before = read_contents(tmp_path)
    away = "postgresql+psycopg://rata:hidden@127.0.0.1:1/rata"
    for url, reason in {
        f"sqlite:///{tmp_path}/foreign.db": REFUSAL,
        f"sqlite:///{tmp_path}/text.db": "is not a database",
        f"sqlite:///{tmp_path}": "is a folder or a device",
        f"sqlite:///{tmp_path}/text.db/rata.db": "a folder of its path is a file",
        "sqlite://": "in memory",
        away: "The database cannot be used: ",
    }.items():
        monkeypatch.setenv("RATA_DATABASE_URL", url)
        with pytest.raises(CannotStart) as refused:
            run_alembic("upgrade", "head")
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "hidden" not in str(refused.value)
    assert read_contents(tmp_path) == before
    monkeypatch.setenv("RATA_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(SystemExit):  # from Alembic
        run_alembic("upgrade", "0099")
    assert read_contents(tmp_path) == before
    for words in (("upgrade", "head"), ("current",)):
        capsys.readouterr()
        run_alembic(*words)
        message = capsys.readouterr().err
        assert message.startswith(f"Database sqlite:///{tmp_path}/new.db, settings of ")
