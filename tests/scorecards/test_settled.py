"""Settled yardsticks: written once, and scorecards of frozen quarters that follow from them and their own figures."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.yardsticks.commands import settle_due
from app.convergence.scorecards.yardsticks.queries import yardsticks
from tests.plans.world import ANY, furnish, put, put_plan, report
from tests.quarters.world import BODIES, PART_ACCEPTED
from tests.scorecards.conftest import World
from tests.scorecards.test_frozen import disturb
from tests.scorecards.world import (
    AT,
    OTHER_PLAN,
    PERIOD,
    STRATEGIES,
    adopt,
    get_json,
    get_ranking,
    get_values,
    make_line,
    measure_fairly,
)

BANJAR, PROVINCE = AT.replace("63.02", "63.03"), AT.replace("63.02", "63")
YARDSTICK = f"/v1/regions/63/yardsticks/{PERIOD}"
FREEZE = ("submit", "verify", "freeze")
DAYS = {"opens_on": "2019-01-01", "due_on": "2099-01-10", "closes_on": None, "issued_by": "Gubernur"}
"""Days of a quarter that is due after every run of the tests."""
LAST = datetime(2099, 5, 10, 15, 59, tzinfo=UTC)
"""The last minute of the 120 days in the region's zone."""


@pytest.fixture
def fair(world_of_two: World) -> World:
    """Kotabaru with a figure of 19.4 % and Banjar with 25 %, measured by a method with a fair yardstick."""
    set_days(world_of_two)
    measure_fairly(world_of_two.database)
    report(world_of_two.secretariat, "A-4", 2, spent=0, obstacle="Hujan")  # makes stored figures stale
    return world_of_two


def set_days(world: World, **days: str) -> None:
    path = f"/v1/regions/63/calendar/{PERIOD}"
    reply = world.nation.put(path, json={**DAYS, **days}, headers=ANY if days else {})
    assert reply.status_code == (200 if days else 201), reply.text


def move(world: World, region: str, *verbs: str) -> None:
    for verb in verbs:
        above = world(("reviewer", "0")) if region == "63" else world.province
        caller = above if verb in ("verify", "freeze") else world.nation
        body = (
            {"json": PART_ACCEPTED if region == "63" and verb == "submit" else BODIES[verb]}
            if verb in BODIES
            else {}
        )
        reply = caller.post(f"/v1/regions/{region}/quarters/{PERIOD}/{verb}", headers=ANY, **body)
        assert reply.status_code == 200, reply.text


def read_bytes(world: World, path: str) -> bytes:
    reply = world.nation.get(path, headers={"Accept-Encoding": "identity"})
    assert reply.status_code == 200, reply.text
    return bytes(reply.content)


def list_settled(world: World) -> list[Any]:
    with world.database.read_session() as session:
        return list(session.execute(sa.select(yardsticks)).mappings())


