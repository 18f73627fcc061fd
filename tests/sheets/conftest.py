"""An empty plan of Lampung Barat, whose districts and villages the cases name."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.exchange.office import Office
from tests.reference import load_small_reference
from tests.sheets.files import read_case

PLAN = "18.04-2026"
Send = Callable[..., httpx.Response]


def open_plan(connect: ConnectAs, database: OneTransaction) -> None:
    with database.writing() as session:
        load_small_reference(session, "18.04", "18.13", "18.04.")
    Office(connect(("secretariat", "18.04")), database, PLAN).make_plan()


world, database = begin_with(open_plan)


@pytest.fixture
def office(connect: ConnectAs, database: OneTransaction) -> Office:
    """The secretariat of Lampung Barat with an empty plan of 2026."""
    return Office(connect(("secretariat", "18.04")), database, PLAN)


@pytest.fixture
def send_case(office: Office) -> Send:
    """Send a case with its query, changed by `query`."""

    def send(name: str, **query: Any) -> httpx.Response:
        data, own = read_case(name)
        return office.send(data, name, **own | query)

    return send
