"""Kotabaru with its agencies and a plan, its secretariat, and a clock that stands."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.meetings.world import EVER, Clock
from tests.plans.world import furnish, put_plan


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The instant of every request, from now on; 2 May 2025 unless a test says otherwise."""
    clock = Clock()
    monkeypatch.setattr("app.kit.http.routing.datetime", clock)
    return clock


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient], clock: Clock) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    furnish(database)
    client = connect(("secretariat", "63.02"), days=EVER)
    put_plan(client)
    return client
