"""Writes: trial runs, conditions, retries, the journal, and what a reply says is allowed next."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from app.kit.http import idempotency
from tests.contract.operations import Operation
from tests.contract.world import CHAIR, KEYS_OF_ALL, NATION, OTHER_AGENCY, REVIEWER, World, role_for

pytestmark = pytest.mark.both_engines

MOVES = ("submit", "return", "endorse", "adopt", "amend", "close")
#: Verb of `allowed` → the operation that does it.
VERBS = {
    "read_plan": {
        "edit": "patch_plan",
        "delete": "delete_plan",
        "write_actions": "put_actions",
        "report_progress": "put_progress",
        "import_matrix": "import_plan_matrix",
        **{verb: f"{verb}_plan" for verb in MOVES},
    },
    "read_action": {"edit": "patch_action", "delete": "delete_action", "report_progress": "put_progress"},
    "read_explanation": {"edit": "put_explanation", "delete": "delete_explanation"},
    "read_amendment": {
        "edit": "patch_amendment",
        "write_actions": "put_amended_actions",
        "import_matrix": "import_plan_matrix",
        "discard": "discard_amendment",
    },
    "read_progress": {"edit": "patch_progress", "delete": "delete_progress"},
    "read_coverage": {"edit": "put_coverage", "delete": "delete_coverage"},
    "read_region_editions": {"edit": "put_region_editions"},
    "read_indicator": {"edit": "put_indicator"},
    "read_observation": {"edit": "put_observation", "delete": "delete_observation"},
    "read_coordinates": {"edit": "put_coordinates", "delete": "delete_coordinates"},
    "read_target": {"edit": "put_target", "delete": "delete_target"},
    "read_agency": {
        "edit": "patch_agency",
        "delete": "delete_agency",
        "retire": "retire_agency",
        "restore": "restore_agency",
        "merge": "merge_agency",
    },
    "read_principal": {"edit": "put_principal", "delete": "delete_principal", "write_tokens": "put_token"},
    "read_webhook": {
        "edit": "put_webhook",
        "delete": "delete_webhook",
        "write_secrets": "put_webhook_secret",
        "replay": "replay_webhook",
    },
    "read_quarter": {
        "submit": "submit_quarter",
        "return": "return_quarter",
        "verify": "verify_quarter",
        "freeze": "freeze_quarter",
        "correct": "correct_quarter",
    },
    "read_quarter_part": {"submit": "submit_quarter_part", "return": "return_quarter_part"},
    "read_calendar": {"edit": "put_calendar", "delete": "delete_calendar"},
    "read_meeting": {"edit": "patch_meeting", "delete": "delete_meeting"},
    "read_commitment": {
        "edit": "patch_commitment",
        "delete": "delete_commitment",
        "note": "note_follow_up",
        "start": "start_commitment",
        "complete": "complete_commitment",
        "cancel": "cancel_commitment",
        "reopen": "reopen_commitment",
    },
}
QUARTER_MOVES = (
    "submit_quarter_part",
    "submit_quarter",
    "verify_quarter",
    "freeze_quarter",
    "correct_quarter",
)
OF_PLANS = ("read_plan", "read_action", "read_explanation", "read_progress", "read_quarter", "read_agency")
OF_QUARTERS = ("read_plan", "read_action", "read_progress", "read_quarter", "read_quarter_part")
OF_COMMITMENTS = ("read_commitment", "read_meeting", "read_agency")
#: What was done before → whose `allowed` can be another by it.
PREPARED: dict[tuple[str, ...], Iterable[str]] = {
    (): VERBS,
    ("submit_plan",): OF_PLANS,
    ("submit_plan", "endorse_plan"): OF_PLANS,
    ("retire_agency",): (*OF_PLANS, *OF_COMMITMENTS),
    ("delete_progress",): OF_PLANS,
    ("delete_commitment", "delete_progress"): (*OF_PLANS, *OF_COMMITMENTS),
    ("delete_commitment", "delete_progress", "delete_action"): (*OF_PLANS, *OF_COMMITMENTS),
    ("start_commitment",): OF_COMMITMENTS,
    ("cancel_commitment",): OF_COMMITMENTS,
    **{QUARTER_MOVES[:n]: OF_QUARTERS for n in range(1, len(QUARTER_MOVES) + 1)},
    ("submit_quarter", "return_quarter"): OF_QUARTERS,
}


EVERY = 7
"""After a state of things was prepared, every how many-th caller is tried in it, another one each time."""
EVERY_UNPREPARED = 3
"""Where nothing was prepared, every how many-th caller is tried at each address, others at the next.

