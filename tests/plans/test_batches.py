"""Many actions in one call: all or nothing, or each by itself, with a constant number of statements."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import ACTION, ANY, AT, LEAN, put, put_many, refused, report, walk

pytestmark = pytest.mark.one_engine

MANY = f"{AT}/actions"


def make_items(number: int, **change: Any) -> list[dict[str, Any]]:
    return [{"code": f"A-{n:04}", **LEAN, "title": f"Baris {n}", **change} for n in range(number)]


def list_codes(client: TestClient) -> list[str]:
    return [item["code"] for item in walk(client, f"{MANY}?limit=500")]


def test_one_call_takes_up_to_a_thousand_actions(secretariat: TestClient) -> None:
    result = put_many(secretariat, make_items(1000))
    assert (result["created"], result["updated"], result["unchanged"], result["refused"]) == (1000, 0, 0, 0)
    assert (
        [item["code"] for item in result["items"]]
        == list_codes(secretariat)
        == [f"A-{n:04}" for n in range(1000)]
    )
    changed = make_items(1000)
    changed[500]["note"] = "lain"
    result = put_many(secretariat, changed)
    assert (result["created"], result["updated"], result["unchanged"]) == (0, 1, 999)
    assert (result["items"][500]["version"], result["items"][499]["version"]) == (2, 1)
    assert secretariat.put(MANY, json={"items": make_items(1001)}, headers=ANY).status_code == 422
    assert secretariat.put(MANY, json={"items": []}, headers=ANY).status_code == 422


WRONG: list[Any] = [
    {"code": "A-1", **LEAN},
    {"code": "A-2", **LEAN, "lead_agency": "X-1", "locations": [{"region_code": "63.03"}]},
    {"code": "A-3", **LEAN, "first_month": 5, "last_month": 2},
    {"code": "A-1", **LEAN},
    {"code": "A 5", **LEAN, "titel": "x"},
    "no object",
    {**LEAN},
    {"code": "A-8", **LEAN},
]
WRONG_PLACES = {
    ("/items/1/lead_agency", "unknown_reference"),
    ("/items/1/locations/0/region_code", "outside_region"),
    ("/items/2/first_month", "month_order"),
    ("/items/3/code", "duplicate_key"),
    ("/items/4/code", "wrong_pattern"),
    ("/items/4/titel", "unknown_field"),
    ("/items/5", "wrong_type"),
    ("/items/6/code", "missing"),
}


def test_one_reply_lists_all_errors_and_nothing_is_written(secretariat: TestClient) -> None:
    reply = secretariat.put(MANY, json={"items": WRONG})
    assert set(refused(reply)) == WRONG_PLACES
    assert list_codes(secretariat) == []


def test_each_writes_the_valid_items_and_refuses_the_others(secretariat: TestClient) -> None:
    put(secretariat, "A-8")
    report(secretariat, "A-8", 1, spent=1, outputs=[{"code": "O1", "achieved": 1}])
    result = secretariat.put(f"{MANY}?each=true", json={"items": WRONG}, headers=ANY).json()
    assert [item["status"] for item in result["items"]] == ["created"] + ["refused"] * 7
    assert (result["created"], result["refused"]) == (1, 7)
    errors = {
        (error["pointer"], error["code"]) for item in result["items"] for error in item.get("errors", ())
    }
    assert errors == WRONG_PLACES | {("/items/7/outputs", "reported_part")}
    assert list_codes(secretariat) == ["A-1", "A-8"]
    assert secretariat.get(f"{MANY}/A-8").json()["title"] == ACTION["title"]


def test_a_reported_part_refuses_the_whole_batch(secretariat: TestClient) -> None:
    put(secretariat, "A-2")
    report(secretariat, "A-2", 1, spent=1, recipients=[{"code": "R1", "reached": 1}])
    reply = secretariat.put(
        MANY,
        json={"items": [{"code": "A-1", **LEAN}, {"code": "A-2", **ACTION, "recipients": []}]},
        headers=ANY,
    )
    assert refused(reply, 409) == [("/items/1/recipients", "reported_part")]
    assert list_codes(secretariat) == ["A-2"]


def test_overwriting_needs_the_lists_current_tag(secretariat: TestClient) -> None:
    assert secretariat.put(MANY, json={"items": make_items(2)}).status_code == 200  # none of them exists yet
    tag = secretariat.get(f"{MANY}?limit=1").headers["ETag"]
    assert secretariat.put(MANY, json={"items": make_items(3)}).status_code == 428
    put(secretariat, "A-9")
    assert secretariat.put(MANY, json={"items": make_items(3)}, headers={"If-Match": tag}).status_code == 412
    tag = secretariat.get(MANY).headers["ETag"]
    assert secretariat.get(MANY, headers={"If-None-Match": tag}).status_code == 304
    result = secretariat.put(MANY, json={"items": make_items(3)}, headers={"If-Match": tag}).json()
    assert (result["created"], result["unchanged"]) == (1, 2)


def test_a_batch_returns_the_findings_of_its_lines(secretariat: TestClient) -> None:
    result = put_many(secretariat, [{"code": "A-1", **LEAN, "allocation": 7}])
    assert [(f["code"], f["pointer"]) for f in result["items"][0]["findings"]] == [
        ("E01", "/budget_lines"),
        ("E02", "/subactivity_code"),
        ("W01", "/locations"),
    ]


def test_a_dry_run_reports_the_outcome_and_keeps_nothing(secretariat: TestClient) -> None:
    result = secretariat.put(f"{MANY}?dry_run=true", json={"items": make_items(3)}).json()
    assert result["created"] == 3
    assert list_codes(secretariat) == []


def test_a_hundred_actions_cost_as_many_statements_as_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def count_statements(number: int, **change: Any) -> int:
        database.statements.clear()
        put_many(
            secretariat,
            [
                {**item, **change}
                for item in make_items(number, **{k: ACTION[k] for k in ("outputs", "milestones")})
            ],
        )
        return len(database.statements)

    created = count_statements(1), count_statements(100)
    assert created[0] == created[1]
    changed = count_statements(1, outputs=[]), count_statements(100, outputs=[], note="x")
    assert changed[0] == changed[1]
    database.statements.clear()
    secretariat.get(f"{MANY}?limit=1")
    for_one = len(database.statements)
    database.statements.clear()
    assert len(secretariat.get(f"{MANY}?limit=100").json()["items"]) == 100
    assert len(database.statements) == for_one <= 4
