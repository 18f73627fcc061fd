"""Fixtures: a plan of Kotabaru, and databases that keep commits."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.kit.database.engine import Database
from tests.database import ENGINES, OneTransaction, own_database
from tests.plans.world import furnish_by_command, put_plan


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    furnish_by_command(database)
    put_plan(secretariat)
    return secretariat


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of each engine that keeps commits, with the agencies of two regencies."""
    with own_database(request.param) as database:
        for region in ("63.02", "63.03"):
            furnish_by_command(database, region)
        yield database
