"""Two regencies and their province: lines that overlap, places that lines reach and miss, reports, coverage."""

import csv
import io
from typing import Any

from fastapi.testclient import TestClient

from app.kit.files.delimited import unescape_formula
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


def make(database: OneTransaction, kotabaru: TestClient, banjar: TestClient, province: TestClient) -> None:
    """Each client is the secretariat of its region."""
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


#: What makes the answer of some reports independent of the day on which a test runs.
ON_A_DAY: dict[str, dict[str, str]] = {
    "absorption": {"period": "2026"},
    "overdue-milestones": {"on": "2026-04-10"},
}


def asked_of(report: ReportDefinition) -> dict[str, str]:
    """What a test asks of a report: the province, and the quarter if one must be named."""
    has_period = "period" in report.asked.model_fields
    return {"region": "63"} | ({"period": "2026-Q2"} if has_period else {}) | ON_A_DAY.get(report.name, {})


ASKED: dict[str, dict[str, str]] = {report.name: asked_of(report) for report in REPORTS}


def ask(client: TestClient, name: str, **asked: str) -> list[dict[str, Any]]:
    """The rows of a report, read to its end."""
    found: list[dict[str, Any]] = []
    params = {**ASKED[name], **asked}
    while True:
        reply = client.get(f"/v1/reports/{name}", params=params)
        assert reply.status_code == 200, reply.text
        found += reply.json()["items"]
        if reply.json()["next"] is None:
            return found
        params["after"] = reply.json()["next"]


def table(text: bytes) -> list[dict[str, str]]:
    """The rows of a CSV, its texts as they were before they were made safe."""
    rows = csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
    return [{name: unescape_formula(cell) for name, cell in row.items()} for row in rows]
