"""A plan in force on a day or at an instant equals the frozen revision of that time."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.access.rules import CONSOLE
from app.kit.database.engine import get_table
from app.kit.problems import NotFound
from app.plans.copies.models import plan_copies
from app.plans.core.queries import find_plan
from app.plans.revisions.models import PlanRevisionRow
from app.plans.revisions.queries import NotInForceThen, find_revision_at
from tests.amendments.conftest import draft_plan
from tests.amendments.world import HEALTHY, LINES, Movers, amend, because, budget, expect_ok
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, PLAN, report, walk

ZERO = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
ONE = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)
SIGNED_ZERO, SIGNED_ONE = date(2025, 12, 20), date(2026, 8, 24)
PATHS = (AT, f"{AT}/actions", f"{AT}/actions/A-1")


def adopt_twice(connect: ConnectAs, database: OneTransaction) -> None:
    """Adopt a plan in January and its amendment in September, each some days after its decree."""
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
    date_revision(database, 0, instrument_date=SIGNED_ZERO, adopted_at=ZERO)
    date_revision(database, 1, instrument_date=SIGNED_ONE, adopted_at=ONE)


def date_revision(database: OneTransaction, number: int, **dates: date) -> None:
    with database.writing() as session:
        for table in (get_table(PlanRevisionRow), plan_copies):
            known = {name: value for name, value in dates.items() if name in table.c}
            if known:
                session.execute(sa.update(table).where(table.c.number == number).values(known))


world, database = begin_with(adopt_twice)


@pytest.fixture
def reader(connect: ConnectAs) -> TestClient:
    """The reader of the province."""
    return connect(("reader", "63"))


def build_get(path: str, as_of: date, **params: Any) -> Any:
    return {"url": path, "params": {"as_of": as_of.isoformat(), **params}}


@pytest.mark.parametrize(
    ("as_of", "revision"),
    [
        (SIGNED_ZERO, 0),
        (date(2026, 6, 30), 0),
        (SIGNED_ONE - timedelta(days=1), 0),
        (SIGNED_ONE, 1),
        (date(2030, 1, 1), 1),
        (ZERO, 0),
        (ZERO + timedelta(days=30), 0),
        (ONE - timedelta(microseconds=1), 0),
        (ONE, 1),
        (ONE + timedelta(days=300), 1),
    ],
)
def test_the_revision_adopted_last_is_shown(reader: TestClient, as_of: date, revision: int) -> None:
    frozen = expect_ok(reader.get(f"{AT}/revisions/{revision}"))
    entry = expect_ok(reader.get(f"{AT}/revisions"))["items"][revision]
    plan = expect_ok(reader.get(**build_get(AT, as_of)))
    assert plan["revision"] == revision
    assert plan["allowed"] == []
    for name in ("action_count", "allocation"):
        assert plan[name] == entry[name]
    assert plan["title"] == frozen["title"]
    lines = expect_ok(reader.get(**build_get(f"{AT}/actions", as_of)))["items"]
    assert [{name: line[name] for name in frozen["actions"][0]} for line in lines] == frozen["actions"]
    single = expect_ok(reader.get(**build_get(f"{AT}/actions/A-1", as_of)))
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
    quarters = [
        expect_ok(reader.get(**build_get(f"{AT}/actions/A-3", when)))["ends_after"] for when in (ZERO, ONE)
    ]
    assert quarters == [None, "2025-Q4"]
    assert reader.get(**build_get(f"{AT}/actions/B-1", ZERO)).status_code == 404


def check_not_in_force(reply: httpx.Response, *, signed: date, entered: datetime, earliest: date) -> None:
    body = reply.json()
    assert (reply.status_code, body["code"]) == (404, "not_in_force_then")
    local = f"{entered.astimezone(timezone(timedelta(hours=8))):%Y-%m-%d %H:%M} WITA"
    assert f"ditetapkan {signed.isoformat()} dan dicatat {local}." in body["detail"]
    (error,) = body["errors"]
    assert (error["parameter"], error["allowed"]) == ("as_of", earliest.isoformat())
    assert error["message"].endswith(f"paling awal {local if earliest == entered else earliest}")


def test_a_time_before_the_first_revision_is_404_and_names_decree_and_entry(reader: TestClient) -> None:
    for path in PATHS:
        for as_of, earliest in (
            (ZERO - timedelta(seconds=1), ZERO),
            (SIGNED_ZERO - timedelta(days=1), SIGNED_ZERO),
        ):
            reply = reader.get(**build_get(path, as_of))
            check_not_in_force(reply, signed=SIGNED_ZERO, entered=ZERO, earliest=earliest)


def test_a_plan_entered_in_may_is_in_force_since_its_decree(
    reader: TestClient, database: OneTransaction
) -> None:
    may = datetime(2026, 5, 11, 3, 0, tzinfo=UTC)
    date_revision(database, 0, adopted_at=may)
    for path in PATHS:
        assert expect_ok(reader.get(**build_get(path, date(2026, 1, 15))))
        reply = reader.get(**build_get(path, datetime(2026, 1, 15, tzinfo=UTC)))
        check_not_in_force(reply, signed=SIGNED_ZERO, entered=may, earliest=may)


FIRST_DAY = date(2026, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
offsets = st.integers(-3, 3)


@pytest.mark.both_engines
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dated=st.lists(st.tuples(offsets, offsets), min_size=2, max_size=5), as_of=offsets)
@example(dated=[(0, 0), (0, -1)], as_of=0)  # two decrees of one day, the clock went back
@example(dated=[(0, 0), (0, -1)], as_of=-1)
def test_order_decides_over_any_dates_and_clocks(
    dated: list[tuple[int, int]], as_of: int, database: OneTransaction
) -> None:
    days = [FIRST_DAY + timedelta(days=day) for day in sorted(day for day, _ in dated)]
    entries = [NOON + timedelta(hours=hour) for _, hour in dated]
    day, instant = FIRST_DAY + timedelta(days=as_of), NOON + timedelta(hours=as_of)
    by_day = [number for number, signed in enumerate(days) if signed <= day]
    later = [number for number, entered in enumerate(entries) if entered > instant]
    table = get_table(PlanRevisionRow)
    point = database.connection.begin_nested()
    try:
        with database.writing() as session:
            first = session.execute(sa.select(table).where(table.c.number == 0)).one()._asdict()
            session.execute(sa.delete(table))
            rows = [
                {**first, "number": number, "instrument_date": signed, "adopted_at": entered}
                for number, (signed, entered) in enumerate(zip(days, entries, strict=True))
            ]
            session.execute(sa.insert(table), rows)
            session.execute(sa.delete(plan_copies))
            session.execute(
                sa.insert(plan_copies),
                [{name: row[name] for name in ("plan_id", "number", "instrument_date")} for row in rows],
            )
            plan = find_plan(session, CONSOLE, PLAN)._replace(revision=len(rows) - 1)

            def find_number(when: date | None) -> int | None:
                try:
                    return find_revision_at(session, plan, when).number
                except NotInForceThen:
                    return None

            assert find_number(day) == (by_day[-1] if by_day else None)
            assert find_number(instant) == (
                None if later[:1] == [0] else later[0] - 1 if later else len(rows) - 1
            )
            assert find_number(None) == len(rows) - 1
            with pytest.raises(NotFound):
                find_revision_at(session, plan._replace(revision=None), None)
    finally:
        point.rollback()


@pytest.mark.parametrize(
    "value", ["2026-06-30T08:00:00", "2026-06-31", "2026-6-30", "2026-06-30 ", "20260630", "besok", ""]
)
def test_neither_a_day_nor_an_instant_with_offset_is_400(reader: TestClient, value: str) -> None:
    for path in PATHS:
        reply = reader.get(path, params={"as_of": value})
        assert reply.status_code == 400
        (error,) = reply.json()["errors"]
        assert (error["parameter"], error["code"]) == ("as_of", "malformed_date")


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
    for other in ({"as_of": ONE.isoformat()}, {"as_of": ZERO.date().isoformat()}, {}):
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
