"""The callers of a regency's quarters, and the steps that they take."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import httpx2 as httpx
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.plans.core.models import PlanRow, PlanState
from tests.plans.world import ANY, AT, SOCIAL, report

Q2 = "/v1/regions/63.02/quarters/2026-Q2"
PART = f"{Q2}/agencies/{SOCIAL}"
A1 = f"{AT}/actions/A-1/progress/2026-Q2"
PART_ACCEPTED = {"accept_missing": True, "reason": "Belum mulai"}
ACCEPTED = {**PART_ACCEPTED, "accept_without_coverage": True}
BODIES: dict[str, Any] = {
    "submit": ACCEPTED,
    "return": {"notes": "Mohon diperiksa"},
    "correct": {"reason": "Koreksi setelah pemeriksaan"},
}


class Office:
    """The callers of a region, each created on first use."""

    def __init__(self, connect: Callable[..., TestClient]) -> None:
        self.connect = connect

    @cached_property
    def secretariat(self) -> TestClient:
        return self.connect(("secretariat", "63.02"))

    @cached_property
    def province(self) -> TestClient:
        return self.connect(("reviewer", "63"))

    @cached_property
    def operator(self) -> TestClient:
        return self.connect(("operator", "63.02", SOCIAL))

    @cached_property
    def administrator(self) -> TestClient:
        return self.connect(("administrator", "0"))

    def report(self, *codes: str, quarter: int = 2, **content: Any) -> None:
        for code in codes:
            report(self.secretariat, code, quarter, **content)

    def move(self, *verbs: str, at: str = Q2) -> httpx.Response:
        """Take the steps, each as the caller with the right, and return the last reply."""
        for verb in verbs:
            caller = self.province if verb in ("return", "verify", "freeze") else self.secretariat
            reply = send(caller, verb, at)
            assert reply.status_code == 200, reply.text
        return reply

    def freeze(self) -> None:
        self.report("A-1", "A-2", spent=5)
        self.move("submit", "verify", "freeze")

    def calendar(self, region: str = "63.02", period: str = "2026-Q2", **days: str | None) -> None:
        content = {"opens_on": "2026-04-01", "due_on": "2026-07-20", "issued_by": "Gubernur", **days}
        path = f"/v1/regions/{region}/calendar/{period}"
        exists = self.administrator.get(path).json()["set_by"] == region
        reply = self.administrator.put(path, json=content, headers=ANY if exists else {})
        assert reply.status_code in (200, 201), reply.text

    def extend(self, until: str, *, agency: str | None = None, name: str = "banjir") -> httpx.Response:
        content = {"until": until, "reason": "Banjir", "agency_code": agency}
        return self.province.put(f"{Q2}/extensions/{name}", json=content)


def adopt(database: Database) -> None:
    """Put all plans in force directly, so that readers see their quarters."""
    table = get_table(PlanRow)
    with database.writing() as session:
        session.execute(sa.update(table).values(state=PlanState.adopted, revision=0))


def send(caller: TestClient, verb: str, at: str = Q2, **headers: str) -> httpx.Response:
    body = PART_ACCEPTED if verb == "submit" and "/agencies/" in at else BODIES.get(verb)
    options = {} if body is None else {"json": body}
    return caller.post(f"{at}/{verb}", headers=headers or ANY, **options)


def list_codes(reply: httpx.Response) -> list[str]:
    return [error["code"] for error in reply.json().get("errors", ())]


def summarise_refusal(reply: httpx.Response) -> tuple[int, str, Sequence[str]]:
    """Return (status, code, codes of the errors) of a refusal."""
    return reply.status_code, reply.json()["code"], list_codes(reply)
