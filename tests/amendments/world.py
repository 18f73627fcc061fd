"""Lines to amend, and calls that draft changes of them."""

from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.plans.world import ANY, AT, HEALTH, PLAN
from tests.workflow import moves
from tests.workflow.moves import CODED

AMENDMENT = f"{AT}/amendment"
LINES = f"{AMENDMENT}/actions"
HEALTHY: dict[str, Any] = {**CODED, "title": "Posyandu", "lead_agency": HEALTH}
REGION_LINES = {"A-1": CODED, "A-2": HEALTHY, "A-3": {**HEALTHY, "title": "Imunisasi"}}

SIGNED_AGAIN = {"instrument": "regulation", "number": "12/2025", "date": "2025-12-20"}


class Movers(moves.Movers):
    """Callers that move the plan of these tests."""

    def move(self, verb: str, *, plan: str = PLAN, body: Any = None, **params: Any) -> httpx.Response:
        return super().move(verb, plan=plan, body=body, **params)

    def draft(self, plan: str) -> None:
        """Do nothing: these tests draft their own changes."""

    def bring(self, state: str, *, plan: str = PLAN) -> None:
        super().bring(state, plan=plan)


def because(field: str = "", category: str = "revised_budget") -> dict[str, Any]:
    return {"field": field, "category": category, "text": f"Sesuai APBD-P, {field or 'seluruh baris'}"}


def budget(amount: int) -> dict[str, Any]:
    """Return the changes that set a line's allocation, component and budget line to the amount."""
    return {
        "allocation": amount,
        "components": [{"code": "C1", "component_class": "direct", "amount": amount}],
        "budget_lines": [{"funding_source": "APBD", "amount": amount, "stage": "apbd_p"}],
    }


def amend(client: TestClient, code: str, reasons: list[Any] | None = None, **changes: Any) -> Any:
    """Patch a line of the amendment and return the reply's body."""
    body = {**changes, **({} if reasons is None else {"reasons": reasons})}
    return expect_ok(client.patch(f"{LINES}/{code}", json=body, headers=ANY))


def adopt_amendment(movers: Movers, date: str, code: str = "A-1", **changes: Any) -> None:
    """Amend a line of the plan in force and adopt it by a decree of that day."""
    expect_ok(movers.move("amend"))
    amend(movers.team, code, [because()], **changes)
    for verb, body in (("submit", None), ("endorse", None), ("adopt", {**SIGNED_AGAIN, "date": date})):
        expect_ok(movers.move(verb, body=body))


def expect_ok(reply: httpx.Response) -> Any:
    assert reply.status_code in (200, 201, 204), reply.text
    return reply.json() if reply.content else None
