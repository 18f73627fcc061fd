"""Refusals: the pointer, the value, the allowed values and the nearest ones."""

import json
import random
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.http.validation import validate
from app.kit.problems import Invalid
from app.plans.actions.models import ActionIn
from tests.plans.world import ACTION, ANY, AT, HEALTH, PARTNER, SOCIAL, put, refused

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"


def make_output(**fields: Any) -> dict[str, Any]:
    return {"outputs": [{**ACTION["outputs"][0], **fields}]}


def make_recipient(**fields: Any) -> dict[str, Any]:
    return {"recipients": [{**ACTION["recipients"][0], **fields}]}


def make_milestones(*values: float | None) -> dict[str, Any]:
    return {
        "milestones": [{"code": f"M{n}", "title": "t", "weight": weight} for n, weight in enumerate(values)]
    }


@pytest.mark.parametrize(
    ("change", "pointer", "code", "value"),
    [
        (make_recipient(decile_from=3, decile_to=2), "/recipients/0/decile_from", "decile_order", 3),
        (make_recipient(decile_from=0), "/recipients/0/decile_from", "out_of_range", 0),
        (make_recipient(decile_to=11), "/recipients/0/decile_to", "out_of_range", 11),
        ({"first_month": 7, "last_month": 6}, "/first_month", "month_order", 7),
        ({"last_month": 13}, "/last_month", "out_of_range", 13),
        ({"benefit_months": 0}, "/benefit_months", "out_of_range", 0),
        (
            make_output(quarterly_targets=[10, 9, 30, 40]),
            "/outputs/0/quarterly_targets",
            "falling_targets",
            None,
        ),
        (
            make_output(quarterly_targets=[10, 20, 30, 39]),
            "/outputs/0/quarterly_targets",
            "falling_targets",
            None,
        ),
        (
            make_output(quarterly_targets=[10, 20, 40]),
            "/outputs/0/quarterly_targets",
            "falling_targets",
            None,
        ),
        (make_output(target=-1, quarterly_targets=[]), "/outputs/0/target", "out_of_range", -1),
        (make_milestones(50, 49), "/milestones", "milestone_weights", None),
        (make_milestones(100, None), "/milestones", "milestone_weights", None),
        (make_milestones(33.33, 33.33, 33.3), "/milestones", "milestone_weights", None),
        ({"components": ACTION["components"][:1] * 2}, "/components/1", "duplicate_key", "C1"),
        ({"budget_lines": ACTION["budget_lines"] * 2}, "/budget_lines/1", "duplicate_key", "APBD"),
        ({"locations": ACTION["locations"] * 2}, "/locations/1", "duplicate_key", "63.02.01.2001"),
        ({"tags": ["a", "b", "a"]}, "/tags/2", "duplicate_key", "a"),
        ({"supporting_agencies": [HEALTH, HEALTH]}, "/supporting_agencies/1", "duplicate_key", HEALTH),
        ({"allocation": -1}, "/allocation", "out_of_range", -1),
        ({"allocation": 9_007_199_254_740_992}, "/allocation", "out_of_range", 9_007_199_254_740_992),
        ({"allocation": 1.5}, "/allocation", "not_a_number", 1.5),
        ({"allocation": "100"}, "/allocation", "not_a_number", "100"),
        ({"strategy": "raise_incomes"}, "/strategy", "not_allowed", "raise_incomes"),
        ({"subactivity_code": "1.06.04"}, "/subactivity_code", "wrong_pattern", "1.06.04"),
        ({"nomenclature_edition": "\0"}, "/nomenclature_edition", "wrong_pattern", "\0"),
        ({"locations": [{"region_code": "63.021"}]}, "/locations/0/region_code", "wrong_pattern", "63.021"),
        ({"matrix_texts": {"a b": ""}}, "/matrix_texts/a b", "wrong_pattern", "a b"),
        ({"title": " \t "}, "/title", "wrong_length", " \t "),
        ({"note": "a\0b"}, "/note", "control_character", "a\0b"),
        ({"titel": "x"}, "/titel", "unknown_field", "x"),
    ],
)
def test_a_broken_rule_is_refused_with_its_pointer(
    change: dict[str, Any], pointer: str, code: str, value: Any
) -> None:
    with pytest.raises(Invalid) as refusal:
        validate(ActionIn, {**ACTION, **change})
    (error,) = refusal.value.errors
    assert (error.pointer, error.kind.code) == (pointer, code)
    assert value is None or error.value == value


