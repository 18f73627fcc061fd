"""A first draft of Kotabaru's plan whose year is over, with a line that can be submitted, and who may move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put, put_plan
from tests.workflow.moves import CODED, PLAN, Movers


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat, with the plan."""
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client, PLAN)
    put(client, "A-1", plan=PLAN, base=CODED)
    return client


@pytest.fixture
def movers(client: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)
