"""A plan of Kotabaru, empty, with one agency."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.conftest import ConnectAs, made_once
from tests.database import ENGINES, OneTransaction
from tests.exchange.office import Office


def open_office(client: TestClient, database: OneTransaction) -> Office:
    """Make an empty plan of 2026 and the agency of social affairs."""
    office = Office(client, database)
    office.make_plan()
    office.make_agency()
    return office


@pytest.fixture
def office(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with an empty plan of 2026 and the agency of social affairs."""
    return open_office(secretariat, database)


@pytest.fixture(scope="module", params=ENGINES)
def opened_once(request: pytest.FixtureRequest) -> Iterator[OneTransaction]:
    """The database with that office, for a module whose tests begin in it."""

    def open_it(connect: ConnectAs, database: OneTransaction) -> None:
        open_office(connect(("secretariat", "63.02")), database)

    with made_once(request, open_it) as world:
        yield world


def open_kotabaru(client: TestClient, database: OneTransaction) -> Office:
    """Make an empty plan of 2025, for the real files."""
    office = Office(client, database, "63.02-2025")
    office.make_plan()
    return office
