"""Queries of plans and lines by quarter. All figures of a quarter start from them."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, FromClause
from sqlmodel import Session

from app.access.queries import is_in_region
from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table
from app.kit.http.pagination import match_values
from app.plans.copies.queries import select_lines, select_number
from app.plans.core.models import Plan
from app.plans.core.queries import can_see_plan, plans
from app.plans.findings.rules import PlacedFinding
from app.tracking.progress.models import StoredProgress
from app.tracking.progress.queries import is_own, progress, read_lines, read_reports
from app.tracking.progress.rules import check_report
from app.tracking.quarters.queries import choose_copy, is_quarter_of_plan, quarters, read_copies

_agencies = get_table(AgencyRow)


def check_stored_reports(session: Session, plan: Plan) -> Iterator[PlacedFinding]:
    """Yield the findings of all reports on a plan, each compared with the lines of its quarter and the report before.

    `app.wiring` adds them to the check of a plan.
    """
    reports = read_reports(session, plan)
    codes_by_period: dict[str, set[str]] = {}
    for code, report in reports:
        codes_by_period.setdefault(report.period, set()).add(code)
    copies = read_copies(session, plan)
    lines = {
        period: read_lines(session, plan, sorted(codes), copies.get(period))
        for period, codes in codes_by_period.items()
    }
    earlier: dict[str, StoredProgress] = {}
    for code, report in reports:
        if code in lines[report.period]:  # else deleted between two statements
            line = lines[report.period][code]
            for finding in check_report(report.content, earlier.get(code), line, report.physical_percent):
                yield PlacedFinding(code, finding, report.period)
        earlier[code] = report


def is_visible_plan(actor: Actor, region: str, year: int | None) -> ColumnElement[bool]:
    """Predicate: a visible plan of the year in a region or below it."""
    return sa.and_(
        can_see_plan(actor), is_in_region(plans.c.region_code, region), *match_values((plans.c.year, year))
    )


def select_plans_of_quarter(
    is_chosen: ColumnElement[bool], quarter: str | ColumnElement[str], *, name: str = "plan_of_quarter"
) -> sa.CTE:
    """Return the plans of a predicate, each with the copy that its figures of a quarter compare with.

    `quarter` may be an expression over the plan.

    Columns: `plan_id`, `plan_region`, `is_closed` (submitted, and so bound to the copy), `copy_id` (null: the plan's
    present lines) and `revision` (null: none keeps the copy). A statement over several quarters needs a `name` each.
    """
    copy_id = choose_copy(sa.type_coerce(quarter, sa.Text()))
    return (
        sa.select(
            plans.c.id.label("plan_id"),
            plans.c.region_code.label("plan_region"),
            quarters.c.copy_id.is_not(None).label("is_closed"),
            copy_id.label("copy_id"),
            select_number(copy_id).label("revision"),
        )
        .select_from(plans.outerjoin(quarters, is_quarter_of_plan(quarter)))
        .where(is_chosen)
        .cte(name)
    )


class QuarterCopy(NamedTuple):
    """The plan of a quarter, and the copy that its figures compare with."""

    plan_id: int | None
    copy_id: int | None
    is_closed: bool


NO_COPY = QuarterCopy(None, None, is_closed=False)
"""A quarter without a plan."""


def read_quarter_copies(
    session: Session, regions: Collection[str], periods: Sequence[str]
) -> dict[tuple[str, str], QuarterCopy]:
    """Map (region, quarter) to the plan and the copy, with one statement; a quarter without a plan is not in it."""
    rows = []
    for n, period in enumerate(periods):
        is_chosen = sa.and_(plans.c.region_code.in_(sorted(regions)), plans.c.year == int(period[:4]))
        c = select_plans_of_quarter(is_chosen, period, name=f"plans_{n}").c
        rows.append(sa.select(c.plan_region, sa.literal(period), c.plan_id, c.copy_id, c.is_closed))
    found = session.execute(sa.union_all(*rows)).all() if rows else []
    return {(region, period): QuarterCopy(*copy) for region, period, *copy in found}


LINE_FIELDS = ("id", "code", "strategy", "lead_agency", "allocation", "starts_in", "ends_after")


def select_lines_of_quarter(chosen: sa.CTE, quarter: str, *fields: str, name: str = "lines") -> sa.CTE:
    """Return the lines of chosen plans (`select_plans_of_quarter`), each with the `period` of the report that counts.

    The columns are those of `chosen`, then `LINE_FIELDS` and `fields`; the agency is that of `replace_leads`.
    """
    lines = select_lines(chosen, *LINE_FIELDS, *fields).subquery(f"{name}_of_plans")
    return replace_leads(lines).add_columns(select_report_period(lines, quarter).label("period")).cte(name)


def select_report_period(lines: FromClause, quarter: str) -> sa.ScalarSelect[str | None]:
    """Return the period of the report that counts in a quarter for a line with the columns `id` and `is_closed`.

    That is the report of the quarter or, without one, the latest earlier one of the year; null without any. A submitted
    quarter has the copy of it that its submission carried over.
    """
    c = progress.c
    counts = sa.case((lines.c.is_closed, c.period == quarter), else_=is_own)
    return (
        sa.select(sa.func.max(c.period))
        .where(c.action_id == lines.c.id, c.period <= quarter, c.period > quarter[:4], counts)
        .correlate(lines)
        .scalar_subquery()
    )


def is_report(lines: FromClause, table: sa.Table) -> ColumnElement[bool]:
    """Predicate: a report, or an item of a report, is of the one that counts for a line (`select_lines_of_quarter`)."""
    return sa.and_(table.c.action_id == lines.c.id, table.c.period == lines.c.period)


def replace_leads(lines: FromClause) -> sa.Select[*tuple[object, ...]]:
    """Select the columns of lines, with the `lead_agency` that the figures of their quarter name.

    The lines have the columns of `join_leads`.
    """
    joined, lead = join_leads(lines, lines.c.lead_agency, lines)
    columns = [lead if column.name == "lead_agency" else column for column in lines.c]
    return sa.select(*columns).select_from(joined)


def join_leads(
    lines: FromClause, lead_agency: ColumnElement[str], chosen: FromClause
) -> tuple[sa.Join, sa.Label[str]]:
    """Join lines with their lead agencies; return the join, and the `lead_agency` that figures of the quarter name.

    A submitted quarter names the agency of its copy, an open one the successor of an agency that merged into another.
    `chosen` has the columns `plan_region` and `is_closed`.
    """
    a, c = _agencies.c, chosen.c
    lead = sa.case((c.is_closed, lead_agency), else_=sa.func.coalesce(a.merged_into, lead_agency))
    is_lead = sa.and_(a.region_code == c.plan_region, a.code == lead_agency)
    return lines.outerjoin(_agencies, is_lead), lead.label("lead_agency")


class LineSpending(NamedTuple):
    """Spending of a line by the end of a quarter."""

    lead_agency: str
    spent: int | None
    """Whole rupiah, cumulative from January; None without a report that counts."""
    reported_in: str | None
    """Quarter of that report."""


def read_spending(session: Session, plan: Plan, quarter: str) -> dict[str, LineSpending]:
    """Return the spending of each line of a quarter of a plan, by code."""
    lines = select_lines_of_quarter(select_plans_of_quarter(plans.c.id == plan.id, quarter), quarter)
    reported_in = sa.func.coalesce(progress.c.carried_from, progress.c.period)
    query = sa.select(lines.c.code, lines.c.lead_agency, progress.c.spent, reported_in)
    rows = session.execute(query.select_from(lines.outerjoin(progress, is_report(lines, progress))))
    return {code: LineSpending(*values) for code, *values in rows}
