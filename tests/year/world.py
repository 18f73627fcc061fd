"""The regencies of a province through a year, by their own requests."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.plans.world import ANY, HEALTH, SOCIAL

Connect = Callable[..., TestClient]

PROVINCE = "73"
YEAR = 2025
"""A past year, so all its dates lie behind."""
QUARTERS = (1, 2, 3, 4)
AMENDED, CORRECTED = 3, 2
"""The quarter after the amendment of the plan, and the quarter of the correction after the year."""
FEW = 3
"""Lines that the amendment and the correction change."""
AGENCIES = {SOCIAL: "Dinas Sosial", HEALTH: "Dinas Kesehatan"}
REQUESTS_OF_A_REGENCY = (
    len(AGENCIES)
    + 2  # the plan, its lines
    + 5  # submit, return, submit, endorse, adopt
    + len(QUARTERS) * 5  # reports, an agency's part, submit, verify, freeze
    + 6  # amend, the plan's own fields, its lines, submit, endorse, adopt
    + 5  # correct, reports, submit, verify, freeze
)


def build_line(regency: str, number: int, *, more: int = 0) -> dict[str, Any]:
    """Build a line without findings, with `more` rupiah."""
    amount = 100_000_000 + number * 1_000_000 + more
    supporting = amount // 10
    return {
        "code": f"A-{number:03}",
        "title": f"Permakanan lanjut usia {number}",
        "strategy": "reduce_spending_burden",
        "lead_agency": (SOCIAL, HEALTH)[number % 2],
        "nomenclature_edition": "2027",
        "subactivity_code": f"1.06.04.2.01.000{1 + number % 3}",
        "allocation": amount,
        "components": [
            {"code": "C1", "component_class": "direct", "amount": amount - supporting},
            {"code": "C2", "component_class": "supporting", "amount": supporting},
        ],
        "budget_lines": [{"funding_source": "APBD", "amount": amount, "stage": "apbd_p" if more else "apbd"}],
        "outputs": [
            {
                "code": "O1",
                "indicator": "Lansia terlayani",
                "unit": "Orang",
                "target": 40,
                "quarterly_targets": [10, 20, 30, 40],
            }
        ],
        "benefit_forms": ["goods"],
        "recipients": [{"code": "R1", "kind": "families", "count": 40, "decile_from": 1, "decile_to": 2}],
        "locations": [{"region_code": f"{regency}.01"}],
        "milestones": [
            {"code": "M1", "title": "Penetapan", "due": f"{YEAR}-03-31", "weight": 30},
            {"code": "M2", "title": "Penyaluran", "due": f"{YEAR}-12-15", "weight": 70},
        ],
    }


def build_report(number: int, quarter: int, *, more: int = 0) -> dict[str, Any]:
    """Build the cumulative report on a line at the end of a quarter."""
    spent = (100_000_000 + number * 1_000_000) // 4 * quarter + more
    return {
        "action": f"A-{number:03}",
        "spent": spent,
        "spending": [{"funding_source": "APBD", "amount": spent}],
        "outputs": [{"code": "O1", "achieved": 10 * quarter}],
        "recipients": [{"code": "R1", "reached": 10 * quarter}],
        "milestones": [{"code": "M1", "state": "done", "done_on": f"{YEAR}-03-28"}],
        "obstacle": "" if number % 3 else f"Banjir pada triwulan {quarter}",
    }


class Regency:
    """The chair, the secretariat and an agency of a regency, with the provincial reviewer."""

    def __init__(self, connect: Connect, code: str, lines: int, reviewer: TestClient) -> None:
        self.code, self.lines, self.requests = code, range(1, lines + 1), 0
        self.plan = f"/v1/plans/{code}-{YEAR}"
        self.chair = connect(("chair", code))
        self.team = connect(("secretariat", code))
        self.agency = connect(("operator", code, SOCIAL))
        self.reviewer = reviewer

    def send(self, client: TestClient, method: str, path: str, body: Any = None, **params: str) -> Any:
        headers = {} if method == "PUT" and not path.endswith(_MANY) else ANY
        reply: httpx.Response = client.request(method, path, json=body, headers=headers, params=params)
        self.requests += 1
        assert reply.status_code in (200, 201), (path, reply.text[:2000])
        return reply.json()

    def plan_it(self) -> None:
        for code, name in AGENCIES.items():
            path = f"/v1/regions/{self.code}/agencies/{code}"
            self.send(self.team, "PUT", path, {"name": name, "kind": "dinas"})
        self.send(self.team, "PUT", self.plan, {"title": f"RAT {self.code}"})
        self.put_lines(self.lines)

    def put_lines(self, numbers: Sequence[int], **params: str) -> None:
        items = [build_line(self.code, number) for number in numbers]
        done = self.send(self.team, "PUT", f"{self.plan}/actions", {"items": items}, **params)
        assert done["created"] == len(numbers)

    def adopt_it(self) -> None:
        note = {"action": "A-001", "pointer": "/locations", "text": "Sebutkan desanya."}
        self.move(self.chair, "submit", {})
        self.move(self.reviewer, "return", {"notes": [note]})
        self.move(self.chair, "submit", {"note": "Berlaku di semua desa."})
        self.move(self.reviewer, "endorse", {})
        done = self.move(
            self.chair, "adopt", {"instrument": "decree", "number": "188.45/17/2024", "date": "2024-12-19"}
        )
        assert (done["state"], done["revision"]) == ("adopted", 0)

    def move(self, client: TestClient, verb: str, body: Any) -> Any:
        return self.send(client, "POST", f"{self.plan}/{verb}", body)

    def amend_it(self) -> None:
        self.move(self.team, "amend", {"note": "Penyesuaian APBD-P"})
        self.send(self.team, "PATCH", f"{self.plan}/amendment", {"note": "Menurut APBD-P"})
        why = [{"field": "", "category": "revised_budget", "text": "Pagu naik dengan APBD-P"}]
        items = [
            {**build_line(self.code, number, more=8_000_000), "reasons": why} for number in self.lines[:FEW]
        ]
        done = self.send(self.team, "PUT", f"{self.plan}/amendment/actions", {"items": items})
        assert done["created"] + done["updated"] == len(items)
        self.move(self.chair, "submit", {})
        self.move(self.reviewer, "endorse", {})
        done = self.move(
            self.chair, "adopt", {"instrument": "regulation", "number": "12/2025", "date": "2025-09-02"}
        )
        assert (done["state"], done["revision"]) == ("adopted", 1)

    def report(self, quarter: int) -> None:
        """Report, submit and freeze a quarter."""
        self.put_reports(self.lines, quarter)
        part = f"{self.build_quarter_path(quarter)}/agencies/{SOCIAL}/submit"
        assert self.send(self.agency, "POST", part, {})["state"] == "submitted"
        assert self.freeze(quarter)["amendment"] == 0

    def correct(self, quarter: int) -> None:
        why = {"reason": "Koreksi setelah pemeriksaan"}
        self.send(self.team, "POST", f"{self.build_quarter_path(quarter)}/correct", why)
        self.put_reports(self.lines[:FEW], quarter, more=1_000)
        assert self.freeze(quarter)["amendment"] == 1

    def put_reports(self, numbers: Sequence[int], quarter: int, *, more: int = 0, **params: str) -> None:
        items = [build_report(number, quarter, more=more) for number in numbers]
        path = f"{self.plan}/progress/{YEAR}-Q{quarter}"
        done = self.send(self.team, "PUT", path, {"items": items}, **params)
        assert done["created"] + done["updated"] == len(numbers)

    def build_quarter_path(self, quarter: int) -> str:
        return f"/v1/regions/{self.code}/quarters/{YEAR}-Q{quarter}"

    def freeze(self, quarter: int) -> Any:
        self.send(self.team, "POST", f"{self.build_quarter_path(quarter)}/submit", {})
        self.send(self.reviewer, "POST", f"{self.build_quarter_path(quarter)}/verify")
        return self.send(self.reviewer, "POST", f"{self.build_quarter_path(quarter)}/freeze")


_MANY = ("/actions", *(f"/progress/{YEAR}-Q{quarter}" for quarter in QUARTERS))
"""Ends of the addresses of batches, which need a condition."""
