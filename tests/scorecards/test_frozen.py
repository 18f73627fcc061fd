"""Frozen quarters have frozen scorecards; stored figures equal the computed ones."""

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.figures.queries import compute_figures
from app.convergence.scorecards.groups.queries import stored_figures
from app.convergence.scorecards.yardsticks.queries import frozen_scorecards
from app.kit.database.engine import get_table
from app.plans.core.models import PlanRow, PlanState
from app.reference.models import RegionRow
from tests.coverage.world import put as put_coverage
from tests.plans.world import ANY, PLAN, keep_copy, put, report
from tests.quarters.world import BODIES
from tests.scorecards.conftest import World
from tests.scorecards.world import (
    AT,
    FIRST,
    LINES,
    OTHER,
    PERIOD,
    RANKING,
    get_json,
    get_values,
    make_line,
    observe,
)

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


def test_a_retired_region_keeps_its_scorecards(world: World) -> None:
    move(world, "submit", "verify", "freeze")
    addresses = (AT, RANKING, AT.replace("Q2", "Q1"))
    before = [get_json(world.nation, address) for address in addresses]
    table = get_table(RegionRow)
    with world.database.writing() as session:
        session.execute(sa.update(table).where(table.c.code == "63.02").values(retired=True))
    assert [get_json(world.nation, address) for address in addresses] == before
    trial = world.secretariat.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
    assert trial.status_code == 200


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


OF_PLAN = (
    "money",
    "lines",
    "loci_without_target",
    "spent_travel",
    "spent_unclassified",
    "targeting_budget_percent",
    "targeting_families_percent",
    "spending_figure_percent",
    "revision",
)
"""Fields of a scorecard that are computed from the lines of the plan."""


def read_own(world: World) -> dict[str, Any]:
    """Read what a scorecard has of its plan: the fields, and the inputs but those of steps and coverage."""
    card = get_json(world.secretariat)
    others = ("process_percent", "services", "families_reporting", "families_expected")
    inputs = {name: value for name, value in card["inputs"].items() if name not in others}
    return {**{name: card[name] for name in OF_PLAN}, "inputs": inputs}


def test_an_amendment_does_not_move_the_scorecard_of_a_submitted_quarter(world: World) -> None:
    with world.database.writing() as session:  # a draft, so that its lines can change
        is_draft = {"state": PlanState.draft, "revision": None}
        session.execute(sa.update(get_table(PlanRow)).values(is_draft))
    keep_copy(world.database, number=0, instrument_date=date(2026, 6, 30))
    move(world, "submit")
    before = read_own(world)
    assert before["revision"] == 0
    recipients = [{"code": "R1", "kind": "persons", "count": 7}]
    put(
        world.secretariat,
        "A-1",
        base=make_line("raise_income", 4_000, [{"region_code": OTHER}], recipients=recipients),
    )
    put(world.secretariat, "A-5", base=LINES["A-1"])
    loci = {"priority_locations": [{"region_code": OTHER, "target_families": 7}]}
    assert world.secretariat.patch(f"/v1/plans/{PLAN}", json=loci, headers=ANY).status_code == 200
    assert read_own(world) == before
    later = get_json(world.secretariat, AT.replace("Q2", "Q3"))
    assert (later["revision"], later["lines"]) == (0, before["lines"])
    keep_copy(world.database, number=1, instrument_date=date(2026, 9, 30))
    report(world.secretariat, "A-5", 3, spent=1)
    later = get_json(world.secretariat, AT.replace("Q2", "Q3"))
    assert (later["revision"], later["lines"]) == (1, before["lines"] + 1)


def test_a_scorecard_names_the_revision_of_its_quarter(world: World) -> None:
    def list_revisions() -> list[int | None]:
        trial = world.secretariat.post(f"/v1/scorecards/63.02/what-if?period={PERIOD}", json={})
        ranking = get_json(world.nation, RANKING)["regencies"]
        (ranked,) = [row for row in ranking if row["region_code"] == "63.02"]
        return [item["revision"] for item in (get_json(world.secretariat), trial.json(), ranked)]

    assert list_revisions() == [None] * 3
    keep_copy(world.database, number=0, instrument_date=date(2026, 6, 30))
    report(world.secretariat, "A-4", 2, spent=0, obstacle="x")  # an adoption leaves a journal entry too
    assert list_revisions() == [0] * 3
    move(world, "submit", "verify", "freeze")
    assert list_revisions() == [0] * 3
    assert get_json(world.nation, AT.replace("63.02", "63"))["revision"] is None
    with world.database.writing() as session:  # as of a freeze before scorecards named a revision
        content = json.loads(session.scalars(sa.select(frozen_scorecards.c.content)).one())
        assert content.pop("revision") == 0
        session.execute(sa.update(frozen_scorecards).values(content=json.dumps(content)))
    world.app.state.figures_cache = FiguresCache()
    assert list_revisions() == [0] * 3


def test_the_counts_of_reported_lines_have_one_value(world: World) -> None:
    for quarter in range(1, 5):
        period = f"2026-Q{quarter}"
        summary = get_json(world.secretariat, f"/v1/plans/{PLAN}/summary?period={period}")
        card = get_json(world.secretariat, AT.replace(PERIOD, period))
        assert card["inputs"]["lines_reported"] == summary["reported"]
        assert (card["lines"], card["money"]["budget"]) == (summary["actions"], summary["allocated"])


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
