"""Queries of the lines of chosen plans: those of a copy, or the present ones of a plan without it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import FromClause
from sqlmodel import Session

from app.agencies.queries import Referrer, make_counter
from app.kit.database.engine import get_table
from app.kit.database.json_sql import TextSelect, build_once, select_fields, select_json
from app.kit.wording import Text
from app.plans.actions.models import PARTS, ActionIn, ActionRow, SupportingAgencyRow
from app.plans.actions.queries import build_part_json
from app.plans.actions.rules import ActionContent
from app.plans.copies.models import PART_COPIES, action_copies, location_copies, plan_copies
from app.plans.core.models import Plan, PriorityLocationRow

_actions, _locations = get_table(ActionRow), get_table(PriorityLocationRow)


class LineTables(NamedTuple):
    """Tables of the lines of one plan: the present ones, or those of a copy."""

    lines: sa.Table
    parts: Mapping[sa.Table, sa.Table]
    """Table of a part of present lines → table with the rows of these lines."""
    is_of_plan: sa.ColumnElement[bool]
    """Predicate: a line of the plan bound as `of_plan`, or of the copy bound as `of_copy`."""

    def is_of_line(self, part: sa.Table, line: FromClause) -> sa.ColumnElement[bool]:
        """Predicate: a row of a part belongs to a line with the columns `id` and, of copies, `copy_id`."""
        table = self.parts[part]
        is_of_line = table.c.action_id == line.c.id
        return is_of_line if table is part else sa.and_(is_of_line, table.c.copy_id == line.c.copy_id)

    def is_of_chosen(self, chosen: FromClause) -> sa.ColumnElement[bool]:
        """Predicate: a line belongs to a chosen plan (`select_lines`)."""
        c = self.lines.c
        if self.lines is not _actions:
            return c.copy_id == chosen.c.copy_id
        return sa.and_(chosen.c.copy_id.is_(None), c.plan_id == chosen.c.plan_id)

    def is_of_report(self, part: sa.Table, action_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Predicate: a row of a part belongs to the line of a report, in the plan or copy that is bound."""
        table = self.parts[part]
        is_of_line = table.c.action_id == action_id
        return is_of_line if table is part else sa.and_(is_of_line, table.c.copy_id == _COPY)


_COPY = sa.bindparam("of_copy", type_=sa.BigInteger)
_of_plan = sa.bindparam("of_plan", type_=sa.BigInteger)
PRESENT = LineTables(_actions, {part.table: part.table for part in PARTS}, _actions.c.plan_id == _of_plan)
COPIED = LineTables(action_copies, PART_COPIES, action_copies.c.copy_id == _COPY)


def build_content_columns(tables: LineTables) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a line's content (`ActionIn`); the database builds the JSON of its parts."""
    lines = tables.lines
    parts = {
        part.name: build_part_json(
            part, tables.parts[part.table], lines, tables.is_of_line(part.table, lines)
        )
        for part in PARTS
    }
    return select_fields(ActionIn, lines, **parts)


def bind_lines(plan: Plan, copy_id: int | None) -> dict[str, Any]:
    """Return the parameters of a statement over the `LineTables` of a plan."""
    return {"of_plan": plan.id} if copy_id is None else {"of_copy": copy_id}


def read_line_contents(session: Session, plan: Plan, copy_id: int | None) -> dict[str, ActionContent]:
    """Return the contents of the lines of a plan, or of its copy, by code."""
    rows = session.execute(_select_contents(session, copy_id is not None), bind_lines(plan, copy_id))
    return {code: json.loads(text) for text, code in rows}


@build_once
def _select_contents(session: Session, is_copied: bool) -> TextSelect:
    tables = COPIED if is_copied else PRESENT
    query = sa.select(*build_content_columns(tables), tables.lines.c.code.label("_code"))
    return select_json(query.where(tables.is_of_plan), "_code")


def select_copy_by_day(
    plan_id: sa.ColumnElement[int], last_day: sa.ColumnElement[str]
) -> sa.ScalarSelect[int]:
    """Return the copy of the greatest revision whose instrument has a date up to a day, as text; null without one."""
    c = plan_copies.c
    return (
        sa.select(c.id)
        .where(c.plan_id == plan_id, sa.cast(c.instrument_date, sa.Text) <= last_day)
        .order_by(c.number.desc())
        .limit(1)
        .correlate_except(plan_copies)
        .scalar_subquery()
    )


