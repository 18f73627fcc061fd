"""A plan of Kotabaru with a line that says everything, one that says the least, and who may move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import Movers
from tests.database import OneTransaction
from tests.harvest.world import BARE, FULL
from tests.plans.world import furnish, put, put_plan


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat, with a draft that can be submitted."""
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client)
    put(client, "A-1", base=FULL)
    put(client, "A-2", base=BARE)
    return client


@pytest.fixture
def movers(client: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)


@pytest.fixture
def adopted(client: TestClient, movers: Movers) -> TestClient:
    """The secretariat, once the plan is in force."""
    movers.bring("adopted")
    return client


@pytest.fixture
def reader(adopted: TestClient, connect: Callable[..., TestClient]) -> TestClient:
    """Whoever may not read drafts."""
    return connect(("reader", "63"))
