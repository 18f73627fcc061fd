"""Fixtures: a plan of Kotabaru with a full and a minimal line, and the callers that move it."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import Movers
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.harvest.world import BARE, FULL
from tests.plans.world import furnish, put, put_plan
from tests.quarters.world import Office


def draft(secretariat: TestClient, database: OneTransaction) -> None:
    furnish(database)
    put_plan(secretariat)
    put(secretariat, "A-1", base=FULL)
    put(secretariat, "A-2", base=BARE)


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat, with a draft ready for submission."""
    draft(secretariat, database)
    return secretariat


@pytest.fixture
def movers(secretariat: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)


@pytest.fixture
def adopted(secretariat: TestClient, movers: Movers) -> TestClient:
    """The secretariat, after the adoption of the plan."""
    movers.bring("adopted")
    return secretariat


@pytest.fixture
def provincial_reader(provincial_reader: TestClient, adopted: TestClient) -> TestClient:
    """The reader of the province, after the adoption of the plan."""
    return provincial_reader


def publish(connect: ConnectAs, database: OneTransaction) -> None:
    """Write a plan in its second revision, a draft, and a quarter that is frozen and corrected."""
    secretariat, movers = connect(("secretariat", "63.02")), Movers(connect)
    draft(secretariat, database)
    movers.bring("adopted")
    put_plan(secretariat, "63.02-2027")
    for verb in ("amend", "submit", "endorse", "adopt"):
        if verb == "submit":
            done = secretariat.patch(
                "/v1/plans/63.02-2026/amendment", json={"note": "APBD-P"}, headers={"If-Match": "*"}
            )
            assert done.status_code == 200, done.text
        assert movers.move(verb).status_code == 200
    office = Office(connect)
    office.report("A-1", "A-2", spent=5)
    office.move("submit", "verify", "freeze", "correct", "submit", "verify", "freeze")