def test_a_frozen_scorecard_keeps_the_figures_of_its_region_alone(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    frozen = read_bytes(fair, f"{AT}&amendment=0")
    card = json.loads(frozen)
    assert (card["index_percent"], card["index_class"], card["is_rankable"]) == (None, None, False)
    assert (get_values(card)["spending"], card["spending_figure_percent"]) == (None, 19.4)
    assert (card["provisional"], card["yardstick"], card["change"], card["raise_most"]) == (
        True,
        None,
        None,
        [],
    )
    assert card["inputs"]["highest_spending_percent"] is None
    waiting = {"spending": "yardstick_open", "index": "yardstick_open"}
    assert {entry["of"]: entry["reason"] for entry in card["missing"]} == waiting
    incentive = card["money"]["incentive"]
    assert (incentive["figure_percent"], incentive["highest_percent"], incentive["standardised_percent"]) == (
        19.4,
        None,
        None,
    )
    # Until the yardstick is settled, the figures of the others are those of now.
    shown = get_json(fair.secretariat)
    assert (shown["frozen"], shown["provisional"], get_values(shown)["spending"]) == (True, True, 77.6)
    report(fair.nation, "A-1", 2, plan=OTHER_PLAN, spent=80)
    assert get_values(get_json(fair.secretariat))["spending"] == 48.5
    assert list_settled(fair) == []
    assert fair.nation.get(YARDSTICK).status_code == 404
    assert read_bytes(fair, f"{AT}&amendment=0") == frozen


def test_the_last_freeze_settles_the_yardstick_and_a_correction_moves_its_own_region(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    move(fair, "63.03", *FREEZE)
    (settled,) = list_settled(fair)
    assert (settled["highest_percent"], settled["left_out"]) == (25, [])
    counted = [
        {"region_code": "63.02", "spending_percent": 19.4},
        {"region_code": "63.03", "spending_percent": 25.0},
    ]
    assert settled["counted"] == counted
    card, ranked = read_bytes(fair, AT), get_ranking(fair.nation)
    shown = json.loads(card)
    assert (shown["frozen"], shown["provisional"], get_values(shown)["spending"]) == (True, False, 77.6)
    assert shown["yardstick"]["counted"] == counted[:1]
    assert (ranked[""]["provisional"], ranked[""]["yardstick"]["counted"]) == (False, counted)
    assert ranked["63.02"]["index_percent"] == shown["index_percent"]
    tried = fair.secretariat.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={}).json()
    assert (tried["now"]["index_percent"], tried["difference"]) == (shown["index_percent"], 0)
    # The same figures but for those that the frozen bytes withhold.
    frozen = json.loads(read_bytes(fair, f"{AT}&amendment=0"))
    own = ("by_strategy", "reach_percent", "lines", "spent_travel", "computed_at", "amendment", "method")
    assert [shown[name] for name in own] == [frozen[name] for name in own]
    assert {**shown["inputs"], "highest_spending_percent": None} == frozen["inputs"]
    # A correction of Banjar above the yardstick, and later writes in Kotabaru.
    move(fair, "63.03", "correct")
    report(fair.nation, "A-1", 2, plan=OTHER_PLAN, spent=90)
    move(fair, "63.03", *FREEZE)
    disturb(fair, "2026-Q1")
    banjar = get_json(fair.nation, BANJAR)
    assert (banjar["amendment"], banjar["spending_figure_percent"], get_values(banjar)["spending"]) == (
        1,
        45,
        100,
    )
    assert list_settled(fair) == [settled]
    assert read_bytes(fair, AT) == card
    assert get_ranking(fair.nation)["63.02"] == ranked["63.02"]


def test_the_order_of_freezes_does_not_matter(fair: World) -> None:
    results = []
    for order in (("63.02", "63.03"), ("63.03", "63.02")):
        point = fair.database.connection.begin_nested()
        fair.app.state.figures_cache = FiguresCache()
        for region in order:
            move(fair, region, *FREEZE)
        rows = [{**row, "settled_at": None} for row in list_settled(fair)]
        cards = [get_json(fair.nation, path) for path in (AT, BANJAR)]
        for card in cards:
            del card["computed_at"], card["yardstick"]["settled_at"]
        results.append((rows, cards))
        point.rollback()
    assert results[0] == results[1]
    assert len(results[0][0]) == 1


def test_a_quarter_settles_after_its_closing_day_with_the_frozen_plans(fair: World) -> None:
    settle_due(fair.database, LAST + timedelta(days=9))
    assert list_settled(fair) == [], "nothing frozen waits for a yardstick"
    move(fair, "63.02", *FREEZE)
    settle_due(fair.database, LAST)
    assert list_settled(fair) == []
    settle_due(fair.database, LAST + timedelta(minutes=1))
    (settled,) = list_settled(fair)
    assert settled["left_out"] == [{"region_code": "63.03", "reason": "not_frozen"}]
    assert settled["highest_percent"] == settled["highest_uncapped_percent"] == 19.4
    move(fair, "63.03", *FREEZE)
    settle_due(fair.database, LAST + timedelta(days=9))
    assert list_settled(fair) == [settled]
    assert get_values(get_json(fair.nation, BANJAR))["spending"] == 100


def test_the_closing_day_of_the_calendar_comes_before_120_days(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    set_days(fair, closes_on="2099-02-01")
    settle_due(fair.database, datetime(2099, 2, 1, 15, 59, tzinfo=UTC))
    assert list_settled(fair) == []
    settle_due(fair.database, datetime(2099, 2, 1, 16, 0, tzinfo=UTC))
    assert len(list_settled(fair)) == 1


def test_the_first_freeze_after_the_closing_day_settles_the_yardstick(fair: World) -> None:
    set_days(fair, due_on="2019-02-01")
    move(fair, "63.02", *FREEZE)
    (settled,) = list_settled(fair)
    assert settled["left_out"] == [{"region_code": "63.03", "reason": "not_frozen"}]
    assert get_json(fair.secretariat)["provisional"] is False


def test_a_plan_with_errors_at_the_settlement_does_not_count(fair: World) -> None:
    move(fair, "63.03", *FREEZE)
    report(fair.nation, "A-1", 1, plan=OTHER_PLAN, spent=60)
    move(fair, "63.02", *FREEZE)
    (settled,) = list_settled(fair)
    assert settled["left_out"] == [{"region_code": "63.03", "reason": "open_errors"}]
    assert (settled["highest_percent"], settled["highest_uncapped_percent"]) == (19.4, 25)


def test_a_dry_run_settles_nothing(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    move(fair, "63.03", "submit", "verify")
    path = f"/v1/regions/63.03/quarters/{PERIOD}/freeze?dry_run=true"
    assert fair.province.post(path, headers=ANY).status_code == 200
    assert list_settled(fair) == []


def test_a_frozen_province_keeps_its_pooled_figures(fair: World) -> None:
    plan = "63-2026"
    furnish(fair.database, "63")
    put_plan(fair.nation, plan)
    put(fair.nation, "A-1", plan=plan, base=make_line(STRATEGIES[0], 100, []))
    report(fair.nation, "A-1", 2, plan=plan, spent=10)
    adopt(fair.database, plan)
    for region in ("63.02", "63.03", "63"):
        move(fair, region, *FREEZE)
    frozen, card = json.loads(read_bytes(fair, f"{PROVINCE}&amendment=0")), read_bytes(fair, PROVINCE)
    shown = json.loads(card)
    assert frozen["index_percent"] is None
    assert (shown["provisional"], shown["inputs"]["budget"]) == (False, 1200)
    assert {**shown["inputs"], "highest_spending_percent": None} == frozen["inputs"]
    move(fair, "63.03", "correct")
    report(fair.nation, "A-1", 2, plan=OTHER_PLAN, spent=90)
    move(fair, "63.03", *FREEZE)
    disturb(fair, "2026-Q1")
    assert read_bytes(fair, PROVINCE) == card


def test_a_settled_yardstick_is_a_resource_of_its_province(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    after = get_json(fair.reader, "/v1/changes?after=now&region=63")["next"]
    move(fair, "63.03", *FREEZE)
    kept = get_json(fair.reader, YARDSTICK)
    assert (kept["region_code"], kept["period"], kept["method"]) == ("63", PERIOD, "1")
    for query in ("", "?region=63", f"?period={PERIOD}&sort=-period", "?region=0"):
        assert get_json(fair.reader, f"/v1/yardsticks{query}")["items"] == [kept]
    assert get_json(fair.reader, "/v1/yardsticks?region=73")["items"] == []
    changes = get_json(fair.reader, f"/v1/changes?after={after}&region=63&changes=true")["items"]
    (told,) = [change for change in changes if change["kind"] == "yardstick.created"]
    assert f"/v1/{told['subject']}" == YARDSTICK
    shown = {name: new for name, (_, new) in told["changes"].items()}
    # PostgreSQL drops zeros at the end of a second.
    assert datetime.fromisoformat(shown.pop("settled_at")) == datetime.fromisoformat(kept["settled_at"])
    assert shown == {name: kept[name] for name in shown}
    (entry,) = get_json(fair.reader, f"{YARDSTICK}/history")["items"]
    assert entry["kind"] == "yardstick.created"
    assert fair.secretariat.get(YARDSTICK).status_code == 404
    assert get_json(fair.secretariat, "/v1/yardsticks")["items"] == []
    nation = get_json(fair.nation, f"/v1/scorecards/0?period={PERIOD}")
    assert nation["provisional"] is False


def test_the_bytes_of_a_withheld_scorecard_have_their_hash(fair: World) -> None:
    move(fair, "63.02", *FREEZE)
    numbered = fair.secretariat.get(f"{AT}&amendment=0", headers={"Accept-Encoding": "identity"})
    assert numbered.headers["ETag"] == f'"{hashlib.sha256(numbered.content).hexdigest()}"'
    assert "immutable" in numbered.headers["Cache-Control"]
    assert "immutable" not in fair.secretariat.get(AT).headers["Cache-Control"]
