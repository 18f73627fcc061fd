"""The matrix of a period: lines and figures of its last quarter; the first half-year by the figures of Q2."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.exchange.matrix.rules import read_matrix
from tests.amendments.world import Movers, adopt_amendment, budget
from tests.common import ConnectAs
from tests.plans.world import ANY, AT, HEALTH, SOCIAL
from tests.quarters.world import Office
from tests.workflow.moves import CODED

pytestmark = pytest.mark.both_engines

HALVES = ("spent_s1", "spent_s2", "spent_total")


def read_cells(client: TestClient, period: str | None, *keys: str, basis: str = "cumulative") -> list[Any]:
    """Return these columns of the first line of an export."""
    params = {"basis": basis} if period is None else {"basis": basis, "period": period}
    reply = client.get(f"{AT}/matrix.csv", params=params)
    assert reply.status_code == 200, reply.text
    row = read_matrix(reply.content, "a.csv", known_sources=["APBD"]).rows[0]
    return [row[key] for key in keys]


@pytest.fixture
def office(movers: Movers, connect: ConnectAs) -> Office:
    movers.bring("adopted")
    return Office(connect)


def test_a_half_year_keeps_the_lines_of_its_last_quarter(office: Office, movers: Movers) -> None:
    office.report("A-1", quarter=1, spent=3)
    office.move("submit")
    adopt_amendment(movers, "2026-08-01", **budget(99))
    office.report("A-1", quarter=1, spent=4)
    office.report("A-1", quarter=3, spent=9)
    columns = ("allocation", *HALVES)
    assert read_cells(office.secretariat, "2026-S1", *columns) == [CODED["allocation"], 3, None, 3]
    assert read_cells(office.secretariat, "2026", *columns) == [99, 3, 9, 9]
    assert read_cells(office.secretariat, "2026-S2", *HALVES, basis="period") == [3, 6, 9]
    assert read_cells(office.secretariat, None, "allocation", "spent_s1") == [99, None]


def test_a_half_year_is_blank_while_nothing_new_is_reported(office: Office) -> None:
    office.report("A-1", spent=3)
    assert read_cells(office.secretariat, "2026", *HALVES) == [3, None, 3]
    office.move("submit", at="/v1/regions/63.02/quarters/2026-Q4")
    assert read_cells(office.secretariat, "2026", *HALVES) == [3, None, 3]
    office.report("A-1", spent=5)
    assert read_cells(office.secretariat, "2026", *HALVES) == [5, 3, 3], "the year was submitted with 3"
    summary = office.secretariat.get(f"{AT}/summary?period=2026").json()
    assert summary["spent"] == 3


def test_a_half_year_names_the_agency_of_its_revision(office: Office, movers: Movers) -> None:
    merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    office.move("submit")
    merged = office.secretariat.post(merge, json={"into": HEALTH}, headers=ANY)
    assert merged.status_code == 200, merged.text
    named = [read_cells(office.secretariat, period, "agency")[0].name for period in ("2026-S1", "2026", None)]
    assert named == ["Dinas Sosial", "Dinas Kesehatan", "Dinas Kesehatan"]
