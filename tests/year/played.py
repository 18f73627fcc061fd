"""A random year of a regency: its steps, and the figures that every surface of its submitted quarters shows."""

import json
import random
from collections.abc import Callable, Collection, Iterator
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.coverage.world import make_report
from tests.database import OneTransaction
from tests.plans.world import ANY, HEALTH, PARTNER, SOCIAL, WORKS, furnish

Connect = Callable[..., TestClient]

REGION, YEAR = "63.02", 2025
PLAN = f"{REGION}-{YEAR}"
AT = f"/v1/plans/{PLAN}"
QUARTERS = [f"{YEAR}-Q{n}" for n in range(1, 5)]
VILLAGES = ["63.02.01.2001", "63.02.01.2002", "63.02.05.2001"]
CLOSED = ("submitted", "verified", "frozen", "correcting")

SURFACES = {
    "quarter": f"/v1/regions/{REGION}/quarters/{{q}}",
    "quarters": f"/v1/quarters?region={REGION}&period={{q}}",
    "completeness": f"/v1/completeness?region={REGION}&period={{q}}&by=agency",
    "missing": f"/v1/completeness/missing?region={REGION}&period={{q}}",
    "unreported": f"/v1/reports/unreported-lines?region={REGION}&period={{q}}",
    "summary": f"{AT}/summary?period={{q}}",
    "summaries": "/v1/summaries?region=63&period={q}",
    "absorption": f"/v1/reports/absorption?region={REGION}&period={{q}}",
    "balance": f"/v1/reports/strategy-balance?region={REGION}&period={{q}}",
    "scorecard": f"/v1/scorecards/{REGION}?period={{q}}",
    "ranking": "/v1/scorecards?region=63&period={q}",
    "coverage": f"/v1/regions/{REGION}/coverage?period={{q}}",
    "coverage_children": f"/v1/regions/{REGION}/coverage/children?period={{q}}",
    "villages": f"/v1/convergence/villages?region={REGION}&period={{q}}",
    "geojson": f"/v1/convergence/villages.geojson?region={REGION}&period={{q}}",
    "pull": f"/v1/pulls/{{q}}?region={REGION}",
    "matrix": f"{AT}/matrix.csv?period={{half}}",
    "progress": f"{AT}/progress/{{q}}?limit=500",
}
"""Surfaces of a quarter, by name."""

OTHER_FORMS = {"quarters", "summaries", "coverage_children", "geojson"}
"""Surfaces that send what others send in another form; a quick check leaves them out."""

MOVING = {
    # the caller, the day and the steps of the quarter itself
    "request_id cursor sha256 allowed version updated_at computed_at state states deadline on_time late_by_days",
    "submitted_at submitted_by verified verified_at verified_by frozen_at frozen_by amendment frozen complete reason",
    # names of today
    "merged_into agency_name region_name name",
    # the year's evidence, meetings and grades, and the other regions
    "process_percent highest_spending_percent index_percent index_class components money change raise_most missing",
    "status is_rankable provisional yardstick rank",
}
"""Fields that may move without a correction of the quarter."""
_MOVING = {name for line in MOVING for name in line.split()}


