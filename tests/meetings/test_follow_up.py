"""Follow-up of commitments: every role in every state with every step."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.meetings.world import K1, NOTE, Clock, commit, step
from tests.plans.world import ANY, HEALTH, SOCIAL, refused

pytestmark = pytest.mark.one_engine

Connect = Callable[..., TestClient]

# State → the step by which a new commitment reaches it.
REACHED: dict[str, str | None] = {
    "open": None,
    "in_progress": "start",
    "done": "complete",
    "cancelled": "cancel",
}
# Step → its transitions.
LEADS: dict[str, dict[str, str]] = {
    "start": {"open": "in_progress"},
    "complete": {"open": "done", "in_progress": "done"},
    "cancel": {"open": "cancelled", "in_progress": "cancelled"},
    "reopen": {"done": "open", "cancelled": "open"},
    "follow-ups": {state: state for state in REACHED},
}
OWN = ["follow-ups", "start", "complete"]
# Caller → its steps; None: it sees nothing.
MAY: dict[str, tuple[tuple[Any, ...], list[str] | None]] = {
    "secretariat": ((("secretariat", "63.02"),), list(LEADS)),
    "administrator": ((("administrator", "0"),), list(LEADS)),
    "operator of it": ((("operator", "63.02", SOCIAL),), OWN),
    "operator of all": ((("operator", "63.02"),), OWN),
    "operator of another": ((("operator", "63.02", HEALTH),), []),
    "chair": ((("chair", "63.02"),), []),
    "reader": ((("reader", "63"),), []),
    "reviewer": ((("reviewer", "63"),), []),
    "neighbour": ((("secretariat", "63.03"),), None),
    "stranger": ((), None),
}


def find_expected(caller: str, state: str, verb: str) -> int:
    mine = MAY[caller][1]
    if mine is None:
        return 404
    if verb not in mine:
        return 403
    leads = LEADS[verb]
    return 200 if state in leads or state in leads.values() else 409


@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("caller", MAY)
def test_every_step_of_every_caller_in_every_state(
    secretariat: TestClient, connect: Connect, caller: str, state: str
) -> None:
    commit(secretariat, "K-1")
    if verb := REACHED[state]:
        step(secretariat, verb)
    client = connect(*MAY[caller][0])
    version = secretariat.get(K1).json()["version"]
    for verb, leads in LEADS.items():
        reply = client.post(f"{K1}/{verb}?dry_run=true", json=NOTE, headers=ANY)
        assert reply.status_code == find_expected(caller, state, verb), (verb, reply.text)
        if reply.status_code == 200:
            assert reply.json()["state"] == leads.get(state, state)
            assert reply.json()["version"] == version + (state in leads)
    read = client.get(K1)
    if MAY[caller][1] is None:
        assert read.status_code == 404
        return
    steps = {
        "note" if verb == "follow-ups" else verb for verb in MAY[caller][1] or () if state in LEADS[verb]
    }
    assert set(read.json()["allowed"]) - {"edit", "delete"} == steps
    assert secretariat.get(K1).json()["version"] == version


def test_each_step_records_instant_and_author(
    secretariat: TestClient, connect: Connect, clock: Clock
) -> None:
    commit(secretariat, "K-1")
    operator = connect(("operator", "63.02", SOCIAL))
    clock.at = "2025-05-20T01:02:03.123456+00:00"
    step(operator, "start")
    clock.at = "2025-05-21T01:02:03.000005+00:00"
    step(operator, "follow-ups", note="Separuh selesai", evidence_url="https://berkas.example/1.pdf")
    clock.at = "2025-06-20T01:02:03.123456+00:00"
    done = step(secretariat, "complete", note="Selesai")
    entries = done["follow_ups"]
    assert [(entry["state"], entry["note"], entry["evidence_url"]) for entry in entries] == [
        ("in_progress", "Sudah diserahkan", None),
        ("in_progress", "Separuh selesai", "https://berkas.example/1.pdf"),
        ("done", "Selesai", None),
    ]
    assert [entry["at"] for entry in entries] == [
        "2025-05-20T01:02:03.123456+00:00",
        "2025-05-21T01:02:03.000005+00:00",
        "2025-06-20T01:02:03.123456+00:00",
    ]
    assert entries[0]["by"].startswith("operator-63.02")
    assert entries[2]["by"].startswith("secretariat-63.02")
    assert (done["version"], done["updated_at"]) == (4, entries[2]["at"])


def test_a_refused_step_names_the_state_and_what_is_allowed(
    secretariat: TestClient, connect: Connect
) -> None:
    commit(secretariat, "K-1")
    step(secretariat, "complete")
    english = {**ANY, "Accept-Language": "en"}
    refusal = secretariat.post(f"{K1}/start", json=NOTE, headers=english)
    assert (refusal.status_code, refusal.json()["code"]) == (409, "commitment_state")
    assert refusal.json()["detail"] == (
        "Commitment “K-1” is done and cannot be started now. What you can do: add a note, reopen."
    )
    operator = connect(("operator", "63.02", SOCIAL))
    assert "can do: add a note." in operator.post(f"{K1}/start", json=NOTE, headers=english).json()["detail"]
    for refusal in (
        secretariat.patch(K1, json={"text": "x"}, headers=english),
        secretariat.delete(K1, headers=english),
    ):
        assert (refusal.status_code, refusal.json()["code"]) == (409, "commitment_state")
    same = {name: secretariat.get(K1).json()[name] for name in ("text", "responsible_agency", "due")}
    assert secretariat.put(K1, json=same, headers=ANY).status_code == 200, (
        "what is as it was needs no right state"
    )


def test_a_repeated_step_writes_nothing(secretariat: TestClient, database: OneTransaction) -> None:
    commit(secretariat, "K-1")
    first = secretariat.post(f"{K1}/complete", json=NOTE, headers=ANY)
    again = secretariat.post(f"{K1}/complete", json={"note": "Sekali lagi"}, headers=ANY)
    assert (again.status_code, again.content, again.headers["ETag"]) == (
        200,
        first.content,
        first.headers["ETag"],
    )
    assert len(secretariat.get(f"{K1}/history").json()["items"]) == 2


def test_a_step_needs_its_condition_and_its_note(secretariat: TestClient) -> None:
    commit(secretariat, "K-1")
    assert secretariat.post(f"{K1}/start", json=NOTE).status_code == 428
    assert secretariat.post(f"{K1}/start", json=NOTE, headers={"If-Match": '"9"'}).status_code == 412
    assert refused(secretariat.post(f"{K1}/start", json={}, headers=ANY)) == [("/note", "missing")]
    assert refused(secretariat.post(f"{K1}/start", json={"note": " "}, headers=ANY)) == [
        ("/note", "wrong_length")
    ]
    bad = secretariat.post(f"{K1}/complete", json={**NOTE, "evidence_url": "ftp://x"}, headers=ANY)
    assert refused(bad) == [("/evidence_url", "wrong_pattern")]
    assert (
        secretariat.post("/v1/regions/63.02/commitments/K-9/start", json=NOTE, headers=ANY).status_code == 404
    )


def test_a_retried_note_is_one_entry(secretariat: TestClient) -> None:
    commit(secretariat, "K-1")
    headers = {**ANY, "Idempotency-Key": "note-1"}
    first = secretariat.post(f"{K1}/follow-ups", json=NOTE, headers=headers)
    again = secretariat.post(f"{K1}/follow-ups", json=NOTE, headers=headers)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert len(secretariat.get(K1).json()["follow_ups"]) == 1
    step(secretariat, "follow-ups")
    assert len(secretariat.get(K1).json()["follow_ups"]) == 2
