"""A rehearsal of backup and restore: a service with writes during the backup, and checks after the restore."""

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import structlog
from typer.testing import CliRunner

from app.client import Rata, Refused
from app.client.copy import Copy
from app.client.follow import Follower
from app.console.storage import cli
from app.kit.database.engine import Database
from app.settings import Settings
from app.startup.database import open_database
from tests.client.test_following import kept, source
from tests.client.world import Served, client_of, listening
from tests.docs.pages import ROOT, blocks_of
from tests.plans.world import LEAN
from tests.test_cli import environment
from tests.year.world import YEAR, Regency

PLAN = "/v1/plans/63.02-2026"
PATIENCE = 60
_IS_RATA = re.compile(r"(\w+=\S+ )?rata ")


def read_block(containing: str, page: str = "operating") -> str:
    """Return the one block of a page for operators that has these words."""
    blocks = blocks_of(ROOT / "docs" / f"{page}.md")
    (text,) = [block.text for block in blocks if containing in block.text]
    return text


def operate(text: str, folder: Path, settings: Mapping[str, str]) -> None:
    """Run the commands of an operator in a shell; run `rata` in this process, which has loaded it."""
    others = []
    for line in text.splitlines(keepends=True):
        words = shlex.split(line) if _IS_RATA.match(line) else []
        if not words:
            others.append(line)
            continue
        _run_shell("".join(others), folder, settings)
        others.clear()
        own = dict(word.split("=", 1) for word in words[: words.index("rata")])
        with chdir(folder), close_databases():
            variables = {**settings, **own, "PATH": _join_path(settings)}
            done = CliRunner().invoke(cli, words[words.index("rata") + 1 :], env=variables)
        assert done.exit_code == 0, (line, done.output, done.exception)
    _run_shell("".join(others), folder, settings)


@contextmanager
def close_databases() -> Iterator[None]:
    """Close the databases that commands open in the block, since no process ends."""
    opened: list[Database] = []

    def note(settings: Settings, **options: bool) -> Database:
        opened.append(open_database(settings, **options))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.console.frame.open_database", note)
        yield
    for database in opened:
        database.close()
    structlog.reset_defaults()


def _run_shell(text: str, folder: Path, settings: Mapping[str, str]) -> None:
    variables = environment(**{**settings, "PATH": _join_path(settings)})
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", text],
        cwd=folder,
        env=variables,
        text=True,
        check=False,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def _join_path(settings: Mapping[str, str]) -> str:
    return f"{settings.get('PATH', '')}:{os.environ['PATH']}"


class Writing:
    """A thread that adds lines and counts the successes."""

    def __init__(self, writer: httpx.Client) -> None:
        self.count, self._writer, self._done = 0, writer, False
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writing":
        self._thread.start()
        self.wait_for(3)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._done = True
        self._thread.join(PATIENCE)

    def wait_for(self, more: int) -> None:
        target = self.count + more
        with self._more:
            assert self._more.wait_for(lambda: self.count >= target, PATIENCE)

    def write_line(self) -> None:
        done = self._writer.put(f"{PLAN}/actions/W-{self.count:05}", json=LEAN)
        assert done.status_code == 201, done.text
        with self._more:
            self.count += 1
            self._more.notify_all()

    def _write(self) -> None:
        while not self._done:
            self.write_line()


class Rehearsal:
    """The state before a backup, and its check after the restore."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._copy = Copy(str(folder / "copy.db"))

    @contextmanager
    def prepare(self, database: Database) -> Iterator[Writing]:
        """Yield a writer on a service with a frozen year; note the cursor of the time that the restore loses."""
        with ExitStack() as stack:
            served = stack.enter_context(listening(database, self._folder / "spool"))
            self._port, self.token = served.port(), served.token(("reviewer", "63"))

            def connect(*roles: Any) -> Any:
                return stack.enter_context(served.writer(*roles))

            regency = Regency(connect, "63.02", 3, connect(("reviewer", "63")))
            regency.send(regency.team, "PUT", regency.plan, {"title": "RAT"})
            regency.put_lines(regency.lines)
            regency.adopt_it()
            regency.report(1)
            writer = connect(("secretariat", "63.02"))
            assert writer.put(PLAN, json={"title": "RAT"}).status_code == 201
            rata = stack.enter_context(client_of(served, self.token))
            self._early, self._frozen = _read_cursor(rata), _read_frozen(served, rata)
            with Writing(writer) as writing:
                yield writing
            self._build_follower(rata).catch_up()
            assert kept(self._copy) == source(rata)
            self._lost = _read_cursor(rata)

    def check(self, database: Database, *, at_least: int, at_most: int) -> None:
        """Serve the restored database; check that it has exactly the writes up to an instant."""
        with (
            listening(database, self._folder / "other spool", self._port) as served,
            client_of(served, self.token) as rata,
            served.writer() as writer,
        ):
            codes = sorted(line["code"] for line in rata.pages(f"{PLAN}/actions"))
            assert codes == [f"W-{number:05}" for number in range(len(codes))]
            assert at_least <= len(codes) <= at_most
            assert _read_frozen(served, rata) == self._frozen
            assert rata.change_page(self._early, region="63") is not None
            for number in range(2):  # also after new entries have the positions of the lost ones
                with pytest.raises(Refused) as refusal:
                    rata.change_page(self._lost, region="63")
                assert refusal.value.status == 410
                assert writer.put(f"{PLAN}/actions/N-{number}", json=LEAN).status_code == 201
            self._build_follower(rata).catch_up()
            assert kept(self._copy) == source(rata)

    def _build_follower(self, rata: Rata) -> Follower:
        return Follower(rata, self._copy, region="63")

    def close(self) -> None:
        self._copy.close()


def _read_cursor(rata: Rata) -> str:
    page = rata.change_page("now", region="63")
    assert page is not None
    return page.next


def _read_frozen(served: Served, rata: Rata) -> dict[str, Any]:
    """Return the snapshots of the year and the digests of its quarter."""
    frozen: dict[str, Any] = {"digests": rata.digests(f"{YEAR}-Q1", region="63")}
    for snapshot in rata.pages("/v1/snapshots", region="63"):
        frozen[snapshot["address"]] = (snapshot, rata.get(snapshot["address"]).content)
    assert len(frozen) == 2
    return frozen


def replace_places(text: str, **places: str) -> str:
    """Replace the example paths and addresses of a documented text."""
    for old, new in places.items():
        text = re.sub(PLACES[old], lambda match, new=new: new, text)
    return text


PLACES = {
    "backup": r"/backup\b",
    "server": r"(?<=PGHOST=)\S+",
    "restored": r"'postgresql\+psycopg://[^ ]+/rata_restored[^ ]*'",
    "instant": r"2026-07-20 09:14:59\+07",
}
