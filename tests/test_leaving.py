"""A process that receives SIGTERM reports itself busy and serves on until it stops."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.kit.server import graceful_shutdown


@pytest.fixture
def stopped() -> Iterator[threading.Event]:
    """An event that the previous handler of SIGTERM sets."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    yield stopped
    signal.signal(signal.SIGTERM, before)
    graceful_shutdown.STOPPING.clear()


def test_a_stopping_process_is_not_ready_and_serves_on(
    anonymous: TestClient, stopped: threading.Event
) -> None:
    graceful_shutdown.delay_stop(0.01)
    assert anonymous.get("/ready").status_code == 200
    os.kill(os.getpid(), signal.SIGTERM)
    reply = anonymous.get("/ready")
    assert (reply.status_code, reply.json()["code"], reply.headers["Connection"]) == (503, "busy", "close")
    health = anonymous.get("/health")
    assert (health.status_code, health.headers["Connection"]) == (200, "close")
    assert stopped.wait(20)


def test_a_second_signal_or_a_delay_of_zero_stops_at_once(stopped: threading.Event) -> None:
    graceful_shutdown.delay_stop(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.is_set()
    stopped.clear()
    graceful_shutdown.delay_stop(300)
    os.kill(os.getpid(), signal.SIGTERM)
    assert not stopped.is_set()
    (timer,) = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.is_set()
    timer.join(20)  # its signal must arrive before the fixture restores the handler
    assert not timer.is_alive()
