"""`rata demo`: its output, its folder, and a sample that loads whole or not at all."""

import io
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from app.exchange.matrix.imports.realisation import commands
from app.plans.core.queries import is_plan
from app.settings import Settings
from app.startup import demo
from app.startup.demo import PLAN, load_sample
from tests.database import OneTransaction
from tests.docs.server import free_port

pytestmark = pytest.mark.both_engines


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The output of a demo that loads nothing and does not serve, in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "load_shipped_reference", lambda database, out: None)
    monkeypatch.setattr(demo, "load_sample", lambda database: None)
    monkeypatch.setattr(demo, "run", lambda settings: None)
    for name in ("DATABASE_URL", "DATABASE_READ_URL", "SPOOL_FOLDER"):  # the demo sets them for its workers
        monkeypatch.setenv(f"RATA_{name}", "")
    return io.StringIO()


def test_the_demo_ignores_databases_and_folders_of_the_settings(tmp_path: Path, printed: io.StringIO) -> None:
    """It reports that, and prints variables for the shell, also for a folder with an odd name."""
    settings = Settings(
        _env_file=None,
        database_url="postgresql+psycopg://rata:secret@nowhere.example/rata",
        database_read_url="postgresql+psycopg://rata:secret@replica.example/rata",
        spool_folder=str(tmp_path / "spool"),
        demo_folder="a demo's [1]?",
        port=free_port(),
    )
    demo.run_demo(settings, Console(file=printed))
    text = printed.getvalue()
    assert "leaves postgresql+psycopg://rata:***@nowhere.example/rata of RATA_DATABASE_URL alone" in text
    own, folder = Settings(_env_file=None), tmp_path / "a demo's [1]?"
    assert sa.make_url(own.database_url).database == str(folder / "demo.db")
    assert (own.database_read_url, own.spool_folder) == (None, str(folder / "demo.spool"))
    exports = "".join(f"{row}\n" for row in text.splitlines() if row.strip().startswith("export"))
    command = f'{exports}printf "%s|" "$RATA_DATABASE_URL" "$RATA_SERVER" "$RATA_TOKEN"'
    shell = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    address, token = f"http://127.0.0.1:{settings.port}", (folder / "demo.token").read_text()
    assert shell.stdout == f"{own.database_url}|{address}|{token}|"
    assert shlex.split(text.partition("rm -r ")[2]) == [folder.name]
    assert {file.name for file in tmp_path.iterdir()} == {folder.name}


def test_the_demo_refuses_a_database_that_no_demo_made(tmp_path: Path, printed: io.StringIO) -> None:
    """That holds for the demo's own file name too: an office may keep real plans there."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo.db").write_bytes(b"real plans")
    settings = Settings(_env_file=None, database_url="sqlite:///var/../var/demo.db", port=free_port())
    with pytest.raises(SystemExit, match="1"):
        demo.run_demo(settings, Console(file=printed))
    assert "which is not the demo's" in printed.getvalue()
    assert "RATA_DEMO_FOLDER=" in printed.getvalue()
    assert (tmp_path / "var" / "demo.db").read_bytes() == b"real plans"


def test_the_printed_removal_keeps_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "var"
    for name in (*demo.OWN, demo.EXAMPLES):
        (folder / name).mkdir(parents=True)
    assert demo.render_way_back(folder) == "rm -r var"
    (folder / "rata.db").touch()
    subprocess.run(["/bin/sh", "-c", demo.render_way_back(folder)], check=True)
    assert {file.name for file in folder.iterdir()} == {demo.EXAMPLES, "rata.db"}


def test_an_interrupted_sample_leaves_no_plan(
    database: OneTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan arrives with all its lines and figures or not at all; a second load changes nothing."""
    real = commands.report_progress

    def interrupt(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "report_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_sample(database)
    with database.read_session() as session:
        assert not is_plan(session, PLAN)
    monkeypatch.setattr(commands, "report_progress", real)
    load_sample(database)
    database.statements.clear()
    load_sample(database)
    assert len(database.statements) == 1
