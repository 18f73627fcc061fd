"""Kotabaru with its agencies, its secretariat, the panel of its province, and the nation's administrator."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import furnish


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat of Kotabaru, with agencies and no plan."""
    furnish(database)
    return connect(("secretariat", "63.02"))


@pytest.fixture
def panel(connect: Callable[..., TestClient]) -> TestClient:
    """The reviewer of the province."""
    return connect(("reviewer", "63"))


@pytest.fixture
def nation(connect: Callable[..., TestClient]) -> TestClient:
    """The nation's administrator."""
    return connect(("administrator", "0"))
