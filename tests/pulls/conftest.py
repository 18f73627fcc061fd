"""The office of the quarters' tests, with a second plan."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import HEALTH, furnish, put, put_plan
from tests.quarters.world import Office


@pytest.fixture
def office(database: OneTransaction, connect: Callable[..., TestClient]) -> Office:
    """An office where the social agency leads `A-1` and the health agency `A-2`, without reports."""
    furnish(database)
    office = Office(connect)
    put_plan(office.secretariat)
    put(office.secretariat, "A-1")
    put(office.secretariat, "A-2", lead_agency=HEALTH)
    return office
