"""The lines without a report: whose, since when, and whether a submission has accepted it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.database.json_sql import select_json
from app.tracking.completeness.queries import MissingQuery, list_missing
from tests.completeness.world import QUARTER, REVIEWER, days_late, extend, move, submit_part
from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, report, rows, walk

pytestmark = pytest.mark.one_engine

AT = f"/v1/completeness/missing?period={QUARTER}"
Connect = Callable[..., TestClient]


def lines_at(database: OneTransaction, days: int) -> dict[str, Any]:
    query = MissingQuery(period=QUARTER, region="63")
    found = select_json(list_missing(REVIEWER, query, days_late(days)).query)
    lines = [json.loads(row.json) for row in rows(database, found)]
    return {line["action"]: line for line in lines}


def test_lines_without_a_report(secretariat: TestClient) -> None:
    ended, to_begin = secretariat.get(f"{AT}&region=63.02").json()["items"]
    assert ended.pop("late_by_days") == to_begin.pop("late_by_days")
    here = {
        "plan": "63.02-2026",
        "region_code": "63.02",
        "region_name": "Kabupaten Kotabaru",
        "title": LEAN["title"],
        "state": "open",
        "accepted": False,
        "deadline": "2026-07-20T23:59:59+08:00",
    }
    social = {"agency_code": SOCIAL, "agency_name": "Dinas Sosial"}
    health = {"agency_code": HEALTH, "agency_name": "Dinas Kesehatan"}
    assert ended == {
        **here,
        **social,
        "action": "A-2",
        "first_month": 1,
        "last_month": 3,
        "latest_report": "2026-Q1",
    }
    # What was reported of a later quarter is no report before this one.
    assert to_begin == {
        **here,
        **health,
        "action": "A-3",
        "first_month": 9,
        "last_month": 12,
        "latest_report": None,
    }


def test_each_line_is_as_late_as_the_agency_that_leads_it(
    secretariat: TestClient, database: OneTransaction
) -> None:
    extend(database, "2026-07-24", HEALTH)
    late = [{code: one["late_by_days"] for code, one in lines_at(database, n).items()} for n in (0, 3, 6)]
    assert late == [{"A-2": 0, "A-3": 0}, {"A-2": 3, "A-3": 0}, {"A-2": 6, "A-3": 2}]


def test_what_a_submission_accepted_is_late_no_longer(
    secretariat: TestClient, database: OneTransaction
) -> None:
    submit_part(database, days_late(2), SOCIAL)
    found = lines_at(database, 9)
    assert {code: (one["accepted"], one["late_by_days"]) for code, one in found.items()} == {
        "A-2": (True, 2),
        "A-3": (False, 9),
    }
    for accepted, expected in (("true", ["A-2"]), ("false", ["A-3"])):
        items = secretariat.get(f"{AT}&region=63.02&accepted={accepted}").json()["items"]
        assert [one["action"] for one in items] == expected
    move(database, days_late(4), "submit")
    found = lines_at(database, 9)
    assert {code: one["late_by_days"] for code, one in found.items()} == {"A-2": 2, "A-3": 4}
    assert secretariat.get(f"{AT}&region=63.02&accepted=false").json()["items"] == []


def test_a_report_takes_the_line_off_the_list(secretariat: TestClient) -> None:
    report(secretariat, "A-3", 2, spent=0)
    assert [one["action"] for one in walk(secretariat, f"{AT}&region=63.02")] == ["A-2"]
    assert [one["action"] for one in walk(secretariat, f"{AT}&region=63.02&agency={HEALTH}")] == []


@pytest.mark.parametrize("sort", ["plan", "-plan", "agency_code", "-agency_code"])
def test_pages_of_a_province(
    secretariat: TestClient, database: OneTransaction, connect: Connect, sort: str
) -> None:
    furnish(database, "63.03")
    neighbour = connect(("secretariat", "63.03"))
    put_plan(neighbour, "63.03-2026")
    put_many(neighbour, [{**LEAN, "code": f"B-{n}"} for n in range(3)], plan="63.03-2026")
    province = connect(("reviewer", "63"))
    found = list(walk(province, f"{AT}&region=63&sort={sort}&limit=2"))
    by = {"plan": ("plan", "action"), "agency_code": ("agency_code", "plan", "action")}[
        sort.removeprefix("-")
    ]
    keys = [tuple(one[name] for name in by) for one in found]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert len(keys) == 5
    assert len(list(walk(province, f"{AT}&region=63&agency={HEALTH}"))) == 4
    counted = province.get(f"{AT}&region=63&limit=1&count=exact").json()
    assert counted["count"] == 5
    total = province.get(f"/v1/completeness?period={QUARTER}&region=63").json()["totals"]
    assert total["missing"] == 5
    assert [one["action"] for one in walk(secretariat, f"{AT}&region=63")] == ["A-2", "A-3"]


def test_a_page_is_one_statement(secretariat: TestClient, database: OneTransaction) -> None:
    def count() -> int:
        before = len(database.statements)
        assert secretariat.get(f"{AT}&region=63").status_code == 200
        return len(database.statements) - before

    few = count()
    put_many(secretariat, [{**LEAN, "code": f"B-{n}"} for n in range(40)])
    assert few == count() == 2


def test_semester_is_its_last_quarter(secretariat: TestClient) -> None:
    quarter = secretariat.get(f"{AT}&region=63.02").json()
    assert secretariat.get("/v1/completeness/missing?period=2026-S1&region=63.02").json() == quarter
