"""Frozen quarters have frozen scorecards; stored figures equal the computed ones."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.figures.queries import compute_figures
from app.convergence.scorecards.groups.queries import stored_figures
from tests.coverage.world import put as put_coverage
from tests.plans.world import ANY, report
from tests.quarters.world import BODIES
from tests.scorecards.conftest import World
from tests.scorecards.world import AT, FIRST, PERIOD, RANKING, get_json, get_values, observe

pytestmark = pytest.mark.one_engine

NOW = datetime(2026, 8, 1, tzinfo=UTC)
QUARTER = f"/v1/regions/63.02/quarters/{PERIOD}"


def move(world: World, *verbs: str) -> None:
    for verb in verbs:
        caller = world.province if verb in ("verify", "freeze") else world.secretariat
        body = {"json": BODIES[verb]} if verb in BODIES else {}
        reply = caller.post(f"{QUARTER}/{verb}", headers=ANY, **body)
        assert reply.status_code == 200, reply.text


def disturb(world: World, period: str = PERIOD) -> None:
    """Change the coverage of a quarter, and the outcome."""
    put_coverage(world.secretariat, FIRST, {"livelihood": (50, 50)}, period, families=140)
    observe(world.nation, 3.6)


def test_later_writes_do_not_touch_a_frozen_scorecard(world: World) -> None:
    live = get_json(world.secretariat)
    move(world, "submit", "verify", "freeze")
    frozen = world.secretariat.get(AT, headers={"Accept-Encoding": "identity"})
    card = frozen.json()
    assert (card["frozen"], card["amendment"]) == (True, 0)
    assert frozen.headers["ETag"] == f'"{hashlib.sha256(frozen.content).hexdigest()}"'
    same = ("targeting", "coverage", "spending", "outcome")
    assert [get_values(card)[name] for name in same] == [get_values(live)[name] for name in same]
    ranked = get_json(world.nation, RANKING)["regencies"][0]
    assert (ranked["frozen"], ranked["index_percent"]) == (True, card["index_percent"])
    disturb(world, "2026-Q1")
    assert world.secretariat.get(AT).content == frozen.content
    same_tag = {"If-None-Match": frozen.headers["ETag"], "Accept-Encoding": "identity"}
    unchanged = world.secretariat.get(AT, headers=same_tag)
    assert unchanged.status_code == 304
    assert get_json(world.nation, RANKING)["regencies"][0] == ranked
    # The next quarter and a what-if compare with the frozen scorecard.
    later = get_json(world.secretariat, AT.replace("Q2", "Q3"))
    assert later["change"]["index_before"] == card["index_percent"]
    trial = world.secretariat.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
    assert trial.json()["now"]["index_percent"] == card["index_percent"]
    assert world.reader.get(AT).content == frozen.content


def test_a_correction_keeps_the_first_frozen_scorecard(world: World) -> None:
    move(world, "submit", "verify", "freeze")
    first = world.secretariat.get(AT)
    move(world, "correct")
    assert world.secretariat.get(AT).content == first.content
    disturb(world)
    move(world, "submit", "verify", "freeze")
    second = world.secretariat.get(AT)
    assert second.json()["amendment"] == 1
    assert get_values(second.json())["coverage"] != get_values(first.json())["coverage"]
    for number, reply in enumerate((first, second)):
        numbered = world.secretariat.get(f"{AT}&amendment={number}")
        assert numbered.content == reply.content
        assert "immutable" in numbered.headers["Cache-Control"]
    assert "immutable" not in second.headers["Cache-Control"]
    assert world.secretariat.get(f"{AT}&amendment=2").status_code == 404
    assert world(("reader", "73")).get(f"{AT}&amendment=0").status_code == 404


def test_a_dry_run_freezes_no_scorecard(world: World) -> None:
    move(world, "submit", "verify")
    assert world.province.post(f"{QUARTER}/freeze?dry_run=true", headers=ANY).status_code == 200
    assert get_json(world.secretariat)["frozen"] is False


# Stored figures


def test_stored_figures_are_not_computed_again(world: World) -> None:
    card = get_json(world.secretariat)
    world.app.state.figures_cache.write(world.database)
    world.app.state.figures_cache = FiguresCache()
    world.database.statements.clear()
    assert get_json(world.secretariat) == card
    assert not [text for text in world.database.statements if "action_location" in text]
    assert len(world.database.statements) <= 4
    count = len(world.database.statements)
    world.app.state.figures_cache.write(world.database)
    assert len(world.database.statements) == count, "without noted figures there is nothing to write"


def test_writes_make_stored_figures_stale(world: World) -> None:
    def is_changed_by(write: Any) -> bool:
        before = get_json(world.secretariat)
        world.app.state.figures_cache.write(world.database)
        write()
        return bool(get_json(world.secretariat)["inputs"] != before["inputs"])

    assert is_changed_by(lambda: report(world.secretariat, "A-4", 2, spent=9))
    assert is_changed_by(lambda: put_coverage(world.secretariat, FIRST, {"livelihood": (9, 1)}, families=140))
    assert is_changed_by(lambda: observe(world.nation, 3.9))
    target = {"value": 3, "baseline": 4.56, "baseline_year": 2021}
    path = "/v1/regions/63.02/indicators/p0/targets/2026"
    assert is_changed_by(lambda: world.secretariat.put(path, json=target, headers=ANY))


def test_stored_figures_equal_the_computed_ones(world: World) -> None:
    get_json(world.nation, RANKING)
    world.app.state.figures_cache.write(world.database)
    with world.database.read_session() as session:
        rows = session.execute(sa.select(stored_figures).where(stored_figures.c.region_code == "63.02")).all()
        (row,) = rows
        computed = compute_figures(session, ["63.02"], PERIOD, row.computed_at)["63.02"]
    assert {name: getattr(row, name) for name in computed.sums} == computed.sums
    assert json.loads(row.content) == json.loads(json.dumps(computed.content))


def test_many_regions_cost_as_many_statements_as_few(world: World) -> None:
    counts = []
    for regions in (["63.02", "63.03"], ["63", "63.02", "63.03"]):
        with world.database.read_session() as session:
            world.database.statements.clear()
            compute_figures(session, regions, PERIOD, NOW)
            counts.append(len(world.database.statements))
    assert counts[0] == counts[1]


def test_figures_that_cannot_be_written_stay_in_the_cache(world: World) -> None:
    cache = FiguresCache()
    cache.note([{"period": PERIOD, "region_code": "63.02", "stamp": "s"}])
    assert cache.find("63.02", PERIOD, "s") is not None
    assert cache.find("63.02", PERIOD, "t") is None
    cache.write(world.database)
    assert cache.find("63.02", PERIOD, "s") is not None
