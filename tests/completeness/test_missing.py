"""Lines without a report: their agency, their lateness, and whether a submission accepted them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.database.json_sql import select_json
from app.tracking.completeness.queries import MissingQuery, list_missing
from tests.completeness.world import QUARTER, REVIEWER, extend, get_late_day, move, submit_part
from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, read_rows, report, walk

pytestmark = pytest.mark.one_engine

AT = f"/v1/completeness/missing?period={QUARTER}"
Connect = Callable[..., TestClient]


def read_lines_at(database: OneTransaction, days: int) -> dict[str, Any]:
    query = MissingQuery(period=QUARTER, region="63")
    query_json = select_json(list_missing(REVIEWER, query, get_late_day(days)).query)
    lines = [json.loads(row.json) for row in read_rows(database, query_json)]
    return {line["action"]: line for line in lines}


def test_the_list_shows_the_lines_without_a_report(secretariat: TestClient) -> None:
    ended, to_begin = secretariat.get(f"{AT}&region=63.02").json()["items"]
    assert ended.pop("late_by_days") == to_begin.pop("late_by_days")
    shared = {
        "plan": "63.02-2026",
        "region_code": "63.02",
        "region_name": "Kabupaten Kotabaru",
        "title": LEAN["title"],
        "state": "open",
        "accepted": False,
        "deadline": "2026-07-20T23:59:59+08:00",
        "revision": None,
    }
    social = {"agency_code": SOCIAL, "agency_name": "Dinas Sosial"}
    health = {"agency_code": HEALTH, "agency_name": "Dinas Kesehatan"}
    assert ended == {
        **shared,
        **social,
        "action": "A-2",
        "first_month": 1,
        "last_month": 3,
        "latest_report": "2026-Q1",
    }
    # The report of a later quarter is not the latest report.
    assert to_begin == {
        **shared,
        **health,
        "action": "A-3",
        "first_month": 9,
        "last_month": 12,
        "latest_report": None,
    }


def test_a_line_has_the_lateness_of_its_lead_agency(
    secretariat: TestClient, database: OneTransaction
) -> None:
    extend(database, "2026-07-24", HEALTH)
    late = [
        {code: line["late_by_days"] for code, line in read_lines_at(database, n).items()} for n in (0, 3, 6)
    ]
    assert late == [{"A-2": 0, "A-3": 0}, {"A-2": 3, "A-3": 0}, {"A-2": 6, "A-3": 2}]


def test_an_accepted_line_is_late_until_the_submission(
    secretariat: TestClient, database: OneTransaction
) -> None:
    submit_part(database, get_late_day(2), SOCIAL)
    lines = read_lines_at(database, 9)
    assert {code: (line["accepted"], line["late_by_days"]) for code, line in lines.items()} == {
        "A-2": (True, 2),
        "A-3": (False, 9),
    }
    for accepted, expected in (("true", ["A-2"]), ("false", ["A-3"])):
        items = secretariat.get(f"{AT}&region=63.02&accepted={accepted}").json()["items"]
        assert [line["action"] for line in items] == expected
    move(database, get_late_day(4), "submit")
    lines = read_lines_at(database, 9)
    assert {code: line["late_by_days"] for code, line in lines.items()} == {"A-2": 2, "A-3": 4}
    assert secretariat.get(f"{AT}&region=63.02&accepted=false").json()["items"] == []


def test_a_report_removes_the_line_from_the_list(secretariat: TestClient) -> None:
    report(secretariat, "A-3", 2, spent=0)
    assert [line["action"] for line in walk(secretariat, f"{AT}&region=63.02")] == ["A-2"]
    assert [line["action"] for line in walk(secretariat, f"{AT}&region=63.02&agency={HEALTH}")] == []


@pytest.mark.parametrize("sort", ["plan", "-plan", "agency_code", "-agency_code"])
def test_pages_of_a_province_are_sorted(
    secretariat: TestClient, database: OneTransaction, connect: Connect, sort: str
) -> None:
    furnish(database, "63.03")
    neighbour = connect(("secretariat", "63.03"))
    put_plan(neighbour, "63.03-2026")
    put_many(neighbour, [{**LEAN, "code": f"B-{n}"} for n in range(3)], plan="63.03-2026")
    province = connect(("reviewer", "63"))
    lines = list(walk(province, f"{AT}&region=63&sort={sort}&limit=2"))
    key_fields = {"plan": ("plan", "action"), "agency_code": ("agency_code", "plan", "action")}[
        sort.removeprefix("-")
    ]
    keys = [tuple(line[name] for name in key_fields) for line in lines]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert len(keys) == 5
    assert len(list(walk(province, f"{AT}&region=63&agency={HEALTH}"))) == 4
    counted = province.get(f"{AT}&region=63&limit=1&count=exact").json()
    assert counted["count"] == 5
    total = province.get(f"/v1/completeness?period={QUARTER}&region=63").json()["totals"]
    assert total["missing"] == 5
    assert [line["action"] for line in walk(secretariat, f"{AT}&region=63")] == ["A-2", "A-3"]


def test_a_page_costs_one_statement(secretariat: TestClient, database: OneTransaction) -> None:
    def count_statements() -> int:
        before = len(database.statements)
        assert secretariat.get(f"{AT}&region=63").status_code == 200
        return len(database.statements) - before

    few = count_statements()
    put_many(secretariat, [{**LEAN, "code": f"B-{n}"} for n in range(40)])
    assert few == count_statements() == 2


def test_a_semester_has_the_lines_of_its_last_quarter(secretariat: TestClient) -> None:
    quarter = secretariat.get(f"{AT}&region=63.02").json()
    assert secretariat.get("/v1/completeness/missing?period=2026-S1&region=63.02").json() == quarter
