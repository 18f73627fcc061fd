"""A first draft of Kotabaru's plan whose year is over, with a line that can be submitted, and who may move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put, put_plan
from tests.workflow.moves import CODED, PLAN, Movers


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat, with the plan."""
    furnish(database)
    put_plan(secretariat, PLAN)
    put(secretariat, "A-1", plan=PLAN, base=CODED)
    return secretariat


@pytest.fixture
def movers(secretariat: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)
