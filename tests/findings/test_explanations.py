"""An overlap is explained, stays on record, and is open again where something else coincides."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.findings.world import CLEAN, OTHER, VILLAGE, at, checked, recipients
from tests.plans.world import ANY, AT, HEALTH, PLAN, SOCIAL, WORKS, put, walk

pytestmark = pytest.mark.one_engine

PAIR = f"{AT}/overlaps/A-1~A-2/explanation"
WHY = {"verdict": "complementary", "text": "Saling melengkapi, karena …"}


@pytest.fixture
def pair(secretariat: TestClient) -> TestClient:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    return secretariat


def state(client: TestClient) -> tuple[list[str], int, int]:
    """(states in the list, open findings, explained ones)."""
    body = checked(client)
    counts = [(count["open"], count["explained"]) for count in body["counts"] if count["code"] == "W07"]
    open_ones, explained = counts[0] if counts else (0, 0)
    assert len([item for item in body["items"] if item["code"] == "W07"]) == open_ones
    return [item["state"] for item in walk(client, f"{AT}/overlaps")], open_ones, explained


def said(client: TestClient, code: str) -> list[str]:
    return [finding["code"] for finding in client.get(f"{AT}/actions/{code}").json()["findings"]]


def test_an_explained_pair_stays_in_the_list_and_is_no_open_warning(pair: TestClient) -> None:
    assert state(pair) == (["open"], 1, 0)
    assert said(pair, "A-1") == said(pair, "A-2") == ["W07"]
    done = pair.put(PAIR, json=WHY)
    assert done.status_code == 201
    assert done.headers["Location"] == PAIR
    body = done.json()
    assert (body["pair"], body["verdict"], body["is_stale"], body["version"]) == (
        "A-1~A-2",
        "complementary",
        False,
        1,
    )
    assert body["explained"]["places"] == [VILLAGE]
    assert body["allowed"] == ["edit", "delete"]
    assert state(pair) == (["explained"], 0, 1)
    assert said(pair, "A-1") == said(pair, "A-2") == []
    (item,) = walk(pair, f"{AT}/overlaps?explained=true")
    assert item["explanation"]["text"] == WHY["text"]
    assert item["first"]["agency_name"] == "Dinas Sosial"
    assert list(walk(pair, f"{AT}/overlaps?explained=false")) == []


def test_both_orders_are_one_address(pair: TestClient) -> None:
    turned = f"{AT}/overlaps/A-2~A-1/explanation"
    assert pair.put(turned, json=WHY).headers["Location"] == PAIR
    assert pair.get(PAIR).json() == pair.get(turned).json()
    assert pair.put(PAIR, json=WHY).status_code == 428
    assert pair.put(turned, json=WHY, headers={"If-Match": '"1"'}).json()["version"] == 1


@pytest.mark.parametrize(
    ("change", "is_stale"),
    [
        ({"title": "Judul lain"}, False),
        ({"note": "x"}, False),
        ({"lead_agency": WORKS}, True),
        (at(VILLAGE, "63.02.05.2001"), False),  # where only one of them works
        ({"first_month": 4}, True),
        (recipients(decile_to=1), True),
        (recipients(count=41), False),
        ({"benefit_forms": ["goods", "cash"]}, False),
    ],
)
def test_an_explanation_is_stale_where_something_else_coincides(
    pair: TestClient, change: dict[str, Any], is_stale: bool
) -> None:
    pair.put(PAIR, json=WHY)
    put(pair, "A-2", base=OTHER, **change)
    assert state(pair) == ((["stale"], 1, 0) if is_stale else (["explained"], 0, 1))
    assert pair.get(PAIR).json()["is_stale"] is is_stale
    again = pair.put(PAIR, json=WHY, headers=ANY)
    assert again.status_code == 200
    assert again.json()["version"] == (2 if is_stale else 1)
    assert state(pair) == (["explained"], 0, 1)


def test_what_does_not_overlap_any_more_stays_on_record(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    put(pair, "A-2", base=OTHER, benefit_forms=["cash"])
    assert state(pair) == ([], 0, 0)
    found = pair.get(PAIR).json()
    assert (found["is_stale"], found["allowed"]) == (True, ["delete"])
    refused = pair.put(PAIR, json=WHY, headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "no_overlap")


def test_a_line_with_explanations_can_be_deleted(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    assert pair.delete(f"{AT}/actions/A-2", headers=ANY).status_code == 204
    assert pair.get(PAIR).json()["text"] == WHY["text"]
    assert pair.put(PAIR, json=WHY, headers=ANY).status_code == 404
    assert pair.delete(PAIR, headers=ANY).status_code == 204
    assert pair.get(PAIR).status_code == 404
    history = pair.get(f"{PAIR}/history").json()["items"]
    assert [(entry["kind"], entry["version"]) for entry in history] == [
        ("explanation.created", 1),
        ("explanation.deleted", 2),
    ]
    assert pair.delete(f"{AT}/actions/A-1", headers=ANY).status_code == 204
    assert pair.delete(AT, headers=ANY).status_code == 204


def test_taken_back_it_is_open_again(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    assert pair.delete(PAIR).status_code == 428
    assert pair.delete(PAIR, headers={"If-Match": '"2"'}).status_code == 412
    assert pair.delete(f"{PAIR}?dry_run=true", headers=ANY).status_code == 204
    assert state(pair) == (["explained"], 0, 1)
    assert pair.delete(PAIR, headers=ANY).status_code == 204
    assert state(pair) == (["open"], 1, 0)
    assert pair.delete(PAIR, headers=ANY).status_code == 404


@pytest.mark.parametrize("path", ["A-1~A-9", "A-1", "A-1~A-1", "~"])
def test_no_such_pair(pair: TestClient, path: str) -> None:
    at_pair = f"{AT}/overlaps/{path}/explanation"
    assert pair.get(at_pair).status_code == 404
    assert pair.put(at_pair, json=WHY).status_code == 404
    assert pair.delete(at_pair, headers=ANY).status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (("operator", "63.02", SOCIAL), 201),
        (("operator", "63.02", HEALTH), 201),
        (("operator", "63.02", WORKS), 403),
        (("chair", "63.02"), 403),
        (("reader", "63.02"), 404),
        (("secretariat", "63.03"), 404),
        (("administrator", "63"), 201),
    ],
)
def test_who_may_explain(
    pair: TestClient, connect: Callable[..., TestClient], role: tuple[str, ...], status: int
) -> None:
    caller = connect(role)
    done = caller.put(PAIR, json=WHY)
    assert done.status_code == status, done.text
    if status == 403:
        pair.put(PAIR, json=WHY)
        assert caller.get(PAIR).json()["allowed"] == []
        assert caller.delete(PAIR, headers=ANY).status_code == 403


def test_it_stands_in_the_history_of_the_plan(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    (entry,) = pair.get(f"{AT}/history?kind=explanation").json()["items"]
    assert entry["subject"] == f"plans/{PLAN}/overlaps/A-1~A-2/explanation"
    assert entry["changes"]["verdict"] == [None, "complementary"]
