"""A plan of Kotabaru with lines of two agencies, and callers of every role."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import HEALTH, furnish, put, put_plan
from tests.quarters.world import Office


@pytest.fixture
def office(database: OneTransaction, connect: Callable[..., TestClient]) -> Office:
    """The callers, and a plan in which `A-1` belongs to the social agency, `A-2` to the health agency."""
    furnish(database)
    office = Office(connect)
    put_plan(office.secretariat)
    put(office.secretariat, "A-1")
    put(office.secretariat, "A-2", lead_agency=HEALTH)
    return office