def select_number(copy_id: sa.ColumnElement[int]) -> sa.ScalarSelect[int | None]:
    """Return the number of the revision that keeps a copy; null for the copy of a submitted quarter."""
    c = plan_copies.c
    return sa.select(c.number).where(c.id == copy_id).correlate_except(plan_copies).scalar_subquery()


def find_copy(session: Session, plan: Plan, number: int) -> int | None:
    """Return the copy of a revision of a plan. Returns None if the plan has no such revision."""
    c = plan_copies.c
    return session.scalar(sa.select(c.id).where(c.plan_id == plan.id, c.number == number))


def list_revision_numbers(session: Session, plan: Plan) -> list[str]:
    """Return the numbers of a plan's revisions, in order."""
    c = plan_copies.c
    numbers = sa.select(c.number).where(c.plan_id == plan.id, c.number.is_not(None)).order_by(c.number)
    return [str(number) for number in session.scalars(numbers)]


def list_kept_quarters(session: Session, plan: Plan) -> list[str]:
    """Return the submitted quarters that keep lines of a plan without a revision, in order."""
    c = plan_copies.c
    periods = sa.select(c.period).where(c.plan_id == plan.id, c.period.is_not(None)).order_by(c.period)
    return [str(period) for period in session.scalars(periods)]


def has_kept_quarters(plan_id: sa.SQLColumnExpression[int]) -> sa.ColumnElement[bool]:
    """Return the predicate: a submitted quarter keeps lines of a plan without a revision."""
    c = plan_copies.c
    return sa.exists().where(c.plan_id == plan_id, c.period.is_not(None)).correlate_except(plan_copies)


def select_lines(chosen: FromClause, *names: str) -> sa.CompoundSelect[tuple[object, ...]]:
    """Return the lines of chosen plans: all columns of `chosen`, then these columns of the lines.

    `chosen` has the columns `plan_id` and `copy_id`; a plan with a null `copy_id` has its present lines.
    """
    return sa.union_all(
        *[
            sa.select(*chosen.c, *[tables.lines.c[name] for name in names]).join_from(
                chosen, tables.lines, tables.is_of_chosen(chosen)
            )
            for tables in (COPIED, PRESENT)
        ]
    )


def select_part(lines: FromClause, part: sa.Table) -> sa.Subquery:
    """Return the rows of a part of lines; `lines` has the columns `id` and `copy_id` of `select_lines`.

    `action_id` of a row is the `id` of its line.
    """
    copies, line = PART_COPIES[part], lines.c
    is_of_copy = sa.and_(copies.c.copy_id == line.copy_id, copies.c.action_id == line.id)
    of_copy = sa.select(*[copies.c[column.name] for column in part.c]).join_from(lines, copies, is_of_copy)
    is_present = sa.and_(line.copy_id.is_(None), part.c.action_id == line.id)
    present = sa.select(*part.c).join_from(lines, part, is_present)
    return of_copy.union_all(present).subquery(f"part_{part.name}")


def select_priority_locations(chosen: FromClause) -> sa.Subquery:
    """Return the priority locations of chosen plans (`select_lines`)."""
    copies, table = location_copies.c, _locations.c
    of_copy = sa.select(*[copies[column.name] for column in table]).join_from(
        chosen, location_copies, copies.copy_id == chosen.c.copy_id
    )
    is_present = sa.and_(chosen.c.copy_id.is_(None), table.plan_id == chosen.c.plan_id)
    present = sa.select(*table).join_from(chosen, _locations, is_present)
    return of_copy.union_all(present).subquery("priority_locations")


REFERRERS = [
    Referrer(
        Text(
            "baris pada revisi rencana dan triwulan yang sudah diajukan",
            "lines of revisions and submitted quarters",
        ),
        make_counter(action_copies.c.lead_agency, PART_COPIES[get_table(SupportingAgencyRow)].c.agency_code),
    )
]
"""The figures of a quarter name the agencies of its copy, so an agency of a copy must stay."""
