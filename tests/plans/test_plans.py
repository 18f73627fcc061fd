"""A plan: one region, one year, its priority locations. Writing, patching, listing and deleting it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.plans.world import ANY, AT, PLAN, put, put_plan, refused, report, walk

pytestmark = pytest.mark.one_engine

VILLAGE = "63.02.05.2001"
WHOLE: dict[str, Any] = {
    "title": "RAT Kotabaru",
    "medium_term_plan": "RPKD 2025–2029",
    "nomenclature_edition": "2027",
    "note": "Catatan",
    "priority_locations": [
        {"region_code": VILLAGE, "target_families": 140, "source": "DTSEN", "source_period": "2025-Q4"},
        {"region_code": "63.02.01.2001", "target_families": None, "source": None, "source_period": None},
    ],
}


def test_a_put_plan_is_read_back_unchanged(secretariat: TestClient) -> None:
    reply = secretariat.put("/v1/plans/63.02-2027", json=WHOLE)
    assert reply.status_code == 201
    assert reply.headers["Location"] == "/v1/plans/63.02-2027"
    plan = secretariat.get("/v1/plans/63.02-2027").json()
    assert {name: plan[name] for name in WHOLE} == WHOLE
    assert (plan["plan"], plan["region_code"], plan["year"]) == ("63.02-2027", "63.02", 2027)
    assert (plan["region_name"], plan["state"], plan["version"]) == ("Kabupaten Kotabaru", "draft", 1)
    assert (plan["action_count"], plan["allocation"]) == (0, 0)


def test_a_plan_without_an_edition_gets_the_newest(secretariat: TestClient) -> None:
    assert secretariat.get(AT).json()["nomenclature_edition"] == "2027"


@pytest.mark.parametrize(
    "key", ["63.02.01-2026", "63.02.05.2001-2026", "0-2026", "63.02-2014", "63.02-26", "2026"]
)
def test_a_malformed_key_is_refused_with_an_example(secretariat: TestClient, key: str) -> None:
    reply = secretariat.put(f"/v1/plans/{key}", json=WHOLE)
    assert reply.status_code == 422
    (error,) = reply.json()["errors"]
    assert (error["parameter"], error["code"], error["value"]) == ("plan", "malformed_plan_key", key)
    assert "73.22-2026" in error["allowed"]
    assert secretariat.get(f"/v1/plans/{key}").status_code == 404


def test_a_plan_needs_an_existing_region(connect: Callable[..., TestClient]) -> None:
    national = connect(("administrator", "0"))
    assert national.put("/v1/plans/99.01-2026", json=WHOLE).status_code == 404
    assert national.put("/v1/plans/63-2026", json={"title": "RAT Kalimantan Selatan"}).status_code == 201


def test_only_the_secretariat_and_administrators_above_write_a_plan(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    for role, region, status in (
        ("operator", "63.02", 403),
        ("reader", "63", 403),
        ("reviewer", "63", 403),
        ("chair", "63.02", 403),
        ("secretariat", "63.03", 404),
        ("secretariat", "63", 404),
        ("administrator", "73", 404),
        ("administrator", "63", 201),
        ("administrator", "0", 200),
    ):
        caller = connect((role, region))
        assert (
            caller.put("/v1/plans/63.02-2030", json=WHOLE, headers=ANY if status == 200 else {}).status_code
            == status
        )


def test_priority_locations_lie_in_the_region_exist_and_occur_once(secretariat: TestClient) -> None:
    def send(*codes: str) -> Any:
        return secretariat.put(
            AT, json={"title": "x", "priority_locations": [{"region_code": c} for c in codes]}, headers=ANY
        )

    reply = send("63.03", VILLAGE, "63.02.05.2999")
    assert refused(reply) == [
        ("/priority_locations/0/region_code", "outside_region"),
        ("/priority_locations/2/region_code", "unknown_reference"),
    ]
    outside, unknown = reply.json()["errors"]
    assert (outside["value"], outside["allowed"]) == ("63.03", "63.02.…")
    assert any(near.startswith("63.02.05.") for near in unknown["nearest"])
    assert refused(send(VILLAGE, VILLAGE)) == [("/priority_locations/1", "duplicate_key")]
    assert refused(send("63.021")) == [("/priority_locations/0/region_code", "wrong_pattern")]
    assert secretariat.get(AT).json()["version"] == 1


def test_an_edition_must_be_loaded(secretariat: TestClient) -> None:
    reply = secretariat.put(AT, json={"title": "x", "nomenclature_edition": "2026"}, headers=ANY)
    assert refused(reply) == [("/nomenclature_edition", "unknown_reference")]
    (error,) = reply.json()["errors"]
    assert (error["value"], error["allowed"], error["nearest"]) == ("2026", ["2027"], ["2027"])


def test_a_patch_changes_what_it_names_and_nothing_else(secretariat: TestClient) -> None:
    secretariat.put(AT, json=WHOLE, headers=ANY)
    reply = secretariat.patch(
        AT, json={"note": "lain", "medium_term_plan": None}, headers={"If-Match": '"2"'}
    )
    assert reply.status_code == 200
    assert {n: reply.json()[n] for n in WHOLE} == {**WHOLE, "note": "lain", "medium_term_plan": None}
    assert reply.json()["version"] == 3
    assert secretariat.patch(AT, json={"note": "lain"}, headers=ANY).json()["version"] == 3
    assert secretariat.patch(AT, json={"title": None}, headers=ANY).status_code == 422
    reply = secretariat.patch(AT, json={"priority_locations": []}, headers=ANY)
    assert reply.json()["priority_locations"] == []


def test_reordered_locations_are_a_change(secretariat: TestClient) -> None:
    turned = {**WHOLE, "priority_locations": WHOLE["priority_locations"][::-1]}
    assert secretariat.put(AT, json=WHOLE, headers=ANY).json()["version"] == 2
    assert secretariat.put(AT, json=turned, headers=ANY).json()["version"] == 3
    assert secretariat.get(AT).json()["priority_locations"] == turned["priority_locations"]


def test_deleting_needs_an_empty_plan_and_the_current_tag(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    assert secretariat.delete(AT).status_code == 428
    reply = secretariat.delete(AT, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "plan_in_use")
    assert secretariat.delete(f"{AT}/actions/A-1", headers=ANY).status_code == 204
    tag = secretariat.get(AT).headers["ETag"]
    secretariat.patch(AT, json={"note": "y", "priority_locations": [{"region_code": VILLAGE}]}, headers=ANY)
    assert secretariat.delete(AT, headers={"If-Match": tag}).status_code == 412
    assert (
        secretariat.delete(AT, headers={"If-Match": secretariat.get(AT).headers["ETag"]}).status_code == 204
    )
    assert secretariat.get(AT).status_code == 404
    assert secretariat.put(AT, json=WHOLE).status_code == 201


def test_allowed_lists_the_operations_of_the_caller(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    everything = ["edit", "delete", "write_actions", "report_progress", "import_matrix"]
    assert secretariat.get(AT).json()["allowed"] == everything
    assert connect(("operator", "63.02", "X")).get(AT).json()["allowed"] == [
        "write_actions",
        "report_progress",
    ]
    assert connect(("reviewer", "63")).get(AT).json()["allowed"] == []
    put(secretariat, "A-1")
    assert secretariat.get(AT).json()["allowed"] == [verb for verb in everything if verb != "delete"]
    assert secretariat.get(f"{AT}/actions/A-1").json()["allowed"] == ["edit", "delete", "report_progress"]
    report(secretariat, "A-1", 1, spent=1)
    assert secretariat.get(f"{AT}/actions/A-1").json()["allowed"] == ["edit", "report_progress"]


def test_lists_filter_sort_and_page_the_plans_visible_to_the_caller(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    national = connect(("administrator", "0"))
    for key in ("63.02-2025", "63.03-2026", "63-2026", "73.22-2026", "18.02-2027"):
        put_plan(national, key)
    keys = ["18.02-2027", "63-2026", "63.02-2025", PLAN, "63.03-2026", "73.22-2026"]

    def list_keys(query: str, caller: TestClient = national) -> list[str]:
        return [plan["plan"] for plan in walk(caller, f"/v1/plans?{query}")]

    assert list_keys("") == keys
    assert list_keys("limit=1&sort=-plan") == keys[::-1]
    assert list_keys("limit=2&sort=-year") == [
        "18.02-2027",
        "73.22-2026",
        "63.03-2026",
        PLAN,
        "63-2026",
        "63.02-2025",
    ]
    assert list_keys("limit=1&sort=region_code") == keys
    assert list_keys("region=63") == keys[1:5]
    assert list_keys("region=63.02&year=2026") == [PLAN]
    assert list_keys("region=0&year=2027") == ["18.02-2027"]
    assert list_keys("state=draft&limit=4") == keys
    assert list_keys("", connect(("reviewer", "63"))) == keys[1:5]
    assert list_keys("region=73", connect(("reviewer", "63"))) == []
    assert list_keys("", secretariat) == ["63.02-2025", PLAN]


def test_money_and_lines_of_a_plan_are_counted(secretariat: TestClient) -> None:
    put(secretariat, "A-1", allocation=9_007_199_254_740_991)
    put(secretariat, "A-2", allocation=1)
    plans_by_key = secretariat.get(AT).json()
    assert (plans_by_key["action_count"], plans_by_key["allocation"]) == (2, 9_007_199_254_740_992)
    list_keys = secretariat.get("/v1/plans?limit=1").json()["items"][0]
    assert list_keys["allocation"] == plans_by_key["allocation"]
