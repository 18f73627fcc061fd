"""`rata verify` compares frozen figures with their hashes and their rows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.console.figures import find_breaks
from app.convergence.scorecards.models import ScorecardRow
from app.kit.database.engine import get_table
from app.plans.actions.models import BudgetLineRow
from app.plans.copies.models import PART_COPIES, action_copies, location_copies
from app.plans.revisions.models import PlanRevisionRow
from app.tracking.progress.models import ProgressRow
from app.tracking.quarters.snapshots.models import SnapshotRow
from tests.database import OneTransaction
from tests.fixtures.recorded import read_rows, restore
from tests.year.played import PlayedYear

QUARTER = "2025-Q2"
revisions, snapshots, scorecards = map(get_table, (PlanRevisionRow, SnapshotRow, ScorecardRow))
progress, budgets = get_table(ProgressRow), PART_COPIES[get_table(BudgetLineRow)]


@pytest.fixture
def frozen(database: OneTransaction, connect: Callable[..., TestClient]) -> OneTransaction:
    """A plan with two revisions and a frozen quarter of the first."""
    year = PlayedYear(connect, database, 3)
    year.draft()
    year.adopt()
    year.report(QUARTER)
    assert year.submit(QUARTER)
    for verb in ("verify", "freeze"):
        year.move(QUARTER, verb)
    year.amend()
    return database


def verify(database: OneTransaction) -> list[str]:
    with database.read_session() as session:
        return list(find_breaks(session))


def test_recorded_figures_agree_with_the_rows_of_the_migration(database: OneTransaction) -> None:
    with database.writing() as session:
        restore(session.connection(), read_rows())
    assert verify(database) == []


CHANGES: list[tuple[sa.Table, dict[str, Any], str]] = [
    (revisions, {"content": revisions.c.content + " "}, "differs from its hash"),
    (revisions, {"allocation": revisions.c.allocation + 1}, "its number of lines or its allocation"),
    (action_copies, {"allocation": action_copies.c.allocation + 1}, "differs from its rows in A-001"),
    (budgets, {"amount": budgets.c.amount + 1}, "differs from its rows in A-001"),
    (location_copies, {"target_families": 1}, "differs from its rows in the priority locations"),
    (snapshots, {"content": snapshots.c.content + " "}, "differs from its hash"),
    (scorecards, {"answer": scorecards.c.answer + " "}, "differs from its hash"),
    (scorecards, {"budget": scorecards.c.budget + 1}, "has another budget than the snapshot"),
]


@pytest.mark.both_engines
def test_a_changed_cell_is_found(frozen: OneTransaction) -> None:
    assert verify(frozen) == []
    for table, values, found in CHANGES:
        point = frozen.connection.begin_nested()
        with frozen.writing() as session:
            session.execute(sa.update(table).values(**values))
        assert any(found in sentence for sentence in verify(frozen)), (table.name, found)
        point.rollback()
    assert verify(frozen) == []


def test_a_changed_report_of_a_frozen_quarter_is_found(frozen: OneTransaction) -> None:
    with frozen.writing() as session:
        report = {"period": QUARTER, "spent": 1, "evidence": [], "version": 1, "reported_by": "x"}
        line = session.execute(sa.select(action_copies).limit(1)).mappings().one()
        of_line = {name: line[name] for name in ("plan_id", "region_code", "year")}
        session.execute(sa.delete(progress).where(progress.c.action_id == line["id"]))
        values = {**report, **of_line, "action_id": line["id"], "reported_at": line["updated_at"]}
        session.execute(sa.insert(progress).values(**values, obstacle="", follow_up=json.dumps("")))
    assert any("differ from its snapshot" in sentence for sentence in verify(frozen))


def test_a_changed_line_of_a_quarter_without_a_revision_is_found(
    database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    year = PlayedYear(connect, database, 3)
    year.draft()
    assert year.submit(QUARTER)
    for verb in ("verify", "freeze"):
        year.move(QUARTER, verb)
    assert verify(database) == []
    with database.writing() as session:
        session.execute(sa.update(action_copies).values(allocation=action_copies.c.allocation + 1))
    (sentence,) = verify(database)
    assert "The lines of 63.02 for 2025-Q2 differ from its snapshot in A-001" in sentence
