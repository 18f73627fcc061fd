"""A plan of Kotabaru in force with an amendment open beside it, and who may move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import REGION_LINES, Movers
from tests.database import OneTransaction
from tests.plans.world import furnish, put, put_plan


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat, with three lines that can be submitted."""
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client)
    for code, base in REGION_LINES.items():
        put(client, code, base=base)
    return client


@pytest.fixture
def movers(client: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)


@pytest.fixture
def amended(client: TestClient, movers: Movers) -> TestClient:
    """The secretariat, once the plan is in force and its amendment open."""
    movers.bring("amended")
    return client


@pytest.fixture
def reader(amended: TestClient, connect: Callable[..., TestClient]) -> TestClient:
    """Whoever may not read drafts."""
    return connect(("reader", "63"))
