"""No request keeps the event loop busy: every operation with every kind of large request, bodies of 25 MB.

The second proof sends the same to a running server and asks it for its health all the while.
"""

import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

from tests.hostile.conftest import running, service  # noqa: F401 - fixtures
from tests.hostile.service import Service
from tests.load.loop import MeteredClient
from tests.load.test_loop import (
    OPERATIONS,
    Kinds,
    Operation,
    bearer,  # noqa: F401 - a fixture
    bodies,
    caller,  # noqa: F401 - a fixture
    database,  # noqa: F401 - a fixture
    forms,
    hold_to_bounds,
    largest,
)

LARGEST = 25 * 2**20 - 100
BEAT = 0.02
"""Seconds between two requests for the health of the service."""


def requests() -> Iterator[tuple[Operation, Kinds]]:
    found, uploads = bodies(LARGEST), forms(LARGEST)
    for one in OPERATIONS:
        for kinds in largest(one, found, uploads):
            yield one, kinds


def test_nothing_keeps_the_loop(caller: MeteredClient, bearer: bytes | None) -> None:  # noqa: F811
    hold_to_bounds(caller, bearer, requests())


def test_a_running_server_answers_all_the_while(service: Service) -> None:  # noqa: F811
    """Prints the gaps between two answers about its health while it gets every large request, one after another."""
    gaps: list[float] = []
    done = threading.Event()

    def beat() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert service.ask(service.request("GET", "/health")).status == 200
            gaps.append(time.monotonic() - began)
            done.wait(BEAT)

    heart = threading.Thread(target=beat)
    heart.start()
    began, sent = time.monotonic(), 0
    for one, kinds in requests():
        for kind, (method, target, headers, body) in kinds.items():
            if "body" in kind and sent % 5:
                continue
            lines = [f"{name}: {value.decode()}" for name, value in headers if name != "Content-Type"]
            media = next(
                (value.decode() for name, value in headers if name == "Content-Type"), "application/json"
            )
            reply = service.ask(
                service.request(method, quote(target, safe="/?&=%"), *lines, body=body, kind=media)
            )
            assert reply.status is None or reply.status < 500, f"{one} {kind}: {reply.data[:200]!r}"
            sent += 1
    done.set()
    heart.join()
    gaps.sort()
    print(
        f"{sent} requests in {time.monotonic() - began:.0f} s, {len(gaps)} answers about health: "
        f"median {gaps[len(gaps) // 2] * 1000:.1f} ms, longest {gaps[-1] * 1000:.0f} ms"
    )
    assert gaps[-1] < 2
