"""The conditions of a move, its refusals, its notes, and repeated calls, which change nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.models import TokenScope
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.periods import get_local_date
from app.plans.core.models import PlanState
from app.plans.workflow.rules import BY_VERB, PlanStatus, find_failures
from tests.database import OneTransaction
from tests.plans.world import ANY, LEAN, put, put_many, put_plan, read_rows, refused
from tests.workflow.moves import AT, CODED, NOTES, PLAN, SIGNED, Movers

pytestmark = pytest.mark.one_engine


def count_journal_rows(database: OneTransaction) -> int:
    (row,) = read_rows(database, sa.select(sa.func.count()).select_from(get_table(JournalRow)))
    return int(row[0])


# Conditions


def test_an_empty_plan_cannot_be_submitted(secretariat: TestClient, movers: Movers) -> None:
    assert secretariat.delete(f"{AT}/actions/A-1", headers=ANY).status_code == 204
    reply = movers.move("submit")
    assert (reply.json()["code"], refused(reply)) == ("condition_failed", [("/actions", "empty_plan")])
    assert "submit" not in movers.chair.get(AT).json()["allowed"]


def test_errors_block_the_submission_line_by_line(secretariat: TestClient, movers: Movers) -> None:
    put(secretariat, "A-2", plan=PLAN, base=LEAN)
    put(secretariat, "A-3", plan=PLAN, base=CODED, allocation=1)
    for params in ({"dry_run": "true"}, {}):
        reply = movers.move("submit", **params)
        assert refused(reply) == [
            ("/actions/A-2/subactivity_code", "blocking_finding"),
            ("/actions/A-3/components", "blocking_finding"),
            ("/actions/A-3/budget_lines", "blocking_finding"),
        ]
    first, _, third = reply.json()["errors"]
    assert (first["value"], third["value"]) == ("A-2", "A-3")
    assert first["message"].startswith("“A-2”: Sub kegiatan “Sub kegiatan” belum berkode")
    assert third["message"].startswith("“A-3”: Baris anggaran berjumlah Rp 250.000.000")
    english = movers.chair.post(f"{AT}/submit", json={}, headers={**ANY, "Accept-Language": "en"}).json()[
        "errors"
    ][2]
    assert "Budget lines sum to Rp 250,000,000" in english["message"]
    assert secretariat.get(AT).json()["state"] == "draft"


def test_warnings_do_not_block_and_the_reply_counts_them(secretariat: TestClient, movers: Movers) -> None:
    put(secretariat, "A-2", plan=PLAN, base=CODED, locations=[])
    assert movers.move("submit", dry_run="true").json()["warnings"] == 1
    reply = movers.move("submit")
    assert (reply.status_code, reply.json()["warnings"], reply.json()["state"]) == (200, 1, "submitted")


def test_submitting_many_lines_costs_as_many_statements_as_one(
    secretariat: TestClient, movers: Movers, database: OneTransaction
) -> None:
    def count_statements() -> int:
        database.statements.clear()
        assert movers.move("submit", dry_run="true").status_code == 200
        return len(database.statements)

    for_one = count_statements()
    put_many(secretariat, [{"code": f"B-{n}", **CODED} for n in range(40)], plan=PLAN)
    assert count_statements() == for_one


def test_the_instruments_date_is_neither_in_the_future_nor_long_past(movers: Movers) -> None:
    movers.bring("endorsed")
    for wrong in ("2099-01-01", "2022-12-31"):
        reply = movers.move("adopt", body={**SIGNED, "date": wrong})
        assert refused(reply) == [("/date", "instrument_date_out_of_range")]
        assert reply.json()["errors"][0]["allowed"]["first"] == "2023-01-01"
    for body, pointer in (
        ({**SIGNED, "instrument": "letter"}, "/instrument"),
        ({**SIGNED, "number": " "}, "/number"),
        ({"instrument": "decree", "number": "1"}, "/date"),
    ):
        assert [place for place, _ in refused(movers.move("adopt", body=body))] == [pointer]
    assert movers.move("adopt").json()["revision"] == 0


@pytest.mark.parametrize(
    ("instant", "zone", "is_over"),
    [
        ("2026-12-31T15:59:59Z", "WITA", False),
        ("2026-12-31T16:00:00Z", "WITA", True),
        ("2026-12-31T16:00:00Z", "WIB", False),
        ("2026-12-31T15:00:00Z", "WIT", True),
    ],
)
def test_a_plan_can_be_closed_when_its_year_ends_in_the_regions_zone(
    instant: str, zone: str, is_over: bool
) -> None:
    today = get_local_date(datetime.fromisoformat(instant), zone)
    plan = PlanStatus(
        "63.02-2026", PlanState.adopted, 0, 2026, 1, is_kept=False, takes_reports=True, today=today
    )
    errors = find_failures(BY_VERB["close"], plan)
    assert [error.kind.code for error in errors] == ([] if is_over else ["year_not_over"])
    assert is_over or errors[0].allowed == "2027-01-01"


def test_a_plan_of_the_running_year_cannot_be_closed(secretariat: TestClient, movers: Movers) -> None:
    today = get_local_date(datetime.now(UTC), "WITA")
    plan = f"63.02-{today.year}"
    put_plan(secretariat, plan)
    put(secretariat, "A-1", plan=plan, base=CODED)
    signed = {**SIGNED, "date": date(today.year - 1, 12, 1).isoformat()}
    for verb in ("submit", "endorse"):
        assert movers.move(verb, plan=plan).status_code == 200
    assert movers.move("adopt", plan=plan, body=signed).status_code == 200
    reply = movers.move("close", plan=plan)
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (422, "year_not_over")
    assert movers.chair.get(f"/v1/plans/{plan}").json()["allowed"] == ["amend"]


# Refusals


def test_a_refused_move_names_the_state_and_the_possible_moves(
    secretariat: TestClient, movers: Movers
) -> None:
    reply = movers.chair.post(f"{AT}/adopt", json=SIGNED, headers={**ANY, "Accept-Language": "en"})
    assert (reply.status_code, reply.json()["code"]) == (409, "transition_refused")
    assert reply.json()["detail"] == (
        f"Plan {PLAN} is a draft. It can be adopted only if it is endorsed. What you can do: submit the plan."
    )
    assert secretariat.get(AT).json()["version"] == 1


def test_a_move_needs_the_current_version(movers: Movers) -> None:
    assert movers.move("submit", headers={}).status_code == 428
    assert movers.move("submit", headers={"If-Match": '"7"'}).status_code == 412
    tag = movers.reviewer.get(AT).headers["ETag"]
    reply = movers.move("submit", headers={"If-Match": tag})
    assert (reply.status_code, reply.json()["version"]) == (200, 2)
    assert reply.headers["ETag"].startswith('"2-')


def test_a_token_needs_the_approve_scope_to_move_plans(
    secretariat: TestClient, movers: Movers, connect: Callable[..., TestClient]
) -> None:
    weak = connect(("chair", "63.02"), scopes=(TokenScope.read, TokenScope.write))
    reply = weak.post(f"{AT}/submit", json={}, headers=ANY)
    assert (reply.status_code, "menyetujui" in reply.json()["detail"]) == (403, True)


# Repeated calls


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("submitted", "submit"),
        ("returned", "return"),
        ("endorsed", "endorse"),
        ("adopted", "adopt"),
        ("amended", "amend"),
        ("closed", "close"),
    ],
)
def test_a_repeated_move_changes_nothing(
    secretariat: TestClient, movers: Movers, database: OneTransaction, state: str, verb: str
) -> None:
    movers.bring(state)
    before, journal_rows = secretariat.get(AT), count_journal_rows(database)
    for headers in (ANY, {"If-Match": before.headers["ETag"]}):
        repeated = movers.move(verb, headers=headers)
        assert (repeated.status_code, repeated.json()["version"]) == (200, before.json()["version"])
    # A client that lost the reply and still has the old tag gets 412.
    old = movers.move(verb, headers={"If-Match": f'"{before.json()["version"] - 1}"'})
    assert old.status_code == 412
    other: dict[str, Any] = {
        "return": {"notes": [*NOTES["notes"], {"text": "Lagi."}]},
        "adopt": {**SIGNED, "number": "2"},
    }.get(verb, {"note": "Lain."})
    refusal = movers.move(verb, body=other)
    assert (refusal.status_code, refusal.json()["code"]) == (409, "already_moved")
    assert (secretariat.get(AT).json(), count_journal_rows(database)) == (before.json(), journal_rows)


def test_a_retry_with_the_same_key_returns_the_first_reply(movers: Movers) -> None:
    headers = {"If-Match": '"1"', "Idempotency-Key": "satu"}
    first = movers.move("submit", headers=headers)
    retried = movers.move("submit", headers=headers)
    assert (first.status_code, retried.content) == (200, first.content)
    assert retried.headers["Idempotency-Replayed"] == "true"


# Notes


def test_a_return_has_notes_which_the_next_submission_answers(
    secretariat: TestClient, movers: Movers
) -> None:
    movers.bring("returned")
    (note,) = secretariat.get(f"{AT}/notes").json()["items"]
    assert note.items() >= {**NOTES["notes"][0], "number": 1, "state": "open", "answer": None}.items()
    assert note["author"].startswith("reviewer-63")
    assert secretariat.get(f"{AT}/actions/A-1").json()["notes"] == [note]
    put(secretariat, "A-1", plan=PLAN, base=CODED, note="Sudah.")
    assert movers.move("submit", body={"note": "Disamakan."}).status_code == 200
    assert secretariat.get(f"{AT}/actions/A-1").json()["notes"] == []
    (note,) = secretariat.get(f"{AT}/notes?state=answered").json()["items"]
    assert (note["state"], note["answer"]) == ("answered", "Disamakan.")
    assert movers.move("return", body={"notes": [{"text": "Masih kurang."}]}).status_code == 200
    assert [
        note_item["number"]
        for note_item in secretariat.get(f"{AT}/notes?sort=-number&limit=1").json()["items"]
    ] == [2]
    assert [note_item["text"] for note_item in secretariat.get(f"{AT}/notes?state=open").json()["items"]] == [
        "Masih kurang."
    ]


def test_a_note_needs_an_existing_line(movers: Movers) -> None:
    movers.bring("submitted")
    body = {"notes": [{"text": "x"}, {"action": "A-11", "text": "x"}]}
    reply = movers.move("return", body=body)
    assert refused(reply) == [("/notes/1/action", "unknown_reference")]
    assert reply.json()["errors"][0]["nearest"] == ["A-1"]
    for wrong, pointer in (
        ({"notes": []}, "/notes"),
        ({"notes": [{"text": ""}]}, "/notes/0/text"),
        ({"notes": [{"text": "x", "pointer": "title"}]}, "/notes/0/pointer"),
        ({}, "/notes"),
    ):
        assert [place for place, _ in refused(movers.move("return", body=wrong))] == [pointer]


def test_readers_without_drafts_see_no_notes(
    secretariat: TestClient, movers: Movers, connect: Callable[..., TestClient]
) -> None:
    movers.bring("returned")
    for verb in ("submit", "endorse", "adopt"):
        assert movers.move(verb).status_code == 200
    reader = connect(("reader", "63"))
    assert reader.get(AT).status_code == 200
    assert reader.get(f"{AT}/notes").status_code == 404
    assert reader.get(f"{AT}/actions/A-1").json()["notes"] == []
    assert len(secretariat.get(f"{AT}/notes").json()["items"]) == 1


def test_a_returned_plan_without_lines_can_be_deleted_with_its_notes(
    secretariat: TestClient, movers: Movers
) -> None:
    movers.bring("returned")
    secretariat.delete(f"{AT}/actions/A-1", headers=ANY)
    assert secretariat.delete(AT, headers=ANY).status_code == 204
    put_plan(secretariat, PLAN)
    assert secretariat.get(f"{AT}/notes").json()["items"] == []
