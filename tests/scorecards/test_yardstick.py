"""The fair yardstick: plans with open errors or of another edition do not count, and overspending gains nothing."""

from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.rules import CONSOLE
from app.convergence.editions.methods.queries import region_editions
from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.yardsticks.rules import SpendingPlan, choose_yardstick
from app.plans.core.queries import find_plan
from app.tracking.lines.queries import check_stored_reports
from app.tracking.progress.queries import find_falling_regions
from tests.plans.world import put, put_plan, report
from tests.scorecards.conftest import World
from tests.scorecards.world import (
    AT,
    OTHER_PLAN,
    RANKING,
    get_json,
    get_ranking,
    get_values,
    measure_fairly,
)

DRAFT = "63.02-2025"
BANJAR = AT.replace("63.02", "63.03")

amounts = st.integers(0, 3)
report_parts = st.fixed_dictionaries(
    {
        "spent": amounts,
        "is_split": st.booleans(),
        "achieved": amounts,
        "reached": amounts,
        "has_output": st.booleans(),
    }
)


def send_report(world: World, quarter: int, drawn: Any) -> None:
    content: dict[str, Any] = {
        "spent": drawn["spent"],
        "recipients": [{"code": "R1", "reached": drawn["reached"]}],
    }
    if drawn["is_split"]:
        content["components"] = [{"component_class": "direct", "amount": drawn["spent"]}]
    if drawn["has_output"]:
        content["outputs"] = [{"code": "O1", "achieved": drawn["achieved"]}]
    report(world.secretariat, "A-9", quarter, plan=DRAFT, **content)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(report_parts, report_parts)
def test_a_region_falls_exactly_if_the_check_of_its_plan_finds_a_fall(
    world: World, before: Any, after: Any
) -> None:
    if world.secretariat.get(f"/v1/plans/{DRAFT}").status_code == 404:
        put_plan(world.secretariat, DRAFT)
        put(world.secretariat, "A-9", plan=DRAFT)
    send_report(world, 1, before)
    send_report(world, 2, after)
    with world.database.read_session() as session:
        plan = find_plan(session, CONSOLE, DRAFT)
        found = {(item.finding.kind.code, item.period) for item in check_stored_reports(session, plan)}
        assert find_falling_regions(session, ["63.03"], "2025-Q2") == set()
        falling = find_falling_regions(session, ["63.02", "63.03"], "2025-Q2")
    assert falling == ({"63.02"} if ("E06", "2025-Q2") in found else set())


