"""What lines, plans and reports say of each village, as SELECTs.

A line counts in a village that it names itself. One that names a district or more says nothing of the single village.
Everything starts from the plans and the coverage that the actor sees.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.convergence.coverage.queries import coverage
from app.convergence.villages.models import Efforts
from app.kit.database.engine import table_of
from app.kit.database.json_sql import sum_where, whole_sum
from app.kit.periods import Period
from app.plans.actions.models import BudgetLineRow, LocationRow, MilestoneRow, Strategy
from app.plans.actions.queries import actions
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import plans, seen, seen_lines
from app.plans.overlaps.queries import agencies_at_once
from app.tracking.progress.models import (
    MilestoneProgressRow,
    MilestoneState,
    OutputProgressRow,
    RecipientProgressRow,
)
from app.tracking.progress.queries import progress
from app.tracking.summaries.queries import newest_period

places, _priorities = table_of(LocationRow), table_of(PriorityLocationRow)
_budget_lines, _milestones = table_of(BudgetLineRow), table_of(MilestoneRow)
_done, _outputs, _reached = (
    table_of(MilestoneProgressRow),
    table_of(OutputProgressRow),
    table_of(RecipientProgressRow),
)

VILLAGE_LENGTH = 13
ABOVE = (8, 5, 2)
"""Lengths of the codes above a village: district, regency, province."""
EFFORTS = tuple(Efforts.model_fields)


def figure_of(strategy: Strategy, name: str) -> str:
    """Column of a strategy's figure."""
    return f"{strategy.value}_{name}"


NUMBERS = (*EFFORTS, "late", *(figure_of(strategy, name) for strategy in Strategy for name in EFFORTS))
"""Columns that count lines."""


# Lines


class Asked(NamedTuple):
    """Of which plans and of which time something is asked."""

    actor: Actor
    region: str
    quarter: str

    @property
    def year(self) -> int:
        return int(self.quarter[:4])

    def is_in_plans(self) -> ColumnElement[bool]:
        """Predicate: the action is of a plan of the year that the actor sees."""
        c = actions.c
        return sa.and_(
            c.year == self.year, visible(self.actor, c.region_code), seen_lines(self.actor, c.plan_id)
        )

    def is_village(self, code: ColumnElement[str]) -> ColumnElement[bool]:
        return sa.and_(within(code, self.region), sa.func.length(code) == VILLAGE_LENGTH)


def standing_of(asked: Asked, line: FromClause) -> dict[str, ColumnElement[Any]]:
    """`Efforts` of one line, as 0 and 1, given its id, allocation and latest report."""
    c = line.c

    def there(table: sa.Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return sa.exists().where(table.c.action_id == c.id, *conditions).correlate_except(table)

    def told(table: sa.Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return there(table, table.c.period == c.latest, condition)

    last_day = Period.parse(asked.quarter).last_day
    is_done = sa.and_(_done.c.code == _milestones.c.code, _done.c.state == MilestoneState.done)
    done = told(_done, is_done)
    is_due = _milestones.c.due <= last_day
    conditions = {
        "lines": sa.true(),
        "funded": sa.and_(c.allocation > 0, there(_budget_lines)),
        "delivering": sa.or_(
            told(progress, progress.c.spent > 0),
            told(_outputs, _outputs.c.achieved > 0),
            told(_reached, _reached.c.reached > 0),
        ),
        "on_time": sa.case(
            (there(_milestones, is_due), ~there(_milestones, is_due, ~done)),
            else_=sa.func.coalesce(c.latest == asked.quarter, sa.false()),
        ),
    }
    return {name: sa.case((condition, 1), else_=0) for name, condition in conditions.items()}


def lines_of(asked: Asked, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The actions of visible plans for which the conditions hold, with the latest quarter reported on."""
    c, latest = actions.c, newest_period(asked.quarter).label("latest")
    columns = (c.id, c.region_code, c.lead_agency, c.strategy, c.allocation, latest)
    return sa.select(*columns).where(asked.is_in_plans(), *conditions)


# Villages


def _counts(asked: Asked) -> sa.SelectBase:
    """Village → its lines by strategy and in all."""
    there = places.c.region_code
    named = sa.select(places.c.action_id).where(asked.is_village(there))
    line = lines_of(asked, actions.c.id.in_(named)).subquery("line")
    each = sa.select(line.c.id, line.c.strategy, *labelled(standing_of(asked, line)))
    # Computed once for each line; an engine that folds it into the sums below looks a line up for every sum.
    standing = each.cte("standing").prefix_with("MATERIALIZED")
    s = standing.c
    is_late = sa.and_(s.funded == 1, s.on_time == 0)
    of_strategies = [
        sum_where(s.strategy == strategy, s[name]).label(figure_of(strategy, name))
        for strategy in Strategy
        for name in EFFORTS
    ]
    return (
        sa.select(
            there.label("village"),
            *[whole_sum(s[name]).label(name) for name in EFFORTS],
            sum_where(is_late).label("late"),
            *of_strategies,
        )
        .select_from(places.join(standing, s.id == places.c.action_id))
        .where(asked.is_village(there))
        .group_by(there)
    )


def labelled(columns: Mapping[str, sa.SQLColumnExpression[object]]) -> list[sa.SQLColumnExpression[object]]:
    return [column.label(name) for name, column in columns.items()]


def _named(asked: Asked) -> sa.SelectBase:
    """Village that a plan names as a priority location → its target families; the larger number of two plans."""
    c = _priorities.c
    families = sa.func.max(c.target_families).label("planned_families")
    return (
        sa.select(c.region_code.label("village"), sa.literal(1).label("is_named"), families)
        .select_from(_priorities.join(plans, plans.c.id == c.plan_id))
        .where(seen(asked.actor), plans.c.year == asked.year, asked.is_village(c.region_code))
        .group_by(c.region_code)
    )


def _covered(asked: Asked) -> sa.SelectBase:
    """Villages that report their coverage of the quarter."""
    c = coverage.c
    told = (c.eligible, c.served, c.balance_percent, c.status)
    return sa.select(c.village, c.target_families.label("reported_families"), *told).where(
        visible(asked.actor, c.region_code), c.period == asked.quarter, within(c.village, asked.region)
    )


def _overlapping(session: Session, asked: Asked) -> sa.SelectBase:
    """Village → the most agencies that overlap in it, all with all."""
    here = sa.and_(asked.is_in_plans(), asked.is_village(places.c.region_code))
    found = agencies_at_once(session, here).subquery("at_once")
    most = sa.func.max(found.c.agencies).label("overlapping_agencies")
    return sa.select(found.c.place.label("village"), most).group_by(found.c.place)


def said_of(session: Session, asked: Asked) -> CTE:
    """What lines, plans and reports say of each village, a row for each. Put below one another and grouped, not
    joined: the work is that of reading them, whatever an engine expects of their number."""
    sources = [_counts(asked), _named(asked), _covered(asked), _overlapping(session, asked)]
    parts = [
        source.cte(name) for source, name in zip(sources, ("counted", "named", "covered", "met"), strict=True)
    ]
    kinds = {column.name: column.type for part in parts for column in part.c if column.name != "village"}
    words = sa.union_all(
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
    ).subquery("words")
    most = [sa.func.max(words.c[name]).label(name) for name in kinds]
    return sa.select(words.c.village, *most).group_by(words.c.village).cte("said")
