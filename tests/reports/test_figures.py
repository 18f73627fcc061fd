"""The figures of each report equal those of the other endpoints."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.rules import CONSOLE
from app.plans.actions.queries import actions
from app.reports.overdue_milestones import OverdueQuery, list_overdue_milestones
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.findings.world import CLEAN, NEXT_VILLAGE, VILLAGE
from tests.plans.world import (
    ANY,
    AT,
    HEALTH,
    LEAN,
    PLAN,
    SOCIAL,
    WORKS,
    keep_copy,
    put,
    report,
    walk,
)
from tests.quarters.world import send
from tests.reports.world import FAR_VILLAGE, LINES, PARAMS, read_report

VERDICT = {"verdict": "complementary", "text": "A-1 permakanan, A-2 gizi"}


def pick(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.both_engines
def test_absorption_equals_the_summaries(provincial_reviewer: TestClient) -> None:
    rows = read_report(provincial_reviewer, "absorption")
    for quarter in ("2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"):
        summary = provincial_reviewer.get(f"{AT}/summary", params={"period": quarter}).json()
        quarter_rows = [row for row in rows if row["plan"] == PLAN and row["period"] == quarter]
        names = (
            "agency_code",
            "lines",
            "reported",
            "allocated",
            "spent",
            "absorption_percent",
            "merged_into",
        )
        assert pick(quarter_rows, *names) == [
            tuple(group[name] for name in ("key", "actions", *names[2:])) for group in summary["by_agency"]
        ]
        assert {row["revision"] for row in quarter_rows} == {summary["revision"]}
    social = [row["spent"] for row in rows if row["agency_code"] == SOCIAL]
    assert social == [100_000_000, 150_000_000, 150_000_000, 150_000_000]
    assert {row["region_code"] for row in rows} == {"63.02", "63.03"}
    assert pick(
        read_report(provincial_reviewer, "absorption", period="2026-S1", agency=WORKS),
        "period",
        "region_name",
    ) == [
        ("2026-Q1", "Kabupaten Kotabaru"),
        ("2026-Q2", "Kabupaten Kotabaru"),
    ]
    by_money = pick(
        read_report(provincial_reviewer, "absorption", period="2026-Q1", sort="-spent"),
        "agency_code",
        "spent",
    )
    assert by_money[:2] == [(SOCIAL, 100_000_000), (HEALTH, 100)]


#: Reports with figures of a quarter, and parameters of the second quarter of 2026.
OF_QUARTER = {
    "absorption": {"period": "2026-Q2"},
    "strategy-balance": {"period": "2026-Q2"},
    "overdue-milestones": {"on": "2026-06-30"},
}


@pytest.mark.both_engines
@pytest.mark.parametrize("name", OF_QUARTER)
def test_rows_of_a_submitted_quarter_stay(
    provincial_reviewer: TestClient, connect: ConnectAs, name: str
) -> None:
    """Amended lines and a merger of agencies move the rows of later quarters alone."""
    secretariat = connect(("secretariat", "63.02"))

    def read(**params: str) -> list[dict[str, Any]]:
        return read_report(provincial_reviewer, name, **{**OF_QUARTER[name], **params})

    before = read()
    assert send(secretariat, "submit").status_code == 200
    assert read() == before
    put(secretariat, "A-2", base=LEAN, allocation=7, milestones=[])
    put(secretariat, "A-9", base=CLEAN, recipients=[], lead_agency=WORKS)
    merged = secretariat.post(f"/v1/regions/63.02/agencies/{HEALTH}/merge", json={"into": WORKS}, headers=ANY)
    assert merged.status_code == 200, merged.text
    after = read()
    assert [{**row, "merged_into": None} for row in after] == [{**row, "merged_into": None} for row in before]
    if name != "strategy-balance":
        health = [row for row in after if (row["plan"], row["agency_code"]) == (PLAN, HEALTH)]
        assert {row["merged_into"] for row in health} == {WORKS}
    later = read(**{"on": "2026-07-01"} if name == "overdue-milestones" else {"period": "2026-Q3"})
    key = "action" if name == "overdue-milestones" else "lines"
    assert pick(later, key) != pick(after, key)
    assert HEALTH not in {row.get("agency_code") for row in later if row["region_code"] == "63.02"}


@pytest.mark.both_engines
def test_rows_name_the_revision_of_their_quarter(
    provincial_reviewer: TestClient, database: OneTransaction
) -> None:
    keep_copy(database, number=0, instrument_date=date(2026, 4, 1))
    keep_copy(database, number=1, instrument_date=date(2026, 9, 30))
    quarters = [
        provincial_reviewer.get(f"/v1/regions/63.02/quarters/2026-Q{n}").json()["revision"]
        for n in range(1, 5)
    ]
    assert quarters == [None, 0, 1, 1]

    def list_revisions(name: str, **params: str) -> list[int | None]:
        rows = read_report(provincial_reviewer, name, region="63.02", **params)
        assert rows
        return sorted({row["revision"] for row in rows}, key=str)

    for n, revision in enumerate(quarters, start=1):
        for name in ("absorption", "strategy-balance"):
            assert list_revisions(name, period=f"2026-Q{n}") == [revision]
    for day, revision in (
        ("2026-04-01", 0),
        ("2026-06-30", 0),
        ("2026-07-01", 1),
        ("2026-12-31", 1),
        ("2027-03-01", 1),
    ):
        assert list_revisions("overdue-milestones", on=day) == [revision]


@pytest.mark.both_engines
def test_a_milestone_is_overdue_after_its_due_day(provincial_reviewer: TestClient) -> None:
    def list_overdue(on: str, **params: str) -> list[tuple[Any, ...]]:
        milestones = read_report(provincial_reviewer, "overdue-milestones", on=on, **params)
        return pick(milestones, "action", "milestone", "days_overdue", "state", "reported_in")

    assert list_overdue("2026-03-31") == []
    # Done on 20 April, so open before.
    assert list_overdue("2026-04-01") == [
        ("A-1", "M1", 1, "done", "2026-Q2"),
        ("A-2", "M1", 1, "unreported", None),
    ]
    assert list_overdue("2026-04-20") == [("A-2", "M1", 20, "unreported", None)]
    assert list_overdue("2027-01-01", agency=SOCIAL) == [("A-1", "M2", 17, "unreported", "2026-Q2")]
    assert list_overdue("2027-01-01", year="2025") == []


@pytest.mark.both_engines
def test_a_milestone_due_after_the_end_of_its_line_is_not_overdue(
    database: OneTransaction, provincial_reviewer: TestClient
) -> None:
    for last, milestones in (("2025-Q4", []), ("2026-Q1", []), ("2026-Q3", []), ("2026-Q4", ["M2"])):
        with database.writing() as session:
            session.execute(sa.update(actions).where(actions.c.code == "A-1").values(ends_after=last))
        params = {"on": "2027-01-01", "agency": SOCIAL}
        overdue = read_report(provincial_reviewer, "overdue-milestones", **params)
        assert pick(overdue, "milestone") == [(milestone,) for milestone in milestones]


@pytest.mark.both_engines
def test_today_is_the_day_in_the_regions_zone(database: OneTransaction) -> None:
    """00:30 in Kalimantan is 16:30 UTC."""

    def list_overdue(hour: int) -> int:
        now = datetime(2026, 3, 31, hour, 30, tzinfo=UTC)
        with database.read_session() as session:
            listing = list_overdue_milestones(session, CONSOLE, OverdueQuery(region="63.02"), now)
            return len(session.connection().execute(listing.query).all())

    assert (list_overdue(15), list_overdue(16)) == (0, 2)


@pytest.mark.both_engines
def test_missing_strategies_equal_the_findings(provincial_reviewer: TestClient) -> None:
    rows = read_report(provincial_reviewer, "priority-locations", region="63.02.01") + read_report(
        provincial_reviewer, "priority-locations", region=FAR_VILLAGE
    )
    findings = walk(provincial_reviewer, f"{AT}/findings?code=W04")
    missing = {
        finding["values"]["place"]: finding["values"]["missing"]
        for finding in findings
        if finding["code"] == "W04"
    }
    assert {row["location_code"]: row["missing_strategies"] for row in rows} == missing
    assert len(missing) == 3
    names = ("location_code", "target_families", "lines", "agencies", "funded_amount", "lines_without_amount")
    # A line of the whole district does not reach its villages.
    assert pick(rows, *names, "recipients") == [
        (VILLAGE, 100, 3, 2, 90_000_000, 1, 25),
        (NEXT_VILLAGE, 50, 1, 1, 7, 0, 0),
        (FAR_VILLAGE, None, 0, 0, 0, 0, 0),
    ]
    assert rows[0]["strategies"] == ["reduce_spending_burden", "reduce_poverty_pockets"]


@pytest.mark.both_engines
def test_the_register_equals_the_overlaps_of_the_plans(
    provincial_reviewer: TestClient, connect: ConnectAs
) -> None:
    secretariat = connect(("secretariat", "63.02"))

    def list_register(**params: str) -> list[tuple[Any, ...]]:
        rows = read_report(provincial_reviewer, "overlap-register", **params)
        for row, overlap in zip(rows, walk(provincial_reviewer, f"{AT}/overlaps"), strict=False):
            assert (row["pair"], row["state"]) == (overlap["pair"], overlap["state"])
            shared = ("benefit_forms", "places", "first_month", "last_month")
            assert {name: row[name] for name in shared} == {
                name: overlap["coincides"][name] for name in shared
            }
            assert (row["first_agency_name"], row["second_allocation"]) == (
                overlap["first"]["agency_name"],
                overlap["second"]["allocation"],
            )
        return pick(rows, "plan", "pair", "state", "verdict", "explanation")

    assert list_register() == [(PLAN, "A-1~A-2", "open", None, None)]
    assert secretariat.put(f"{AT}/overlaps/A-1~A-2/explanation", json=VERDICT).status_code == 201
    explained = (PLAN, "A-1~A-2", "explained", VERDICT["verdict"], VERDICT["text"])
    assert list_register(explained="true", agency=HEALTH) == [explained]
    assert list_register(explained="false") == list_register(agency=WORKS) == list_register(year="2025") == []
    put(secretariat, "A-2", base={k: v for k, v in LINES[1].items() if k != "code"}, first_month=6)
    assert list_register() == [(PLAN, "A-1~A-2", "stale", VERDICT["verdict"], VERDICT["text"])]


@pytest.mark.both_engines
def test_unreported_lines_equal_those_of_completeness(provincial_reviewer: TestClient) -> None:
    for params in ({}, {"agency": HEALTH}, {"accepted": "true"}, {"sort": "-agency_code"}):
        missing = provincial_reviewer.get(
            "/v1/completeness/missing", params={**PARAMS["unreported-lines"], **params}
        ).json()
        assert read_report(provincial_reviewer, "unreported-lines", **params) == missing["items"]
    assert pick(read_report(provincial_reviewer, "unreported-lines"), "action") == [
        ("A-2",),
        ("A-3",),
        ("A-4",),
        ("B-1",),
    ]


@pytest.mark.both_engines
@pytest.mark.parametrize("region", ["63.02", "63"])
def test_the_balance_equals_summaries_and_coverage(provincial_reviewer: TestClient, region: str) -> None:
    rows = [
        row for row in read_report(provincial_reviewer, "strategy-balance") if row["region_code"] == region
    ]
    assert len(rows) == 3
    summary = provincial_reviewer.get(f"/v1/plans/{region}-2026/summary?period=2026-Q2").json()
    by_strategy = {group["key"]: group for group in summary["by_strategy"]}
    coverage = provincial_reviewer.get(f"/v1/regions/{region}/coverage?period=2026-Q2").json()
    covered = {group["strategy"]: group for group in coverage["by_strategy"]}
    for row in rows:
        money = by_strategy.get(row["strategy"], {"actions": 0, "allocated": 0, "spent": 0})
        assert (row["lines"], row["allocated"], row["spent"]) == (
            money["actions"],
            money["allocated"],
            money["spent"],
        )
        planned = {group["kind"]: group["planned"] for group in money.get("recipients", ())}
        assert row["families"] == planned.get("families", 0)
        for name in ("eligible", "served", "coverage_percent"):
            assert row[name] == covered[row["strategy"]][name]
    shares = [row["share_percent"] for row in rows]
    assert shares == [None] * 3 if region == "63" else sum(shares) == pytest.approx(100)
    names = ("eligible", "served", "coverage_percent")
    uncovered = provincial_reviewer.get("/v1/regions/63.03/coverage?period=2026-Q2").json()
    for rows in (
        read_report(provincial_reviewer, "strategy-balance", region="63.03"),
        uncovered["by_strategy"],
        [uncovered],
    ):
        assert {tuple(row[name] for name in names) for row in rows} == {(0, 0, None)}


@pytest.mark.parametrize("name", PARAMS)
def test_a_report_has_only_the_rows_visible_to_the_caller(
    name: str, provincial_reviewer: TestClient, connect: ConnectAs
) -> None:
    all_rows = read_report(provincial_reviewer, name)
    secretariat = connect(("secretariat", "63.02"))
    assert all_rows
    assert read_report(secretariat, name) == [row for row in all_rows if row["region_code"] == "63.02"]
    # Readers do not see drafts.
    for caller in (connect(), connect(("reader", "63")), connect(("secretariat", "73.22"))):
        assert read_report(caller, name) == []
        assert read_report(caller, name, region="0") == []
        lines = caller.get(f"/v1/reports/{name}.csv", params=PARAMS[name]).text.splitlines()
        assert len(lines) == 1


@pytest.mark.both_engines
def test_a_new_progress_report_appears_at_once(provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    report(connect(("secretariat", "63.02")), "A-2", 2, spent=5, milestones=[{"code": "M1", "state": "done"}])
    assert ("A-2",) not in pick(read_report(provincial_reviewer, "unreported-lines"), "action")
    assert ("A-2",) not in pick(
        read_report(provincial_reviewer, "overdue-milestones", on="2026-06-30"), "action"
    )
