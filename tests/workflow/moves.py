"""How the tests move a plan: the callers that may, a line that can be submitted, the way to each state."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.plans.world import ACTION, ANY

Connect = Callable[..., TestClient]

PLAN = "63.02-2025"
"""Its year is over, so it can be closed."""
AT = f"/v1/plans/{PLAN}"
CODED: dict[str, Any] = {
    **ACTION,
    "subactivity_code": "1.06.04.2.01.0001",
    "subactivity": None,
    "milestones": [{"code": "M1", "title": "Penetapan", "due": "2025-03-31", "weight": 100}],
}
"""A line of which nothing is to be said."""
SIGNED = {"instrument": "decree", "number": "188.45/17/2024", "date": "2024-12-19"}
NOTES = {"notes": [{"action": "A-1", "pointer": "/budget_lines/0/amount", "text": "Samakan dengan DPA."}]}
BODIES: dict[str, Any] = {
    "submit": {},
    "return": NOTES,
    "endorse": {},
    "adopt": SIGNED,
    "amend": {"note": "APBD-P"},
    "close": {},
}
WAYS: dict[str, tuple[str, ...]] = {
    "draft": (),
    "submitted": ("submit",),
    "returned": ("submit", "return"),
    "endorsed": ("submit", "endorse"),
    "adopted": ("submit", "endorse", "adopt"),
    "amended": ("submit", "endorse", "adopt", "amend"),
    "closed": ("submit", "endorse", "adopt", "close"),
}
"""How a plan gets into each state; `amended` is one in force with an amendment beside it."""


class Movers:
    """The chair of a regency's team and the reviewer of its province."""

    def __init__(self, connect: Connect, region: str = "63.02") -> None:
        self.chair = connect(("chair", region))
        self.reviewer = connect(("reviewer", region.partition(".")[0]))

    def of(self, verb: str) -> TestClient:
        return self.reviewer if verb in ("return", "endorse") else self.chair

    def move(self, verb: str, *, plan: str = PLAN, body: Any = None, **params: Any) -> httpx.Response:
        return move(self.of(verb), verb, plan=plan, body=body, **params)

    def bring(self, state: str, *, plan: str = PLAN) -> None:
        """A first draft with a line that can be submitted, to a state."""
        for verb in WAYS[state]:
            done = self.move(verb, plan=plan)
            assert done.status_code == 200, done.text


def move(who: TestClient, verb: str, *, plan: str = PLAN, body: Any = None, **params: Any) -> httpx.Response:
    headers = params.pop("headers", ANY)
    said = BODIES[verb] if body is None else body
    return who.post(f"/v1/plans/{plan}/{verb}", json=said, headers=headers, params=params)
