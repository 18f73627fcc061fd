"""A plan of Kotabaru with a line that says everything, one that says the least, and who may move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import Movers
from tests.conftest import ConnectAs
from tests.database import OneTransaction
from tests.harvest.world import BARE, FULL
from tests.plans.world import furnish, put, put_plan
from tests.quarters.world import Office


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


@pytest.fixture
def published(adopted: TestClient, movers: Movers, connect: ConnectAs) -> TestClient:
    """The secretariat, with a plan in its second revision, a draft beside it, and a quarter frozen and corrected."""
    put_plan(adopted, "63.02-2027")
    for verb in ("amend", "submit", "endorse", "adopt"):
        if verb == "submit":
            done = adopted.patch(
                "/v1/plans/63.02-2026/amendment", json={"note": "APBD-P"}, headers={"If-Match": "*"}
            )
            assert done.status_code == 200, done.text
        assert movers.move(verb).status_code == 200
    office = Office(connect)
    office.report("A-1", "A-2", spent=5)
    office.move("submit", "verify", "freeze", "correct", "submit", "verify", "freeze")
    return adopted
