"""`rata demo`: from nothing to a service that answers, and again, and stopped at any moment."""

import contextlib
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from rich.console import Console

import app.demo as preparing
from app.demo import PLAN, load_sample
from app.exchange import commands
from app.plans.queries import is_plan
from app.settings import Settings
from tests.database import OneTransaction
from tests.test_cli import environment

SECONDS = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """A demo that runs in a folder; what it prints goes to a file."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.base = folder, port, f"http://127.0.0.1:{port}"
        self.said = folder / f"said-{time.monotonic_ns()}"
        with self.said.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from app.cli import main; main()", "demo"], cwd=folder, stdout=out,
                stderr=subprocess.STDOUT, env=environment(RATA_PORT=str(port)), start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.said.read_text()

    def wait_for(self, is_so: Any) -> None:
        """Until `is_so()` holds; fails when the process ends or the time is up."""
        end = time.monotonic() + SECONDS
        while not is_so():
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.05)

    def answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.base}/ready").status_code == 200
        return False

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[Demo]:
    demo = Demo(folder, port)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def content(folder: Path) -> list[str]:
    """Everything in the database."""
    with contextlib.closing(sqlite3.connect(folder / "var" / "rata.db")) as connection:
        return list(connection.iterdump())


def call(command: str) -> httpx.Response:
    """What a printed curl line does; every word of it is understood, or the test says so."""
    words = shlex.split(command)
    assert words[:3] == ["curl", "-s", "-H"]
    name, _, value = words[3].partition(": ")
    rest = words[4:]
    if rest[0] == "-o":
        rest = rest[2:]
    (address,) = rest
    return httpx.get(address, headers={name: value})


def test_the_demo_serves_stops_and_starts_again(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port) as demo:
        demo.wait_for(demo.answers)
        said = demo.text
        assert demo.base in said
        (token,) = {word.strip("'") for word in said.split() if word.startswith("rata_")}
        curls = [row.strip() for row in said.splitlines() if row.strip().startswith("curl")]
        assert len(curls) == 3
        replies = [call(row) for row in curls]
        assert [reply.status_code for reply in replies] == [200, 200, 200]
        assert replies[0].json()["allocated"] == 632_470_087_081
        assert len(replies[1].json()["items"]) == 3
        assert replies[2].content.startswith(b"PK")
        assert httpx.get(f"{demo.base}/docs").status_code == 200
        with running(tmp_path, port) as second:
            assert second.process.wait(timeout=SECONDS) == 1
            assert f"{port} is taken" in second.text
            assert "RATA_PORT=" in second.text
        assert demo.stop(signal.SIGTERM) == 0
        assert "Traceback" not in demo.text
    assert (tmp_path / "var" / "demo.token").stat().st_mode & 0o077 == 0
    before = content(tmp_path)
    with running(tmp_path, port) as again:
        again.wait_for(again.answers)
        assert token in again.text
        assert again.stop(signal.SIGINT) in (0, 130)
        assert "Traceback" not in again.text
    assert content(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_half_way_nothing_is_half_loaded(tmp_path: Path, number: int) -> None:
    """Stopped while the reference data is written; the next start does all of it."""
    with running(tmp_path, free_port()) as demo:
        database = tmp_path / "var" / "rata.db"
        demo.wait_for(
            lambda: "regions" in demo.text.lower() or (database.exists() and log_size(database) > 10**6)
        )
        demo.stop(number)
        assert "Traceback" not in demo.text
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "rata.db")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("region", "plan")
        ]
    assert counts[0] in (0, 91_600)
    assert counts[1] in (0, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_still_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dropping:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(preparing, "load_shipped_reference", lambda database, out: Dropping() and None)
    monkeypatch.setattr(preparing, "load_sample", lambda database: None)
    monkeypatch.setattr(preparing, "run", lambda settings: pytest.fail("It served."))
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{tmp_path}/rata.db",
        demo_token_file=str(tmp_path / "demo.token"),
        port=free_port(),
    )
    with pytest.raises(KeyboardInterrupt):
        preparing.run_demo(settings, Console(quiet=True))


def log_size(database: Path) -> int:
    log = database.with_name(database.name + "-wal")
    return log.stat().st_size if log.exists() else 0


def test_a_sample_that_breaks_off_leaves_no_plan(
    database: OneTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan comes with all its lines and figures, or not at all; what is there is left alone."""
    real = commands.report_progress

    def breaks(*given: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "report_progress", breaks)
    with pytest.raises(KeyboardInterrupt):
        load_sample(database)
    with database.read_session() as session:
        assert not is_plan(session, PLAN)
    monkeypatch.setattr(commands, "report_progress", real)
    load_sample(database)
    database.statements.clear()
    load_sample(database)
    assert len(database.statements) == 1
