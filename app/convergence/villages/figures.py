"""SELECTs for the figures of each village, from lines, plans and reports.

A line counts only in a village that it names itself, not in the villages of a district that it names. Every SELECT
starts from the plans and the coverage that the actor sees.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.coverage.queries import coverage
from app.convergence.villages.models import Efforts
from app.kit.database.engine import get_table
from app.kit.database.json_sql import sum_where, whole_sum
from app.kit.periods import Period
from app.plans.actions.models import BudgetLineRow, LocationRow, MilestoneRow, Strategy
from app.plans.actions.queries import actions
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import can_see_lines, can_see_plan, plans
from app.plans.overlaps.queries import count_agencies_at_once
from app.tracking.progress.models import (
    MilestoneProgressRow,
    MilestoneState,
    OutputProgressRow,
    RecipientProgressRow,
)
from app.tracking.progress.queries import progress

places, _priorities = get_table(LocationRow), get_table(PriorityLocationRow)
_budget_lines, _milestones = get_table(BudgetLineRow), get_table(MilestoneRow)
_done, _outputs, _reached = (
    get_table(MilestoneProgressRow),
    get_table(OutputProgressRow),
    get_table(RecipientProgressRow),
)

VILLAGE_LENGTH = 13
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
    """The plans, the region and the quarter of a query."""

    actor: Actor
    region: str
    quarter: str

    @property
    def year(self) -> int:
        return int(self.quarter[:4])

    def is_in_plans(self) -> ColumnElement[bool]:
        """Return the predicate: a plan of the year that the actor sees has the action."""
        c = actions.c
        return sa.and_(
            c.year == self.year,
            can_see_region(self.actor, c.region_code),
            can_see_lines(self.actor, c.plan_id),
        )

    def is_village(self, code: ColumnElement[str]) -> ColumnElement[bool]:
        return sa.and_(is_in_region(code, self.region), sa.func.length(code) == VILLAGE_LENGTH)


def flag_efforts(scope: VillageScope, line: FromClause) -> dict[str, ColumnElement[Any]]:
    """Return the `Efforts` of one line as 0 and 1, given its id, allocation and latest report."""
    c = line.c

    def has_part(table: sa.Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return sa.exists().where(table.c.action_id == c.id, *conditions).correlate_except(table)

    def is_reported(table: sa.Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return has_part(table, table.c.period == c.latest, condition)

    last_day = Period.parse(scope.quarter).last_day
    is_done = sa.and_(_done.c.code == _milestones.c.code, _done.c.state == MilestoneState.done)
    done = is_reported(_done, is_done)
    is_due = _milestones.c.due <= last_day
    conditions = {
        "lines": sa.true(),
        "funded": sa.and_(c.allocation > 0, has_part(_budget_lines)),
        "delivering": sa.or_(
            is_reported(progress, progress.c.spent > 0),
            is_reported(_outputs, _outputs.c.achieved > 0),
            is_reported(_reached, _reached.c.reached > 0),
        ),
        "on_time": sa.case(
            (has_part(_milestones, is_due), ~has_part(_milestones, is_due, ~done)),
            else_=sa.func.coalesce(c.latest == scope.quarter, sa.false()),
        ),
    }
    return {name: sa.case((condition, 1), else_=0) for name, condition in conditions.items()}


def select_newest_period(quarter: str) -> sa.ScalarSelect[str]:
    """Return the latest quarter of the year up to `quarter` with a report, for each row of the enclosing actions."""
    return (
        sa.select(sa.func.max(progress.c.period))
        .where(
            progress.c.action_id == actions.c.id,
            progress.c.period <= quarter,
            progress.c.period > quarter[:4],
        )
        .correlate(actions)
        .scalar_subquery()
    )


def select_lines(scope: VillageScope, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Select the lines of visible plans that fulfil the conditions, with the quarter of the latest report."""
    c, latest = actions.c, select_newest_period(scope.quarter).label("latest")
    columns = (c.id, c.region_code, c.lead_agency, c.strategy, c.allocation, latest)
    return sa.select(*columns).where(scope.is_in_plans(), *conditions)


def _count_lines(scope: VillageScope) -> sa.SelectBase:
    """Select the number of lines of each village, by strategy and in total."""
    village = places.c.region_code
    named = sa.select(places.c.action_id).where(scope.is_village(village))
    line = select_lines(scope, actions.c.id.in_(named)).subquery("line")
    flags = sa.select(line.c.id, line.c.strategy, *label_all(flag_efforts(scope, line)))
    # Materialized: computed once for each line. An engine that inlines it looks a line up for each sum below.
    efforts = flags.cte("efforts").prefix_with("MATERIALIZED")
    e = efforts.c
    is_late = sa.and_(e.funded == 1, e.on_time == 0)
    of_strategies = [
        sum_where(e.strategy == strategy, e[name]).label(name_column(strategy, name))
        for strategy in Strategy
        for name in EFFORTS
    ]
    return (
        sa.select(
            village.label("village"),
            *[whole_sum(e[name]).label(name) for name in EFFORTS],
            sum_where(is_late).label("late"),
            *of_strategies,
        )
        .select_from(places.join(efforts, e.id == places.c.action_id))
        .where(scope.is_village(village))
        .group_by(village)
    )


def label_all(columns: Mapping[str, sa.SQLColumnExpression[object]]) -> list[sa.SQLColumnExpression[object]]:
    return [column.label(name) for name, column in columns.items()]


def _select_named(scope: VillageScope) -> sa.SelectBase:
    """Select each village that plans name as a priority location, with its target families (the larger of two)."""
    c = _priorities.c
    families = sa.func.max(c.target_families).label("planned_families")
    return (
        sa.select(c.region_code.label("village"), sa.literal(1).label("is_named"), families)
        .select_from(_priorities.join(plans, plans.c.id == c.plan_id))
        .where(can_see_plan(scope.actor), plans.c.year == scope.year, scope.is_village(c.region_code))
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
    is_in_scope = sa.and_(scope.is_in_plans(), scope.is_village(places.c.region_code))
    overlaps = count_agencies_at_once(session, is_in_scope).subquery("at_once")
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
