"""The explained scorecard of a regency, computed by hand and recomputed from its published inputs."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.plans.actions.queries import actions
from tests.coverage.world import put as put_coverage
from tests.plans.world import report
from tests.scorecards.conftest import World
from tests.scorecards.world import AT, FIRST, PERIOD, SECOND, adopt, get_json, get_values

pytestmark = pytest.mark.both_engines


def test_the_components_equal_those_computed_by_hand(world: World) -> None:
    card = get_json(world.secretariat)
    inputs = card["inputs"]
    # Served 90 + 10 + 40 + 12 of 100 + 50 + 40 + 20.
    assert get_values(card)["coverage"] == 72.38
    assert (card["balance_percent"], card["lowest_strategy"]) == (31.43, "raise_income")
    # A-1 is in the first locus with 400, A-2 with 100 stated and 100 of what it splits, A-3 with half of 200.
    assert (inputs["budget_at_villages"], inputs["budget_in_loci"]) == (800, 700)
    # The first locus has lines of all strategies; it reports 140 families, the second is planned with 50.
    assert (inputs["loci"], inputs["families_in_loci"], inputs["families_in_funded_loci"]) == (2, 190, 140)
    assert (card["targeting_budget_percent"], card["targeting_families_percent"]) == (87.5, 73.68)
    assert get_values(card)["targeting"] == 80.59
    # A-1 has one class, so its 200 are direct; of A-3's 50 indirect 40 of 100 are travel.
    spent = [inputs[f"spent_{name}"] for name in ("direct", "indirect", "supporting")]
    assert (spent, card["spent_travel"], card["spent_unclassified"]) == ([350, 30, 50], 20, 0)
    assert (card["spending_figure_percent"], get_values(card)["spending"]) == (19.4, 100)
    # (4.56 − 4.03) / (4.56 − 3.50)
    assert get_values(card)["outcome"] == 50
    assert (card["reach_percent"], card["is_rankable"]) == (80, True)
    assert (card["frozen"], card["method"], card["level"]) == (False, "1", "regency")


def round_half_up(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def recompute(card: dict[str, Any], method: dict[str, Any]) -> tuple[dict[str, Decimal | None], Decimal]:
    """Compute components and index from the published inputs, with decimals instead of integers."""

    def to_decimal(value: Any) -> Decimal:
        return Decimal(str(value))

    inputs = card["inputs"]
    components: dict[str, Decimal | None] = {}
    components["process"] = (
        None if inputs["process_percent"] is None else to_decimal(inputs["process_percent"])
    )
    eligible = sum(entry["eligible"] for entry in inputs["services"])
    served = sum(entry["served"] for entry in inputs["services"])
    components["coverage"] = (
        round_half_up(to_decimal(served) / to_decimal(eligible) * 100) if eligible else None
    )
    halves = [
        round_half_up(to_decimal(inputs[part]) / to_decimal(inputs[total]) * 100)
        for part, total in (
            ("budget_in_loci", "budget_at_villages"),
            ("families_in_funded_loci", "families_in_loci"),
        )
        if inputs[total]
    ]
    components["targeting"] = round_half_up(sum(halves, to_decimal(0)) / len(halves)) if halves else None
    figure = round_half_up(
        sum(
            to_decimal(method[f"share_{entry}"]) * to_decimal(inputs[f"spent_{entry}"])
            for entry in ("direct", "indirect", "supporting")
        )
        / to_decimal(inputs["budget"])
        * 100
    )
    components["spending"] = round_half_up(figure / to_decimal(inputs["highest_spending_percent"]) * 100)
    achievements = []
    for entry in inputs["indicators"]:
        way = (to_decimal(entry["baseline"]) - to_decimal(entry["actual"])) / (
            to_decimal(entry["baseline"]) - to_decimal(entry["target"])
        )
        achievements.append(round_half_up(min(max(way, to_decimal(0)), to_decimal(1)) * 100))
    components["outcome"] = (
        round_half_up(sum(achievements, to_decimal(0)) / len(achievements)) if achievements else None
    )
    defined = {name: value for name, value in components.items() if value is not None}
    weights = {name: to_decimal(method[f"weight_{name}"]) for name in defined}
    return components, round_half_up(
        sum(weights[name] * defined[name] for name in defined) / sum(weights.values())
    )


def test_recomputing_from_the_published_inputs_gives_the_same_index(world: World) -> None:
    put_coverage(world.secretariat, SECOND, {"livelihood": (7, 3)}, families=33, complete_families=None)
    report(world.secretariat, "A-4", 2, spent=77)
    card = get_json(world.secretariat)
    method = get_json(world.secretariat, f"/v1/methods/{card['method']}")
    components, index = recompute(card, method)
    assert {
        name: None if value is None else float(value) for name, value in components.items()
    } == get_values(card)
    assert float(index) == card["index_percent"]
    points = [entry["contribution"] for entry in card["components"] if entry["contribution"] is not None]
    assert abs(sum(points) - card["index_percent"]) < 0.03


def test_a_what_if_of_the_highest_gain_gives_the_promised_index(world: World) -> None:
    card = get_json(world.secretariat)
    first = card["raise_most"][0]
    trial = world.secretariat.post(
        f"/v1/scorecards/63.02/what-if?period={PERIOD}", json=first["changes"]
    ).json()
    assert trial["difference"] == first["gain"] == max(entry["gain"] for entry in card["raise_most"])
    assert trial["then"]["index_percent"] == first["index_percent"]
    assert trial["now"]["index_percent"] == card["index_percent"]
    assert {entry["of"] for entry in card["raise_most"]} >= {"livelihood", "p0", "families_in_funded_loci"}


def test_a_card_compares_itself_with_the_previous_quarter(world: World) -> None:
    before, current = get_json(world.secretariat, AT.replace("Q2", "Q1")), get_json(world.secretariat)
    change = current["change"]
    assert (change["period"], change["index_before"]) == ("2026-Q1", before["index_percent"])
    assert change["difference"] == round(current["index_percent"] - before["index_percent"], 2)
    changes = {entry["component"]: (entry["before"], entry["difference"]) for entry in change["components"]}
    assert changes["targeting"] == (81.25, -0.66)
    assert changes["coverage"] == (None, None)


def test_money_per_poor_person_family_and_class(world: World) -> None:
    with world.database.writing() as session:
        session.execute(sa.update(actions).where(actions.c.code == "A-1").values(allocation=400_000_000))
    money = get_json(world.secretariat)["money"]
    # 4.03 % of 332,787 persons; the budget is 400,000,600 rupiah.
    assert (money["p0_percent"], money["p0_period"], money["poor"]) == (4.03, "2025-S1", 13411)
    assert (money["budget"], money["per_poor"]) == (400_000_600, 29826)
    # Only A-2 has families as recipients: 300 rupiah for 60.
    assert (money["families"], money["per_family"], money["per_person"]) == (60, 5, None)
    # Money outside the components has no class.
    planned = {entry["component_class"]: entry["planned"] for entry in money["by_class"]}
    assert planned == {"direct": 800, "indirect": 100, "supporting": 100, None: 399_999_600}


def test_the_fiscal_incentive_has_its_figure_and_parts(world: World) -> None:
    incentive = get_json(world.secretariat)["money"]["incentive"]
    assert [incentive[f"{entry}_percent"] for entry in ("direct", "indirect", "supporting")] == [35, 3, 5]
    assert [incentive[f"share_{entry}"] for entry in ("direct", "indirect", "supporting")] == [0.5, 0.3, 0.2]
    assert (incentive["figure_percent"], incentive["standardised_percent"], incentive["travel"]) == (
        19.4,
        100,
        20,
    )


def test_spending_without_a_class_is_shown_apart(world: World) -> None:
    report(world.secretariat, "A-2", 2, spent=170)
    card = get_json(world.secretariat)
    assert (card["spent_unclassified"], card["inputs"]["spent_direct"]) == (170, 230)
    assert card["inputs"]["spent"] == 450


def test_a_region_without_data_has_only_the_process_component(world: World) -> None:
    card = get_json(world.nation, "/v1/scorecards/63.03?period=2026-Q2")
    # Steps are due even without a plan, so the process is the index.
    assert (card["index_percent"], card["complete"]) == (get_values(card)["process"], False)
    assert {entry["of"]: entry["reason"] for entry in card["missing"] if entry["of"] != "process"} == {
        "coverage": "nobody_eligible",
        "targeting": "no_plan",
        "spending": "no_plan",
        "outcome": "no_targets",
    }
    assert (card["money"], card["reach_percent"]) == (None, None)


def test_a_plan_without_loci_or_budget_has_undefined_components(world: World) -> None:
    path = "/v1/plans/63.03-2026"
    assert world.nation.put(path, json={"title": "RAT"}).status_code == 201
    adopt(world.database, "63.03-2026")
    card = get_json(world.nation, "/v1/scorecards/63.03?period=2026-Q2")
    reasons = {entry["of"]: entry["reason"] for entry in card["missing"]}
    assert (reasons["targeting"], reasons["spending"]) == ("no_loci", "no_budget")
    assert (card["inputs"]["budget"], card["money"]["per_family"]) == (0, None)


def test_a_draft_counts_only_for_callers_who_see_it(world: World) -> None:
    assert world.nation.put("/v1/plans/63.03-2026", json={"title": "RAT"}).status_code == 201
    where = "/v1/scorecards/63.03?period=2026-Q2"
    assert get_json(world.nation, where)["inputs"]["loci"] == 0
    hidden = get_json(world.reader, where)
    assert (hidden["inputs"]["loci"], hidden["money"]) == (None, None)


def test_villages_and_districts_have_coverage_alone_and_provinces_pool_the_counts(world: World) -> None:
    village = get_json(world.secretariat, f"/v1/scorecards/{FIRST}?period={PERIOD}")
    assert (village["level"], village["status"], village["index_percent"]) == ("village", "partial", 66.67)
    district = get_json(world.secretariat, f"/v1/scorecards/{FIRST[:8]}?period={PERIOD}")
    assert (district["level"], get_values(district)["coverage"]) == ("district", 66.67)
    assert {entry["reason"] for entry in district["missing"]} == {"not_at_level"}
    silent = get_json(world.secretariat, f"/v1/scorecards/{SECOND}?period={PERIOD}")
    assert (silent["status"], silent["index_percent"]) == (None, None)
    for region, level in (("63", "province"), ("0", "nation")):
        card = get_json(world.nation, f"/v1/scorecards/{region}?period={PERIOD}")
        assert (card["level"], get_values(card)["coverage"], get_values(card)["targeting"]) == (
            level,
            72.38,
            80.59,
        )
        assert (card["inputs"]["budget"], card["spending_figure_percent"]) == (1000, 19.4)
        assert card["inputs"]["indicators"] == []


def test_callers_without_sight_of_a_region_get_404(world: World) -> None:
    strangers = (world(), world(("reader", "73")), world(("secretariat", "63.03")))
    for caller in strangers:
        for path in (
            AT,
            f"/v1/scorecards/{FIRST}?period={PERIOD}",
            f"/v1/scorecards?region=63&period={PERIOD}",
        ):
            assert caller.get(path).status_code == 404
        tried = caller.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
        assert tried.status_code == 404
    assert world.secretariat.get(f"/v1/scorecards/63?period={PERIOD}").status_code == 404
    assert world.nation.get(f"/v1/scorecards/99?period={PERIOD}").status_code == 404
