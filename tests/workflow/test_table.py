"""All transitions × roles × states, against a second table of rights from the domain (section 5)."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.models import Role
from app.plans.core.models import PlanState
from app.plans.workflow.rules import TRANSITIONS
from tests.workflow.moves import AT, BODIES, WAYS, Movers, move

pytestmark = pytest.mark.one_engine

MOVED: dict[str, tuple[set[str], str]] = {
    "submit": ({"draft", "returned", "amended"}, "submitted"),
    "return": ({"submitted", "endorsed"}, "returned"),
    "endorse": ({"submitted"}, "endorsed"),
    "adopt": ({"endorsed"}, "adopted"),
    "amend": ({"adopted"}, "amended"),
    "close": ({"adopted"}, "closed"),
}
"""Verb → (states that it starts from, state that it leads to)."""
ALLOWED_ROLES: dict[str, set[tuple[str, str]]] = {
    "submit": {("chair", "63.02")},
    "return": {("reviewer", "63"), ("reviewer", "0")},
    "endorse": {("reviewer", "63"), ("reviewer", "0")},
    "adopt": {("chair", "63.02")},
    "amend": {("chair", "63.02"), ("secretariat", "63.02")},
    "close": {("chair", "63.02")},
}
"""Verb → roles with the right. The province or the nation reviews, never the region itself."""
CALLERS: list[tuple[str, str] | None] = [
    None,  # a user without roles
    *((str(role), region) for role in Role for region in ("63.02", "63.03", "63", "0", "73")),
]


EVERY_STRANGER = 2
"""Callers without sight of the plan are tried in each second state, by `make proofs GROUP=moves` in all."""


def compute_status(state: str, verb: str, role: tuple[str, str] | None) -> int:
    if role is None or not can_see(*role, is_in_force=state in ("adopted", "amended", "closed")):
        return 404
    if role not in ALLOWED_ROLES[verb]:
        return 403
    from_states, to_state = MOVED[verb]
    return 200 if state in from_states or state == to_state else 409


def can_see(role: str, region: str, *, is_in_force: bool) -> bool:
    is_above = region in ("63", "0") and role in ("reviewer", "administrator", "reader")
    return (region == "63.02" or is_above) and (role != "reader" or is_in_force)


def test_the_table_has_all_verbs_and_reaches_all_states() -> None:
    assert {transition.verb for transition in TRANSITIONS} == set(MOVED) == set(BODIES)
    assert {"draft", *(transition.to_state for transition in TRANSITIONS)} == set(PlanState)


@pytest.mark.parametrize("state", WAYS)
def test_each_role_moves_a_plan_as_the_domain_says(
    secretariat: TestClient, movers: Movers, connect: Callable[..., TestClient], state: str
) -> None:
    movers.bring(state)
    before = secretariat.get(AT).json()
    turn = [*WAYS].index(state)
    for number, role in enumerate(CALLERS):
        if (number + turn) % EVERY_STRANGER and not (role and can_see(*role, is_in_force=True)):
            continue
        caller = connect(*([role] if role else []))
        possible = set()
        for verb in choose_verbs(role, number):
            reply = move(caller, verb, dry_run="true")
            description = f"{verb} of {state} by {role}: {reply.text}"
            assert reply.status_code == compute_status(state, verb, role), description
            if reply.status_code == 200:
                check_moved(reply.json(), state, MOVED[verb][1], description)
                possible |= {verb} if state in MOVED[verb][0] else set()
            if reply.status_code == 409:
                assert reply.json()["code"] == "transition_refused"
        reply_of_plan = caller.get(AT)
        if reply_of_plan.status_code == 200:
            assert set(reply_of_plan.json()["allowed"]) & set(MOVED) == possible, role
    assert secretariat.get(AT).json() == before


def choose_verbs(role: tuple[str, str] | None, number: int) -> list[str]:
    """Return all verbs, or one of them in turn if the caller cannot see the plan."""
    verbs = [*MOVED]
    return verbs if role and can_see(*role, is_in_force=True) else [verbs[number % len(verbs)]]


def check_moved(plan: Any, from_state: str, to_state: str, description: str) -> None:
    assert plan["state"] == ("draft" if to_state == "amended" else to_state), description
    is_in_force = {from_state, to_state} & {"adopted", "amended", "closed"}
    assert plan["revision"] == (0 if is_in_force else None), description
