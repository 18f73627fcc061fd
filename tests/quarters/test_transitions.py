"""All steps × roles × states, generated from the tables of the service."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.models import Role, TokenScope
from app.access.rules import RIGHTS, Actor, Grant
from app.kit.wording import Text
from app.tracking.quarters.models import PartState, QuarterState
from app.tracking.quarters.rules import PART_STEPS, QUARTER_STEPS
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, SOCIAL
from tests.quarters.world import PART, Q2, Office, adopt, send, summarise_refusal

pytestmark = pytest.mark.one_engine

#: State of the quarter → the steps that lead there.
WAYS: dict[QuarterState, tuple[str, ...]] = {
    QuarterState.not_yet_open: (),
    QuarterState.open: (),
    QuarterState.submitted: ("submit",),
    QuarterState.verified: ("submit", "verify"),
    QuarterState.frozen: ("submit", "verify", "freeze"),
    QuarterState.correcting: ("submit", "verify", "freeze", "correct"),
}
CALLERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "operator": (("operator", "63.02", SOCIAL),),
    "operator of another agency": (("operator", "63.02", HEALTH),),
    "secretariat": (("secretariat", "63.02"),),
    "chair": (("chair", "63.02"),),
    "reader": (("reader", "63.02"),),
    "reviewer of the region itself": (("reviewer", "63.02"),),
    "reviewer of the province": (("reviewer", "63"),),
    "administrator": (("administrator", "63.02"),),
    "administrator of the nation": (("administrator", "0"),),
    "secretariat of the neighbour": (("secretariat", "63.03"),),
    "secretariat of the province": (("secretariat", "63"),),
    "stranger": (),
}
#: The agreed rights, written by hand: caller → steps of the quarter, steps of an agency's part.
ALLOWED_STEPS: dict[str, tuple[str, str]] = {
    "operator": ("", "submit"),
    "operator of another agency": ("", ""),
    "secretariat": ("submit correct", "submit return"),
    "chair": ("", ""),
    "reader": ("", ""),
    "reviewer of the region itself": ("", ""),
    "reviewer of the province": ("return verify freeze", ""),
    "administrator": ("submit correct", "submit return"),
    "administrator of the nation": ("submit correct", "submit return"),
}
FROM: dict[str, set[str]] = {
    "submit": {"open", "correcting"},
    "return": {"submitted", "verified"},
    "verify": {"submitted"},
    "freeze": {"verified"},
    "correct": {"frozen"},
}
LEADS: dict[tuple[str, str], str] = {
    ("submit", "open"): "submitted",
    ("submit", "correcting"): "submitted",
    ("return", "submitted"): "open",
    ("return", "verified"): "open",
    ("verify", "submitted"): "verified",
    ("freeze", "verified"): "frozen",
    ("correct", "frozen"): "correcting",
}


def test_the_table_of_steps_is_the_agreed_one() -> None:
    assert {step.verb: set(map(str, step.from_states)) for step in QUARTER_STEPS} == FROM
    assert {
        (step.verb, str(state)): str(step.to_state) for step in QUARTER_STEPS for state in step.from_states
    } == LEADS
    assert {step.verb: set(map(str, step.from_states)) for step in PART_STEPS} == {
        "submit": {"open"},
        "return": {"submitted"},
    }


def test_rights_are_the_agreed_ones() -> None:
    for caller, (of_quarter, of_part) in ALLOWED_STEPS.items():
        grants = tuple(Grant(Role(g[0]), g[1], g[2] if len(g) > 2 else None) for g in CALLERS[caller])
        actor = Actor(caller, caller, frozenset(TokenScope), grants)
        may = {step.verb for step in QUARTER_STEPS if actor.may(step.right, "63.02")}
        assert may == set(of_quarter.split()), caller
        may_part = {step.verb for step in PART_STEPS if actor.may(step.right, "63.02", SOCIAL)}
        assert may_part == set(of_part.split()), caller
    assert {step.right for step in (*QUARTER_STEPS, *PART_STEPS)} <= set(RIGHTS)


@pytest.mark.parametrize("state", list(WAYS))
def test_all_callers_try_all_steps_of_a_quarter(
    office: Office, connect: Callable[..., TestClient], database: OneTransaction, state: QuarterState
) -> None:
    adopt(database)
    if state == QuarterState.not_yet_open:
        office.calendar(opens_on="2099-01-01", due_on="2099-02-01")
    if WAYS[state]:
        office.move(*WAYS[state])
    for name, grants in CALLERS.items():
        caller = connect(*grants)
        quarter = caller.get(Q2)
        allowed = set(quarter.json().get("allowed", ()))
        for step in QUARTER_STEPS:
            point = database.connection.begin_nested()
            reply = send(caller, step.verb)
            status = compute_status(name, 0, step.verb, state in step.from_states)
            assert reply.status_code == status, f"{name} in {state}: {step.verb}: {reply.text}"
            assert (status == 200) == (step.verb in allowed), f"{name} in {state}: {step.verb}"
            if status == 200:
                goes_back = step.verb == "return" and "freeze" in WAYS[state]
                leads = "correcting" if goes_back else LEADS[step.verb, str(state)]
                assert reply.json()["state"] == leads
            elif status == 409:
                assert reply.json()["code"] == "quarter_state"
                for word in (translate(state), translate(step.verb, "passive"), *map(translate, allowed)):
                    assert word in reply.json()["detail"]
            point.rollback()
        assert (quarter.status_code == 404) == (name not in ALLOWED_STEPS)


def translate(code: str, form: str = "") -> str:
    """Return the Indonesian words of a code in a sentence."""
    return Text(f"{{code:{form}}}", "").render("id", {"code": code})


def compute_status(name: str, column: int, verb: str, is_possible: bool) -> int:
    if name not in ALLOWED_STEPS:
        return 404
    if verb not in ALLOWED_STEPS[name][column].split():
        return 403
    return 200 if is_possible else 409


@pytest.mark.parametrize("part", list(PartState))
@pytest.mark.parametrize("state", list(WAYS))
def test_all_callers_try_all_steps_of_a_part(
    office: Office,
    connect: Callable[..., TestClient],
    database: OneTransaction,
    state: QuarterState,
    part: PartState,
) -> None:
    adopt(database)
    if part == PartState.submitted:
        assert send(office.operator, "submit", PART).status_code == 200
    if state == QuarterState.not_yet_open:
        office.calendar(opens_on="2099-01-01", due_on="2099-02-01")
    if WAYS[state]:
        office.move(*WAYS[state])
    is_reporting = state in (QuarterState.open, QuarterState.correcting)
    for name, grants in CALLERS.items():
        caller = connect(*grants)
        shown_part = caller.get(PART)
        assert (shown_part.status_code == 404) == (name not in ALLOWED_STEPS)
        allowed = set(shown_part.json().get("allowed", ()))
        for step in PART_STEPS:
            point = database.connection.begin_nested()
            reply = send(caller, step.verb, PART)
            status = compute_status(name, 1, step.verb, is_reporting and part in step.from_states)
            assert reply.status_code == status, f"{name} in {state}, {part}: {step.verb}: {reply.text}"
            assert (status == 200) == (step.verb in allowed), f"{name} in {state}, {part}: {step.verb}"
            if status == 200:
                assert reply.json()["state"] == step.to_state
            point.rollback()


def test_a_returned_correction_goes_back_to_correcting(office: Office) -> None:
    office.freeze()
    assert office.move("correct", "submit", "return").json()["state"] == "correcting"
    assert office.move("submit", "verify", "return").json()["state"] == "correcting"


def test_a_repeated_step_is_refused_and_a_retry_replays_the_reply(office: Office) -> None:
    tag = office.secretariat.get(Q2).headers["ETag"]
    first = send(office.secretariat, "submit", **{"If-Match": tag})
    assert (first.status_code, first.json()["version"]) == (200, 1)
    assert send(office.secretariat, "submit", **{"If-Match": tag}).status_code == 412
    assert summarise_refusal(send(office.secretariat, "submit"))[:2] == (409, "quarter_state")
    assert office.secretariat.get(Q2).json() == first.json()
    key = {**ANY, "Idempotency-Key": "verify-1"}
    once, retried = (office.province.post(f"{Q2}/verify", headers=key) for _ in range(2))
    assert once.json() == retried.json()
    assert retried.headers["Idempotency-Replayed"] == "true"


def test_an_untouched_quarter_has_version_0(office: Office) -> None:
    assert office.secretariat.get(Q2).json()["version"] == 0
    body: dict[str, Any] = {"accept_missing": True, "reason": "x"}
    assert office.secretariat.post(f"{Q2}/submit", json=body).status_code == 428
    assert office.secretariat.post(f"{Q2}/submit", json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert office.secretariat.post(f"{Q2}/submit", json=body, headers={"If-Match": '"0"'}).status_code == 200


def test_quarters_without_a_plan_are_404(office: Office) -> None:
    for path in (
        "63.02/quarters/2026-Q5",
        "63.02/quarters/2025-Q2",
        "63.02/quarters/x",
        "63/quarters/2026-Q2",
    ):
        assert office.administrator.get(f"/v1/regions/{path}").status_code == 404
        assert send(office.administrator, "submit", f"/v1/regions/{path}").status_code == 404
    assert office.administrator.get(f"{Q2}/agencies/BAZNAS").status_code == 404
    assert office.administrator.get("/v1/regions/63/quarters").status_code == 404
    assert office.administrator.get("/v1/regions/63.02/semesters/2026-S3").status_code == 404


def test_a_plan_without_lines_cannot_submit_a_quarter(office: Office) -> None:
    for code in ("A-1", "A-2"):
        office.secretariat.delete(f"{AT}/actions/{code}", headers=ANY)
    assert summarise_refusal(send(office.secretariat, "submit")) == (
        409,
        "quarter_not_ready",
        ["nothing_to_submit"],
    )
    assert office.secretariat.get(Q2).json()["allowed"] == []


def test_the_history_has_the_steps_and_the_notes_of_a_return(office: Office) -> None:
    returned = office.move("submit", "return").json()
    assert (returned["notes"], returned["returned_by"][:8]) == ("Mohon diperiksa", "reviewer")
    history = office.secretariat.get(f"{Q2}/history").json()["items"]
    assert [(entry["kind"], entry["version"]) for entry in history] == [
        ("quarter.submitted", 1),
        ("quarter.returned", 2),
    ]
    assert history[1]["changes"]["notes"] == [None, "Mohon diperiksa"]
    assert history[0]["changes"]["state"] == ["open", "submitted"]
    feed = office.province.get("/v1/changes?region=63.02&kind=quarter").json()["items"]
    assert [entry["subject"] for entry in feed] == ["regions/63.02/quarters/2026-Q2"] * 2
