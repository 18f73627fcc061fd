"""An action: all fields of the domain's section 3 survive writing, reading and changing it."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.openapi.schemas import find_release
from app.plans.actions.models import ActionIn
from tests.database import OneTransaction
from tests.plans.world import (
    ACTION,
    ANY,
    AT,
    HEALTH,
    LEAN,
    PARTNER,
    PLAN,
    SOCIAL,
    WORKS,
    put,
    read_rows,
    refused,
    report,
)

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"
WHOLE: dict[str, Any] = {
    "title": "Permakanan “lansia” \\ 100% a_b 'x' 🍚\nbaris dua",
    "strategy": "reduce_poverty_pockets",
    "lead_agency": SOCIAL,
    "supporting_agencies": [PARTNER, HEALTH, WORKS],
    "nomenclature_edition": "2027",
    "subactivity_code": "1.06.04.2.01.0001",
    "subactivity": "Nama sendiri",
    "activity": "Kegiatan sendiri",
    "program": "Program sendiri",
    "allocation": 9_007_199_254_740_991,
    "components": [
        {"code": "C.2", "component_class": "indirect", "description": "", "amount": 0, "is_travel": True},
        {
            "code": "C-1",
            "component_class": "direct",
            "description": 'Paket\t"isi"',
            "amount": None,
            "is_travel": False,
        },
    ],
    "budget_lines": [
        {"funding_source": "DAU", "amount": 9_007_199_254_740_990, "stage": "kua_ppas"},
        {"funding_source": "APBD", "amount": 1, "stage": None},
    ],
    "outputs": [
        {
            "code": "O2",
            "indicator": "i",
            "unit": "%",
            "baseline": 0.1,
            "target": 0.3,
            "quarterly_targets": [0, 0.1, 0.2, 0.3],
        },
        {
            "code": "O1",
            "indicator": "j",
            "unit": "km",
            "baseline": None,
            "target": 33333.3333,
            "quarterly_targets": [],
        },
    ],
    "recipients": [
        {
            "code": "R1",
            "kind": "families",
            "unit": "KK",
            "count": 1_000_000_000,
            "decile_from": 1,
            "decile_to": 10,
            "vulnerable_groups": ["nelayan", "petani"],
            "source": "DTSEN",
            "source_period": "2025-S2",
        },
        {
            "code": "R2",
            "kind": "units",
            "unit": None,
            "count": None,
            "decile_from": None,
            "decile_to": None,
            "vulnerable_groups": [],
            "source": None,
            "source_period": None,
        },
    ],
    "benefit_regularity": "incidental",
    "benefit_forms": ["goods", "cash"],
    "benefit_amount": 500_000,
    "benefit_description": "Paket",
    "benefit_months": 12,
    "matrix_texts": {"location": "Seluruh kecamatan", "recipients": ""},
    "locations": [
        {"region_code": "63.02.05.2001", "recipients": 5, "amount": 7},
        {"region_code": "63.02", "recipients": None, "amount": None},
    ],
    "first_month": 12,
    "last_month": 12,
    "milestones": [
        {"code": "M2", "title": "x", "due": "2026-12-31", "weight": 66.67, "evidence_required": True},
        {"code": "M1", "title": "y", "due": None, "weight": 33.33, "evidence_required": False},
    ],
    "tags": ["lansia", "Ümlaut & 'petik'"],
    "source_stage": "apbd",
    "source_key": "RKA-7",
    "note": "Catatan",
}
BARE = {"title": "t", "strategy": "raise_income", "lead_agency": SOCIAL, "subactivity": "s", "allocation": 0}
BARE_AS_READ: dict[str, Any] = {
    **BARE,
    "supporting_agencies": [],
    "nomenclature_edition": None,
    "subactivity_code": None,
    "activity": None,
    "program": None,
    "components": [],
    "budget_lines": [],
    "outputs": [],
    "recipients": [],
    "benefit_regularity": None,
    "benefit_forms": [],
    "benefit_amount": None,
    "benefit_description": "",
    "benefit_months": None,
    "matrix_texts": {},
    "locations": [],
    "first_month": None,
    "last_month": None,
    "milestones": [],
    "tags": [],
    "source_stage": None,
    "source_key": None,
    "note": "",
}


def pick_content(reply: Any) -> dict[str, Any]:
    return {name: reply[name] for name in BARE_AS_READ}


def read_journal(database: OneTransaction) -> list[tuple[str, int, Any]]:
    table = get_table(JournalRow)
    query = sa.select(table.c.kind, table.c.version, table.c.changes).where(table.c.subject == A1[4:])
    return [tuple(row) for row in read_rows(database, query.order_by(table.c.sequence))]


@pytest.mark.parametrize(("body", "expected"), [(WHOLE, WHOLE), (BARE, BARE_AS_READ)], ids=["whole", "bare"])
def test_a_put_action_is_read_back_unchanged(
    secretariat: TestClient, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    reply = secretariat.put(A1, json=body)
    assert (reply.status_code, reply.headers["Location"]) == (201, A1)
    assert pick_content(reply.json()) == expected
    assert secretariat.get(A1).json() == reply.json()
    (row,) = secretariat.get(f"{AT}/actions").json()["items"]
    assert {name: reply.json()[name] for name in row} == row
    # Sending back the content of a reply changes nothing.
    repeated = secretariat.put(
        A1, json=pick_content(reply.json()), headers={"If-Match": reply.headers["ETag"]}
    )
    assert (repeated.status_code, repeated.json()["version"]) == (200, 1)


def test_the_example_has_all_fields_of_the_first_release() -> None:
    """Fields of later releases need no value in the example."""
    of_first = {name for name, field in ActionIn.model_fields.items() if not find_release(field)}
    assert set(WHOLE) == set(BARE_AS_READ) == of_first


def test_an_unchanged_write_bumps_no_version_and_leaves_no_journal_row(
    secretariat: TestClient, database: OneTransaction
) -> None:
    first = put(secretariat, "A-1", base=WHOLE)
    assert put(secretariat, "A-1", base=WHOLE)["updated_at"] == first["updated_at"]
    assert (
        secretariat.patch(A1, json={"note": "Catatan", "tags": WHOLE["tags"]}, headers=ANY).json()["version"]
        == 1
    )
    changed = put(secretariat, "A-1", base=WHOLE, note="anders")
    assert (changed["version"], changed["updated_at"] > first["updated_at"]) == (2, True)
    kinds = read_journal(database)
    assert [(kind, version) for kind, version, _ in kinds] == [("action.created", 1), ("action.changed", 2)]
    assert kinds[1][2] == {"note": ["Catatan", "anders"]}


def test_fields_can_be_emptied_and_filled_again(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=WHOLE)
    assert pick_content(put(secretariat, "A-1", base=BARE)) == BARE_AS_READ
    assert pick_content(put(secretariat, "A-1", base=WHOLE)) == WHOLE


def test_a_patch_changes_only_the_fields_that_it_names(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=WHOLE)
    for patch in (
        {"title": "baru"},
        {"matrix_texts": {"duration": "12 bulan"}},
        {"benefit_amount": None},
        {"tags": []},
        {"outputs": WHOLE["outputs"][:1]},
        {"supporting_agencies": [HEALTH]},
    ):
        before = pick_content(secretariat.get(A1).json())
        after = secretariat.patch(A1, json=patch, headers=ANY)
        assert after.status_code == 200, after.text
        expected = {**before, **patch}
        if "matrix_texts" in patch:  # a patch merges objects
            expected["matrix_texts"] = {**before["matrix_texts"], "duration": "12 bulan"}
        assert pick_content(after.json()) == expected


def test_budget_lines_that_miss_the_allocation_are_stored_with_a_finding(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    lines = [{"funding_source": "APBD", "amount": 240_000_000}]
    action = secretariat.patch(A1, json={"budget_lines": lines}, headers=ANY).json()
    assert action["allocation"] == ACTION["allocation"]
    assert [(f["code"], f["pointer"]) for f in action["findings"]] == [
        ("E01", "/budget_lines"),
        ("E02", "/subactivity_code"),
    ]


def test_the_code_fills_and_changes_the_names(secretariat: TestClient) -> None:
    code = {"subactivity_code": "1.06.04.2.01.0001", "subactivity": None}
    action = put(secretariat, "A-1", **code)
    assert (action["subactivity"], action["nomenclature_edition"]) == ("Penyediaan Permakanan", "2027")
    assert action["activity"].startswith("Rehabilitasi Sosial Dasar")
    assert action["program"] == "PROGRAM REHABILITASI SOSIAL"
    assert not [f for f in action["findings"] if f["code"] == "E02"]
    assert put(secretariat, "A-1", **{**code, "subactivity": "Nama kami"})["subactivity"] == "Nama kami"
    other = secretariat.patch(A1, json={"subactivity_code": "1.06.04.2.01.0002"}, headers=ANY).json()
    assert other["subactivity_code"] == "1.06.04.2.01.0002"
    assert other["subactivity"] not in ("Nama kami", "Penyediaan Permakanan")
    named = secretariat.patch(
        A1, json={"subactivity_code": "1.06.04.2.01.0001", "subactivity": "Milik kami"}, headers=ANY
    )
    assert named.json()["subactivity"] == "Milik kami"
    # A line without a code keeps its name.
    free = secretariat.patch(A1, json={"subactivity_code": None}, headers=ANY).json()
    assert (free["subactivity_code"], free["subactivity"]) == (None, "Milik kami")


def test_preconditions_compare_the_version(secretariat: TestClient) -> None:
    first = secretariat.put(A1, json=ACTION)
    changed = {**ACTION, "note": "x"}
    assert secretariat.put(A1, json=changed).status_code == 428
    assert secretariat.put(A1, json=changed, headers={"If-None-Match": "*"}).status_code == 412
    assert secretariat.put(A1, json=changed, headers={"If-Match": first.headers["ETag"]}).status_code == 200
    assert secretariat.put(A1, json=ACTION, headers={"If-Match": first.headers["ETag"]}).status_code == 412
    assert secretariat.patch(A1, json={"note": "y"}, headers={"If-Match": '"1"'}).status_code == 412
    assert secretariat.put(f"{AT}/actions/A-2", json=ACTION, headers={"If-Match": '"1"'}).status_code == 412
    # A report changes the reply but does not make an edit stale.
    tag = secretariat.get(A1).headers["ETag"]
    report(secretariat, "A-1", 1, spent=1)
    assert secretariat.get(A1, headers={"If-None-Match": tag}).status_code == 200
    assert secretariat.patch(A1, json={"note": "y"}, headers={"If-Match": tag}).json()["version"] == 3


def test_reported_values_survive_a_put_that_keeps_their_parts(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    items = {
        "spending": [{"funding_source": "APBD", "amount": 5}],
        "outputs": [{"code": "O1", "achieved": 2}],
        "recipients": [{"code": "R1", "reached": 3}],
        "milestones": [{"code": "M1", "state": "done", "done_on": None}],
    }
    report(secretariat, "A-1", 1, **items)
    rewritten = {
        **ACTION,
        "budget_lines": [{"funding_source": "DAU", "amount": 1}, {**ACTION["budget_lines"][0], "amount": 7}],
        "outputs": [
            {"code": "O0", "indicator": "a", "unit": "b", "target": 1},
            {**ACTION["outputs"][0], "indicator": "lain"},
        ],
        "recipients": [{**ACTION["recipients"][0], "count": 1}],
        "milestones": [{**m, "title": "lain"} for m in reversed(ACTION["milestones"])],
    }
    assert secretariat.put(A1, json=rewritten, headers=ANY).status_code == 200
    progress = secretariat.get(f"{A1}/progress/2026-Q1").json()
    assert {name: progress[name] for name in items} == items


@pytest.mark.parametrize(
    ("part", "items", "key"),
    [
        ("budget_lines", [{"funding_source": "DAU", "amount": 1}], "APBD"),
        ("outputs", [], "O1"),
        ("recipients", [], "R1"),
        ("milestones", [{"code": "M2", "title": "x", "weight": 100}], "M1"),
    ],
)
def test_a_reported_part_cannot_be_removed(
    secretariat: TestClient, part: str, items: list[Any], key: str
) -> None:
    put(secretariat, "A-1")
    report(
        secretariat,
        "A-1",
        1,
        spent=5,
        outputs=[{"code": "O1", "achieved": 2}],
        recipients=[{"code": "R1", "reached": 3}],
        milestones=[{"code": "M1", "state": "pending"}],
    )
    for reply in (
        secretariat.put(A1, json={**ACTION, part: items}, headers=ANY),
        secretariat.patch(A1, json={part: items}, headers=ANY),
    ):
        assert reply.json()["code"] == "part_in_use"
        assert refused(reply, 409) == [(f"/{part}", "reported_part")]
        assert reply.json()["errors"][0]["value"] == key
    assert secretariat.get(A1).json()["version"] == 1
    assert secretariat.delete(f"{A1}/progress/2026-Q1", headers=ANY).status_code == 204
    assert secretariat.put(A1, json={**ACTION, part: items}, headers=ANY).status_code == 200


def test_an_action_with_reports_cannot_be_deleted(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=WHOLE)
    report(secretariat, "A-1", 1, spent=1)
    reply = secretariat.delete(A1, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "part_in_use")
    assert [(error["code"], error["value"]) for error in reply.json()["errors"]] == [
        ("reported_line", "2026-Q1")
    ]
    assert secretariat.delete(f"{A1}/progress/2026-Q1", headers=ANY).status_code == 204
    assert secretariat.delete(A1, headers={"If-Match": '"9"'}).status_code == 412
    assert secretariat.delete(A1, headers=ANY).status_code == 204
    assert secretariat.get(A1).status_code == secretariat.delete(A1, headers=ANY).status_code == 404
    assert secretariat.patch(A1, json={}, headers=ANY).status_code == 404
    assert put(secretariat, "A-1", base=WHOLE)["version"] == 3, "versions continue after the deletion"


def test_lists_and_texts_are_taken_up_to_their_limits(
    secretariat: TestClient, database: OneTransaction
) -> None:
    regions = get_region_table()
    villages = [f"63.02.05.{n}" for n in range(5000, 5500)]
    with database.writing() as session:
        session.execute(sa.insert(regions), [make_village(code) for code in villages])
    largest = {
        **LEAN,
        "title": "ü" * 500,
        "subactivity": "x" * 500,
        "activity": "y" * 500,
        "program": "z" * 500,
        "note": "é" * 10_000,
        "benefit_description": "b" * 10_000,
        "source_stage": "s" * 500,
        "source_key": "k" * 500,
        "tags": [f"{n}".rjust(60, "t") for n in range(30)],
        "locations": [{"region_code": code} for code in villages],
        "components": [
            {"code": str(n).rjust(40, "c"), "component_class": "direct", "description": "d" * 10_000}
            for n in range(3)
        ],
        "outputs": [{"code": "o" * 40, "indicator": "i" * 500, "unit": "u" * 500, "target": 1}],
        "recipients": [
            {
                "code": "r" * 40,
                "kind": "groups",
                "unit": "u" * 500,
                "source": "s" * 500,
                "vulnerable_groups": ["v" * 60] * 20,
            }
        ],
        "milestones": [{"code": "m" * 40, "title": "t" * 500}],
        "matrix_texts": {"k" * 40: "v" * 10_000},
    }
    key = "A" * 40
    action = put(secretariat, key, base=largest)
    assert {name: action[name] for name in ("title", "tags", "note", "matrix_texts")} == {
        name: largest[name] for name in ("title", "tags", "note", "matrix_texts")
    }
    assert [location["region_code"] for location in action["locations"]] == villages
    assert secretariat.put(f"{AT}/actions/{key}A", json=LEAN).status_code == 422
    assert refused(secretariat.put(A1, json={**LEAN, "title": "ü" * 501})) == [("/title", "wrong_length")]
    # Normalising turns this character into two: the limit applies to the stored text.
    assert refused(secretariat.put(A1, json={**LEAN, "title": "\u0958" * 300})) == [
        ("/title", "wrong_length")
    ]
    too_many = {**LEAN, "locations": [*largest["locations"], {"region_code": "63.02"}]}
    assert refused(secretariat.put(A1, json=too_many)) == [("/locations", "wrong_length")]


def get_region_table() -> sa.Table:
    from app.reference.models import RegionRow

    return get_table(RegionRow)


def make_village(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "name": code,
        "level": "village",
        "parent_code": "63.02.05",
        "timezone": "WITA",
        "retired": False,
        "folded": code,
    }


def test_plans_may_use_the_same_action_code(secretariat: TestClient) -> None:
    secretariat.put("/v1/plans/63.02-2027", json={"title": "x"})
    put(secretariat, "A-1")
    other = put(secretariat, "A-1", plan="63.02-2027", note="lain")
    assert (other["plan"], secretariat.get(A1).json()["plan"], secretariat.get(A1).json()["note"]) == (
        "63.02-2027",
        PLAN,
        "",
    )
