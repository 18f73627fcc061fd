"""Two regencies and their province: overlapping lines, reached and missed places, reports, coverage."""

import csv
import io
from typing import Any

from fastapi.testclient import TestClient

from app.reports.catalogue import REPORTS
from app.reports.definition import ReportDefinition
from tests.coverage.world import put as put_coverage
from tests.database import OneTransaction
from tests.findings.world import CLEAN, NEXT_VILLAGE, OTHER, VILLAGE
from tests.plans.world import HEALTH, LEAN, PLAN, WORKS, furnish, put_many, put_plan, report

FAR_VILLAGE = "63.02.05.2001"
FORMULA = '=HYPERLINK("https://example.test";"klik")'
PRIORITIES = [
    {"region_code": VILLAGE, "target_families": 100},
    {"region_code": NEXT_VILLAGE, "target_families": 50},
    {"region_code": FAR_VILLAGE},
]
LINES: list[dict[str, Any]] = [
    {**CLEAN, "code": "A-1", "locations": [{"region_code": VILLAGE, "amount": 90_000_000, "recipients": 25}]},
    {
        **OTHER,
        "code": "A-2",
        "locations": [{"region_code": VILLAGE}, {"region_code": NEXT_VILLAGE, "amount": 7}],
    },
    {**LEAN, "code": "A-3", "lead_agency": WORKS, "locations": [{"region_code": "63.02.01"}]},
    {
        **LEAN,
        "code": "A-4",
        "lead_agency": HEALTH,
        "title": FORMULA,
        "strategy": "reduce_poverty_pockets",
        "allocation": 300,
        "budget_lines": [{"funding_source": "APBD", "amount": 300}],
        "locations": [{"region_code": VILLAGE, "amount": 0}],
    },
]


def furnish_world(
    database: OneTransaction, kotabaru: TestClient, banjar: TestClient, province: TestClient
) -> None:
    """Write the plans of the regions, with the secretariat of each region as its client."""
    for region in ("63", "63.02", "63.03"):
        furnish(database, region)
    put_plan(kotabaru, PLAN, priority_locations=PRIORITIES)
    put_many(kotabaru, LINES)
    reached = {"code": "M1", "state": "done", "done_on": "2026-04-20"}
    report(kotabaru, "A-1", 1, spent=100_000_000, milestones=[{"code": "M1", "state": "pending"}])
    report(kotabaru, "A-1", 2, spent=150_000_000, milestones=[reached])
    report(kotabaru, "A-4", 1, spent=100)
    put_plan(banjar, "63.03-2026")
    put_many(banjar, [{**LEAN, "code": "B-1"}], plan="63.03-2026")
    put_plan(province, "63-2026")
    put_coverage(kotabaru, VILLAGE)
    put_coverage(kotabaru, FAR_VILLAGE, {"livelihood": (10, 0)})


#: Parameters that make some reports independent of today's date.
ON_A_DAY: dict[str, dict[str, str]] = {
    "absorption": {"period": "2026"},
    "overdue-milestones": {"on": "2026-04-10"},
}


def make_params(report: ReportDefinition) -> dict[str, str]:
    """Return the parameters for a report: the province, and the quarter if it needs one."""
    has_period = "period" in report.asked.model_fields
    return {"region": "63"} | ({"period": "2026-Q2"} if has_period else {}) | ON_A_DAY.get(report.name, {})


PARAMS: dict[str, dict[str, str]] = {report.name: make_params(report) for report in REPORTS}


def read_report(client: TestClient, name: str, **changes: str) -> list[dict[str, Any]]:
    """Read all pages of a report and return its rows."""
    rows: list[dict[str, Any]] = []
    params = {**PARAMS[name], **changes}
    while True:
        reply = client.get(f"/v1/reports/{name}", params=params)
        assert reply.status_code == 200, reply.text
        rows += reply.json()["items"]
        if reply.json()["next"] is None:
            return rows
        params["after"] = reply.json()["next"]


def read_table(text: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV for programs."""
    return list(csv.DictReader(io.StringIO(text.decode(), newline=""), strict=True))
