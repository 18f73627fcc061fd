"""A service with a database that goes silent under a hundred clients, a supervisor and a balancer.

`RATA_PROOF_SILENCE` sets the seconds of silence, at least 25, by default 120.
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
"""`RATA_STATEMENT_SECONDS` of the service, by which it notices a stopped server."""
ADDRESS = "127.0.0.77"


class Reply(NamedTuple):
    """The instant of a request, its duration, the status, and whether the reply has `Retry-After`."""

    start: float
    seconds: float
    status: int
    has_retry: bool


Replies = dict[str, list[Reply]]


def send_requests(address: str, token: str, seconds: float, kinds: dict[str, int], pause: float) -> Replies:
    """Send requests by `kinds` callers of each kind for some seconds, with a pause after each reply."""
    end = time.monotonic() + seconds
    replies: Replies = {kind: [] for kind in kinds}
    headers = {"Authorization": f"Bearer {token}"}

    def work(kind: str, number: int) -> None:
        with httpx.Client(base_url=address, headers=headers, timeout=200) as client:
            while (began := time.monotonic()) < end:
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
def run_crowd(address: str, token: str, seconds: float) -> Iterator[Replies]:
    """Run clients and watchers of `/health` and `/ready` in two processes; fill the replies at the end."""
    replies: Replies = {}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for ready in [pool.submit(send_requests, address, token, 0, {"health": 1}, 0) for _ in range(2)]:
            ready.result()  # the processes have started
        clients = pool.submit(
            send_requests, address, token, seconds, {"read": CLIENTS - 10, "write": 10}, 0.5
        )
        watchers = pool.submit(send_requests, address, token, seconds, {"health": 1, "ready": 1}, 0.1)
        yield replies
        replies |= clients.result() | watchers.result()


def select_between(replies: list[Reply], start: float, end: float) -> list[Reply]:
    """Return the replies that arrived between two instants."""
    return [reply for reply in replies if start <= reply.start + reply.seconds < end]


@contextmanager
def run_service(url: str, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Run the service as a process; yield its address and process id."""
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


def count_threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def list_children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def judge(replies: Replies, start: float, end: float, *, most: float, name: str) -> list[str]:
    """Print the figures during and after a silence; return the broken promises."""
    health = select_between(replies["health"], start, end)
    calm = get_longest([reply for reply in replies["health"] if not start <= reply.start < end])
    gaps = [later.start - earlier.start for earlier, later in itertools.pairwise(health)]
    ready = select_between(replies["ready"], start + 1, end)
    served = [reply for kind in ("read", "write") for reply in select_between(replies[kind], start + 1, end)]
    after = {kind: select_between(group, end, inf) for kind, group in replies.items()}
    failed = max(
        (
            reply.start + reply.seconds - end
            for kind in ("read", "write")
            for reply in after[kind]
            if reply.status >= 500
        ),
        default=0,
    )
    good = max(
        min((reply.start + reply.seconds - end for reply in group if reply.status == 200), default=inf)
        for group in after.values()
    )
    served_after = {kind: sum(reply.status == 200 for reply in group) for kind, group in after.items()}
    figures = [
        f"/health {count_statuses(health)}, longest {get_longest(health):.2f} s, gap {max(gaps):.2f} s",
        f"/health without silence, longest {calm:.2f} s",
        f"/ready {count_statuses(ready)}, longest {get_longest(ready):.2f} s",
        f"requests {count_statuses(served)}, longest {get_longest(served):.2f} s",
        f"after it: last request refused {failed:.2f} s, all good {good:.2f} s, then answered {served_after}",
    ]
    sys.stdout.write(f"\n{name}, {end - start:.0f} s: {'; '.join(figures)}\n")
    promises = {
        "/health is 200": set(count_statuses(health)) == {200},
        # a busy machine delays replies without any wait for the database
        "/health goes on": max(gaps) < 2 + calm,
        "/ready is 503": set(count_statuses(ready)) == {503},
        "/ready answers within a second": get_longest(ready) < 1,
        "requests are 503": {(reply.status, reply.has_retry) for reply in served} == {(503, True)},
        "requests are answered in time": get_longest(served) < most,
        "all is good again": max(failed, good) < 15,
    }
    return [f"{name}: {promise}" for promise, is_kept in promises.items() if not is_kept]


def count_statuses(replies: list[Reply]) -> dict[int, int]:
    return dict(Counter(reply.status for reply in replies))


def get_longest(replies: list[Reply]) -> float:
    return max(reply.seconds for reply in replies)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops packets by socket")
def test_a_silent_database_stalls_no_other_request(tmp_path: Path) -> None:
    # an own loopback address: another server may use the usual port
    settings = {"listen_addresses": ADDRESS}
    with machine() as host, host.serve(host.create_cluster(), settings) as (admin, server):
        url = create_database(admin, "rata")
        prepare(url).close()
        with closing(Database(url)) as database:
            furnish(database)
            token = token_for(database, ("secretariat", "63.02"))
        with (
            SilentLine(f"postgresql+psycopg://postgres@{ADDRESS}/rata") as line,
            run_service(line.url, tmp_path) as (address, process),
        ):
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.put(f"{address}{AT}", json={"title": "RAT"}, headers=headers).status_code == 201
            with run_crowd(address, token, 5):
                pass
            before = count_threads(process)

            def signal_all(number: int) -> None:
                for process_id in (server.pid, *list_children(server.pid)):
                    os.kill(process_id, number)

            def observe(
                go_silent: Callable[[], None], resume: Callable[[], None]
            ) -> tuple[Replies, float, float]:
                with run_crowd(address, token, SILENCE + 35) as replies:
                    time.sleep(10)
                    start = time.monotonic()
                    go_silent()
                    time.sleep(SILENCE)
                    resume()
                    end = time.monotonic()
                return replies, start, end

            replies, start, end = observe(line.swallow, lambda: line.mend(old=False))
            broken = judge(replies, start, end, most=10, name="a network that drops packets")
            replies, start, end = observe(
                lambda: signal_all(signal.SIGSTOP), lambda: signal_all(signal.SIGCONT)
            )
            broken += judge(replies, start, end, most=STATEMENT + 5, name="a server that is stopped")
            after = count_threads(process)
            sys.stdout.write(f"threads: {before} before, {after} after\n")
            # after thousands of failures; idle threads of the pool vary up to its limit
            assert after <= before + SPARE_THREADS
            assert not broken
