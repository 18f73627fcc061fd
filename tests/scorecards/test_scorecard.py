"""The explained scorecard of a regency, reckoned by hand and recomputed from what it publishes."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.plans.actions.queries import actions
from tests.coverage.world import put as put_coverage
from tests.plans.world import report
from tests.scorecards.conftest import World
from tests.scorecards.world import AT, FIRST, PERIOD, SECOND, adopt, read, values

pytestmark = pytest.mark.both_engines


def test_every_component_by_hand(world: World) -> None:
    card = read(world.secretariat)
    inputs = card["inputs"]
    # Served 90 + 10 + 40 + 12 of 100 + 50 + 40 + 20.
    assert values(card)["coverage"] == 72.38
    assert (card["balance_percent"], card["lowest_strategy"]) == (31.43, "raise_income")
    # A-1 is in the first locus with 400, A-2 with 100 stated and 100 of what it splits, A-3 with half of 200.
    assert (inputs["budget_at_villages"], inputs["budget_in_loci"]) == (800, 700)
    # The first locus has lines of all strategies; it reports 140 families, the second is planned with 50.
    assert (inputs["loci"], inputs["families_in_loci"], inputs["families_in_funded_loci"]) == (2, 190, 140)
    assert (card["targeting_budget_percent"], card["targeting_families_percent"]) == (87.5, 73.68)
    assert values(card)["targeting"] == 80.59
    # A-1 has one class, so its 200 are direct; of A-3's 50 indirect 40 of 100 are travel.
    spent = [inputs[f"spent_{name}"] for name in ("direct", "indirect", "supporting")]
    assert (spent, card["spent_travel"], card["spent_unclassified"]) == ([350, 30, 50], 20, 0)
    assert (card["spending_figure_percent"], values(card)["spending"]) == (19.4, 100)
    # (4.56 − 4.03) / (4.56 − 3.50)
    assert values(card)["outcome"] == 50
    assert (card["reach_percent"], card["is_rankable"]) == (80, True)
    assert (card["frozen"], card["method"], card["level"]) == (False, "1", "regency")


def half_up(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def recomputed(card: dict[str, Any], method: dict[str, Any]) -> tuple[dict[str, Decimal | None], Decimal]:
    """Components and index from the published inputs, with decimals instead of whole numbers."""

    def d(value: Any) -> Decimal:
        return Decimal(str(value))

    told = card["inputs"]
    found: dict[str, Decimal | None] = {}
    found["process"] = None if told["process_percent"] is None else d(told["process_percent"])
    eligible = sum(one["eligible"] for one in told["services"])
    served = sum(one["served"] for one in told["services"])
    found["coverage"] = half_up(d(served) / d(eligible) * 100) if eligible else None
    halves = [
        half_up(d(told[part]) / d(told[whole]) * 100)
        for part, whole in (
            ("budget_in_loci", "budget_at_villages"),
            ("families_in_funded_loci", "families_in_loci"),
        )
        if told[whole]
    ]
    found["targeting"] = half_up(sum(halves, d(0)) / len(halves)) if halves else None
    figure = half_up(
        sum(
            d(method[f"share_{one}"]) * d(told[f"spent_{one}"])
            for one in ("direct", "indirect", "supporting")
        )
        / d(told["budget"])
        * 100
    )
    found["spending"] = half_up(figure / d(told["highest_spending_percent"]) * 100)
    made = []
    for one in told["indicators"]:
        way = (d(one["baseline"]) - d(one["actual"])) / (d(one["baseline"]) - d(one["target"]))
        made.append(half_up(min(max(way, d(0)), d(1)) * 100))
    found["outcome"] = half_up(sum(made, d(0)) / len(made)) if made else None
    there = {name: value for name, value in found.items() if value is not None}
    weights = {name: d(method[f"weight_{name}"]) for name in there}
    return found, half_up(sum(weights[name] * there[name] for name in there) / sum(weights.values()))


def test_recomputing_from_the_published_inputs_gives_the_same_number(world: World) -> None:
    put_coverage(world.secretariat, SECOND, {"livelihood": (7, 3)}, families=33, complete_families=None)
    report(world.secretariat, "A-4", 2, spent=77)
    card = read(world.secretariat)
    method = read(world.secretariat, f"/v1/methods/{card['method']}")
    components, index = recomputed(card, method)
    assert {name: None if value is None else float(value) for name, value in components.items()} == values(
        card
    )
    assert float(index) == card["index_percent"]
    points = [one["contribution"] for one in card["components"] if one["contribution"] is not None]
    assert abs(sum(points) - card["index_percent"]) < 0.03


def test_what_would_raise_most_is_what_a_trial_of_it_tells(world: World) -> None:
    card = read(world.secretariat)
    first = card["raise_most"][0]
    trial = world.secretariat.post(
        f"/v1/scorecards/63.02/what-if?period={PERIOD}", json=first["changes"]
    ).json()
    assert trial["difference"] == first["gain"] == max(one["gain"] for one in card["raise_most"])
    assert trial["then"]["index_percent"] == first["index_percent"]
    assert trial["now"]["index_percent"] == card["index_percent"]
    assert {one["of"] for one in card["raise_most"]} >= {"livelihood", "p0", "families_in_funded_loci"}


def test_change_against_the_quarter_before(world: World) -> None:
    before, now = read(world.secretariat, AT.replace("Q2", "Q1")), read(world.secretariat)
    change = now["change"]
    assert (change["period"], change["index_before"]) == ("2026-Q1", before["index_percent"])
    assert change["difference"] == round(now["index_percent"] - before["index_percent"], 2)
    told = {one["component"]: (one["before"], one["difference"]) for one in change["components"]}
    assert told["targeting"] == (81.25, -0.66)
    assert told["coverage"] == (None, None)


def test_money_beside_those_whom_it_is_for(world: World) -> None:
    with world.database.writing() as session:
        session.execute(sa.update(actions).where(actions.c.code == "A-1").values(allocation=400_000_000))
    money = read(world.secretariat)["money"]
    # 4.03 % of 332,787 persons; the budget is 400,000,600 rupiah.
    assert (money["p0_percent"], money["p0_period"], money["poor"]) == (4.03, "2025-S1", 13411)
    assert (money["budget"], money["per_poor"]) == (400_000_600, 29826)
    # A-2 alone aims at families: 300 rupiah for 60.
    assert (money["families"], money["per_family"], money["per_person"]) == (60, 5, None)
    # What the components do not split stands under no class.
    planned = {one["component_class"]: one["planned"] for one in money["by_class"]}
    assert planned == {"direct": 800, "indirect": 100, "supporting": 100, None: 399_999_600}


def test_the_figure_of_the_fiscal_incentive_with_its_parts(world: World) -> None:
    found = read(world.secretariat)["money"]["incentive"]
    assert [found[f"{one}_percent"] for one in ("direct", "indirect", "supporting")] == [35, 3, 5]
    assert [found[f"share_{one}"] for one in ("direct", "indirect", "supporting")] == [0.5, 0.3, 0.2]
    assert (found["figure_percent"], found["standardised_percent"], found["travel"]) == (19.4, 100, 20)


def test_spending_without_a_class_is_named_and_counts_in_none(world: World) -> None:
    report(world.secretariat, "A-2", 2, spent=170)
    card = read(world.secretariat)
    assert (card["spent_unclassified"], card["inputs"]["spent_direct"]) == (170, 230)
    assert card["inputs"]["spent"] == 450


def test_a_region_of_which_nothing_is_known(world: World) -> None:
    card = read(world.nation, "/v1/scorecards/63.03?period=2026-Q2")
    # Steps that are due are owed without a plan too: what there is is the index.
    assert (card["index_percent"], card["complete"]) == (values(card)["process"], False)
    assert {one["of"]: one["reason"] for one in card["missing"] if one["of"] != "process"} == {
        "coverage": "nobody_eligible",
        "targeting": "no_plan",
        "spending": "no_plan",
        "outcome": "no_targets",
    }
    assert (card["money"], card["reach_percent"]) == (None, None)


def test_a_plan_without_loci_or_budget(world: World) -> None:
    at = "/v1/plans/63.03-2026"
    assert world.nation.put(at, json={"title": "RAT"}).status_code == 201
    adopt(world.database, "63.03-2026")
    card = read(world.nation, "/v1/scorecards/63.03?period=2026-Q2")
    told = {one["of"]: one["reason"] for one in card["missing"]}
    assert (told["targeting"], told["spending"]) == ("no_loci", "no_budget")
    assert (card["inputs"]["budget"], card["money"]["per_family"]) == (0, None)


def test_a_draft_counts_for_those_who_see_it(world: World) -> None:
    assert world.nation.put("/v1/plans/63.03-2026", json={"title": "RAT"}).status_code == 201
    where = "/v1/scorecards/63.03?period=2026-Q2"
    assert read(world.nation, where)["inputs"]["loci"] == 0
    hidden = read(world.reader, where)
    assert (hidden["inputs"]["loci"], hidden["money"]) == (None, None)


def test_levels_below_have_coverage_alone_and_above_pool_the_counts(world: World) -> None:
    village = read(world.secretariat, f"/v1/scorecards/{FIRST}?period={PERIOD}")
    assert (village["level"], village["status"], village["index_percent"]) == ("village", "partial", 66.67)
    district = read(world.secretariat, f"/v1/scorecards/{FIRST[:8]}?period={PERIOD}")
    assert (district["level"], values(district)["coverage"]) == ("district", 66.67)
    assert {one["reason"] for one in district["missing"]} == {"not_at_level"}
    silent = read(world.secretariat, f"/v1/scorecards/{SECOND}?period={PERIOD}")
    assert (silent["status"], silent["index_percent"]) == (None, None)
    for region, level in (("63", "province"), ("0", "nation")):
        card = read(world.nation, f"/v1/scorecards/{region}?period={PERIOD}")
        assert (card["level"], values(card)["coverage"], values(card)["targeting"]) == (level, 72.38, 80.59)
        assert (card["inputs"]["budget"], card["spending_figure_percent"]) == (1000, 19.4)
        assert card["inputs"]["indicators"] == []


def test_who_sees_nothing_of_a_region_finds_no_scorecard(world: World) -> None:
    strangers = (world(), world(("reader", "73")), world(("secretariat", "63.03")))
    for caller in strangers:
        for at in (
            AT,
            f"/v1/scorecards/{FIRST}?period={PERIOD}",
            f"/v1/scorecards?region=63&period={PERIOD}",
        ):
            assert caller.get(at).status_code == 404
        tried = caller.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
        assert tried.status_code == 404
    assert world.secretariat.get(f"/v1/scorecards/63?period={PERIOD}").status_code == 404
    assert world.nation.get(f"/v1/scorecards/99?period={PERIOD}").status_code == 404
