"""Queries of counted spending: at most the amount of each class, and in sum at most the allocation of the line.

A class with a component without an amount is capped by the allocation. A class that the line lacks has the amount 0,
unless the line has no class at all. Where the classes together exceed the allocation, each counts with its share of it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from app.kit.database.json_sql import whole_sum


class CountedSpending(NamedTuple):
    """Capped spending on a class: of a plan in sum, or of a line with spending that counts in part."""

    plan_id: int
    component_class: str
    spent: int
    total: int = 0
    """Capped spending of the line on all its classes."""
    allocation: int = 1
    travel: int = 0
    amount: int = 1
    """Planned money of the class; `travel` is the part of it for travel."""


def add_counted(by_plan: Mapping[int, dict[str, int]], spending: Iterable[CountedSpending]) -> None:
    """Add the spending that counts, without travel, to the sums of each plan."""
    for part in spending:
        spent = part.spent * part.allocation // max(part.total, part.allocation, 1)
        travel = spent * part.travel // max(part.amount, 1)
        by_plan[part.plan_id][f"counted_{part.component_class}"] += spent - travel


def cap_spending(lines: sa.CTE, classes: sa.CTE, spending: sa.CTE) -> sa.CTE:
    """Select the capped spending by line and class, with the figures that reduce it further."""
    c, s = classes.c, spending.c
    planned = sa.select(c.action_id).distinct().subquery("planned")
    is_absent = sa.and_(c.action_id.is_(None), planned.c.action_id.is_not(None))
    cap = sa.case((c.is_known, c.amount), (is_absent, 0), else_=lines.c.allocation)
    spent = sa.case((s.spent > cap, cap), else_=s.spent)
    total = sa.func.sum(spent).over(partition_by=s.id)
    is_travel = c.all_travel == 1
    return (
        sa.select(
            s.plan_id,
            s.component_class,
            spent.label("spent"),
            sa.cast(total, sa.BigInteger).label("total"),
            lines.c.allocation,
            sa.case((is_travel, 1), else_=sa.func.coalesce(c.travel, 0)).label("travel"),
            sa.case((is_travel, 1), else_=sa.func.coalesce(c.amount, 0)).label("amount"),
        )
        .select_from(
            spending.join(lines, lines.c.id == s.id)
            .outerjoin(classes, sa.and_(c.action_id == s.id, c.component_class == s.component_class))
            .outerjoin(planned, planned.c.action_id == s.id)
        )
        .cte("capped")
    )


def sum_counted(capped: sa.CTE) -> sa.Select[*tuple[object, ...]]:
    """Select by plan and class the capped spending that counts whole."""
    c = capped.c
    sums = sa.select(c.plan_id, c.component_class, whole_sum(c.spent).label("spent"))
    return sums.where(_is_whole(capped)).group_by(c.plan_id, c.component_class)


def select_reduced(capped: sa.CTE) -> sa.Select[*tuple[object, ...]]:
    """Select the capped spending that counts in part. Python splits it, in integers of any size."""
    return sa.select(capped).where(~_is_whole(capped))


def _is_whole(capped: sa.CTE) -> ColumnElement[bool]:
    return sa.and_(capped.c.total <= capped.c.allocation, capped.c.travel == 0)
