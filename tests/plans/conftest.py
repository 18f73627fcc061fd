"""A plan of Kotabaru with its agencies, to write actions in."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish, put_plan


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client)
    return client
