"""Kotabaru with its agencies."""

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat of Kotabaru, with agencies and no plan."""
    furnish(database)
    return secretariat
