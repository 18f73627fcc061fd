"""A report on a line is due in the quarters of the line alone; sums take every line."""

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import Movers, amend, because, expect_ok
from tests.plans.world import ANY, AT, SOCIAL, refused, report, walk

pytestmark = pytest.mark.both_engines

QUARTERS = [f"2026-Q{n}" for n in range(1, 5)]
REGION = "/v1/regions/63.02"


@pytest.fixture
def ended(amended: TestClient, movers: Movers) -> TestClient:
    """The secretariat, once A-1 ended after Q2 and A-2 of the other agency starts in Q3."""
    report(amended, "A-1", 2, spent=2)
    amend(amended, "A-1", [because()], ends_after="2026-Q2")
    amend(amended, "A-2", [because()], starts_in="2026-Q3")
    for verb in ("submit", "endorse", "adopt"):
        expect_ok(movers.move(verb))
    return amended


def test_a_report_is_due_in_the_quarters_of_a_line_alone(ended: TestClient) -> None:
    due = {"2026-Q1": 2, "2026-Q2": 2, "2026-Q3": 2, "2026-Q4": 2}
    missing = {
        "2026-Q1": ["A-1", "A-3"],
        "2026-Q2": ["A-3"],
        "2026-Q3": ["A-2", "A-3"],
        "2026-Q4": ["A-2", "A-3"],
    }
    listed = {item["period"]: item["expected"] for item in walk(ended, f"{REGION}/quarters?year=2026")}
    assert listed == due
    for period in QUARTERS:
        quarter = expect_ok(ended.get(f"{REGION}/quarters/{period}"))
        parts = {part["agency_code"]: part["expected"] for part in quarter["parts"]}
        assert (quarter["expected"], sum(parts.values())) == (due[period], due[period])
        assert (SOCIAL in parts) == (period <= "2026-Q2")
        page = f"/v1/completeness?period={period}&region=63.02&by=agency"
        (region,) = expect_ok(ended.get(page))["regions"]
        assert (region["expected"], region["missing"]) == (due[period], len(missing[period]))
        assert {agency["agency_code"]: agency["expected"] for agency in region["agencies"]} == parts
        lines = walk(ended, f"/v1/completeness/missing?period={period}&region=63.02")
        assert [item["action"] for item in lines] == missing[period]
        summary = expect_ok(ended.get(f"{AT}/summary?period={period}"))
        assert (summary["actions"], summary["allocated"]) == (3, 250_000_000 * 3), "a sum has every line"
    gone = ended.post(f"{REGION}/quarters/2026-Q3/agencies/{SOCIAL}/submit", json={}, headers=ANY)
    assert gone.status_code == 404


def test_a_report_outside_the_quarters_of_a_line_is_refused(ended: TestClient) -> None:
    for code, period, allowed in (
        ("A-1", "2026-Q3", QUARTERS[:2]),
        ("A-2", "2026-Q2", QUARTERS[2:]),
    ):
        reply = ended.put(f"{AT}/actions/{code}/progress/{period}", json={"spent": 3})
        assert refused(reply) == [("/action", "line_not_in_quarter")]
        assert reply.json()["errors"][0]["allowed"] == allowed
    batch = {"items": [{"action": "A-1", "spent": 3}, {"action": "A-2", "spent": 3}]}
    each = expect_ok(ended.put(f"{AT}/progress/2026-Q3?each=true", json=batch, headers=ANY))
    assert [item["status"] for item in each["items"]] == ["refused", "created"]
    report(ended, "A-1", 1, spent=1)
    report(ended, "A-1", 2, spent=3)
