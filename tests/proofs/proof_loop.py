"""No large request to any operation blocks the event loop, with bodies of 25 MB.

The second proof sends the same to a running server and polls its health.
"""

import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

from tests.contract.operations import Operation
from tests.hostile.conftest import running, service  # noqa: F401 - fixtures
from tests.hostile.service import Service
from tests.load.loop import MeteredClient
from tests.load.test_loop import (
    OPERATIONS,
    Kinds,
    bearer,  # noqa: F401 - a fixture
    build_bodies,
    build_forms,
    build_largest,
    caller,  # noqa: F401 - a fixture
    check_bounds,
    database,  # noqa: F401 - a fixture
)

LARGEST = 25 * 2**20 - 100
BEAT = 0.02
"""Seconds between two health requests."""


def build_requests() -> Iterator[tuple[Operation, Kinds]]:
    bodies, uploads = build_bodies(LARGEST), build_forms(LARGEST)
    for operation in OPERATIONS:
        for kinds in build_largest(operation, bodies, uploads):
            yield operation, kinds


def test_no_request_blocks_the_loop(caller: MeteredClient, bearer: bytes | None) -> None:  # noqa: F811
    check_bounds(caller, bearer, build_requests())


def test_a_running_server_stays_responsive(service: Service) -> None:  # noqa: F811
    """Print the durations of health requests while the server receives every large request."""
    gaps: list[float] = []
    done = threading.Event()

    def beat() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert service.ask(service.build_request("GET", "/health")).status == 200
            gaps.append(time.monotonic() - began)
            done.wait(BEAT)

    heart = threading.Thread(target=beat)
    heart.start()
    began, sent = time.monotonic(), 0
    for operation, kinds in build_requests():
        for kind, (method, target, headers, body) in kinds.items():
            if "body" in kind and sent % 5:
                continue
            lines = [f"{name}: {value.decode()}" for name, value in headers if name != "Content-Type"]
            media = next(
                (value.decode() for name, value in headers if name == "Content-Type"), "application/json"
            )
            reply = service.ask(
                service.build_request(method, quote(target, safe="/?&=%"), *lines, body=body, kind=media)
            )
            assert reply.status is None or reply.status < 500, f"{operation} {kind}: {reply.data[:200]!r}"
            sent += 1
    done.set()
    heart.join()
    gaps.sort()
    print(
        f"{sent} requests in {time.monotonic() - began:.0f} s, {len(gaps)} answers about health: "
        f"median {gaps[len(gaps) // 2] * 1000:.1f} ms, longest {gaps[-1] * 1000:.0f} ms"
    )
    assert gaps[-1] < 2
