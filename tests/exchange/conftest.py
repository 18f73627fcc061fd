"""A plan of Kotabaru, empty, with one agency, made once for a module and engine."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs, begin_in, made_once
from tests.database import ENGINES, OneTransaction
from tests.exchange.office import Office


@pytest.fixture(scope="module", params=ENGINES)
def opened_once(request: pytest.FixtureRequest) -> Iterator[OneTransaction]:
    """The database with an empty plan of 2026 and the agency of social affairs."""

    def open_it(connect: ConnectAs, database: OneTransaction) -> None:
        office = Office(connect(("secretariat", "63.02")), database)
        office.make_plan()
        office.make_agency()

    with made_once(request, open_it) as world:
        yield world


@pytest.fixture
def database(opened_once: OneTransaction) -> Iterator[OneTransaction]:
    with begin_in(opened_once) as database:
        yield database


@pytest.fixture
def office(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with an empty plan of 2026 and the agency of social affairs."""
    return Office(secretariat, database)


def open_kotabaru(client: TestClient, database: OneTransaction) -> Office:
    """Make an empty plan of 2025, for the real files."""
    office = Office(client, database, "63.02-2025")
    office.make_plan()
    return office
