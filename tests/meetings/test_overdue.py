"""Overdue commitments by the time zone of each region, listed for a province and for the nation."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.reference.models import RegionRow, Timezone
from tests.database import OneTransaction
from tests.meetings.world import Clock, commit, list_codes, put_meeting, step
from tests.pages import walk
from tests.plans.world import HEALTH, PARTNER, PLAN, SOCIAL, furnish, put

Connect = Callable[..., TestClient]

WEST, MIDDLE, EAST = "18.06", "63.02", "73.22"
PATH = "/v1/commitments"


@pytest.fixture
def nation(
    secretariat: TestClient, connect: Connect, database: OneTransaction
) -> tuple[TestClient, Callable[..., None]]:
    """A reader of everything, and a function that adds a commitment in regions of three zones."""
    region = get_table(RegionRow)
    moved = sa.update(region).where(region.c.code == EAST).values(timezone=Timezone.wit)
    database.connection.execute(moved)
    writers = {MIDDLE: secretariat}
    for code in (WEST, EAST):
        furnish(database, code)
        writers[code] = connect(("secretariat", code))

    def promise(region: str, code: str, **changes: object) -> None:
        commit(writers[region], code, region, **changes)

    return connect(("reader", "0")), promise


def test_midnight_comes_to_the_east_first(
    nation: tuple[TestClient, Callable[..., None]], clock: Clock
) -> None:
    reader, promise = nation
    for region in (WEST, MIDDLE, EAST):
        promise(region, "K-1", due="2025-06-30")
    for at, late in (
        ("2025-06-30T14:59:59", []),
        ("2025-06-30T15:00:00", [EAST]),
        ("2025-06-30T16:00:00", [MIDDLE, EAST]),
        ("2025-06-30T17:00:00", [WEST, MIDDLE, EAST]),
    ):
        clock.at = f"{at}+00:00"
        assert list_codes(reader, PATH, overdue="true") == [f"{region}/K-1" for region in late], at
        on_time = [f"{region}/K-1" for region in (WEST, MIDDLE, EAST) if region not in late]
        assert list_codes(reader, PATH, overdue="false") == on_time, at
        for region in (WEST, MIDDLE, EAST):
            commitment = reader.get(f"/v1/regions/{region}/commitments/K-1").json()
            assert (commitment["overdue"], commitment["days_overdue"]) == (
                (region in late),
                int(region in late),
            ), at


def test_days_are_counted_over_months_and_years(secretariat: TestClient, clock: Clock) -> None:
    commit(secretariat, "K-1", due="2024-02-28")
    clock.at = "2025-03-01T00:00:00+00:00"
    item = secretariat.get(PATH).json()["items"][0]
    assert (item["overdue"], item["days_overdue"]) == (True, 367)


def test_the_tag_follows_the_day(secretariat: TestClient, clock: Clock) -> None:
    commit(secretariat, "K-1", due="2025-06-30")
    single = "/v1/regions/63.02/commitments/K-1"
    clock.at = "2025-06-30T01:00:00+00:00"
    tags = {path: secretariat.get(path).headers["ETag"] for path in (single, PATH, f"{PATH}?overdue=true")}
    clock.at = "2025-06-30T15:59:00+00:00"
    for path, tag in tags.items():
        assert secretariat.get(path, headers={"If-None-Match": tag}).status_code == 304
    for day in ("2025-06-30T16:01:00", "2025-07-01T16:01:00"):
        clock.at = f"{day}+00:00"
        for path, tag in tags.items():
            reply = secretariat.get(path, headers={"If-None-Match": tag})
            assert (reply.status_code, reply.headers["ETag"] != tag) == (200, True), (path, day)
            tags[path] = reply.headers["ETag"]


def test_a_closed_commitment_is_not_overdue(secretariat: TestClient, clock: Clock) -> None:
    for code, verb in (("K-1", "complete"), ("K-2", "cancel"), ("K-3", "start"), ("K-4", "follow-ups")):
        commit(secretariat, code)
        step(secretariat, verb, f"/v1/regions/63.02/commitments/{code}")
    clock.at = "2025-07-10T00:00:00+00:00"
    assert list_codes(secretariat, PATH, overdue="true") == ["63.02/K-3", "63.02/K-4"]
    step(secretariat, "reopen")
    assert secretariat.get(PATH, params={"sort": "code"}).json()["items"][0]["days_overdue"] == 10


def test_filters_and_order_of_a_province(
    nation: tuple[TestClient, Callable[..., None]], clock: Clock
) -> None:
    reader, promise = nation
    promise(MIDDLE, "K-1", due="2025-04-30")
    promise(MIDDLE, "K-2", due="2025-04-01", responsible_agency=HEALTH, supporting_agencies=[SOCIAL])
    promise(MIDDLE, "K-3", due="2025-09-01", responsible_agency=PARTNER)
    promise(EAST, "K-1", due="2025-04-30")
    promise(EAST, "K-9", due="2025-03-01")
    assert list_codes(reader, PATH, region="63") == ["63.02/K-2", "63.02/K-1", "63.02/K-3"]
    assert list_codes(reader, PATH, region="63", overdue="true") == ["63.02/K-2", "63.02/K-1"]
    assert list_codes(reader, PATH, region="63", agency=SOCIAL) == ["63.02/K-2", "63.02/K-1"]
    assert list_codes(reader, PATH, region="63", due_before="2025-04-30") == ["63.02/K-2"]
    assert list_codes(reader, PATH, state="done") == []
    every = ["73.22/K-9", "63.02/K-2", "63.02/K-1", "73.22/K-1", "63.02/K-3"]
    assert list_codes(reader, PATH) == every
    assert list_codes(reader, PATH, sort="-due") == every[::-1]
    assert reader.get(PATH, params={"count": "exact", "limit": 1, "overdue": "true"}).json()["count"] == 4
    for sort in ("due", "-due", "code", "-code"):
        paged = walk(reader, f"{PATH}?limit=2&sort={sort}")
        order = [f"{item['region_code']}/{item['code']}" for item in paged]
        assert order == list_codes(reader, PATH, sort=sort)
    for wrong in ({"overdue": "maybe"}, {"due_before": "soon"}, {"state": "late"}, {"region": "x"}):
        assert reader.get(PATH, params=wrong).status_code == 400, wrong


def test_a_list_of_a_region_and_of_a_meeting(secretariat: TestClient, connect: Connect, clock: Clock) -> None:
    put_meeting(secretariat, "R-1")
    commit(secretariat, "K-1", meeting="R-1")
    commit(secretariat, "K-2")
    home = "/v1/regions/63.02/commitments"
    assert list_codes(secretariat, home) == ["63.02/K-1", "63.02/K-2"]
    assert list_codes(secretariat, home, meeting="R-1") == ["63.02/K-1"]
    assert connect(("secretariat", "63.03")).get(home).status_code == 404
    assert connect(("secretariat", "63.03")).get(PATH).json()["items"] == []


def test_a_hundred_commitments_cost_as_many_statements_as_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def count_statements() -> int:
        database.statements.clear()
        assert secretariat.get(f"{PATH}?limit=500").status_code == 200
        return len(database.statements)

    put(secretariat, "A-1")
    rich = {"supporting_agencies": [HEALTH], "linked_actions": [{"plan": PLAN, "action": "A-1"}]}
    commit(secretariat, "K-1", **rich)
    for_one = count_statements()
    for n in range(2, 101):
        commit(secretariat, f"K-{n}", **rich)
    step(secretariat, "start")
    step(secretariat, "follow-ups")
    assert count_statements() == for_one
    assert len(secretariat.get(f"{PATH}?limit=500").json()["items"]) == 100
