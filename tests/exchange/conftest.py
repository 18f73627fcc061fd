"""A plan of Kotabaru, empty, with one agency."""

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.exchange.office import Office


@pytest.fixture
def office(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with an empty plan of 2026 and the agency of social affairs."""
    office = Office(secretariat, database)
    office.make_plan()
    office.make_agency()
    return office


@pytest.fixture
def kotabaru(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with an empty plan of 2025, for the real files."""
    office = Office(secretariat, database, "63.02-2025")
    office.make_plan()
    return office
