"""Commands of copies. The caller holds the lock of the plan's chain, so the lines do not change meanwhile."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.engine import get_table
from app.plans.actions.models import ActionRow
from app.plans.copies.models import PART_COPIES, action_copies, location_copies, plan_copies
from app.plans.core.models import Plan, PriorityLocationRow

_actions, _locations = get_table(ActionRow), get_table(PriorityLocationRow)


def copy_plan(
    session: Session,
    plan: Plan,
    *,
    number: int | None = None,
    period: str | None = None,
    instrument_date: date | None = None,
) -> int:
    """Copy the present lines and priority locations of a plan, for a revision or for a submitted quarter.

    Returns the id of the copy, after as many statements for many lines as for one.
    """
    row = {"plan_id": plan.id, "number": number, "period": period, "instrument_date": instrument_date}
    insert = sa.insert(plan_copies).values(row).returning(plan_copies.c.id)
    copy_id: int = session.execute(insert).scalar_one()
    ids = sa.select(_actions.c.id).where(_actions.c.plan_id == plan.id)
    _copy_rows(session, copy_id, _actions, action_copies, _actions.c.plan_id == plan.id)
    _copy_rows(session, copy_id, _locations, location_copies, _locations.c.plan_id == plan.id)
    for table, copies in PART_COPIES.items():
        _copy_rows(session, copy_id, table, copies, table.c.action_id.in_(ids))
    return copy_id


def _copy_rows(
    session: Session, copy_id: int, table: sa.Table, copies: sa.Table, is_of_plan: sa.ColumnElement[bool]
) -> None:
    names = [column.name for column in copies.c if column.name != "copy_id"]
    rows = sa.select(sa.literal(copy_id), *[table.c[name] for name in names]).where(is_of_plan)
    session.execute(sa.insert(copies).from_select(["copy_id", *names], rows))


def detach_lines(session: Session, plan: Plan, ids: Sequence[int]) -> None:
    """Keep the rows of deleted lines in copies, under ids that no other line gets."""
    c = action_copies.c
    of_plan = sa.select(plan_copies.c.id).where(plan_copies.c.plan_id == plan.id)
    session.execute(sa.update(action_copies).where(c.copy_id.in_(of_plan), c.id.in_(ids)).values(id=-c.id))


def drop_unused_copy(session: Session, copy_id: int) -> None:
    """Delete the copy of a quarter that keeps it no longer; the copy of a revision stays."""
    session.execute(sa.delete(plan_copies).where(plan_copies.c.id == copy_id, plan_copies.c.number.is_(None)))
