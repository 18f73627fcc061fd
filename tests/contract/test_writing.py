"""Writes of all operations: dry runs, preconditions, retries, the journal, and the list `allowed` of replies."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from app.kit.http import idempotency
from tests.contract.operations import Operation
from tests.contract.world import CHAIR, KEYS_OF_ALL, NATION, OTHER_AGENCY, REVIEWER, World, get_role

pytestmark = pytest.mark.both_engines

MOVES = ("submit", "return", "endorse", "adopt", "amend", "close")
#: Verb of `allowed` → its operation.
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
#: Operations that prepare a state → reads whose `allowed` it can change.
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


EVERY = 13
"""Step between the callers in a prepared state, with another offset for each state."""
EVERY_UNPREPARED = 5
"""Step between the callers in the initial state, with another offset for each address.

`make proofs GROUP=contract` tries every caller at every address.
"""


def drop_times(reply: Any) -> Any:
    """Return the text of a reply without instants and secrets."""
    return re.sub(r'"((\w+_)?at)":"[^"]*"', "", drop_secret(reply))


def drop_secret(reply: Any) -> str:
    """Return the text of a reply without the secret that only its creation shows."""
    return re.sub(r',"secret":"[^"]*"', "", reply.text)


def test_a_dry_run_keeps_nothing_and_a_write_is_journaled_once(world: World) -> None:
    for operation in world.share(world.writes):
        with world.prepare_for(operation):
            before = world.count_rows()
            trial = world.call(operation, params={"dry_run": "true"}, headers={"Idempotency-Key": "trial"})
            assert world.count_rows() == before, f"{operation} kept something"
            real = world.call(operation, params={"dry_run": "false"})
            assert (trial.status_code, drop_times(trial)) == (real.status_code, drop_times(real)), operation
            assert trial.status_code in (200, 204), f"{operation}: {trial.text}"
            check_journaled(world, operation, real, before["journal"])
    assert world.call(world.operations["put_plan"], params={"dry_run": "yes"}).status_code == 400


def check_journaled(world: World, operation: Operation, reply: Any, before: int) -> None:
    """Check that a write adds journal rows after the first `before`, and an equal write adds none."""
    rows = world.read_journal()[before:]
    assert rows, f"{operation} left no journal row"
    assert {row.request_id for row in rows} == {reply.headers["X-Request-Id"]}, operation
    role = "-".join(get_role(operation))
    assert all(row.actor.startswith(role) and row.changes for row in rows), operation
    if operation.method in ("put", "patch") or not operation.is_conditional:
        again = world.call(operation)
        assert again.status_code == 200, operation
        assert world.count_journal() == before + len(rows), f"{operation} journaled a repeat"
        assert again.headers.get("ETag", "").partition("-")[0] == reply.headers["ETag"].partition("-")[0] or (
            "items" in again.json() or not operation.is_conditional
        ), operation


#: Further roles that may do an operation.
OTHER_OPERATOR = ("operator", "63.02", OTHER_AGENCY)
ALSO = {
    (CHAIR, "amend_plan"),
    (CHAIR, "discard_amendment"),
    # one of the two overlapping lines is its own
    (OTHER_OPERATOR, "put_explanation"),
    (OTHER_OPERATOR, "delete_explanation"),
}


def test_a_refused_write_keeps_nothing(world: World) -> None:
    callers = {role: world.connect_as(role) for role in (REVIEWER, CHAIR, OTHER_OPERATOR, ("reader", "63"))}
    for operation in world.share(world.writes):
        before = world.count_rows()
        for role, caller in callers.items():
            if role == get_role(operation) or (role, operation.id) in ALSO:
                continue
            reply = world.call(operation, caller)
            # A reader sees no plan before its adoption, and none of these roles sees principals.
            hidden = {True: (404,), False: (403, 404) if role[0] == "reader" else (403,)}
            refused = hidden[operation.is_of_administrators]
            assert reply.status_code in refused, f"{operation}: {reply.text}"
        assert world.count_rows() == before, operation


def read_target_tag(world: World, operation: Operation) -> str | None:
    """Return the ETag of the target of an operation."""
    path = operation.path.rpartition("/")[0] if operation.method == "post" else operation.path
    read = next((item for item in world if item.path == path and item.method == "get"), None)
    return world.call(read, keys=operation.keys).headers["ETag"] if read else None


EVERY_CONDITION = 2
"""Step between the tested failing conditions of a write; `make proofs GROUP=contract` tests all."""


def test_every_write_checks_its_preconditions(world: World) -> None:
    checked = 0
    for turn, operation in enumerate(world.share(world.writes)):
        if not operation.is_conditional:
            continue
        with world.prepare_for(operation):
            tag = read_target_tag(world, operation)
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
            before = world.count_rows()
            for conditions, status in refused[turn % EVERY_CONDITION :: EVERY_CONDITION]:
                reply = world.call(operation, conditions=conditions)
                assert reply.status_code == status, f"{operation} {conditions}: {reply.text}"
            assert world.count_rows() == before, operation
            for match in (tag, ("*", number, f'"999999", {number}')[turn % 3]):
                with world.savepoint():
                    reply = world.call(operation, conditions={"If-Match": match})
                    assert reply.status_code in (200, 204), f"{operation} {match}: {reply.text}"
                    checked += 1
    assert checked > 40 / world.turn[1]


def test_a_put_creates_under_its_conditions(world: World) -> None:
    for operation in world.share(world.writes):
        if operation.method != "put":
            continue
        delete = next(
            (item for item in world if item.path == operation.path and item.method == "delete"), None
        )
        if delete is None or "201" not in operation.spec["responses"]:
            continue
        with world.prepare_for(delete):
            assert world.call(delete).status_code == 204
            assert world.call(operation, conditions={"If-Match": "*"}).status_code == 412, operation
            for conditions in ({}, {"If-None-Match": "*"}):
                with world.savepoint():
                    trial = world.call(operation, conditions=conditions, params={"dry_run": "true"})
                    reply = world.call(operation, conditions=conditions)
                    assert (reply.status_code, drop_times(reply)) == (201, drop_times(trial)), operation
                    read = world.get_client(operation).get(reply.headers["Location"])
                    shown = (drop_secret(reply), reply.headers["ETag"])
                    assert (read.text, read.headers["ETag"]) == shown, operation


def test_every_post_with_the_same_key_returns_the_first_reply(world: World) -> None:
    posts = world.share(operation for operation in world.writes if operation.method == "post")
    assert posts
    for operation in posts:
        other = world.connect_as(NATION if get_role(operation) == NATION else ("administrator", "63"))
        with world.prepare_for(operation):
            headers = {"Idempotency-Key": f"key of {operation.id}"}
            first = world.call(operation, headers=headers)
            assert first.status_code == 200, operation
            before = world.count_rows()
            again = world.call(operation, headers=headers)
            assert again.content == first.content, operation
            assert again.headers["Idempotency-Replayed"] == "true"
            assert "Idempotency-Replayed" not in first.headers
            assert again.headers["ETag"] == first.headers["ETag"]
            assert world.count_rows() == before, operation
            changed = world.call(operation, params={"dry_run": "false"}, headers=headers)
            assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused"), operation
            assert "Idempotency-Replayed" not in world.call(operation, other, headers=headers).headers


def test_a_key_in_use_is_409_and_a_malformed_one_400(world: World) -> None:
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


def test_allowed_lists_exactly_the_verbs_that_succeed(one_world: World) -> None:
    world = one_world
    callers = {
        "secretariat": world.client,
        "chair": world.connect_as(("chair", "63.02")),
        "reviewer": world.connect_as(("reviewer", "63")),
        "reader": world.connect_as(("reader", "63")),
        "administrator": world.connect_as(("administrator", "0")),
        "operator": world.connect_as(("operator", "63.02", "1.06.0.00.0.00.08.0000")),
        "operator of another": world.connect_as(("operator", "63.02", OTHER_AGENCY)),
    }
    forbidden = set[tuple[str, str, str]]()
    for turn, (prepared, reads) in enumerate(PREPARED.items()):
        with world.savepoint():
            for id in prepared:
                for keys in KEYS_OF_ALL if "delete" in id else ({},):
                    if keys.keys() <= world.operations[id].keys.keys():
                        world.call(world.operations[id], keys=keys)
            every = EVERY if prepared else EVERY_UNPREPARED
            for number, id in enumerate(reads):
                for name, caller in list(callers.items())[(turn if prepared else number) % every :: every]:
                    label = f"{name} after {prepared}"
                    check_allowed(world, label, caller, world.operations[id], VERBS[id], forbidden)


def check_allowed(
    world: World,
    label: str,
    caller: Any,
    read: Operation,
    verbs: dict[str, str],
    forbidden: set[tuple[str, str, str]],
) -> None:
    """Check that `allowed` of a reply has exactly the verbs that succeed.

    `forbidden` collects (caller, read, verb) without the right, which no state gives.
    """
    reply = world.call(read, caller)
    if reply.status_code == 404:
        return
    schema = world.document["components"]["schemas"][
        read.response(200)["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    ]
    declared = schema["properties"]["allowed"]["items"]
    assert set(verbs) == set(declared.get("enum") or [declared["const"]]), read
    allowed = set(reply.json()["allowed"])
    for verb, id in verbs.items():
        tried = (label.partition(" after ")[0], read.id, verb)
        if tried in forbidden:
            assert verb not in allowed, f"{read} for {label}: {verb}"
            continue
        with world.savepoint():
            plan = {"plan": read.keys["plan"]} if "plan" in read.keys else {}
            before = world.count_journal()
            done = world.call(world.operations[id], caller, keys=plan)
            if (
                done.status_code == 409
                and done.json()["code"] == "quarter_closed"
                and read.id != "read_progress"
            ):
                continue  # `allowed` of a plan and a line covers all quarters; this one is closed.
            if done.status_code in (404, 412, 422):
                continue  # The target no longer exists, or the example names a retired agency.
            operators = {"read_plan": "operator of another", "read_amendment": "operator"}
            if (
                read.id in operators
                and label.startswith(operators[read.id])
                and verb in ("write_actions", "report_progress")
            ):
                continue  # It may write lines of its own agency; the example has another one.
            if done.status_code == 403:
                forbidden.add(tried)
            # A step to the current state succeeds and changes nothing.
            is_done = done.status_code in (200, 201, 204) and world.count_journal() > before
            assert is_done == (verb in allowed), (
                f"{read} for {label}: {verb} gives {done.status_code}, allowed {sorted(allowed)}"
            )
