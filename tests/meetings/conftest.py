"""Kotabaru with its agencies and a plan, its secretariat, and a fixed clock."""

from functools import partial

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.meetings.world import EVER, Clock
from tests.plans.world import furnish, put_plan


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The instant of every request: 2 May 2025 until a test changes it."""
    clock = Clock()
    monkeypatch.setattr("app.kit.http.unit_of_work.datetime", clock)
    return clock


@pytest.fixture
def connect(connect: ConnectAs) -> ConnectAs:
    """Callers whose tokens are valid at every instant of the clock."""
    return partial(connect, days=EVER)


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction, clock: Clock) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    furnish(database)
    put_plan(secretariat)
    return secretariat
