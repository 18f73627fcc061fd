"""Pulls over a faulty line, by processes that the test kills.

At every instant the file is absent, unchanged, or equal to the service's. A few runs in the suite;
`make proofs GROUP=faults` does hundreds.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.client import Patience, Rata, RataError, service
from tests.client.faults import FaultyLine
from tests.client.world import IMPATIENT, Served
from tests.plans.world import ANY, LEAN, put_many
from tests.test_cli import ROOT, environment

pytestmark = pytest.mark.one_engine

RUNS = 4
PERIOD, PLAN = "2026-Q2", "63.02-2026"
FORMATS = ("ndjson", "csv", "parquet", "xlsx")
"""Formats that the service sends; `test_tables` covers a file of tables, built from the first."""
LINES = 60
ONE_TRY = Patience(total=30, chance=lambda low, high: 99.0)
"""Give up at the first cut."""


def write_note(chance: random.Random) -> str:
    """Return letters that no compression shortens much; a run of sixteen digits would be refused."""
    return "".join(chance.choices("abcdefghijklmnop", k=1800))


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    """A token of a reader of the province, with a plan of a hundred kilobytes, also when compressed."""
    chance = random.Random(1)
    with served.writer() as writer:
        assert writer.put(f"/v1/plans/{PLAN}", json={"title": "RAT"}).status_code == 201
        lines = [{**LEAN, "code": f"A-{n:03}", "note": write_note(chance)} for n in range(LINES)]
        put_many(writer, lines)  # type: ignore[arg-type]  # a client as the test client is
    return served.token(("reviewer", "63"))


def test_no_fault_of_the_line_leaves_a_wrong_file(
    served: Served, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_over_faults(served, token, tmp_path, monkeypatch, RUNS)


def pull_over_faults(
    served: Served, token: str, folder: Path, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    """Pull so many times over a line with faults; check the folder after each attempt."""
    monkeypatch.setattr(service, "TIMEOUT", httpx.Timeout(0.3))  # a lost piece costs this wait
    chance = random.Random(3)
    with (
        served.writer() as writer,
        FaultyLine(served.port(), seed=runs, size=150_000) as line,
        start_processes(line.url, token, folder) as run_and_kill,
    ):
        for run in range(runs):
            form = FORMATS[run % len(FORMATS)]
            file = folder / f"rata-{PERIOD}-63.{form}"
            before = file.read_bytes() if file.exists() else None
            if chance.random() < 0.5:
                change = {"note": write_note(chance)}
                done = writer.patch(f"/v1/plans/{PLAN}/actions/A-{run % LINES:03}", json=change, headers=ANY)
                assert done.status_code == 200
            now = read_file(served, token, form)
            line.is_bad, line.is_plain = True, chance.random() < 0.5
            for _ in range(2):
                if chance.random() < 0.5:
                    run_and_kill(form, 0.25 * chance.random() ** 2)
                else:
                    with suppress(RataError), Rata(line.url, token, patience=ONE_TRY) as once:
                        once.pull(PERIOD, folder, region="63", format=form)
                assert (file.read_bytes() if file.exists() else None) in (before, now)
            line.is_bad = chance.random() < 0.3
            with suppress(RataError), Rata(line.url, token, patience=IMPATIENT) as over:
                over.pull(PERIOD, folder, region="63", format=form)
                assert file.read_bytes() == now
            line.is_bad = False
            with Rata(line.url, token, patience=IMPATIENT) as good:
                good.pull(PERIOD, folder, region="63", format=form)
            assert file.read_bytes() == now
            left = {entry.name for entry in folder.iterdir() if entry.name.startswith(file.name)}
            assert left == {file.name, f"{file.name}.json"}
    assert len(line.drawn) == 6


def read_file(served: Served, token: str, form: str) -> bytes:
    """Read the file without the client; of NDJSON without its end."""
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    reply = httpx.get(
        f"{served.url}/v1/pulls/{PERIOD}.{form}", params={"region": "63"}, headers=headers, timeout=60
    )
    assert reply.status_code == 200
    return reply.content.rpartition(b'{"end"')[0] if form == "ndjson" else reply.content


@contextmanager
def start_processes(url: str, token: str, folder: Path) -> Iterator[object]:
    """Yield `run_and_kill(format, seconds)`: start a pull in a process and kill it after so many seconds."""
    pipe, settings = subprocess.PIPE, environment(RATA_SERVER=url, RATA_TOKEN=token)
    words = [sys.executable, "-c", _PULL, PERIOD, str(folder)]
    with subprocess.Popen(words, cwd=ROOT, env=settings, stdin=pipe, stdout=pipe, text=True) as starter:

        def run_and_kill(form: str, seconds: float) -> None:
            assert starter.stdin is not None
            assert starter.stdout is not None
            starter.stdin.write(f"{form}\n")
            starter.stdin.flush()
            puller = int(starter.stdout.readline())
            time.sleep(seconds)
            os.kill(puller, signal.SIGKILL)  # the process remains until the starter has reported its end
            starter.stdin.write("\n")
            starter.stdin.flush()
            starter.stdout.readline()

        yield run_and_kill


#: For each line it reads it forks a process that pulls and prints its id; after another line it waits for the
#: end. Python is loaded once.
_PULL = """
import os, sys
from app.client import cli
period, folder = sys.argv[1:]
for line in sys.stdin:
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.argv = ["rata", "pull", period, "--region", "63", "--out", folder, "--format", line.strip()]
        cli.main()
    print(process, flush=True)
    sys.stdin.readline()
    print(os.waitpid(process, 0)[1], flush=True)
"""