`make proofs GROUP=contract` tries every caller at every address.
"""


def told(reply: Any) -> Any:
    """A reply without what differs from one moment to the next, and what is shown once."""
    return re.sub(r'"((\w+_)?at)":"[^"]*"', "", repeatable(reply))


def repeatable(reply: Any) -> str:
    """A reply as it is read again: without a secret that only the one that created it shows."""
    return re.sub(r',"secret":"[^"]*"', "", reply.text)


def test_trial_run_keeps_nothing_and_the_real_one_is_journaled_once(world: World) -> None:
    for operation in world.share(world.writes):
        with world.ready_for(operation):
            before = world.rows()
            trial = world.call(operation, params={"dry_run": "true"}, headers={"Idempotency-Key": "trial"})
            assert world.rows() == before, f"{operation} kept something"
            real = world.call(operation, params={"dry_run": "false"})
            assert (trial.status_code, told(trial)) == (real.status_code, told(real)), operation
            assert trial.status_code in (200, 204), f"{operation}: {trial.text}"
            check_journaled(world, operation, real, before["journal"])
    assert world.call(world.operations["put_plan"], params={"dry_run": "yes"}).status_code == 400


def check_journaled(world: World, operation: Operation, reply: Any, before: int) -> None:
    """The journal has rows of a write after the first `before`, and a repeat that changes nothing adds none."""
    rows = world.journal()[before:]
    assert rows, f"{operation} left no journal row"
    assert {row.request_id for row in rows} == {reply.headers["X-Request-Id"]}, operation
    who = "-".join(role_for(operation))
    assert all(row.actor.startswith(who) and row.changes for row in rows), operation
    if operation.method in ("put", "patch") or not operation.is_conditional:
        again = world.call(operation)
        assert again.status_code == 200, operation
        assert world.journaled() == before + len(rows), f"{operation} journaled a repeat"
        assert again.headers.get("ETag", "").partition("-")[0] == reply.headers["ETag"].partition("-")[0] or (
            "items" in again.json() or not operation.is_conditional
        ), operation


#: Who may do something beside the one who does it in this world.
OTHER_OPERATOR = ("operator", "63.02", OTHER_AGENCY)
ALSO = {
    (CHAIR, "amend_plan"),
    (CHAIR, "discard_amendment"),
    # its own line is one of the two that overlap
    (OTHER_OPERATOR, "put_explanation"),
    (OTHER_OPERATOR, "delete_explanation"),
}


def test_refused_write_leaves_nothing(world: World) -> None:
    callers = {role: world.caller(role) for role in (REVIEWER, CHAIR, OTHER_OPERATOR, ("reader", "63"))}
    for operation in world.share(world.writes):
        before = world.rows()
        for role, caller in callers.items():
            if role == role_for(operation) or (role, operation.id) in ALSO:
                continue
            reply = world.call(operation, caller)
            # To a reader a plan that was never adopted is not there; to all of them, who may do what is not.
            hidden = {True: (404,), False: (403, 404) if role[0] == "reader" else (403,)}
            refused = hidden[operation.is_of_administrators]
            assert reply.status_code in refused, f"{operation}: {reply.text}"
        assert world.rows() == before, operation


def version_before(world: World, operation: Operation) -> str | None:
    """The tag of what an operation writes to."""
    path = operation.path.rpartition("/")[0] if operation.method == "post" else operation.path
    read = next((one for one in world if one.path == path and one.method == "get"), None)
    return world.call(read, keys=operation.keys).headers["ETag"] if read else None


EVERY_CONDITION = 2
"""Every how many-th wrong condition a write is sent; `make proofs GROUP=contract` sends all."""


def test_conditions_of_every_write(world: World) -> None:
    checked = 0
    for turn, operation in enumerate(world.share(world.writes)):
        if not operation.is_conditional:
            continue
        with world.ready_for(operation):
            tag = version_before(world, operation)
            assert tag is not None
            number = tag.partition("-")[0] + '"'
            refused: list[tuple[dict[str, str], int]] = [
                ({}, 428),
                ({"If-Match": '"999999"'}, 412),
                ({"If-Match": '"x", "y"'}, 412),
                ({"If-Match": "7"}, 400),
            ]
            if operation.method == "put":
                refused += [({"If-None-Match": "*"}, 412), ({"If-None-Match": '"7"'}, 400)]
            before = world.rows()
            for conditions, status in refused[turn % EVERY_CONDITION :: EVERY_CONDITION]:
                reply = world.call(operation, conditions=conditions)
                assert reply.status_code == status, f"{operation} {conditions}: {reply.text}"
            assert world.rows() == before, operation
            for match in (tag, ("*", number, f'"999999", {number}')[turn % 3]):
                with world.undone():
                    reply = world.call(operation, conditions={"If-Match": match})
                    assert reply.status_code in (200, 204), f"{operation} {match}: {reply.text}"
                    checked += 1
    assert checked > 40 / world.turn[1]


def test_creating(world: World) -> None:
    for operation in world.share(world.writes):
        if operation.method != "put":
            continue
        delete = next((one for one in world if one.path == operation.path and one.method == "delete"), None)
        if delete is None or "201" not in operation.spec["responses"]:
            continue
        with world.ready_for(delete):
            assert world.call(delete).status_code == 204
            assert world.call(operation, conditions={"If-Match": "*"}).status_code == 412, operation
            for conditions in ({}, {"If-None-Match": "*"}):
                with world.undone():
                    trial = world.call(operation, conditions=conditions, params={"dry_run": "true"})
                    reply = world.call(operation, conditions=conditions)
                    assert (reply.status_code, told(reply)) == (201, told(trial)), operation
                    read = world.client_for(operation).get(reply.headers["Location"])
                    shown = (repeatable(reply), reply.headers["ETag"])
                    assert (read.text, read.headers["ETag"]) == shown, operation


def test_idempotency_key_on_every_post(world: World) -> None:
    posts = world.share(operation for operation in world.writes if operation.method == "post")
    assert posts
    for operation in posts:
        other = world.caller(NATION if role_for(operation) == NATION else ("administrator", "63"))
        with world.ready_for(operation):
            headers = {"Idempotency-Key": f"key of {operation.id}"}
            first = world.call(operation, headers=headers)
            assert first.status_code == 200, operation
            before = world.rows()
            again = world.call(operation, headers=headers)
            assert again.content == first.content, operation
            assert again.headers["Idempotency-Replayed"] == "true"
            assert "Idempotency-Replayed" not in first.headers
            assert again.headers["ETag"] == first.headers["ETag"]
            assert world.rows() == before, operation
            changed = world.call(operation, params={"dry_run": "false"}, headers=headers)
            assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused"), operation
            assert "Idempotency-Replayed" not in world.call(operation, other, headers=headers).headers


def test_idempotency_key_under_way_or_malformed(world: World) -> None:
    operation = world.operations["retire_agency"]
    principal = world.client.get("/v1/me").json()["principal"]
    idempotency._running.add((principal, "slow"))
    try:
        reply = world.call(operation, headers={"Idempotency-Key": "slow"})
        assert (reply.status_code, reply.json()["code"]) == (409, "idempotency_running")
        assert int(reply.headers["Retry-After"]) > 0
    finally:
        idempotency._running.discard((principal, "slow"))
    for key in ("", "x" * 201, "é"):
        for params in ({}, {"dry_run": "true"}):
            reply = world.call(operation, headers={"Idempotency-Key": key.encode()}, params=params)
            assert (reply.status_code, reply.json()["errors"][0]["header"]) == (400, "Idempotency-Key"), key
    assert world.call(operation, headers={"Idempotency-Key": "slow"}).status_code == 200


def test_allowed_is_what_is_allowed(one_world: World) -> None:
    world = one_world
    callers = {
        "secretariat": world.client,
        "chair": world.caller(("chair", "63.02")),
        "reviewer": world.caller(("reviewer", "63")),
        "reader": world.caller(("reader", "63")),
        "administrator": world.caller(("administrator", "0")),
        "operator": world.caller(("operator", "63.02", "1.06.0.00.0.00.08.0000")),
        "operator of another": world.caller(("operator", "63.02", OTHER_AGENCY)),
    }
    forbidden = set[tuple[str, str, str]]()
    for turn, (prepared, reads) in enumerate(PREPARED.items()):
        with world.undone():
            for id in prepared:
                for keys in KEYS_OF_ALL if "delete" in id else ({},):
                    if keys.keys() <= world.operations[id].keys.keys():
                        world.call(world.operations[id], keys=keys)
            every = EVERY if prepared else EVERY_UNPREPARED
            for nth, id in enumerate(reads):
                for name, caller in list(callers.items())[(turn if prepared else nth) % every :: every]:
                    who = f"{name} after {prepared}"
                    check_allowed(world, who, caller, world.operations[id], VERBS[id], forbidden)


def check_allowed(
    world: World,
    who: str,
    caller: Any,
    read: Operation,
    verbs: dict[str, str],
    forbidden: set[tuple[str, str, str]],
) -> None:
    """`forbidden`: (caller, read, verb) that were refused for want of a right, which no state of things gives."""
    reply = world.call(read, caller)
    if reply.status_code == 404:
        return
    schema = world.document["components"]["schemas"][
        read.response(200)["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    ]
    told = schema["properties"]["allowed"]["items"]
    assert set(verbs) == set(told.get("enum") or [told["const"]]), read
    allowed = set(reply.json()["allowed"])
    for verb, id in verbs.items():
        tried = (who.partition(" after ")[0], read.id, verb)
        if tried in forbidden:
            assert verb not in allowed, f"{read} for {who}: {verb}"
            continue
        with world.undone():
            plan = {"plan": read.keys["plan"]} if "plan" in read.keys else {}
            before = world.journaled()
            done = world.call(world.operations[id], caller, keys=plan)
            if (
                done.status_code == 409
                and done.json()["code"] == "quarter_closed"
                and read.id != "read_progress"
            ):
                continue  # What a plan and a line allow is said of all quarters; this one is closed.
            if done.status_code in (404, 412, 422):
                continue  # What the verb is about has gone before, or what the example names is retired.
            operators = {"read_plan": "operator of another", "read_amendment": "operator"}
            if (
                read.id in operators
                and who.startswith(operators[read.id])
                and verb in ("write_actions", "report_progress")
            ):
                continue  # Lines of its own agency it may write; the example is another's.
            if done.status_code == 403:
                forbidden.add(tried)
            # A step to where it is already is answered, and does nothing.
            is_done = done.status_code in (200, 201, 204) and world.journaled() > before
            assert is_done == (verb in allowed), (
                f"{read} for {who}: {verb} gives {done.status_code}, allowed {sorted(allowed)}"
            )
