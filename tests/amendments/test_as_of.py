"""A plan as it was in force at an instant: by another way the same as its frozen revisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.revisions.models import PlanRevisionRow
from tests.amendments.conftest import draft
from tests.amendments.world import HEALTHY, LINES, Movers, amend, because, budget, ok
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, report, walk

ZERO = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
ONE = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)


def adopt_twice(connect: ConnectAs, database: OneTransaction) -> None:
    """A plan that was adopted in January and, amended, in September."""
    secretariat, movers = connect(("secretariat", "63.02")), Movers(connect)
    draft(secretariat, database)
    movers.bring("amended")
    amend(secretariat, "A-1", [because()], **budget(300))
    ok(
        secretariat.delete(
            f"{LINES}/A-3", params={"category": "policy", "reason": "Digabungkan"}, headers=ANY
        )
    )
    ok(secretariat.put(f"{LINES}/B-1", json={**HEALTHY, "title": "Baru", "reasons": [because()]}))
    for verb in ("submit", "endorse", "adopt"):
        ok(movers.move(verb))
    c = get_table(PlanRevisionRow).c
    with database.writing() as session:
        for number, instant in enumerate((ZERO, ONE)):
            session.execute(sa.update(c.number.table).where(c.number == number).values(adopted_at=instant))


world, database = begin_with(adopt_twice)


@pytest.fixture
def twice(connect: ConnectAs) -> TestClient:
    """The reader of the province."""
    return connect(("reader", "63"))


def at(path: str, instant: datetime, **params: Any) -> Any:
    return {"url": path, "params": {"as_of": instant.isoformat(), **params}}


@pytest.mark.parametrize(
    ("instant", "revision"),
    [
        (ZERO, 0),
        (ZERO + timedelta(days=30), 0),
        (ONE - timedelta(microseconds=1), 0),
        (ONE, 1),
        (ONE + timedelta(days=300), 1),
    ],
)
def test_the_revision_adopted_last_is_shown(twice: TestClient, instant: datetime, revision: int) -> None:
    frozen = ok(twice.get(f"{AT}/revisions/{revision}"))
    listed = ok(twice.get(f"{AT}/revisions"))["items"][revision]
    plan = ok(twice.get(**at(AT, instant)))
    assert plan["revision"] == revision
    assert plan["allowed"] == []
    for name in ("action_count", "allocation"):
        assert plan[name] == listed[name]
    assert plan["title"] == frozen["title"]
    lines = ok(twice.get(**at(f"{AT}/actions", instant)))["items"]
    assert [{name: line[name] for name in frozen["actions"][0]} for line in lines] == frozen["actions"]
    one = ok(twice.get(**at(f"{AT}/actions/A-1", instant)))
    assert {name: one[name] for name in lines[0]} == lines[0]


def test_of_today_it_is_what_is_in_force(twice: TestClient) -> None:
    now = datetime.now(UTC) + timedelta(days=1)
    for sort in ("code", "-allocation"):
        then = ok(twice.get(**at(f"{AT}/actions", now, sort=sort)))["items"]
        lines = ok(twice.get(f"{AT}/actions?sort={sort}"))["items"]
        assert [{**line, "updated_at": ""} for line in then] == [{**line, "updated_at": ""} for line in lines]


def test_what_was_reported_is_read_again(twice: TestClient, connect: ConnectAs) -> None:
    report(connect(("secretariat", "63.02")), "A-1", 1, spent=30)
    then = ok(twice.get(**at(f"{AT}/actions/A-1", ZERO)))
    assert (then["spent"], then["progress_period"], then["allocation"]) == (30, "2026-Q1", 250_000_000)
    assert ok(twice.get(**at(f"{AT}/actions/A-3", ZERO)))["spent"] == 0
    assert twice.get(**at(f"{AT}/actions/A-3", ONE)).status_code == 404
    assert twice.get(**at(f"{AT}/actions/B-1", ZERO)).status_code == 404


def test_before_the_first_adoption_the_first_instant_is_named(twice: TestClient) -> None:
    for path in (AT, f"{AT}/actions", f"{AT}/actions/A-1"):
        reply = twice.get(**at(path, ZERO - timedelta(seconds=1)))
        assert (reply.status_code, reply.json()["code"]) == (404, "not_in_force_then")
        assert reply.json()["errors"][0]["allowed"] == ZERO.isoformat()


@pytest.mark.parametrize("value", ["2026-06-30T08:00:00", "2026-06-30", "besok", ""])
def test_an_instant_without_offset_is_400(twice: TestClient, value: str) -> None:
    for path in (AT, f"{AT}/actions", f"{AT}/actions/A-1"):
        reply = twice.get(path, params={"as_of": value})
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["parameter"] == "as_of"


def test_its_pages_go_on_and_their_cursors_are_of_that_instant(twice: TestClient) -> None:
    for sort in ("code", "-code", "-allocation", "title", "strategy", "lead_agency", "-spent"):
        pages = twice.get(**at(f"{AT}/actions", ZERO, sort=sort, limit=1))
        found = [line["code"] for line in ok(pages)["items"]]
        while pages.json()["next"]:
            pages = twice.get(pages.links["next"]["url"])
            found += [line["code"] for line in ok(pages)["items"]]
        assert found == [
            line["code"] for line in ok(twice.get(**at(f"{AT}/actions", ZERO, sort=sort)))["items"]
        ]
        assert sorted(found) == ["A-1", "A-2", "A-3"]
    cursor = ok(twice.get(**at(f"{AT}/actions", ZERO, limit=1)))["next"]
    for other in ({"as_of": ONE.isoformat()}, {}):
        reply = twice.get(f"{AT}/actions", params={**other, "limit": 1, "after": cursor})
        assert reply.json()["errors"][0]["code"] == "foreign_cursor"
    counted = twice.get(**at(f"{AT}/actions", ZERO, count="exact", lead_agency=HEALTH))
    assert ok(counted)["count"] == 2


def test_a_304_costs_a_reader_of_the_past_no_more(database: OneTransaction, twice: TestClient) -> None:
    asked = at(f"{AT}/actions", ZERO)
    tag = twice.get(**asked).headers["ETag"]
    del database.statements[:]
    assert twice.get(**asked, headers={"If-None-Match": tag}).status_code == 304
    assert len(database.statements) == 2


def test_walking_pages_of_the_past_gives_each_line_once(twice: TestClient) -> None:
    found = [line["code"] for line in walk(twice, f"{AT}/actions?limit=2&as_of=2026-02-01T00:00:00Z")]
    assert found == ["A-1", "A-2", "A-3"]
