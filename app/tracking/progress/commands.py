"""Commands of figures that follow from reports: physical progress, latest figures of lines, carried reports.

The caller holds the lock of the plan's chain.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.json_sql import build_once, dump_json
from app.kit.database.upsert import unnest_records
from app.plans.actions.queries import actions
from app.plans.copies.models import action_copies
from app.plans.copies.queries import COPIED, PRESENT, bind_lines
from app.plans.core.models import Plan
from app.tracking.progress.models import PROGRESS_PARTS
from app.tracking.progress.queries import (
    compute_physical_percent,
    derive_physical_basis,
    is_own,
    progress,
    select_period_before,
)

# Physical progress


def refresh_physical(
    session: Session, plan: Plan, period: str, copy_id: int | None, action_ids: Sequence[int] | None = None
) -> None:
    """Recompute the physical progress of a quarter's reports, of all lines or of some.

    `copy_id` is the copy of the plan whose targets and milestones count; None: those of the plan now.
    """
    bound = {**bind_lines(plan, copy_id), "reported_plan": plan.id, "quarter": period}
    if action_ids is not None:
        bound |= _bind_ids(action_ids)
    statement = _update_physical(session, copy_id is not None, action_ids is not None)
    session.connection().execute(statement, bound)


@build_once
def _update_physical(session: Session, is_copied: bool, has_ids: bool) -> sa.Update:
    tables = COPIED if is_copied else PRESENT
    statement = (
        sa.update(progress)
        .where(
            progress.c.plan_id == sa.bindparam("reported_plan"), progress.c.period == sa.bindparam("quarter")
        )
        .values(
            physical_percent=compute_physical_percent(tables), physical_basis=derive_physical_basis(tables)
        )
    )
    return statement.where(progress.c.action_id.in_(_select_listed(session))) if has_ids else statement


def _bind_ids(action_ids: Sequence[int]) -> dict[str, Any]:
    return {"records": dump_json([{"action_id": id} for id in action_ids])}


def _select_listed(session: Session) -> sa.SelectBase:
    source = unnest_records(session, {"action_id": progress.c.action_id.type})
    return sa.select(source.c.action_id)


# Latest figures


def copy_latest(session: Session, action_ids: Sequence[int]) -> None:
    """Copy the figures of the latest report to each line."""
    session.connection().execute(_copy_latest(session), _bind_ids(action_ids))


@build_once
def _copy_latest(session: Session) -> sa.Update:
    latest = progress.alias("latest")

    def select_latest(column: sa.Column[Any]) -> object:
        return (
            sa.select(column)
            .where(latest.c.action_id == actions.c.id, latest.c.carried_from.is_(None))
            .order_by(latest.c.period.desc())
            .limit(1)
            .correlate(actions)
            .scalar_subquery()
        )

    return (
        sa.update(actions)
        .where(actions.c.id.in_(_select_listed(session)))
        .values(
            progress_period=select_latest(latest.c.period),
            spent=sa.func.coalesce(select_latest(latest.c.spent), 0),
            physical_percent=select_latest(latest.c.physical_percent),
        )
    )


# Carried reports: a line without a report of the quarter counts with its latest earlier one. A submission copies that
# one, so that a later correction of the earlier quarter does not move the figures of this one.


def carry_reports(session: Session, plan: Plan, period: str, copy_id: int) -> None:
    """Copy the latest earlier report of the year of each line that has none of the quarter, with its parts."""
    drop_carried(session, plan, period)
    own = progress.alias("own")
    is_reported = sa.exists().where(own.c.action_id == progress.c.action_id, own.c.period == period)
    carried = {"period": sa.literal(period), "carried_from": progress.c.period}
    rows = sa.select(*[carried.get(column.name, column) for column in progress.c]).where(
        progress.c.plan_id == plan.id,
        is_own,
        progress.c.period == select_period_before(period, period[:4]),
        progress.c.action_id.in_(sa.select(action_copies.c.id).where(action_copies.c.copy_id == copy_id)),
        ~is_reported.correlate(progress),
    )
    session.execute(sa.insert(progress).from_select(progress.c.keys(), rows))
    for part in PROGRESS_PARTS:
        table = part.table
        items = sa.select(*[progress.c.period if c.name == "period" else c for c in table.c]).join_from(
            progress,
            table,
            sa.and_(table.c.action_id == progress.c.action_id, table.c.period == progress.c.carried_from),
        )
        of_quarter = (progress.c.plan_id == plan.id, progress.c.period == period)
        session.execute(sa.insert(table).from_select(table.c.keys(), items.where(*of_quarter)))


def drop_carried(session: Session, plan: Plan, period: str, action_ids: Sequence[int] | None = None) -> None:
    """Delete the carried reports of a quarter, of all lines or of some."""
    bound = {"plan": plan.id, "quarter": period, **({} if action_ids is None else _bind_ids(action_ids))}
    session.connection().execute(_delete_carried(session, action_ids is not None), bound)


@build_once
def _delete_carried(session: Session, has_ids: bool) -> sa.Delete:
    is_carried = sa.and_(
        progress.c.plan_id == sa.bindparam("plan"), progress.c.period == sa.bindparam("quarter"), ~is_own
    )
    statement = sa.delete(progress).where(is_carried)
    return statement.where(progress.c.action_id.in_(_select_listed(session))) if has_ids else statement
