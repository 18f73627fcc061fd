"""Periodic work of the workers: once a minute, and a failure stops neither other work nor deliveries."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.changes.webhooks import worker as workers
from app.convergence.scorecards.yardsticks.commands import settle_due
from app.kit.database.engine import Database
from tests.webhooks.conftest import Hook, Place
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.one_engine


def fail(database: Database, now: datetime) -> None:
    raise ValueError("…")


def test_the_service_settles_yardsticks_periodically(place: Place) -> None:
    assert [settle_due] == workers.PERIODIC


def test_a_failure_stops_neither_other_work_nor_deliveries(
    place: Place, hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[datetime] = []
    monkeypatch.setattr(workers, "PERIODIC", [fail, lambda database, now: seen.append(now)])
    place.write()
    assert place.worker().send_all_due() == 1
    assert len(seen) == len(receiver.take()) == 1


def test_a_permanent_worker_works_once_a_minute(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": datetime(2026, 1, 1, tzinfo=UTC)}
    stopped, seen = threading.Event(), list[datetime]()

    def tick() -> datetime:
        clock["now"] += timedelta(seconds=7)
        return clock["now"]

    def note(database: Any, now: datetime) -> None:
        seen.append(now)
        if len(seen) == 3:
            stopped.set()

    monkeypatch.setattr(workers, "PERIODIC", [note])
    monkeypatch.setattr(workers, "PAUSE", 0)
    place.worker(now=tick).run(stopped)
    assert all(timedelta(seconds=60) <= later - earlier for earlier, later in pairwise(seen))
