"""Evidence per village: a step is done when every priority location has each kind."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.convergence.steps.models import StepEvidenceRow
from app.kit.database.engine import get_table
from tests.database import OneTransaction
from tests.plans.world import AT as PLAN_AT
from tests.plans.world import put_plan
from tests.steps.world import ANY, find_criterion, read_steps, show

STEP, KINDS = "village_strengthening", ("village_decree", "village_budget")
DUE = date(2026, 6, 30)
VILLAGES = [f"63.02.01.200{n}" for n in range(1, 5)]

documents = st.lists(
    st.tuples(st.sampled_from(VILLAGES), st.sampled_from(KINDS), st.integers(-20, 20)),
    min_size=4,
    max_size=24,
)


def read_step(database: OneTransaction) -> dict[str, Any]:
    step: dict[str, Any] = read_steps(database)[STEP]
    return step


def list_loci(step: dict[str, Any]) -> list[tuple[int | None, int | None]]:
    return [(item["loci"], item["loci_with_evidence"]) for item in step["evidence_kinds"]]


def test_a_step_is_done_on_the_day_of_the_last_location(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat, priority_locations=[{"region_code": code} for code in VILLAGES[:2]])
    for kind in KINDS:
        show(secretariat, kind, STEP, kind, village=VILLAGES[0], date="2026-03-01")
        show(secretariat, kind, STEP, f"{kind}-other", village=VILLAGES[2], date="2026-04-01")
    step = read_step(database)
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("late", None, True)
    assert list_loci(step) == [(2, 1), (2, 1)], "the third village is no priority location"
    show(secretariat, KINDS[0], STEP, "again", village=VILLAGES[1], date="2026-05-02")
    assert (read_step(database)["done_on"], list_loci(read_step(database))) == (None, [(2, 2), (2, 1)])
    show(secretariat, KINDS[1], STEP, "late", village=VILLAGES[1], date="2026-07-01")
    step = read_step(database)
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("done", "2026-07-01", True)
    show(secretariat, KINDS[1], STEP, "early", village=VILLAGES[1], date="2026-05-03")
    step = read_step(database)
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("done", "2026-05-03", False)
    assert list_loci(read_steps(database)["regulation"]) == [(None, None)] * 3
    more = {"title": "RAT", "priority_locations": [{"region_code": code} for code in VILLAGES]}
    assert secretariat.put(PLAN_AT, json=more, headers=ANY).status_code == 200
    assert (read_step(database)["state"], list_loci(read_step(database))) == ("late", [(4, 3), (4, 3)])


def test_a_district_among_the_priority_locations_needs_no_document(
    secretariat: TestClient, database: OneTransaction
) -> None:
    """Evidence names a village, so a step that waited for the district would never be done."""
    put_plan(secretariat, priority_locations=[{"region_code": code} for code in ("63.02.05", VILLAGES[0])])
    for kind in KINDS:
        show(secretariat, kind, STEP, village=VILLAGES[0], date="2026-03-01")
    step = read_step(database)
    assert (step["state"], list_loci(step)) == ("done", [(1, 1), (1, 1)])
    assert find_criterion({STEP: step}, "loci_strengthened")["value"] == 100


def test_without_priority_locations_a_step_per_village_is_not_done(
    secretariat: TestClient, database: OneTransaction
) -> None:
    for kind in KINDS:
        show(secretariat, kind, STEP, village=VILLAGES[0], date="2026-03-01")
    assert (read_step(database)["state"], list_loci(read_step(database))) == ("late", [(0, 0), (0, 0)])
    put_plan(secretariat)
    assert (read_step(database)["state"], list_loci(read_step(database))) == ("late", [(0, 0), (0, 0)])


@pytest.mark.both_engines
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loci=st.sets(st.sampled_from(VILLAGES), max_size=3), shown=documents)
def test_any_evidence_gives_the_state_that_its_documents_give(
    loci: set[str], shown: list[tuple[str, str, int]], secretariat: TestClient, database: OneTransaction
) -> None:
    days: dict[tuple[str, str], date] = {}
    for village, kind, offset in shown:
        day = DUE + timedelta(days=offset)
        days[village, kind] = min(day, days.get((village, kind), day))
    by_kind = [[days[village, kind] for village in loci if (village, kind) in days] for kind in KINDS]
    is_done = bool(loci) and all(len(firsts) == len(loci) for firsts in by_kind)
    done_on = max(day for firsts in by_kind for day in firsts) if is_done else None
    point = database.connection.begin_nested()
    try:
        put_plan(secretariat, priority_locations=[{"region_code": code} for code in sorted(loci)])
        with database.writing() as session:
            rows = [
                {
                    "region_code": "63.02",
                    "year": 2026,
                    "step": STEP,
                    "key": str(n),
                    "title": "SK",
                    "village": village,
                    "kind": kind,
                    "date": DUE + timedelta(days=offset),
                    "document_number": "1",
                    "url": None,
                    "version": 1,
                    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
                }
                for n, (village, kind, offset) in enumerate(shown)
            ]
            session.connection().execute(sa.insert(get_table(StepEvidenceRow)), rows)
        step = read_step(database)
        assert step["done_on"] == (done_on.isoformat() if done_on else None)
        assert step["state"] == ("done" if is_done else "late")
        assert step["deadline_missed"] == (done_on is None or done_on > DUE)
        assert list_loci(step) == [(len(loci), len(firsts)) for firsts in by_kind]
        complete = sum(all((village, kind) in days for kind in KINDS) for village in loci)
        figure = find_criterion({STEP: step}, "loci_strengthened")
        assert figure["value"] == (round(100 * complete / len(loci), 2) if loci else None)
    finally:
        point.rollback()
