"""SELECTs for the figures of each village, from the lines of the quarter, plans and reports.

A line counts only in a village that it names itself, not in the villages of a district that it names. Every SELECT
starts from the plans and the coverage that the actor sees. Lines come from places by an index on their codes, so the
work grows with the lines in the villages; a SELECT of the present lines and one of copies keep it so.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.coverage.queries import coverage
from app.convergence.coverage.rules import VILLAGE_LENGTH
from app.convergence.villages.models import Efforts
from app.kit.database.engine import get_table
from app.kit.database.json_sql import sum_where, whole_sum
from app.kit.periods import Period
from app.plans.actions.models import BudgetLineRow, LocationRow, MilestoneRow, Strategy
from app.plans.copies.queries import COPIED, PRESENT, LineTables, select_priority_locations
from app.plans.core.queries import can_see_plan, plans
from app.plans.overlaps.queries import count_agencies_at_once, select_spots
from app.tracking.lines.queries import join_leads, select_plans_of_quarter, select_report_period
from app.tracking.progress.models import (
    MilestoneProgressRow,
    MilestoneState,
    OutputProgressRow,
    RecipientProgressRow,
)
from app.tracking.progress.queries import is_own, progress

_places = get_table(LocationRow)
_budget_lines, _milestones = get_table(BudgetLineRow), get_table(MilestoneRow)
_done, _outputs, _reached = (
    get_table(MilestoneProgressRow),
    get_table(OutputProgressRow),
    get_table(RecipientProgressRow),
)

LENGTHS_ABOVE = (8, 5, 2)
"""Lengths of the codes above a village: district, regency, province."""
EFFORTS = tuple(Efforts.model_fields)


def name_column(strategy: Strategy, name: str) -> str:
    """Return the column name of a strategy's figure."""
    return f"{strategy.value}_{name}"


COUNT_COLUMNS = (
    *EFFORTS,
    "late",
    *(name_column(strategy, name) for strategy in Strategy for name in EFFORTS),
)
"""Columns that count lines."""


class VillageScope(NamedTuple):
    """The region, the quarter and the plans of a query."""

    actor: Actor
    region: str
    quarter: str
    plans: FromClause
    """Visible plans of the region, and of regions above and below it: their columns of `select_plans_of_quarter`."""
    tables: Sequence[LineTables]
    """Tables that have lines of these plans."""

    def join_lines(self, tables: LineTables) -> tuple[sa.Join, sa.Label[str]]:
        """Return the lines of the plans among these, joined with the plans; and the agency that figures name."""
        lines = tables.lines.join(self.plans, tables.is_of_chosen(self.plans))
        return join_leads(lines, tables.lines.c.lead_agency, self.plans)

    def is_village(self, code: ColumnElement[str]) -> ColumnElement[bool]:
        return sa.and_(is_in_region(code, self.region), sa.func.length(code) == VILLAGE_LENGTH)


def make_scope(session: Session, actor: Actor, region: str, quarter: str) -> VillageScope:
    """Return the scope of a query, after a statement that chooses the copy of each plan.

    A larger statement that chose them itself would look in both kinds of tables for each figure.
    """
    above = [region[:length] for length in LENGTHS_ABOVE if length < len(region)]
    is_chosen = sa.and_(
        can_see_plan(actor),
        plans.c.year == int(quarter[:4]),
        sa.or_(is_in_region(plans.c.region_code, region), plans.c.region_code.in_(above)),
    )
    chosen = select_plans_of_quarter(is_chosen, quarter)
    columns = [chosen.c[name] for name in ("plan_id", "plan_region", "is_closed", "copy_id")]
    rows = [tuple(row) for row in session.execute(sa.select(*columns))] or [(0, "", False, None)]
    given = sa.union_all(
        *[
            sa.select(
                *[sa.literal(value, c.type).label(c.name) for value, c in zip(row, columns, strict=True)]
            )
            for row in rows
        ]
    )
    copied = sorted({copy_id is not None for *_, copy_id in rows})
    tables = [COPIED if is_copied else PRESENT for is_copied in copied]
    return VillageScope(actor, region, quarter, given.cte("plan_of_quarter"), tables)


def select_named_lines(
    scope: VillageScope, is_there: Callable[[ColumnElement[str]], ColumnElement[bool]], *names: str
) -> list[Select[Any]]:
    """Select `place` and columns of the lines that name a place with the predicate, from each of the tables."""
    queries = []
    for tables in scope.tables:
        line, place = tables.lines, tables.parts[_places].c.region_code
        lines, lead = scope.join_lines(tables)
        columns = {**line.c, **scope.plans.c, "lead_agency": lead}
        query = sa.select(place.label("place"), *[columns[name] for name in names])
        named = place.table.join(lines, tables.is_of_line(_places, line))
        queries.append(query.select_from(named).where(is_there(place)))
    return queries


OF_LINE = ("id", "copy_id", "is_closed", "allocation")
"""Columns of lines that decide their `Efforts`."""


