"""A process that was asked to stop says so, and goes on serving until it does."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.kit.server import graceful_shutdown as leaving


@pytest.fixture
def asked() -> Iterator[threading.Event]:
    """Set when SIGTERM does what it did before."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    yield stopped
    signal.signal(signal.SIGTERM, before)
    leaving.STOPPING.clear()


def test_asked_to_stop_it_says_so_and_serves_on(anonymous: TestClient, asked: threading.Event) -> None:
    leaving.delay_stop(0.01)
    assert anonymous.get("/ready").status_code == 200
    os.kill(os.getpid(), signal.SIGTERM)
    reply = anonymous.get("/ready")
    assert (reply.status_code, reply.json()["code"], reply.headers["Connection"]) == (503, "busy", "close")
    served = anonymous.get("/health")
    assert (served.status_code, served.headers["Connection"]) == (200, "close")
    assert asked.wait(20)


def test_asked_twice_or_told_not_to_wait_it_stops_at_once(asked: threading.Event) -> None:
    leaving.delay_stop(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked.is_set()
    asked.clear()
    leaving.delay_stop(300)
    os.kill(os.getpid(), signal.SIGTERM)
    assert not asked.is_set()
    (again,) = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked.is_set()
    again.join(20)  # a signal that came later would end the process, which handles it otherwise by then
    assert not again.is_alive()
