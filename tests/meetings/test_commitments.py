"""Joint commitments: their references, the rights to write them, and changes of agencies and lines."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.changes.feed import follow, now, told
from tests.database import OneTransaction
from tests.meetings.world import COMMITMENT, HOME, K1, commit, put_meeting, step
from tests.plans.world import ANY, AT, HEALTH, LEAN, PARTNER, PLAN, SOCIAL, WORKS, put, put_plan, refused

pytestmark = pytest.mark.one_engine

Connect = Callable[..., TestClient]
A1 = {"plan": PLAN, "action": "A-1"}


def test_a_commitment_is_created_and_replaced(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    put_meeting(secretariat, "R-1")
    whole = {
        **COMMITMENT,
        "meeting": "R-1",
        "signatory_positions": ["Wakil Bupati", "Kepala Dinas Sosial"],
        "supporting_agencies": [PARTNER, HEALTH],
        "linked_actions": [A1],
    }
    made = secretariat.put(K1, json=whole)
    assert (made.status_code, made.headers["Location"]) == (201, K1)
    assert made.json() == {
        **whole,
        "region_code": "63.02",
        "region_name": "Kabupaten Kotabaru",
        "code": "K-1",
        "state": "open",
        "overdue": False,
        "days_overdue": 0,
        "follow_ups": [],
        "version": 1,
        "updated_at": "2025-05-02T03:00:00.123456+00:00",
        "allowed": ["edit", "delete", "note", "start", "complete", "cancel"],
    }
    same = secretariat.put(K1, json=whole, headers=ANY)
    assert (same.status_code, same.json()["version"]) == (200, 1)
    new = secretariat.patch(K1, json={"supporting_agencies": [HEALTH]}, headers={"If-Match": '"1"'}).json()
    assert (new["version"], new["supporting_agencies"], new["linked_actions"]) == (2, [HEALTH], [A1])
    assert secretariat.patch(K1, json={"due": "2025-07-01"}, headers={"If-Match": '"1"'}).status_code == 412
    assert secretariat.patch(K1, json={"due": "2025-07-01"}).status_code == 428


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"responsible_agency": "X"}, [("/responsible_agency", "unknown_reference")]),
        ({"supporting_agencies": [SOCIAL]}, [("/supporting_agencies/0", "duplicate_key")]),
        ({"supporting_agencies": [HEALTH, "X"]}, [("/supporting_agencies/1", "unknown_reference")]),
        ({"meeting": "R-9"}, [("/meeting", "unknown_reference")]),
        ({"linked_actions": [A1, A1]}, [("/linked_actions/1", "duplicate_key")]),
        (
            {"linked_actions": [{"plan": PLAN, "action": "A-7"}], "meeting": "R-9"},
            [("/meeting", "unknown_reference"), ("/linked_actions/0/action", "unknown_reference")],
        ),
        (
            {"linked_actions": [{"plan": "63.02-2026\x00", "action": "A-1"}]},
            [("/linked_actions/0/plan", "wrong_pattern")],
        ),
        ({"text": "  "}, [("/text", "wrong_length")]),
        ({"due": None}, [("/due", "malformed_date")]),
        ({"state": "done"}, [("/state", "unknown_field")]),
    ],
)
def test_unknown_references_are_named(
    secretariat: TestClient, change: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    put(secretariat, "A-1")
    put_meeting(secretariat, "R-1")
    assert refused(secretariat.put(K1, json={**COMMITMENT, **change})) == errors
    assert secretariat.get(K1).status_code == 404


@pytest.mark.both_engines
def test_an_unknown_line_suggests_the_nearest(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    wrong = secretariat.put(K1, json={**COMMITMENT, "linked_actions": [{"plan": PLAN, "action": "A-10"}]})
    assert wrong.json()["errors"][0]["nearest"] == ["A-1"]


def test_a_province_links_lines_of_its_regencies_that_it_sees(
    secretariat: TestClient, connect: Connect
) -> None:
    put(secretariat, "A-1")
    both = connect(("secretariat", "63"), ("reviewer", "63"))
    alone = connect(("secretariat", "63"))
    agency = {"name": "Dinas Sosial", "kind": "dinas"}
    assert both.put(f"/v1/regions/63/agencies/{SOCIAL}", json=agency).status_code == 201
    of_province = "/v1/regions/63/commitments/K-1"
    linked = {**COMMITMENT, "linked_actions": [A1]}
    assert refused(alone.put(of_province, json=linked)) == [("/linked_actions/0/action", "unknown_reference")]
    assert both.put(of_province, json=linked).status_code == 201
    # A caller who does not see the line may keep a link that another made.
    assert alone.patch(of_province, json={"due": "2025-08-01"}, headers=ANY).json()["linked_actions"] == [A1]
    # A regency does not link lines of another region, even visible ones.
    wide = connect(("secretariat", "63.03"), ("reviewer", "63"))
    assert wide.put(f"/v1/regions/63.03/agencies/{SOCIAL}", json=agency).status_code == 201
    assert refused(wide.put("/v1/regions/63.03/commitments/K-1", json=linked)) == [
        ("/linked_actions/0/action", "unknown_reference")
    ]


@pytest.mark.both_engines
def test_a_linked_line_cannot_be_deleted(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    assert "delete" in secretariat.get(f"{AT}/actions/A-1").json()["allowed"]
    commit(secretariat, "K-1", linked_actions=[A1])
    assert "delete" not in secretariat.get(f"{AT}/actions/A-1").json()["allowed"]
    refused = secretariat.delete(f"{AT}/actions/A-1", headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "action_in_use")
    assert "komitmen bersama" in refused.json()["detail"]
    put(secretariat, "A-1", title="Lain")  # rewriting the line keeps the link
    assert secretariat.get(K1).json()["linked_actions"] == [A1]
    secretariat.patch(K1, json={"linked_actions": []}, headers=ANY)
    assert secretariat.delete(f"{AT}/actions/A-1", headers=ANY).status_code == 204


def test_links_keep_their_order(secretariat: TestClient) -> None:
    put_plan(secretariat, "63.02-2027")
    put(secretariat, "A-2", base=LEAN)
    put(secretariat, "A-1")
    put(secretariat, "B-1", plan="63.02-2027", base=LEAN)
    links = [{"plan": "63.02-2027", "action": "B-1"}, {"plan": PLAN, "action": "A-2"}, A1]
    assert commit(secretariat, "K-1", linked_actions=links)["linked_actions"] == links
    turned = secretariat.patch(K1, json={"linked_actions": links[::-1]}, headers=ANY).json()
    assert turned["linked_actions"] == links[::-1]


ROLES: dict[str, tuple[Any, list[int]]] = {
    "secretariat": (("secretariat", "63.02"), [201, 200, 201, 200, 204, 204]),
    "administrator above": (("administrator", "63"), [201, 200, 201, 200, 204, 204]),
    "operator": (("operator", "63.02", SOCIAL), [403] * 6),
    "chair": (("chair", "63.02"), [403] * 6),
    "reviewer": (("reviewer", "63"), [403] * 6),
    "reader": (("reader", "63.02"), [403] * 6),
    "secretariat above": (("secretariat", "63"), [404] * 6),
    "neighbour": (("secretariat", "63.03"), [404] * 6),
}


@pytest.mark.parametrize("role", ROLES)
def test_these_roles_write_meetings_and_commitments(
    secretariat: TestClient, connect: Connect, role: str
) -> None:
    put_meeting(secretariat, "R-1")
    commit(secretariat, "K-1")
    grant, expected = ROLES[role]
    client = connect(grant)
    new_meeting, new_commitment = f"{HOME}/meetings/R-2", f"{HOME}/commitments/K-2"
    meeting = {"date": "2025-04-01", "title": "Rakor II"}
    done = [
        client.put(new_meeting, json=meeting),
        client.patch(f"{HOME}/meetings/R-1", json={"note": "x"}, headers=ANY),
        client.put(new_commitment, json=COMMITMENT),
        client.patch(K1, json={"text": "x"}, headers=ANY),
        client.delete(K1, headers=ANY),
        client.delete(f"{HOME}/meetings/R-1", headers=ANY),
    ]
    assert [reply.status_code for reply in done] == expected


def test_a_successor_takes_the_commitments_of_a_merged_agency(
    secretariat: TestClient, connect: Connect
) -> None:
    commit(secretariat, "K-1", supporting_agencies=[PARTNER, HEALTH])
    commit(secretariat, "K-2", responsible_agency=WORKS, supporting_agencies=[SOCIAL, HEALTH])
    commit(secretariat, "K-3", responsible_agency=HEALTH, supporting_agencies=[SOCIAL])
    commit(secretariat, "K-4", responsible_agency=WORKS)
    agency = f"{HOME}/agencies/{SOCIAL}"
    refused = secretariat.delete(agency, headers=ANY).json()
    assert "komitmen yang menjadi tanggung jawabnya (1), komitmen yang didukungnya (2)" in refused["detail"]
    operator = connect(("operator", "63.02", SOCIAL))
    assert secretariat.post(f"{agency}/merge", json={"into": HEALTH}, headers=ANY).status_code == 200
    items = secretariat.get(f"{HOME}/commitments?sort=code").json()["items"]
    assert [(item["responsible_agency"], item["supporting_agencies"], item["version"]) for item in items] == [
        (HEALTH, [PARTNER], 2),
        (WORKS, [HEALTH], 2),
        (HEALTH, [], 2),
        (WORKS, [], 1),
    ]
    last = secretariat.get(f"{K1}/history?sort=-sequence").json()["items"][0]
    assert (last["kind"], last["changes"]) == (
        "commitment.changed",
        {"responsible_agency": [SOCIAL, HEALTH], "supporting_agencies": [[PARTNER, HEALTH], [PARTNER]]},
    )
    step(operator, "start")  # the operators of the merged agency act for its successor


def test_a_merger_costs_as_many_statements_for_ten_commitments_as_for_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def count_statements() -> int:
        database.statements.clear()
        merge = f"{HOME}/agencies/{SOCIAL}/merge?dry_run=true"
        assert secretariat.post(merge, json={"into": HEALTH}, headers=ANY).status_code == 200
        return len(database.statements)

    commit(secretariat, "K-1")
    put_meeting(secretariat, "R-1")
    for_one = count_statements()
    for n in range(2, 11):
        commit(secretariat, f"K-{n}")
        put_meeting(secretariat, f"R-{n}")
    assert count_statements() == for_one


def test_a_retired_agency_keeps_its_commitments(secretariat: TestClient) -> None:
    commit(secretariat, "K-1")
    assert secretariat.post(f"{HOME}/agencies/{SOCIAL}/retire", headers=ANY).status_code == 200
    assert secretariat.patch(K1, json={"due": "2025-09-30"}, headers=ANY).status_code == 200
    assert refused(secretariat.put(f"{HOME}/commitments/K-2", json=COMMITMENT)) == [
        ("/responsible_agency", "retired_agency")
    ]
    step(secretariat, "complete")


def test_history_and_feed(secretariat: TestClient) -> None:
    cursor = now(secretariat, kind="commitment")
    commit(secretariat, "K-1")
    commit(secretariat, "K-10")
    step(secretariat, "start", evidence_url="https://berkas.example/a.pdf")
    step(secretariat, "start")
    step(secretariat, "follow-ups")
    step(secretariat, "cancel")
    step(secretariat, "reopen")
    step(secretariat, "complete")
    step(secretariat, "reopen")
    secretariat.delete(K1, headers=ANY)
    verbs = ["created", "started", "noted", "cancelled", "reopened", "completed", "reopened", "deleted"]
    history = secretariat.get(f"{K1}/history").json()["items"]
    assert [entry["kind"] for entry in history] == [f"commitment.{verb}" for verb in verbs]
    assert [entry["version"] for entry in history] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert history[1]["changes"] == {
        "state": ["open", "in_progress"],
        "follow_up": [
            None,
            {
                "state": "in_progress",
                "note": "Sudah diserahkan",
                "evidence_url": "https://berkas.example/a.pdf",
            },
        ],
    }
    assert set(history[2]["changes"]) == {"follow_up"}
    fed = told(follow(secretariat, cursor, kind="commitment"))
    assert [kind for kind, subject in fed if subject == "commitments/K-1"] == [
        entry["kind"] for entry in history
    ]
    assert secretariat.get(f"{K1}/history", params={"kind": "commitment.started"}).json()["items"] == [
        history[1]
    ]


def test_a_note_leaves_the_lists_of_agencies_unchanged(secretariat: TestClient) -> None:
    commit(secretariat, "K-1")
    summary = f"{AT}/summary?period=2026-Q1"
    tag = secretariat.get(summary).headers["ETag"]
    step(secretariat, "start")
    assert secretariat.get(summary, headers={"If-None-Match": tag}).status_code == 304
