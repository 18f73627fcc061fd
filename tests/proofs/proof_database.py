"""A service whose database falls silent under a hundred clients: what they, a supervisor and a balancer see.

`RATA_PROOF_SILENCE` is how long the database is silent, in seconds, at least 25; by default two minutes.
"""

import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from typing import NamedTuple

import httpx2 as httpx
import pytest

from app.kit.database.engine import Database
from app.kit.server.admission import SPARE_THREADS
from tests.common import token_for
from tests.database import prepare
from tests.load.silent_line import SilentLine
from tests.plans.world import AT, furnish
from tests.postgres import create_database, machine

SILENCE = float(os.environ.get("RATA_PROOF_SILENCE", "120"))
CLIENTS = 100
STATEMENT = 20
"""`RATA_STATEMENT_SECONDS` of the service: a stopped server is noticed by it."""
ADDRESS = "127.0.0.77"


class Reply(NamedTuple):
    """One answer: when it was asked for, how long it took, its status, and whether it names a time to come again."""

    at: float
    seconds: float
    status: int
    has_retry: bool


Replies = dict[str, list[Reply]]


def ask(address: str, token: str, seconds: float, kinds: dict[str, int], pause: float) -> Replies:
    """Ask for so long, by so many callers of each kind, each again as soon as it has its answer and paused."""
    until = time.monotonic() + seconds
    replies: Replies = {kind: [] for kind in kinds}
    headers = {"Authorization": f"Bearer {token}"}

    def work(kind: str, number: int) -> None:
        with httpx.Client(base_url=address, headers=headers, timeout=200) as client:
            while (began := time.monotonic()) < until:
                if kind == "write":
                    reply = client.put(AT, json={"title": f"RAT {number}"}, headers={"If-Match": "*"})
                else:
                    reply = client.get({"read": AT}.get(kind, f"/{kind}"))
                took = time.monotonic() - began
                replies[kind].append(Reply(began, took, reply.status_code, "Retry-After" in reply.headers))
                time.sleep(pause)

    callers = [(kind, number) for kind, count in kinds.items() for number in range(count)]
    with ThreadPoolExecutor(len(callers)) as pool:
        for done in [pool.submit(work, *caller) for caller in callers]:
            done.result()
    return replies


@contextmanager
def crowd(address: str, token: str, seconds: float) -> Iterator[Replies]:
    """A hundred clients, and who watches `/health` and `/ready`, in processes of their own; full at the end."""
    replies: Replies = {}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for ready in [pool.submit(ask, address, token, 0, {"health": 1}, 0) for _ in range(2)]:
            ready.result()  # the processes have started
        clients = pool.submit(ask, address, token, seconds, {"read": CLIENTS - 10, "write": 10}, 0.5)
        watchers = pool.submit(ask, address, token, seconds, {"health": 1, "ready": 1}, 0.1)
        yield replies
        replies |= clients.result() | watchers.result()


def between(replies: list[Reply], start: float, end: float) -> list[Reply]:
    """Return the replies that came between two instants."""
    return [reply for reply in replies if start <= reply.at + reply.seconds < end]


@contextmanager
def serving(url: str, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The service as a process; yields its address and its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "RATA_DATABASE_URL": url,
        "RATA_PORT": str(port),
        "RATA_STATEMENT_SECONDS": str(STATEMENT),
        "RATA_SPOOL_FOLDER": str(tmp_path / "spool"),
    }
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
        process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    if httpx.get(f"{address}/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(120)


def threads_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def children_of(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def judge(replies: Replies, start: float, end: float, *, most: float, name: str) -> list[str]:
    """Write the figures of a silence and of what came after it; return the promises that they break."""
    health = between(replies["health"], start, end)
    calm = longest([reply for reply in replies["health"] if not start <= reply.at < end])
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(health)]
    ready = between(replies["ready"], start + 1, end)
    served = [reply for kind in ("read", "write") for reply in between(replies[kind], start + 1, end)]
    after = {kind: between(those, end, inf) for kind, those in replies.items()}
    failed = max(
        (r.at + r.seconds - end for kind in ("read", "write") for r in after[kind] if r.status >= 500),
        default=0,
    )
    good = max(
        min((r.at + r.seconds - end for r in those if r.status == 200), default=inf)
        for those in after.values()
    )
    served_after = {kind: sum(reply.status == 200 for reply in those) for kind, those in after.items()}
    figures = [
        f"/health {statuses(health)}, longest {longest(health):.2f} s, gap {max(gaps):.2f} s, calm {calm:.2f} s",
        f"/ready {statuses(ready)}, longest {longest(ready):.2f} s",
        f"requests {statuses(served)}, longest {longest(served):.2f} s",
        f"after it: last request refused {failed:.2f} s, all good {good:.2f} s, then answered {served_after}",
    ]
    sys.stdout.write(f"\n{name}, {end - start:.0f} s: {'; '.join(figures)}\n")
    promises = {
        "/health is 200": set(statuses(health)) == {200},
        # what a busy machine takes by itself is no wait for the database
        "/health goes on": max(gaps) < 2 + calm,
        "/ready is 503": set(statuses(ready)) == {503},
        "/ready answers within a second": longest(ready) < 1,
        "requests are 503": {(reply.status, reply.has_retry) for reply in served} == {(503, True)},
        "requests are answered in time": longest(served) < most,
        "all is good again": max(failed, good) < 15,
    }
    return [f"{name}: {promise}" for promise, is_kept in promises.items() if not is_kept]


def statuses(replies: list[Reply]) -> dict[int, int]:
    return dict(Counter(reply.status for reply in replies))


def longest(replies: list[Reply]) -> float:
    return max(reply.seconds for reply in replies)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops packets by socket")
def test_a_database_that_falls_silent_stalls_nothing(tmp_path: Path) -> None:
    # an address of its own on this machine: the usual port may be another server's
    settings = {"listen_addresses": ADDRESS}
    with machine() as here, here.serving(here.new_cluster(), settings) as (admin, server):
        url = create_database(admin, "rata")
        prepare(url).close()
        with closing(Database(url)) as database:
            furnish(database)
            token = token_for(database, ("secretariat", "63.02"))
        with (
            SilentLine(f"postgresql+psycopg://postgres@{ADDRESS}/rata") as line,
            serving(line.url, tmp_path) as (address, process),
        ):
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.put(f"{address}{AT}", json={"title": "RAT"}, headers=headers).status_code == 201
            with crowd(address, token, 5):
                pass
            before = threads_of(process)

            def signal_all(number: int) -> None:
                for one in (server.pid, *children_of(server.pid)):
                    os.kill(one, number)

            def observe(
                fall_silent: Callable[[], None], speak: Callable[[], None]
            ) -> tuple[Replies, float, float]:
                with crowd(address, token, SILENCE + 35) as replies:
                    time.sleep(10)
                    start = time.monotonic()
                    fall_silent()
                    time.sleep(SILENCE)
                    speak()
                    end = time.monotonic()
                return replies, start, end

            replies, start, end = observe(line.swallow, lambda: line.mend(old=False))
            broken = judge(replies, start, end, most=10, name="a network that swallows packets")
            replies, start, end = observe(
                lambda: signal_all(signal.SIGSTOP), lambda: signal_all(signal.SIGCONT)
            )
            broken += judge(replies, start, end, most=STATEMENT + 5, name="a server that is stopped")
            after = threads_of(process)
            sys.stdout.write(f"threads: {before} before, {after} after\n")
            # thousands failed; the idle workers of the pool come and go, up to its limit
            assert after <= before + SPARE_THREADS
            assert not broken
