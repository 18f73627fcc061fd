"""A plan of Kotabaru with two priority locations, for lines in its villages."""

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put_plan


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat of Kotabaru, with agencies and a plan of two priority locations."""
    furnish(database)
    locations = [
        {"region_code": "63.02.01.2001", "target_families": 120},
        {"region_code": "63.02.01.2002"},
    ]
    put_plan(secretariat, priority_locations=locations)
    return secretariat
