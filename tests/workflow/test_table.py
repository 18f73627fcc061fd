"""Every transition × every role × every state: who may do what is said here once more, by the domain (section 5)."""

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
"""Verb → from which states, and to which."""
WHO: dict[str, set[tuple[str, str]]] = {
    "submit": {("chair", "63.02")},
    "return": {("reviewer", "63"), ("reviewer", "0")},
    "endorse": {("reviewer", "63"), ("reviewer", "0")},
    "adopt": {("chair", "63.02")},
    "amend": {("chair", "63.02"), ("secretariat", "63.02")},
    "close": {("chair", "63.02")},
}
"""The chair submits, adopts, closes; the province, or the nation, reviews: never the region itself."""
CALLERS: list[tuple[str, str] | None] = [
    None,  # a stranger
    *((str(role), region) for role in Role for region in ("63.02", "63.03", "63", "0", "73")),
]


EVERY_STRANGER = 2
"""Callers who see nothing of the plan are tried in each second state; by `make proofs GROUP=moves` in each."""


def expected(state: str, verb: str, who: tuple[str, str] | None) -> int:
    if who is None or not sees(*who, is_in_force=state in ("adopted", "amended", "closed")):
        return 404
    if who not in WHO[verb]:
        return 403
    from_states, to_state = MOVED[verb]
    return 200 if state in from_states or state == to_state else 409


def sees(role: str, region: str, *, is_in_force: bool) -> bool:
    is_above = region in ("63", "0") and role in ("reviewer", "administrator", "reader")
    return (region == "63.02" or is_above) and (role != "reader" or is_in_force)


def test_the_table_has_every_verb_and_every_state_is_reached() -> None:
    assert {transition.verb for transition in TRANSITIONS} == set(MOVED) == set(BODIES)
    assert {"draft", *(transition.to_state for transition in TRANSITIONS)} == set(PlanState)


@pytest.mark.parametrize("state", WAYS)
def test_each_role_moves_a_plan_as_the_domain_says(
    secretariat: TestClient, movers: Movers, connect: Callable[..., TestClient], state: str
) -> None:
    movers.bring(state)
    before = secretariat.get(AT).json()
    turn = [*WAYS].index(state)
    for number, who in enumerate(CALLERS):
        if (number + turn) % EVERY_STRANGER and not (who and sees(*who, is_in_force=True)):
            continue
        caller = connect(*([who] if who else []))
        possible = set()
        for verb in verbs_for(who, number):
            done = move(caller, verb, dry_run="true")
            said = f"{verb} of {state} by {who}: {done.text}"
            assert done.status_code == expected(state, verb, who), said
            if done.status_code == 200:
                check_moved(done.json(), state, MOVED[verb][1], said)
                possible |= {verb} if state in MOVED[verb][0] else set()
            if done.status_code == 409:
                assert done.json()["code"] == "transition_refused"
        found = caller.get(AT)
        if found.status_code == 200:
            assert set(found.json()["allowed"]) & set(MOVED) == possible, who
    assert secretariat.get(AT).json() == before


def verbs_for(who: tuple[str, str] | None, number: int) -> list[str]:
    """All, or for who has nothing to do with the region one of them: each in its turn."""
    verbs = [*MOVED]
    return verbs if who and sees(*who, is_in_force=True) else [verbs[number % len(verbs)]]


def check_moved(plan: Any, from_state: str, to_state: str, said: str) -> None:
    assert plan["state"] == ("draft" if to_state == "amended" else to_state), said
    is_in_force = {from_state, to_state} & {"adopted", "amended", "closed"}
    assert plan["revision"] == (0 if is_in_force else None), said
