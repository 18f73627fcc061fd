"""Explaining an overlap: it stays on record, and the overlap opens again if the coincidence changes."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.findings.world import CLEAN, OTHER, VILLAGE, get_findings, make_locations, make_recipients
from tests.plans.world import ANY, AT, HEALTH, PLAN, SOCIAL, WORKS, put, walk

pytestmark = pytest.mark.one_engine

PAIR = f"{AT}/overlaps/A-1~A-2/explanation"
WHY = {"verdict": "complementary", "text": "Saling melengkapi, karena …"}


@pytest.fixture
def pair(secretariat: TestClient) -> TestClient:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    return secretariat


def read_states(client: TestClient) -> tuple[list[str], int, int]:
    """Return the states in the list and the counts of open and explained findings."""
    body = get_findings(client)
    counts = [(count["open"], count["explained"]) for count in body["counts"] if count["code"] == "W07"]
    open_ones, explained = counts[0] if counts else (0, 0)
    assert len([item for item in body["items"] if item["code"] == "W07"]) == open_ones
    return [item["state"] for item in walk(client, f"{AT}/overlaps")], open_ones, explained


def list_codes(client: TestClient, code: str) -> list[str]:
    return [finding["code"] for finding in client.get(f"{AT}/actions/{code}").json()["findings"]]


def test_an_explained_pair_stays_in_the_list_without_a_warning(pair: TestClient) -> None:
    assert read_states(pair) == (["open"], 1, 0)
    assert list_codes(pair, "A-1") == list_codes(pair, "A-2") == ["W07"]
    reply = pair.put(PAIR, json=WHY)
    assert reply.status_code == 201
    assert reply.headers["Location"] == PAIR
    body = reply.json()
    assert (body["pair"], body["verdict"], body["is_stale"], body["version"]) == (
        "A-1~A-2",
        "complementary",
        False,
        1,
    )
    assert body["explained"]["places"] == [VILLAGE]
    assert body["allowed"] == ["edit", "delete"]
    assert read_states(pair) == (["explained"], 0, 1)
    assert list_codes(pair, "A-1") == list_codes(pair, "A-2") == []
    (item,) = walk(pair, f"{AT}/overlaps?explained=true")
    assert item["explanation"]["text"] == WHY["text"]
    assert item["first"]["agency_name"] == "Dinas Sosial"
    assert list(walk(pair, f"{AT}/overlaps?explained=false")) == []


def test_both_orders_of_a_pair_are_the_same_address(pair: TestClient) -> None:
    swapped = f"{AT}/overlaps/A-2~A-1/explanation"
    assert pair.put(swapped, json=WHY).headers["Location"] == PAIR
    assert pair.get(PAIR).json() == pair.get(swapped).json()
    assert pair.put(PAIR, json=WHY).status_code == 428
    assert pair.put(swapped, json=WHY, headers={"If-Match": '"1"'}).json()["version"] == 1


@pytest.mark.parametrize(
    ("change", "is_stale"),
    [
        ({"title": "Judul lain"}, False),
        ({"note": "x"}, False),
        ({"lead_agency": WORKS}, True),
        (make_locations(VILLAGE, "63.02.05.2001"), False),  # only one of the lines works in the added village
        ({"first_month": 4}, True),
        (make_recipients(decile_to=1), True),
        (make_recipients(count=41), False),
        ({"benefit_forms": ["goods", "cash"]}, False),
    ],
)
def test_an_explanation_is_stale_if_the_coincidence_changed(
    pair: TestClient, change: dict[str, Any], is_stale: bool
) -> None:
    pair.put(PAIR, json=WHY)
    put(pair, "A-2", base=OTHER, **change)
    assert read_states(pair) == ((["stale"], 1, 0) if is_stale else (["explained"], 0, 1))
    assert pair.get(PAIR).json()["is_stale"] is is_stale
    repeated = pair.put(PAIR, json=WHY, headers=ANY)
    assert repeated.status_code == 200
    assert repeated.json()["version"] == (2 if is_stale else 1)
    assert read_states(pair) == (["explained"], 0, 1)


def test_the_explanation_of_a_former_overlap_stays_on_record(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    put(pair, "A-2", base=OTHER, benefit_forms=["cash"])
    assert read_states(pair) == ([], 0, 0)
    explanation = pair.get(PAIR).json()
    assert (explanation["is_stale"], explanation["allowed"]) == (True, ["delete"])
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


def test_a_deleted_explanation_opens_the_overlap_again(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    assert pair.delete(PAIR).status_code == 428
    assert pair.delete(PAIR, headers={"If-Match": '"2"'}).status_code == 412
    assert pair.delete(f"{PAIR}?dry_run=true", headers=ANY).status_code == 204
    assert read_states(pair) == (["explained"], 0, 1)
    assert pair.delete(PAIR, headers=ANY).status_code == 204
    assert read_states(pair) == (["open"], 1, 0)
    assert pair.delete(PAIR, headers=ANY).status_code == 404


@pytest.mark.parametrize("path", ["A-1~A-9", "A-1", "A-1~A-1", "~"])
def test_the_address_of_an_unknown_pair_is_404(pair: TestClient, path: str) -> None:
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
def test_only_the_agencies_of_the_pair_and_their_administrators_explain(
    pair: TestClient, connect: Callable[..., TestClient], role: tuple[str, ...], status: int
) -> None:
    caller = connect(role)
    reply = caller.put(PAIR, json=WHY)
    assert reply.status_code == status, reply.text
    if status == 403:
        pair.put(PAIR, json=WHY)
        assert caller.get(PAIR).json()["allowed"] == []
        assert caller.delete(PAIR, headers=ANY).status_code == 403


def test_the_history_of_the_plan_has_the_explanation(pair: TestClient) -> None:
    pair.put(PAIR, json=WHY)
    (entry,) = pair.get(f"{AT}/history?kind=explanation").json()["items"]
    assert entry["subject"] == f"plans/{PLAN}/overlaps/A-1~A-2/explanation"
    assert entry["changes"]["verdict"] == [None, "complementary"]
