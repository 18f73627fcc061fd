"""Frozen quarters give frozen scorecards; what is kept is always what would be computed."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.figures.queries import compute_figures
from app.convergence.scorecards.queries import stored_figures
from tests.coverage.world import put as put_coverage
from tests.plans.world import ANY, report
from tests.quarters.world import BODIES
from tests.scorecards.conftest import World
from tests.scorecards.world import AT, FIRST, PERIOD, RANKING, observe, read, values

pytestmark = pytest.mark.one_engine

NOW = datetime(2026, 8, 1, tzinfo=UTC)
QUARTER = f"/v1/regions/63.02/quarters/{PERIOD}"


def move(world: World, *verbs: str) -> None:
    for verb in verbs:
        caller = world.province if verb in ("verify", "freeze") else world.secretariat
        body = {"json": BODIES[verb]} if verb in BODIES else {}
        done = caller.post(f"{QUARTER}/{verb}", headers=ANY, **body)
        assert done.status_code == 200, done.text


def disturb(world: World) -> None:
    """What changes K and O of today."""
    put_coverage(world.secretariat, FIRST, {"livelihood": (50, 50)}, families=140)
    observe(world.nation, 3.6)


def test_a_frozen_scorecard_stays_whatever_happens(world: World) -> None:
    live = read(world.secretariat)
    move(world, "submit", "verify", "freeze")
    frozen = world.secretariat.get(AT, headers={"Accept-Encoding": "identity"})
    card = frozen.json()
    assert (card["frozen"], card["amendment"]) == (True, 0)
    assert frozen.headers["ETag"] == f'"{hashlib.sha256(frozen.content).hexdigest()}"'
    same = ("targeting", "coverage", "spending", "outcome")
    assert [values(card)[name] for name in same] == [values(live)[name] for name in same]
    ranked = read(world.nation, RANKING)["regencies"][0]
    assert (ranked["frozen"], ranked["index_percent"]) == (True, card["index_percent"])
    disturb(world)
    assert world.secretariat.get(AT).content == frozen.content
    same_tag = {"If-None-Match": frozen.headers["ETag"], "Accept-Encoding": "identity"}
    again = world.secretariat.get(AT, headers=same_tag)
    assert again.status_code == 304
    assert read(world.nation, RANKING)["regencies"][0] == ranked
    # The quarter after compares itself with what was frozen; a trial starts from it.
    later = read(world.secretariat, AT.replace("Q2", "Q3"))
    assert later["change"]["index_before"] == card["index_percent"]
    trial = world.secretariat.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
    assert trial.json()["now"]["index_percent"] == card["index_percent"]
    assert world.reader.get(AT).content == frozen.content


def test_corrections_are_kept_beside_what_was_frozen_first(world: World) -> None:
    move(world, "submit", "verify", "freeze")
    first = world.secretariat.get(AT)
    move(world, "correct")
    assert world.secretariat.get(AT).content == first.content
    disturb(world)
    move(world, "submit", "verify", "freeze")
    second = world.secretariat.get(AT)
    assert second.json()["amendment"] == 1
    assert values(second.json())["coverage"] != values(first.json())["coverage"]
    for number, reply in enumerate((first, second)):
        found = world.secretariat.get(f"{AT}&amendment={number}")
        assert found.content == reply.content
        assert "immutable" in found.headers["Cache-Control"]
    assert "immutable" not in second.headers["Cache-Control"]
    assert world.secretariat.get(f"{AT}&amendment=2").status_code == 404
    assert world(("reader", "73")).get(f"{AT}&amendment=0").status_code == 404


def test_a_trial_freezes_no_scorecard(world: World) -> None:
    move(world, "submit", "verify")
    assert world.province.post(f"{QUARTER}/freeze?dry_run=true", headers=ANY).status_code == 200
    assert read(world.secretariat)["frozen"] is False


# What is kept


def test_what_is_kept_is_read_and_not_computed_again(world: World) -> None:
    card = read(world.secretariat)
    world.app.state.figures_cache.write(world.database)
    world.app.state.figures_cache = FiguresCache()
    world.database.statements.clear()
    assert read(world.secretariat) == card
    assert not [text for text in world.database.statements if "action_location" in text]
    assert len(world.database.statements) <= 4
    kept = len(world.database.statements)
    world.app.state.figures_cache.write(world.database)
    assert len(world.database.statements) == kept, "nothing was noted, so nothing is written"


def test_every_write_makes_what_is_kept_stale(world: World) -> None:
    def changed_by(write: Any) -> bool:
        before = read(world.secretariat)
        world.app.state.figures_cache.write(world.database)
        write()
        return bool(read(world.secretariat)["inputs"] != before["inputs"])

    assert changed_by(lambda: report(world.secretariat, "A-4", 2, spent=9))
    assert changed_by(lambda: put_coverage(world.secretariat, FIRST, {"livelihood": (9, 1)}, families=140))
    assert changed_by(lambda: observe(world.nation, 3.9))
    target = {"value": 3, "baseline": 4.56, "baseline_year": 2021}
    at = "/v1/regions/63.02/indicators/p0/targets/2026"
    assert changed_by(lambda: world.secretariat.put(at, json=target, headers=ANY))


def test_what_is_kept_is_what_would_be_computed(world: World) -> None:
    read(world.nation, RANKING)
    world.app.state.figures_cache.write(world.database)
    with world.database.read_session() as session:
        rows = session.execute(sa.select(stored_figures).where(stored_figures.c.region_code == "63.02")).all()
        (row,) = rows
        anew = compute_figures(session, ["63.02"], PERIOD, row.computed_at)["63.02"]
    assert {name: getattr(row, name) for name in anew.sums} == anew.sums
    assert json.loads(row.content) == json.loads(json.dumps(anew.content))


def test_as_many_statements_for_many_regions_as_for_few(world: World) -> None:
    counts = []
    for regions in (["63.02", "63.03"], ["63", "63.02", "63.03"]):
        with world.database.read_session() as session:
            world.database.statements.clear()
            compute_figures(session, regions, PERIOD, NOW)
            counts.append(len(world.database.statements))
    assert counts[0] == counts[1]


def test_figures_that_cannot_be_written_stay_noted(world: World) -> None:
    kept = FiguresCache()
    kept.note([{"period": PERIOD, "region_code": "63.02", "stamp": "s"}])
    assert kept.find("63.02", PERIOD, "s") is not None
    assert kept.find("63.02", PERIOD, "t") is None
    kept.write(world.database)
    assert kept.find("63.02", PERIOD, "s") is not None
