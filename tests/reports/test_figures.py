"""What each report says is what the rest of the service says of the same."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.rules import CONSOLE
from app.reports.overdue_milestones import OverdueQuery, list_overdue_milestones
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.findings.world import NEXT_VILLAGE, VILLAGE
from tests.plans.world import AT, HEALTH, PLAN, SOCIAL, WORKS, put, report, walk
from tests.reports.world import ASKED, FAR_VILLAGE, LINES, ask

VERDICT = {"verdict": "complementary", "text": "A-1 permakanan, A-2 gizi"}


def of(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.both_engines
def test_absorption_is_that_of_summaries(provincial_reviewer: TestClient) -> None:
    rows = ask(provincial_reviewer, "absorption")
    for quarter in ("2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"):
        summary = provincial_reviewer.get(f"{AT}/summary", params={"period": quarter}).json()
        found = [row for row in rows if row["plan"] == PLAN and row["period"] == quarter]
        names = ("agency_code", "lines", "reported", "allocated", "spent", "absorption_percent")
        assert of(found, *names) == [
            tuple(one[name] for name in ("key", "actions", *names[2:])) for one in summary["by_agency"]
        ]
    social = [row["spent"] for row in rows if row["agency_code"] == SOCIAL]
    assert social == [100_000_000, 150_000_000, 150_000_000, 150_000_000]
    assert {row["region_code"] for row in rows} == {"63.02", "63.03"}
    assert of(
        ask(provincial_reviewer, "absorption", period="2026-S1", agency=WORKS), "period", "region_name"
    ) == [
        ("2026-Q1", "Kabupaten Kotabaru"),
        ("2026-Q2", "Kabupaten Kotabaru"),
    ]
    by_money = of(
        ask(provincial_reviewer, "absorption", period="2026-Q1", sort="-spent"), "agency_code", "spent"
    )
    assert by_money[:2] == [(SOCIAL, 100_000_000), (HEALTH, 100)]


@pytest.mark.both_engines
def test_milestones_overdue_on_a_day(provincial_reviewer: TestClient) -> None:
    def overdue(on: str, **asked: str) -> list[tuple[Any, ...]]:
        found = ask(provincial_reviewer, "overdue-milestones", on=on, **asked)
        return of(found, "action", "milestone", "days_overdue", "state", "reported_in")

    assert overdue("2026-03-31") == []
    # Reached on 20 April: still open before.
    assert overdue("2026-04-01") == [
        ("A-1", "M1", 1, "done", "2026-Q2"),
        ("A-2", "M1", 1, "unreported", None),
    ]
    assert overdue("2026-04-20") == [("A-2", "M1", 20, "unreported", None)]
    assert overdue("2027-01-01", agency=SOCIAL) == [("A-1", "M2", 17, "unreported", "2026-Q2")]
    assert overdue("2027-01-01", year="2025") == []


@pytest.mark.both_engines
def test_today_is_that_of_the_region(database: OneTransaction) -> None:
    """Half past midnight in Kalimantan is half past four in the afternoon in Greenwich."""

    def overdue(hour: int) -> int:
        now = datetime(2026, 3, 31, hour, 30, tzinfo=UTC)
        with database.read_session() as session:
            found = list_overdue_milestones(session, CONSOLE, OverdueQuery(region="63.02"), now)
            return len(session.connection().execute(found.query).all())

    assert (overdue(15), overdue(16)) == (0, 2)


@pytest.mark.both_engines
def test_reach_is_that_of_the_finding(provincial_reviewer: TestClient) -> None:
    rows = ask(provincial_reviewer, "priority-locations", region="63.02.01") + ask(
        provincial_reviewer, "priority-locations", region=FAR_VILLAGE
    )
    found = walk(provincial_reviewer, f"{AT}/findings?code=W04")
    missing = {one["values"]["place"]: one["values"]["missing"] for one in found if one["code"] == "W04"}
    assert {row["location_code"]: row["missing_strategies"] for row in rows} == missing
    assert len(missing) == 3
    names = ("location_code", "target_families", "lines", "agencies", "funded_amount", "lines_without_amount")
    # A line for all of the district reaches none of its villages.
    assert of(rows, *names, "recipients") == [
        (VILLAGE, 100, 3, 2, 90_000_000, 1, 25),
        (NEXT_VILLAGE, 50, 1, 1, 7, 0, 0),
        (FAR_VILLAGE, None, 0, 0, 0, 0, 0),
    ]
    assert rows[0]["strategies"] == ["reduce_spending_burden", "reduce_poverty_pockets"]


@pytest.mark.both_engines
def test_register_is_the_overlaps_of_all_plans(provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    secretariat = connect(("secretariat", "63.02"))

    def register(**asked: str) -> list[tuple[Any, ...]]:
        rows = ask(provincial_reviewer, "overlap-register", **asked)
        for row, one in zip(rows, walk(provincial_reviewer, f"{AT}/overlaps"), strict=False):
            assert (row["pair"], row["state"]) == (one["pair"], one["state"])
            shared = ("benefit_forms", "places", "first_month", "last_month")
            assert {name: row[name] for name in shared} == {name: one["coincides"][name] for name in shared}
            assert (row["first_agency_name"], row["second_allocation"]) == (
                one["first"]["agency_name"],
                one["second"]["allocation"],
            )
        return of(rows, "plan", "pair", "state", "verdict", "explanation")

    assert register() == [(PLAN, "A-1~A-2", "open", None, None)]
    assert secretariat.put(f"{AT}/overlaps/A-1~A-2/explanation", json=VERDICT).status_code == 201
    explained = (PLAN, "A-1~A-2", "explained", VERDICT["verdict"], VERDICT["text"])
    assert register(explained="true", agency=HEALTH) == [explained]
    assert register(explained="false") == register(agency=WORKS) == register(year="2025") == []
    put(secretariat, "A-2", base={k: v for k, v in LINES[1].items() if k != "code"}, first_month=6)
    assert register() == [(PLAN, "A-1~A-2", "stale", VERDICT["verdict"], VERDICT["text"])]


@pytest.mark.both_engines
def test_unreported_lines_are_those_of_completeness(provincial_reviewer: TestClient) -> None:
    for asked in ({}, {"agency": HEALTH}, {"accepted": "true"}, {"sort": "-agency_code"}):
        listed = provincial_reviewer.get(
            "/v1/completeness/missing", params={**ASKED["unreported-lines"], **asked}
        ).json()
        assert ask(provincial_reviewer, "unreported-lines", **asked) == listed["items"]
    assert of(ask(provincial_reviewer, "unreported-lines"), "action") == [
        ("A-2",),
        ("A-3",),
        ("A-4",),
        ("B-1",),
    ]


@pytest.mark.both_engines
@pytest.mark.parametrize("region", ["63.02", "63"])
def test_balance_is_that_of_summaries_and_coverage(provincial_reviewer: TestClient, region: str) -> None:
    rows = [row for row in ask(provincial_reviewer, "strategy-balance") if row["region_code"] == region]
    assert len(rows) == 3
    summary = provincial_reviewer.get(f"/v1/plans/{region}-2026/summary?period=2026-Q2").json()
    by_strategy = {one["key"]: one for one in summary["by_strategy"]}
    coverage = provincial_reviewer.get(f"/v1/regions/{region}/coverage?period=2026-Q2").json()
    covered = {one["strategy"]: one for one in coverage["by_strategy"]}
    for row in rows:
        money = by_strategy.get(row["strategy"], {"actions": 0, "allocated": 0, "spent": 0})
        assert (row["lines"], row["allocated"], row["spent"]) == (
            money["actions"],
            money["allocated"],
            money["spent"],
        )
        planned = {one["kind"]: one["planned"] for one in money.get("recipients", ())}
        assert row["families"] == planned.get("families", 0)
        for name in ("eligible", "served", "coverage_percent"):
            assert row[name] == covered[row["strategy"]][name]
    shares = [row["share_percent"] for row in rows]
    assert shares == [None] * 3 if region == "63" else sum(shares) == pytest.approx(100)
    assert {
        row["coverage_percent"] for row in ask(provincial_reviewer, "strategy-balance", region="63.03")
    } == {None}


@pytest.mark.parametrize("name", ASKED)
def test_only_what_the_caller_sees(name: str, provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    whole = ask(provincial_reviewer, name)
    own = connect(("secretariat", "63.02"))
    assert whole
    assert ask(own, name) == [row for row in whole if row["region_code"] == "63.02"]
    # Drafts are nobody's who only reads.
    for caller in (connect(), connect(("reader", "63")), connect(("secretariat", "73.22"))):
        assert ask(caller, name) == []
        assert ask(caller, name, region="0") == []
        lines = caller.get(f"/v1/reports/{name}.csv", params=ASKED[name]).text.splitlines()
        assert len(lines) == 1


@pytest.mark.both_engines
def test_a_report_that_arrives_is_there_at_once(provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    report(connect(("secretariat", "63.02")), "A-2", 2, spent=5, milestones=[{"code": "M1", "state": "done"}])
    assert ("A-2",) not in of(ask(provincial_reviewer, "unreported-lines"), "action")
    assert ("A-2",) not in of(ask(provincial_reviewer, "overdue-milestones", on="2026-06-30"), "action")
