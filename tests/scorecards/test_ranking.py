"""The ranking of a province, and what-if calculations."""

from typing import Any

import pytest

from tests.coverage.world import add_villages
from tests.coverage.world import put as put_coverage
from tests.scorecards.conftest import World
from tests.scorecards.world import PERIOD, RANKING, get_json, get_ranking

pytestmark = pytest.mark.both_engines

TRY = f"/v1/scorecards/63.02/what-if?period={PERIOD}"


def test_spending_is_relative_to_the_highest_in_the_province(world_of_two: World) -> None:
    ranking = get_ranking(world_of_two.nation)
    assert ranking[""]["highest_spending_percent"] == 25
    # 19.4 of 25
    assert (ranking["63.02"]["spending_percent"], ranking["63.03"]["spending_percent"]) == (77.6, 100)
    card = get_json(world_of_two.secretariat, f"/v1/scorecards/63.02?period={PERIOD}")
    assert (card["inputs"]["highest_spending_percent"], card["index_percent"]) == (
        25,
        ranking["63.02"]["index_percent"],
    )


def test_a_rank_needs_a_reach_and_is_equal_for_all_callers(world_of_two: World) -> None:
    ranking = get_ranking(world_of_two.nation)
    assert (ranking["63.02"]["rank"], ranking["63.03"]["rank"], ranking["63.03"]["not_ranked"]) == (
        1,
        None,
        "reach_unknown",
    )
    village, *_ = add_villages(world_of_two.database, "63.03", 1, 2)
    # The earlier report makes the village an expected one.
    put_coverage(world_of_two.nation, village, {"livelihood": (10, 10)}, "2026-Q1", families=10)
    put_coverage(world_of_two.nation, village, {"livelihood": (10, 10)}, families=10)
    ranking = get_ranking(world_of_two.nation)
    assert ranking["63.03"]["reach_percent"] == 100
    assert sorted([ranking["63.02"]["rank"], ranking["63.03"]["rank"]]) == [1, 2]
    assert get_ranking(world_of_two.reader) == ranking
    own_ranking = get_ranking(world_of_two.secretariat, "63.02")
    assert set(own_ranking) == {"", "63.02"}
    assert (own_ranking["63.02"], own_ranking[""]["ranked"]) == (ranking["63.02"], 2)


def test_only_provinces_and_regencies_have_a_ranking(world: World) -> None:
    for region in ("0", "63.02.05", "63.02.05.2001"):
        reply = world.nation.get(RANKING.replace("region=63", f"region={region}"))
        assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (400, "region")


def test_a_what_if_returns_both_scorecards_and_stores_nothing(world: World) -> None:
    before = get_json(world.secretariat, f"/v1/scorecards/63.02?period={PERIOD}")
    changes = {"services": [{"service": "livelihood", "eligible": 70, "served": 70}], "process_percent": 100}
    tried = world.secretariat.post(TRY, json=changes).json()
    assert tried["now"]["index_percent"] == before["index_percent"]
    assert tried["difference"] == round(tried["then"]["index_percent"] - before["index_percent"], 2)
    differences = {component["component"]: component["difference"] for component in tried["components"]}
    # 200 of 210 instead of 152.
    assert (differences["coverage"], differences["targeting"]) == (22.86, 0)
    assert tried["then"]["inputs"]["services"][0] == before["inputs"]["services"][0]
    assert get_json(world.secretariat, f"/v1/scorecards/63.02?period={PERIOD}") == before


def make_service(code: str, served: int) -> dict[str, Any]:
    return {"services": [{"service": code, "eligible": 1, "served": served}]}


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        (make_service("livelihod", 1), "/services/0/service", "unknown_reference"),
        (make_service("livelihood", 2), "/services/0/served", "served_over_eligible"),
        ({"indicators": [{"indicator": "hdi", "actual": 1}]}, "/indicators/0/indicator", "unknown_reference"),
        ({"budget_in_loci": 801}, "/budget_in_loci", "part_over_whole"),
        ({"families_in_loci": 139}, "/families_in_loci", "part_over_whole"),
        ({"process_percent": 101}, "/process_percent", "out_of_range"),
        ({"index_percent": 99}, "/index_percent", "unknown_field"),
    ],
)
def test_invalid_changes_of_a_what_if_are_refused(
    world: World, changes: Any, pointer: str, code: str
) -> None:
    reply = world.secretariat.post(TRY, json=changes)
    assert reply.status_code == 422
    (error,) = reply.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