def select_efforts(scope: VillageScope, named: FromClause, *names: str) -> Select[Any]:
    """Select columns of lines (`select_named_lines`, with `OF_LINE`), and the `Efforts` of each line as 0 and 1."""
    period = select_report_period(named, scope.quarter).label("period")
    kept = [named.c[name] for name in ("id", "copy_id", "allocation", *names)]
    line = sa.select(*kept, period).subquery("line")
    c = line.c

    def is_reported(table: sa.Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        is_of_report = sa.and_(table.c.action_id == c.id, table.c.period == c.period)
        return sa.exists().where(is_of_report, condition).correlate_except(table)

    def has_part(
        part: sa.Table, is_chosen: Callable[[sa.Table], ColumnElement[bool]] = lambda _: sa.true()
    ) -> ColumnElement[bool]:
        found = [
            sa.exists().where(tables.is_of_line(part, line), is_chosen(table)).correlate_except(table)
            for tables in scope.tables
            for table in [tables.parts[part]]
        ]
        return found[0] if len(found) == 1 else sa.case((c.copy_id.is_(None), found[0]), else_=found[1])

    def is_due(milestones: sa.Table) -> ColumnElement[bool]:
        return milestones.c.due <= Period.parse(scope.quarter).last_day

    def is_missed(milestones: sa.Table) -> ColumnElement[bool]:
        is_done = sa.and_(_done.c.code == milestones.c.code, _done.c.state == MilestoneState.done)
        return sa.and_(is_due(milestones), ~is_reported(_done, is_done))

    conditions: dict[str, ColumnElement[Any]] = {
        "lines": sa.true(),
        "funded": sa.and_(c.allocation > 0, has_part(_budget_lines)),
        "delivering": sa.or_(
            is_reported(progress, progress.c.spent > 0),
            is_reported(_outputs, _outputs.c.achieved > 0),
            is_reported(_reached, _reached.c.reached > 0),
        ),
        "on_time": sa.case(
            (has_part(_milestones, is_due), ~has_part(_milestones, is_missed)),
            else_=is_reported(progress, sa.and_(c.period == scope.quarter, is_own)),
        ),
    }
    flags = [sa.case((condition, 1), else_=0).label(name) for name, condition in conditions.items()]
    return sa.select(*[c[name] for name in {"id": 0, **dict.fromkeys(names)}], *flags)


def _count_lines(scope: VillageScope) -> sa.SelectBase:
    """Select the number of lines of each village, by strategy and in total."""
    names = (*OF_LINE, "strategy")
    named = sa.union_all(*select_named_lines(scope, scope.is_village, *names)).cte("named_line")
    lines = sa.select(*[named.c[name] for name in names]).distinct().subquery("named_once")
    # Materialized: computed once for each line. An engine that inlines it looks a line up for each sum below.
    efforts = select_efforts(scope, lines, "strategy").cte("efforts").prefix_with("MATERIALIZED")
    e = efforts.c
    is_late = sa.and_(e.funded == 1, e.on_time == 0)
    of_strategies = [
        sum_where(e.strategy == strategy, e[name]).label(name_column(strategy, name))
        for strategy in Strategy
        for name in EFFORTS
    ]
    return (
        sa.select(
            named.c.place.label("village"),
            *[whole_sum(e[name]).label(name) for name in EFFORTS],
            sum_where(is_late).label("late"),
            *of_strategies,
        )
        .select_from(named.join(efforts, e.id == named.c.id))
        .group_by(named.c.place)
    )


def _select_named(scope: VillageScope) -> sa.SelectBase:
    """Select each village that plans name as a priority location, with its target families (the larger of two)."""
    c = select_priority_locations(scope.plans).c
    families = sa.func.max(c.target_families).label("planned_families")
    return (
        sa.select(c.region_code.label("village"), sa.literal(1).label("is_named"), families)
        .where(scope.is_village(c.region_code))
        .group_by(c.region_code)
    )


def _select_coverage(scope: VillageScope) -> sa.SelectBase:
    c = coverage.c
    columns = (c.eligible, c.served, c.balance_percent, c.status)
    return sa.select(c.village, c.target_families.label("reported_families"), *columns).where(
        can_see_region(scope.actor, c.region_code),
        c.period == scope.quarter,
        is_in_region(c.village, scope.region),
    )


def _select_overlaps(session: Session, scope: VillageScope) -> sa.SelectBase:
    """Select for each village the largest number of agencies that all overlap with each other."""
    spots = [
        select_spots(session, tables, *scope.join_lines(tables)).where(
            scope.is_village(tables.parts[_places].c.region_code)
        )
        for tables in scope.tables
    ]
    overlaps = count_agencies_at_once(sa.union_all(*spots).cte("spot")).subquery("at_once")
    most = sa.func.max(overlaps.c.agencies).label("overlapping_agencies")
    return sa.select(overlaps.c.place.label("village"), most).group_by(overlaps.c.place)


def select_facts(session: Session, scope: VillageScope) -> CTE:
    """Select a row for each village with the figures of lines, plans and reports.

    UNION ALL and GROUP BY instead of joins: the cost stays that of reading the parts, even if an engine misjudges
    their number of rows.
    """
    sources = [
        _count_lines(scope),
        _select_named(scope),
        _select_coverage(scope),
        _select_overlaps(session, scope),
    ]
    parts = [
        source.cte(name) for source, name in zip(sources, ("counted", "named", "covered", "met"), strict=True)
    ]
    kinds = {column.name: column.type for part in parts for column in part.c if column.name != "village"}
    facts = sa.union_all(
        *[
            sa.select(
                part.c.village,
                *[
                    part.c[name].label(name) if name in part.c else sa.cast(sa.null(), kind).label(name)
                    for name, kind in kinds.items()
                ],
            )
            for part in parts
        ]
    ).subquery("facts")
    most = [sa.func.max(facts.c[name]).label(name) for name in kinds]
    return sa.select(facts.c.village, *most).group_by(facts.c.village).cte("village_facts")
