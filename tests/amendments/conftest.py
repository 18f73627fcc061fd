"""A plan of Kotabaru in force with an open amendment, and its movers."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import REGION_LINES, Movers
from tests.database import OneTransaction
from tests.plans.world import furnish, put, put_plan


def draft_plan(secretariat: TestClient, database: OneTransaction) -> None:
    furnish(database)
    put_plan(secretariat)
    for code, base in REGION_LINES.items():
        put(secretariat, code, base=base)


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat, once it wrote three lines ready for submission."""
    draft_plan(secretariat, database)
    return secretariat


@pytest.fixture
def movers(secretariat: TestClient, connect: Callable[..., TestClient]) -> Movers:
    return Movers(connect)


@pytest.fixture
def amended(secretariat: TestClient, movers: Movers) -> TestClient:
    """The secretariat, once the plan is in force and its amendment open."""
    movers.bring("amended")
    return secretariat


@pytest.fixture
def provincial_reader(provincial_reader: TestClient, amended: TestClient) -> TestClient:
    """The reader of the province, once the plan's amendment is open."""
    return provincial_reader
