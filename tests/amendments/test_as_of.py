"""A plan in force at an instant equals the frozen revision of that time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.revisions.models import PlanRevisionRow
from tests.amendments.conftest import draft_plan
from tests.amendments.world import HEALTHY, LINES, Movers, amend, because, budget, expect_ok
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, report, walk

ZERO = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
ONE = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)


def adopt_twice(connect: ConnectAs, database: OneTransaction) -> None:
    """Adopt a plan in January and its amendment in September."""
    secretariat, movers = connect(("secretariat", "63.02")), Movers(connect)
    draft_plan(secretariat, database)
    movers.bring("amended")
    amend(secretariat, "A-1", [because()], **budget(300))
    expect_ok(
        secretariat.delete(
            f"{LINES}/A-3", params={"category": "policy", "reason": "Digabungkan"}, headers=ANY
        )
    )
    expect_ok(secretariat.put(f"{LINES}/B-1", json={**HEALTHY, "title": "Baru", "reasons": [because()]}))
    for verb in ("submit", "endorse", "adopt"):
        expect_ok(movers.move(verb))
    c = get_table(PlanRevisionRow).c
    with database.writing() as session:
        for number, instant in enumerate((ZERO, ONE)):
            session.execute(sa.update(c.number.table).where(c.number == number).values(adopted_at=instant))


world, database = begin_with(adopt_twice)


@pytest.fixture
def reader(connect: ConnectAs) -> TestClient:
    """The reader of the province."""
    return connect(("reader", "63"))


def build_get(path: str, instant: datetime, **params: Any) -> Any:
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
def test_the_revision_adopted_last_is_shown(reader: TestClient, instant: datetime, revision: int) -> None:
    frozen = expect_ok(reader.get(f"{AT}/revisions/{revision}"))
    entry = expect_ok(reader.get(f"{AT}/revisions"))["items"][revision]
    plan = expect_ok(reader.get(**build_get(AT, instant)))
    assert plan["revision"] == revision
    assert plan["allowed"] == []
    for name in ("action_count", "allocation"):
        assert plan[name] == entry[name]
    assert plan["title"] == frozen["title"]
    lines = expect_ok(reader.get(**build_get(f"{AT}/actions", instant)))["items"]
    assert [{name: line[name] for name in frozen["actions"][0]} for line in lines] == frozen["actions"]
    single = expect_ok(reader.get(**build_get(f"{AT}/actions/A-1", instant)))
    assert {name: single[name] for name in lines[0]} == lines[0]


def test_todays_instant_shows_the_plan_in_force(reader: TestClient) -> None:
    now = datetime.now(UTC) + timedelta(days=1)
    for sort in ("code", "-allocation"):
        past_lines = expect_ok(reader.get(**build_get(f"{AT}/actions", now, sort=sort)))["items"]
        lines = expect_ok(reader.get(f"{AT}/actions?sort={sort}"))["items"]
        assert [{**line, "updated_at": ""} for line in past_lines] == [
            {**line, "updated_at": ""} for line in lines
        ]


def test_past_lines_show_todays_reports(reader: TestClient, connect: ConnectAs) -> None:
    report(connect(("secretariat", "63.02")), "A-1", 1, spent=30)
    line = expect_ok(reader.get(**build_get(f"{AT}/actions/A-1", ZERO)))
    assert (line["spent"], line["progress_period"], line["allocation"]) == (30, "2026-Q1", 250_000_000)
    assert expect_ok(reader.get(**build_get(f"{AT}/actions/A-3", ZERO)))["spent"] == 0
    assert reader.get(**build_get(f"{AT}/actions/A-3", ONE)).status_code == 404
    assert reader.get(**build_get(f"{AT}/actions/B-1", ZERO)).status_code == 404


def test_an_instant_before_the_first_adoption_is_404_and_names_it(reader: TestClient) -> None:
    for path in (AT, f"{AT}/actions", f"{AT}/actions/A-1"):
        reply = reader.get(**build_get(path, ZERO - timedelta(seconds=1)))
        assert (reply.status_code, reply.json()["code"]) == (404, "not_in_force_then")
        assert reply.json()["errors"][0]["allowed"] == ZERO.isoformat()


@pytest.mark.parametrize("value", ["2026-06-30T08:00:00", "2026-06-30", "besok", ""])
def test_an_instant_without_offset_is_400(reader: TestClient, value: str) -> None:
    for path in (AT, f"{AT}/actions", f"{AT}/actions/A-1"):
        reply = reader.get(path, params={"as_of": value})
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["parameter"] == "as_of"


def test_pages_of_an_instant_continue_and_refuse_other_cursors(reader: TestClient) -> None:
    for sort in ("code", "-code", "-allocation", "title", "strategy", "lead_agency", "-spent"):
        pages = reader.get(**build_get(f"{AT}/actions", ZERO, sort=sort, limit=1))
        codes = [line["code"] for line in expect_ok(pages)["items"]]
        while pages.json()["next"]:
            pages = reader.get(pages.links["next"]["url"])
            codes += [line["code"] for line in expect_ok(pages)["items"]]
        assert codes == [
            line["code"]
            for line in expect_ok(reader.get(**build_get(f"{AT}/actions", ZERO, sort=sort)))["items"]
        ]
        assert sorted(codes) == ["A-1", "A-2", "A-3"]
    cursor = expect_ok(reader.get(**build_get(f"{AT}/actions", ZERO, limit=1)))["next"]
    for other in ({"as_of": ONE.isoformat()}, {}):
        reply = reader.get(f"{AT}/actions", params={**other, "limit": 1, "after": cursor})
        assert reply.json()["errors"][0]["code"] == "foreign_cursor"
    counted = reader.get(**build_get(f"{AT}/actions", ZERO, count="exact", lead_agency=HEALTH))
    assert expect_ok(counted)["count"] == 2


def test_a_304_for_a_past_instant_costs_two_statements(database: OneTransaction, reader: TestClient) -> None:
    params = build_get(f"{AT}/actions", ZERO)
    tag = reader.get(**params).headers["ETag"]
    del database.statements[:]
    assert reader.get(**params, headers={"If-None-Match": tag}).status_code == 304
    assert len(database.statements) == 2


def test_pages_of_a_past_instant_give_each_line_once(reader: TestClient) -> None:
    codes = [line["code"] for line in walk(reader, f"{AT}/actions?limit=2&as_of=2026-02-01T00:00:00Z")]
    assert codes == ["A-1", "A-2", "A-3"]
