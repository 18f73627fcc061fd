"""`rata demo` from an empty folder, started again, and stopped during the load."""

import contextlib
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.docs.server import free_port
from tests.test_cli import environment

SECONDS = 90


class Demo:
    """A demo in a folder, with its output in a file."""

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self.folder, self.port, self.base = folder, port, f"http://127.0.0.1:{port}"
        self.output = folder / f"output-{time.monotonic_ns()}"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from app.cli import main; main()", "demo"], cwd=folder, stdout=out,
                stderr=subprocess.STDOUT, env=environment(RATA_PORT=str(port), **settings), start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, is_true: Any) -> None:
        """Wait until a condition holds. Raises AssertionError if the process ends or after `SECONDS`."""
        end = time.monotonic() + SECONDS
        while not is_true():
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.05)

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.base}/ready").status_code == 200
        return False

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)


@contextlib.contextmanager
def run_demo(folder: Path, port: int, **settings: str) -> Iterator[Demo]:
    demo = Demo(folder, port, **settings)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def dump_database(folder: Path) -> list[str]:
    """Return the dump of the database."""
    with contextlib.closing(sqlite3.connect(folder / "var" / "demo.db")) as connection:
        return list(connection.iterdump())


def call(command: str) -> httpx.Response:
    """Send the request of a printed curl command. Raises AssertionError if it has unknown words."""
    words = shlex.split(command)
    assert words[:3] == ["curl", "-s", "-H"]
    name, _, value = words[3].partition(": ")
    rest = words[4:]
    if rest[:2] == ["--create-dirs", "-o"]:
        assert Path(rest[2]).parent.name == "examples"
        rest = rest[3:]
    (address,) = rest
    return httpx.get(address, headers={name: value})


def test_the_demo_serves_stops_and_starts_again(tmp_path: Path) -> None:
    """It leaves the database of the settings unchanged."""
    port, named = free_port(), tmp_path / "own.db"
    named.write_bytes(b"no database")
    with run_demo(tmp_path, port, RATA_DATABASE_URL=f"sqlite:///{named}") as demo:
        demo.wait_for(demo.is_ready)
        text = demo.text
        assert demo.base in text
        (token,) = {word.strip("'") for word in text.split() if word.startswith("rata_")}
        curls = [row.strip() for row in text.splitlines() if row.strip().startswith("curl")]
        assert len(curls) == 3
        replies = [call(row) for row in curls]
        assert [reply.status_code for reply in replies] == [200, 200, 200]
        assert replies[0].json()["allocated"] == 632_470_087_081
        assert len(replies[1].json()["items"]) == 3
        assert replies[2].content.startswith(b"PK")
        assert httpx.get(f"{demo.base}/docs").status_code == 200
        with run_demo(tmp_path, port) as second:
            assert second.process.wait(timeout=SECONDS) == 1
            assert f"{port} is taken" in second.text
            assert "RATA_PORT=" in second.text
        assert demo.stop(signal.SIGTERM) == 0
        assert "Traceback" not in demo.text
    assert named.read_bytes() == b"no database"
    assert (tmp_path / "var" / "demo.token").stat().st_mode & 0o077 == 0
    before = dump_database(tmp_path)
    with run_demo(tmp_path, port) as again:
        again.wait_for(again.is_ready)
        assert token in again.text
        assert again.stop(signal.SIGINT) in (0, 130)
        assert "Traceback" not in again.text
    assert dump_database(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_stopped_during_the_load_has_whole_tables_alone(tmp_path: Path, number: int) -> None:
    """The demo stops while it loads the reference data; the next start loads all of it."""
    with run_demo(tmp_path, free_port()) as demo:
        database = tmp_path / "var" / "demo.db"
        demo.wait_for(
            lambda: "regions" in demo.text.lower() or (database.exists() and get_log_size(database) > 10**6)
        )
        demo.stop(number)
        assert "Traceback" not in demo.text
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "demo.db")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("region", "plan")
        ]
    assert counts[0] in (0, 91_600)
    assert counts[1] in (0, 1)


def get_log_size(database: Path) -> int:
    log = database.with_name(database.name + "-wal")
    return log.stat().st_size if log.exists() else 0
