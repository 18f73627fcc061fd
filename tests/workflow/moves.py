"""Moving a plan: its callers, a line ready for submission, the moves that lead to each state."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient

from tests.plans.world import ACTION, ANY

Connect = Callable[..., TestClient]

PLAN = "63.02-2025"
"""A plan of a past year, so it can be closed."""
AT = f"/v1/plans/{PLAN}"
CODED: dict[str, Any] = {
    **ACTION,
    "subactivity_code": "1.06.04.2.01.0001",
    "subactivity": None,
    "milestones": [{"code": "M1", "title": "Penetapan", "due": "2025-03-31", "weight": 100}],
}
"""A line without findings."""
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
"""The moves from a first draft to each state; an `amended` plan is in force and has an open amendment."""


class Movers:
    """The chair of a regency's team with its secretariat, and the reviewer of its province."""

    def __init__(self, connect: Connect, region: str = "63.02") -> None:
        self.chair = connect(("chair", region))
        self.team = connect(("secretariat", region))
        self.reviewer = connect(("reviewer", region.partition(".")[0]))

    def of(self, verb: str) -> TestClient:
        return self.reviewer if verb in ("return", "endorse") else self.chair

    def move(self, verb: str, *, plan: str = PLAN, body: Any = None, **params: Any) -> httpx.Response:
        reply = move(self.of(verb), verb, plan=plan, body=body, **params)
        if verb == "amend" and reply.status_code == 200 and "dry_run" not in params:
            self.draft(plan)
        return reply

    def draft(self, plan: str) -> None:
        """Change the amendment, as the service refuses to submit an empty one."""
        json_body = {"note": f"Perubahan {self.chair.get(f'/v1/plans/{plan}').json()['version']}"}
        reply = self.team.patch(f"/v1/plans/{plan}/amendment", json=json_body, headers=ANY)
        assert reply.status_code == 200, reply.text

    def bring(self, state: str, *, plan: str = PLAN) -> None:
        """Move a first draft with a line ready for submission to a state."""
        for verb in WAYS[state]:
            reply = self.move(verb, plan=plan)
            assert reply.status_code == 200, reply.text


def move(
    caller: TestClient, verb: str, *, plan: str = PLAN, body: Any = None, **params: Any
) -> httpx.Response:
    headers = params.pop("headers", ANY)
    json_body = BODIES[verb] if body is None else body
    return caller.post(f"/v1/plans/{plan}/{verb}", json=json_body, headers=headers, params=params)