plans = st.lists(
    st.tuples(
        st.none() | st.integers(0, 50).map(float),
        st.none() | st.integers(0, 90).map(float),
        st.sampled_from([None, "2", "3"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
).map(lambda drawn: [SpendingPlan(f"63.{n:02}", *values) for n, values in enumerate(drawn)])


@given(plans, st.sampled_from([None, "2", "3"]))
def test_the_yardstick_is_the_highest_figure_of_the_plans_that_count(
    drawn: list[SpendingPlan], preferred: str | None
) -> None:
    chosen = choose_yardstick(drawn, preferred)
    figures = {plan.region_code: plan.spending_percent for plan in drawn}
    assert [plan.spending_percent for plan in chosen.counted] == [
        figures[plan.region_code] for plan in chosen.counted
    ]
    assert chosen.highest_percent == max((plan.spending_percent for plan in chosen.counted), default=None)
    counted, left_out = ({plan.region_code for plan in some} for some in (chosen.counted, chosen.left_out))
    assert not counted & left_out
    known = {plan.region_code for plan in drawn if plan.spending_percent is not None or plan.is_missing}
    assert counted | left_out == known
    for plan in drawn:
        if plan.region_code in counted:
            assert plan.fair_method == chosen.method
            assert not plan.open_errors
            assert not plan.is_missing
    assert choose_yardstick(drawn[::-1], preferred).highest_percent == chosen.highest_percent


def test_overspending_of_one_region_does_not_lower_another(world_of_two: World) -> None:
    world = world_of_two
    measure_fairly(world.database)
    report(world.nation, "A-1", 2, plan=OTHER_PLAN, spent=100)
    before = get_ranking(world.nation)
    report(world.nation, "A-1", 2, plan=OTHER_PLAN, spent=133)
    after = get_ranking(world.nation)
    assert after["63.02"]["spending_percent"] == before["63.02"]["spending_percent"] == 38.8
    assert after[""]["highest_spending_percent"] == 50
    card = get_json(world.secretariat)
    assert (card["provisional"], get_values(card)["spending"]) == (True, 38.8)
    assert card["yardstick"] == {
        **after[""]["yardstick"],
        "counted": [{"region_code": "63.02", "spending_percent": 19.4}],
    }
    # The figure of the regulation counts all spending: 66.5 % of Banjar.
    incentive = card["money"]["incentive"]
    assert (incentive["highest_percent"], incentive["standardised_percent"]) == (66.5, 29.17)
    banjar = get_json(world.nation, BANJAR)
    assert (banjar["inputs"]["spent_direct"], banjar["inputs"]["counted_direct"]) == (133, 100)
    assert banjar["money"]["incentive"]["figure_percent"] == 66.5


def test_a_plan_with_open_errors_keeps_its_figure_and_is_no_yardstick(world_of_two: World) -> None:
    world = world_of_two
    measure_fairly(world.database)
    report(world.nation, "A-1", 1, plan=OTHER_PLAN, spent=60)
    ranking = get_ranking(world.nation)
    assert ranking[""]["yardstick"]["left_out"] == [{"region_code": "63.03", "reason": "open_errors"}]
    assert ranking[""]["highest_spending_percent"] == 19.4
    # 25 of 19.4, at most 100
    assert (ranking["63.02"]["spending_percent"], ranking["63.03"]["spending_percent"]) == (100, 100)
    banjar = get_json(world.nation, BANJAR)
    assert (banjar["spending_figure_percent"], banjar["inputs"]["highest_spending_percent"]) == (25, 19.4)
    own = get_ranking(world.secretariat, "63.02")[""]["yardstick"]
    assert (own["highest_percent"], own["left_out"]) == (19.4, [])


def test_a_plan_of_another_edition_is_no_yardstick(world_of_two: World) -> None:
    world = world_of_two
    method = get_json(world.nation, "/v1/methods/1")
    fields = {
        name: method[name] for name in method if name not in ("edition", "version", "in_use", "updated_at")
    }
    fair = {**fields, "fair_yardstick": True}
    assert world.nation.put("/v1/methods/fair", json=fair).status_code == 201
    # The default of a year is now the last edition by name; Banjar stays with the first.
    pinned = world.nation.put("/v1/regions/63.03/editions/2026", json={"service_package": "1", "method": "1"})
    assert pinned.status_code == 201, pinned.text
    with world.database.writing() as session:
        session.execute(sa.delete(region_editions).where(region_editions.c.region_code == "63.02"))
    world.app.state.figures_cache = FiguresCache()
    ranking = get_ranking(world.nation)
    assert ranking[""]["yardstick"]["method"] == "fair"
    assert ranking[""]["yardstick"]["left_out"] == [{"region_code": "63.03", "reason": "other_method"}]
    assert (ranking["63.02"]["provisional"], ranking["63.03"]["provisional"]) == (True, False)
    # The other edition keeps its rule: the highest of all plans.
    assert get_json(world.nation, BANJAR)["inputs"]["highest_spending_percent"] == 25


def test_a_region_without_data_has_no_index(world: World) -> None:
    measure_fairly(world.database)
    card = get_json(world.nation, BANJAR)
    assert (card["index_percent"], card["index_class"]) == (None, None)
    assert get_values(card)["process"] is not None
    assert {"of": "index", "reason": "nothing_measured"} in card["missing"]
    assert {entry["contribution"] for entry in card["components"]} == {None}
    ranked = get_ranking(world.nation)["63.03"]
    assert (ranked["index_percent"], ranked["not_ranked"]) == (None, "no_index")


def test_the_first_edition_is_never_provisional_and_the_second_applies_from_2027_on(
    world_of_two: World,
) -> None:
    card, ranking = get_json(world_of_two.secretariat), get_json(world_of_two.nation, RANKING)
    assert (card["method"], card["provisional"], card["yardstick"]) == ("1", False, None)
    assert (ranking["provisional"], ranking["yardstick"]) == (False, None)
    assert [regency["provisional"] for regency in ranking["regencies"]] == [False, False]
    later = get_json(world_of_two.secretariat, AT.replace("2026-Q2", "2027-Q1"))
    assert (later["method"], later["provisional"]) == ("2", True)
    assert later["change"]["period"] == "2026-Q4"
    nothing = {"counted": [], "left_out": [], "highest_percent": None, "highest_uncapped_percent": None}
    assert later["yardstick"] == {**nothing, "method": "2", "settled_at": None}
