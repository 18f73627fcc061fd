"""A plan of Kotabaru with its agencies, to write actions in."""

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put_plan


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    furnish(database)
    put_plan(secretariat)
    return secretariat