def test_a_refused_request_stores_nothing(secretariat: TestClient) -> None:
    for change, pointer, code in (
        (make_milestones(50, 49), "/milestones", "milestone_weights"),
        ({"nomenclature_edition": "2026"}, "/nomenclature_edition", "unknown_reference"),
        (
            {"nomenclature_edition": "2026", "subactivity_code": "1.06.04.2.01.0001"},
            "/nomenclature_edition",
            "unknown_reference",
        ),
        ({"subactivity": None}, "/subactivity_code", "unnamed_subactivity"),
    ):
        assert refused(secretariat.put(A1, json={**ACTION, **change})) == [(pointer, code)]
    surrogate = json.dumps({**ACTION, "title": "\ud800"})
    reply = secretariat.put(A1, content=surrogate, headers={"Content-Type": "application/json"})
    assert refused(reply, 400) == [("", "malformed_json")]
    assert secretariat.get(A1).status_code == 404
    assert secretariat.get(f"{AT}/actions").json()["items"] == []


def test_a_refusal_lists_the_allowed_and_the_nearest_values(secretariat: TestClient) -> None:
    (error,) = secretariat.put(A1, json={**ACTION, "strategy": "raise_incomes"}).json()["errors"]
    assert error["allowed"] == ["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"]
    assert error["nearest"][0] == "raise_income"


@pytest.mark.parametrize(
    "values", [(33.33, 33.33, 33.33), (14.29,) * 7, (100, 0), (0.1,) * 10 + (99,), (None, None)]
)
def test_weights_may_miss_100_by_a_rounding_error(values: tuple[float | None, ...]) -> None:
    content = validate(ActionIn, {**ACTION, **make_milestones(*values)})
    assert [milestone.weight for milestone in content.milestones] == list(values)


def test_one_reply_lists_all_unknown_references_with_the_nearest(secretariat: TestClient) -> None:
    reply = secretariat.put(
        A1,
        json={
            **ACTION,
            "lead_agency": "1.06.0.00.0.00.08.0001",
            "supporting_agencies": [HEALTH, "BASNAS"],
            "subactivity_code": "1.06.04.2.01.9999",
            "budget_lines": [{"funding_source": "APBD"}, {"funding_source": "APBM"}],
            "locations": [{"region_code": "63.03"}, {"region_code": "63.02.01.2999"}, {"region_code": "0"}],
        },
    )
    errors = {error["pointer"]: error for error in reply.json()["errors"]}
    assert {pointer: error["code"] for pointer, error in errors.items()} == {
        "/lead_agency": "unknown_reference",
        "/supporting_agencies/1": "unknown_reference",
        "/budget_lines/1/funding_source": "unknown_reference",
        "/locations/0/region_code": "outside_region",
        "/locations/1/region_code": "unknown_reference",
        "/locations/2/region_code": "outside_region",
        "/subactivity_code": "unknown_reference",
    }
    nearest = {pointer: error.get("nearest") or [] for pointer, error in errors.items()}
    assert f"{SOCIAL} Dinas Sosial" in nearest["/lead_agency"]
    assert "BAZNAS Baznas" in nearest["/supporting_agencies/1"]
    assert any(near.split()[0] in ("APBD", "APBN") for near in nearest["/budget_lines/1/funding_source"])
    assert nearest["/subactivity_code"][0] == "1.06.04.2.01.0001 Penyediaan Permakanan"
    assert all(near.startswith("63.02.01.") for near in nearest["/locations/1/region_code"])
    assert errors["/locations/0/region_code"]["allowed"] == "63.02.…"


def test_a_retired_agency_names_its_successor_and_is_no_candidate(secretariat: TestClient) -> None:
    path = "/v1/regions/63.02/agencies"
    assert secretariat.post(f"{path}/{PARTNER}/merge", json={"into": HEALTH}, headers=ANY).status_code == 200
    assert secretariat.post(f"{path}/{SOCIAL}/retire", headers=ANY).status_code == 200
    reply = secretariat.put(A1, json={**ACTION, "supporting_agencies": [PARTNER, "BASNAS"]})
    lead, support, unknown = reply.json()["errors"]
    assert (lead["pointer"], lead["code"], lead.get("nearest")) == ("/lead_agency", "retired_agency", None)
    assert (support["pointer"], support["nearest"]) == ("/supporting_agencies/0", [HEALTH])
    assert not [near for near in unknown.get("nearest") or [] if near.startswith((PARTNER, SOCIAL))]


def test_amounts_are_read_back_to_the_last_digit(secretariat: TestClient) -> None:
    # With a lost digit the second PUT would count as a change.
    draw = random.Random(2026)
    targets = [round(draw.random() * 10 ** draw.randint(0, 11), draw.randint(0, 4)) for _ in range(49)] + [
        99_999_999_999.1234
    ]
    outputs = [
        {"code": f"O{n}", "indicator": "i", "unit": "u", "target": target} for n, target in enumerate(targets)
    ]
    shares = [draw.randint(0, 400) / 100 for _ in range(25)]
    milestones = make_milestones(*shares, round(100 - sum(shares), 2))
    first = put(secretariat, "A-1", outputs=outputs, **milestones)
    assert [output["target"] for output in first["outputs"]] == targets
    assert put(secretariat, "A-1", outputs=outputs, **milestones)["version"] == 1
