"""An empty plan of Kotabaru with one agency, created once for a module and engine."""

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.exchange.office import Office


def open_office(connect: ConnectAs, database: OneTransaction) -> None:
    """Write an empty plan of 2026 and the agency of social affairs."""
    office = Office(connect(("secretariat", "63.02")), database)
    office.make_plan()
    office.make_agency()


world, database = begin_with(open_office)


@pytest.fixture
def office(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with an empty plan of 2026 and the agency of social affairs."""
    return Office(secretariat, database)


def open_kotabaru(client: TestClient, database: OneTransaction) -> Office:
    """Make an empty plan of 2025, for the real files."""
    office = Office(client, database, "63.02-2025")
    office.make_plan()
    return office