class PlayedYear:
    """A plan of a past year with lines of three agencies, and random steps of all who work on it."""

    def __init__(self, connect: Connect, database: OneTransaction, seed: int) -> None:
        furnish(database)
        self.random = random.Random(seed)
        self.chair, self.team = connect(("chair", REGION)), connect(("secretariat", REGION))
        self.reviewer = connect(("reviewer", "63"))
        self.callers = {
            "secretariat": self.team,
            "reviewer": self.reviewer,
            "reader": connect(("reader", REGION)),
            "operator": connect(("operator", REGION, SOCIAL)),
        }
        self.steps: list[str] = []
        self.numbers = self.turn = 0
        self.revision: int | None = None
        self.signed = f"{YEAR - 1}-12-19"
        self.ended: set[str] = set()
        self.merged = False
        self.known: dict[tuple[str, str, str], object] = {}

    # Requests

    def send(self, client: TestClient, method: str, path: str, body: Any = None, *, new: bool = False) -> Any:
        reply: httpx.Response = client.request(method, path, json=body, headers={} if new else ANY)
        assert reply.status_code in (200, 201, 204), (method, path, reply.text[:2000], self.steps)
        return reply.json() if reply.content else None

    def try_to(self, client: TestClient, method: str, path: str, body: Any, *codes: str) -> bool:
        """Send a request that a rule may refuse with one of these codes. Return whether it was accepted."""
        reply: httpx.Response = client.request(method, path, json=body, headers=ANY)
        assert reply.status_code < 300 or reply.json()["code"] in codes, (path, reply.text[:2000], self.steps)
        return reply.status_code < 300

    def read_line(self, code: str) -> Any:
        return self.send(self.team, "GET", f"{AT}/actions/{code}")

    def read_revision(self, quarter: str) -> Any:
        return self.send(self.team, "GET", f"/v1/regions/{REGION}/quarters/{quarter}")["revision"]

    def read_states(self) -> dict[str, str]:
        rows = self.team.get(f"/v1/regions/{REGION}/quarters?year={YEAR}").json()["items"]
        return {row["period"]: row["state"] for row in rows}

    # The plan

    def build_line(self, code: str | None = None) -> dict[str, Any]:
        if code is None:
            self.numbers += 1
            code = f"A-{self.numbers:03}"
        amount = self.random.randrange(1, 50) * 1_000_000
        agencies = [SOCIAL, HEALTH, WORKS, PARTNER]
        lead = self.random.choice(agencies[:1] + agencies[2:] if self.merged else agencies)
        places = self.random.sample(VILLAGES, self.random.randrange(1, 3))
        return {
            "code": code,
            "title": f"Baris {code}",
            "strategy": self.random.choice(
                ["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"]
            ),
            "lead_agency": lead,
            "nomenclature_edition": "2027",
            "subactivity_code": "1.06.04.2.01.0001",
            "allocation": amount,
            "components": [
                {"code": "C1", "component_class": "direct", "amount": amount * 4 // 5},
                {"code": "C2", "component_class": "supporting", "amount": amount - amount * 4 // 5},
            ],
            "budget_lines": [{"funding_source": "APBD", "amount": amount}],
            "outputs": [
                {
                    "code": "O1",
                    "indicator": "Terlayani",
                    "unit": "Orang",
                    "target": self.random.choice([20, 40]),
                }
            ],
            "benefit_forms": ["goods"],
            "recipients": [{"code": "R1", "kind": "families", "count": 40}],
            "locations": [{"region_code": place} for place in places],
            "milestones": [{"code": "M1", "title": "Penetapan", "due": f"{YEAR}-03-31", "weight": 100}],
        }

    def draft(self) -> None:
        loci = [{"region_code": village, "target_families": 50} for village in VILLAGES[:2]]
        self.send(self.team, "PUT", AT, {"title": "RAT", "priority_locations": loci}, new=True)
        self.send(self.team, "PUT", f"{AT}/actions", {"items": [self.build_line() for _ in range(4)]})

    def adopt(self) -> None:
        self.send(self.chair, "POST", f"{AT}/submit", {})
        self.send(self.reviewer, "POST", f"{AT}/endorse", {})
        instrument = {"instrument": "decree", "number": str(self.random.randrange(100)), "date": self.signed}
        plan = self.send(self.chair, "POST", f"{AT}/adopt", instrument)
        self.revision = plan["revision"]

    def amend(self, signed: str | None = None, ends: str | None = None) -> None:
        """Add and change lines, and end one, by an instrument of a day; chance decides what is not given."""
        why = [{"field": "", "category": "revised_budget", "text": "Menurut APBD-P"}]
        self.send(self.team, "POST", f"{AT}/amend", {"note": "APBD-P"})
        lines = f"{AT}/amendment/actions"
        codes = [f"A-{n:03}" for n in range(1, self.numbers + 1)]
        added = self.build_line()
        self.send(self.team, "PUT", f"{lines}/{added.pop('code')}", {**added, "reasons": why}, new=True)
        live = [code for code in codes if code not in self.ended]
        if ends or (len(live) > 1 and self.random.random() < 0.5):
            gone = ends or self.random.choice(live)
            live.remove(gone)
            self.send(self.team, "DELETE", f"{lines}/{gone}?category=revised_budget&reason=Menurut APBD-P")
            self.ended.add(gone)
        if live:
            code = self.random.choice(live)
            more = self.random.choice([10_000_000, 90_000_000])
            line = self.send(self.team, "GET", f"{lines}/{code}")
            amount = line["allocation"] + more
            change = {
                "allocation": amount,
                "components": [{"code": "C1", "component_class": "direct", "amount": amount}],
                "budget_lines": [{"funding_source": "APBD", "amount": amount}],
                "locations": [{"region_code": self.random.choice(VILLAGES)}],
                "reasons": why,
            }
            self.send(self.team, "PATCH", f"{lines}/{code}", change)
        self.signed = max(self.signed, signed or f"{YEAR}-{self.random.randrange(1, 13):02}-15")
        self.adopt()

    def merge(self) -> None:
        if not self.merged:
            path = f"/v1/regions/{REGION}/agencies/{HEALTH}/merge"
            self.merged = self.try_to(self.team, "POST", path, {"into": SOCIAL})

    # Quarters

    def report(self, quarter: str, *, leave: int = 0) -> None:
        """Report on some of the lines that the quarter expects, never less than before and within the allocation.

        At least `leave` of them stay without a report.
        """
        rows = self.team.get(f"/v1/completeness/missing?region={REGION}&period={quarter}&limit=500").json()
        missing = [row["action"] for row in rows["items"]]
        most = len(missing) - leave
        chosen = self.random.sample(missing, self.random.randrange(0, most + 1)) if most > 0 else []
        for code in chosen:
            spent = 100_000 * int(quarter[-1]) + self.random.randrange(50_000)
            content = {
                "spent": spent,
                "components": [{"component_class": "direct", "amount": spent}],
                "outputs": [{"code": "O1", "achieved": 2 * int(quarter[-1])}],
                "recipients": [{"code": "R1", "reached": 3 * int(quarter[-1])}],
                "milestones": [{"code": "M1", "state": "done", "done_on": f"{YEAR}-03-20"}],
            }
            path = f"{AT}/actions/{code}/progress/{quarter}"
            # An earlier report that comes late may contradict a later one; the service refuses neither.
            self.send(self.team, "PUT", path, content, new=True)

    def submit(self, quarter: str) -> bool:
        body = {"accept_missing": True, "accept_without_coverage": True, "reason": "Belum mulai"}
        path = f"/v1/regions/{REGION}/quarters/{quarter}/submit"
        return self.try_to(self.team, "POST", path, body, "quarter_not_ready")

    def move(self, quarter: str, verb: str, body: Any = None) -> None:
        caller = self.team if verb == "correct" else self.reviewer
        self.send(caller, "POST", f"/v1/regions/{REGION}/quarters/{quarter}/{verb}", body)

    def cover(self, quarter: str) -> None:
        village = self.random.choice(VILLAGES)
        report = make_report(families=self.random.randrange(60, 200))
        path = f"/v1/coverage/{quarter}/{village}"
        reply = self.team.put(
            path, json=report, headers=ANY if self.team.get(path).status_code == 200 else {}
        )
        assert reply.status_code in (200, 201) or reply.json()["code"] == "quarter_closed", reply.text

    def correct(self, quarter: str) -> None:
        body: dict[str, Any] = {"reason": "Pemeriksaan"}
        self.move(quarter, "correct", body)
        reports = self.team.get(f"{AT}/progress/{quarter}?limit=500").json()["items"]
        for report in self.random.sample(reports, min(1, len(reports))):
            path = f"{AT}/actions/{report['action']}/progress/{quarter}"
            spent = report["spent"] + 1_000
            split = [{"component_class": "direct", "amount": spent}]
            self.send(self.team, "PATCH", path, {"spent": spent, "components": split})
        self.report(quarter)

    # Steps

    def step(self) -> str | None:
        """Take one random step. Return the quarter whose figures it may change by itself, if any."""
        states = self.read_states()
        chances: list[tuple[str, str | None]] = [("amend", None)] * 2 + [("merge", None)]
        for quarter, state in states.items():
            chances += {
                "open": [("report", quarter)] * 2 + [("cover", quarter), ("submit", quarter)],
                "submitted": [("return", quarter), ("verify", quarter), ("cover", quarter)],
                "verified": [("freeze", quarter)] * 2,
                "frozen": [("correct", quarter)],
                "correcting": [("submit", quarter)] * 2,
            }[state]
        name, quarter = self.random.choice(chances)
        self.steps.append(f"{name} {quarter or ''}")
        if quarter is None:
            getattr(self, name)()
        elif name in ("report", "cover", "submit", "correct"):
            getattr(self, name)(quarter)
        else:
            body = {"notes": "Mohon diperiksa"} if name == "return" else None
            self.move(quarter, name, body)
        return (
            quarter
            if name in ("submit", "return", "correct") or states.get(quarter or "") == "open"
            else None
        )

    # Figures

    def read_surfaces(
        self, quarter: str, closed: Collection[str], *, for_all: bool
    ) -> Iterator[tuple[str, str, object]]:
        """Yield (caller, surface, figures) of a quarter. The file of a year has a column of Q2 too."""
        for caller in [*self.callers] if for_all else [[*self.callers][self.turn % len(self.callers)]]:
            client = self.callers[caller]
            for surface, path in SURFACES.items():
                if surface in OTHER_FORMS and not for_all:
                    continue
                half = {"Q2": f"{YEAR}-S1", "Q4": f"{YEAR}"}.get(quarter[-2:])
                if "{half}" in path and (half is None or QUARTERS[1] not in closed):
                    continue
                reply = client.get(path.format(q=quarter, half=half), headers={"Accept-Language": "en"})
                assert reply.status_code in (200, 404), (surface, reply.text[:500])
                is_json = "json" in reply.headers["content-type"]
                content = [json.loads(line) for line in reply.text.splitlines()] if is_json else reply.text
                yield caller, surface, keep_figures(content)

    def check(self, changed: str | None, *, for_all: bool = True) -> list[str]:
        """Compare the figures of every submitted quarter with those known. Return the differences.

        Without `for_all`, one caller compares, each in its turn, and not in all forms: five times as many reads find
        hardly more.
        """
        differences = []
        self.turn += 1
        closed = [quarter for quarter, state in self.read_states().items() if state in CLOSED]
        free = {quarter for quarter in QUARTERS if quarter not in closed or quarter == changed}
        for key in list(self.known):
            if free & {key[0], *([QUARTERS[1]] if key[2] == "matrix" else [])}:
                del self.known[key]
        for quarter in closed:
            for caller, surface, figures in self.read_surfaces(quarter, closed, for_all=for_all):
                key = (quarter, caller, surface)
                before = self.known.setdefault(key, figures)
                if before != figures:
                    differences.append(f"{key}: {find_difference(before, figures)}")
        return differences


def keep_figures(content: Any) -> Any:
    """Return a reply without the fields that may move."""
    if isinstance(content, dict):
        return {name: keep_figures(value) for name, value in content.items() if name not in _MOVING}
    return [keep_figures(item) for item in content] if isinstance(content, list) else content


def find_difference(before: Any, after: Any, at: str = "") -> str:
    """Return the first place where two replies differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                return find_difference(before.get(name), after.get(name), f"{at}/{name}")
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for n, pair in enumerate(zip(before, after, strict=True)):
            if pair[0] != pair[1]:
                return find_difference(*pair, f"{at}/{n}")
    return f"{at}: {str(before)[:300]} → {str(after)[:300]}"
