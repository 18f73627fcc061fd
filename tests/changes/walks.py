"""Random walks of a plan through the workflow, as requests that the service may refuse."""

from random import Random
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.amendments.world import because, budget
from tests.plans.world import ANY, HEALTH, PARTNER, SOCIAL
from tests.workflow.moves import AT, BODIES, CODED, Movers, move

AMENDMENT = f"{AT}/amendment"
QUARTER = "/v1/regions/63.02/quarters/2025-Q1"
AGENCIES = "/v1/regions/63.02/agencies"
LINES = ("A-1", "A-2")
INSTRUMENTS: tuple[dict[str, Any], ...] = (
    BODIES["adopt"],
    {**BODIES["adopt"], "number": "7/2024"},
    {**BODIES["adopt"], "instrument": "regulation"},
)
PAIR = "A-1+A-2"
OF_QUARTER: dict[str, Any] = {
    "submit": {"accept_missing": True, "reason": "Belum"},
    "return": {"notes": "Periksa"},
    "verify": None,
    "freeze": None,
    "correct": {"reason": "Koreksi setelah pemeriksaan"},
}


class Walk:
    """The team of a regency, its chair and its reviewer, taking one step at a time."""

    def __init__(self, movers: Movers, random: Random) -> None:
        self._movers, self._random = movers, random
        self.team: TestClient = movers.team

    def take(self, name: str) -> httpx.Response:
        """Take the named step with the argument after its colon or a random one; it may be refused."""
        step, _, chosen = name.partition(":")
        reply: httpx.Response = getattr(self, f"_{step}")(*([chosen] if chosen else []))
        assert reply.status_code < 500, reply.text
        return reply

    # The plan and its lines

    def _edit(self) -> httpx.Response:
        places = [{"region_code": "63.02.01.2001", "target_families": self._some()}]
        content = {"title": f"RAT {self._some()}", "priority_locations": self._random.choice([[], places])}
        return self.team.put(AT, json=content, headers=ANY)

    def _delete_plan(self) -> httpx.Response:
        return self.team.delete(AT, headers=ANY)

    def _create_plan(self) -> httpx.Response:
        return self.team.put(AT, json={"title": "RAT"}, headers={"If-None-Match": "*"})

    def _line(self, code: str | None = None) -> httpx.Response:
        code = code or self._random.choice(LINES)
        agency = HEALTH if code == LINES[1] else SOCIAL
        content = {**CODED, **budget(self._some()), "title": f"Baris {self._some()}", "lead_agency": agency}
        items = [{"code": code, **content}]
        return self.team.put(f"{AT}/actions", json={"items": items}, headers=ANY)

    def _delete_line(self, code: str | None = None) -> httpx.Response:
        return self.team.delete(f"{AT}/actions/{code or self._random.choice(LINES)}", headers=ANY)

    def _merge(self) -> httpx.Response:
        return self.team.post(f"{AGENCIES}/{HEALTH}/merge", json={"into": SOCIAL}, headers=ANY)

    def _agency(self) -> httpx.Response:
        content = {"name": f"Baznas {self._some()}", "kind": "baznas"}
        return self.team.put(f"{AGENCIES}/{PARTNER}", json=content, headers=ANY)

    def _retire(self, verb: str | None = None) -> httpx.Response:
        verb = verb or self._random.choice(["retire", "restore"])
        return self.team.post(f"{AGENCIES}/{PARTNER}/{verb}", headers=ANY)

    def _explain(self) -> httpx.Response:
        content = {
            "verdict": self._random.choice(["complementary", "duplicate"]),
            "text": "Saling melengkapi.",
        }
        return self.team.put(f"{AT}/overlaps/{PAIR}/explanation", json=content, headers=ANY)

    # Reports

    def _report(self, code: str | None = None) -> httpx.Response:
        item = {"action": code or self._random.choice(LINES), "spent": self._some() // 10}
        return self.team.put(f"{AT}/progress/2025-Q1", json={"items": [item]}, headers=ANY)

    def _delete_report(self, code: str | None = None) -> httpx.Response:
        at = f"{AT}/actions/{code or self._random.choice(LINES)}/progress/2025-Q1"
        return self.team.delete(at, headers=ANY)

    def _part(self, verb: str | None = None) -> httpx.Response:
        verb = verb or self._random.choice(["submit", "return"])
        return self.team.post(f"{QUARTER}/agencies/{SOCIAL}/{verb}", json=OF_QUARTER[verb], headers=ANY)

    def _quarter(self, verb: str | None = None) -> httpx.Response:
        verb = verb or self._random.choice(list(OF_QUARTER))
        client = self._movers.reviewer if verb in ("return", "verify", "freeze") else self.team
        return client.post(f"{QUARTER}/{verb}", json=OF_QUARTER[verb], headers=ANY)

    def _extend(self) -> httpx.Response:
        content = {
            "until": f"2026-12-{self._random.randint(1, 28):02}",
            "reason": "Banjir",
            "agency_code": HEALTH,
        }
        at = f"{QUARTER}/extensions/banjir"
        headers = ANY if self.team.get(at).status_code == 200 else {}
        return self._movers.reviewer.put(at, json=content, headers=headers)

    # The moves

    def _submit(self) -> httpx.Response:
        return move(self._movers.chair, "submit", body=self._random.choice([{}, {"note": "Sudah."}]))

    def _return(self) -> httpx.Response:
        notes = [{"text": f"Periksa {self._some()}"}, {"pointer": "/title", "text": "Judul"}]
        return move(self._movers.reviewer, "return", body={"notes": notes[: self._random.randint(1, 2)]})

    def _endorse(self) -> httpx.Response:
        return move(self._movers.reviewer, "endorse")

    def _adopt(self) -> httpx.Response:
        return move(self._movers.chair, "adopt", body=self._random.choice(INSTRUMENTS))

    def _amend(self) -> httpx.Response:
        return move(self._movers.chair, "amend")

    def _close(self) -> httpx.Response:
        return move(self._movers.chair, "close")

    # The amendment

    def _draft(self) -> httpx.Response:
        content = {"title": f"Perubahan {self._some()}"}
        return self.team.patch(AMENDMENT, json=content, headers=ANY)

    def _draft_line(self, code: str | None = None) -> httpx.Response:
        content = {**budget(self._some()), "reasons": [because()]}
        return self.team.patch(
            f"{AMENDMENT}/actions/{code or self._random.choice(LINES)}", json=content, headers=ANY
        )

    def _draft_removal(self, code: str | None = None) -> httpx.Response:
        why = {"category": "policy", "reason": "Digabungkan"}
        return self.team.delete(
            f"{AMENDMENT}/actions/{code or self._random.choice(LINES)}", params=why, headers=ANY
        )

    def _discard(self) -> httpx.Response:
        return self.team.delete(AMENDMENT, headers=ANY)

    def _some(self) -> int:
        return self._random.randint(1, 3) * 100


WAY = """
    create_plan edit line:A-1 delete_line:A-1 delete_plan create_plan line:A-1 line:A-2 report:A-1 extend
    submit return line:A-1 submit return submit endorse adopt
    part:submit part:return report:A-2 amend draft draft_line:A-1 submit return discard
    amend draft draft_line:A-2 submit endorse return draft_line:A-2 submit endorse adopt
    delete_report:A-2 merge amend draft discard amend draft_line:A-1 draft_removal:A-2 submit endorse adopt
    quarter:submit quarter:return quarter:submit quarter:verify quarter:freeze quarter:correct agency
    retire:retire retire:restore amend discard close
""".split()  # noqa: SIM905
"""A way through every move, with an amendment that is returned and discarded, and others that are adopted."""

BEGIN = ("create_plan", "line:A-1", "line:A-2")

STEPS = """
    edit line delete_line report report delete_report part quarter quarter extend agency retire explain
    submit submit return endorse endorse adopt adopt amend draft draft_line draft_removal discard
""".split()  # noqa: SIM905
"""The steps of a random walk; frequent ones twice."""
