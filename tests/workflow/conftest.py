"""A first draft of Kotabaru's plan of a past year, with a line ready for submission, and its movers."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put, put_plan
from tests.workflow.moves import CODED, PLAN, Movers


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat, once it wrote the plan."""
    furnish(database)
    put_plan(secretariat, PLAN)
    put(secretariat, "A-1", plan=PLAN, base=CODED)
    return secretariat


@pytest.fixture
def movers(secretariat: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)
