"""Queries of spending by class, without travel: all of it, and the part that counts.

Spending counts up to the amount of its class, and in sum up to the allocation of the line. A class with a component
without an amount is capped by the allocation. A class that the line lacks has the amount 0, unless the line has no
class at all. Where the classes together exceed the allocation, each counts with its share of it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from app.kit.database.engine import get_table
from app.kit.database.json_sql import sum_where, whole_sum
from app.tracking.lines.queries import is_report
from app.tracking.progress.models import ComponentSpendingRow, ProgressRow

_progress, _spent = get_table(ProgressRow), get_table(ComponentSpendingRow)


class ClassSpending(NamedTuple):
    """Spending on a class: of a plan in sum, or of a line where travel or the allocation divides it."""

    plan_id: int
    component_class: str
    spent: int
    capped: int
    total: int = 0
    """Capped spending of the line on all its classes."""
    allocation: int = 1
    travel: int = 0
    amount: int = 1
    """Planned money of the class; `travel` is the part of it for travel."""


def add_spending(by_plan: Mapping[int, dict[str, int]], spending: Iterable[ClassSpending]) -> None:
    """Add spending to the sums of each plan: by class, its travel, and the part of each class that counts."""
    for part in spending:
        sums, amount = by_plan[part.plan_id], max(part.amount, 1)
        travel = part.spent * part.travel // amount
        sums[f"spent_{part.component_class}"] += part.spent - travel
        sums["spent_travel"] += travel
        counted = part.capped * part.allocation // max(part.total, part.allocation, 1)
        sums[f"counted_{part.component_class}"] += counted - counted * part.travel // amount


def select_spending(lines: sa.CTE, components: sa.Subquery) -> dict[str, sa.SelectBase]:
    """Return the SELECTs of `ClassSpending`: of what counts whole, by plan, and of what Python divides, by line."""
    classes = _select_classes(components)
    capped = cap_spending(lines, classes, _select_by_class(lines, classes))
    return {"whole": sum_whole(capped), "divided": select_divided(capped)}


def _select_classes(components: sa.Subquery) -> sa.CTE:
    """Select for each line and class the amount, the travel in it, and a flag for travel only."""
    c = components.c
    amount = sa.func.coalesce(c.amount, 0)
    return (
        sa.select(
            c.action_id,
            c.component_class,
            whole_sum(amount).label("amount"),
            (sa.func.count() == sa.func.count(c.amount)).label("is_known"),
            sum_where(c.is_travel, amount).label("travel"),
            sa.func.min(sa.case((c.is_travel, 1), else_=0)).label("all_travel"),
        )
        .group_by(c.action_id, c.component_class)
        .cte("classes")
    )


def _select_by_class(lines: sa.CTE, classes: sa.CTE) -> sa.CTE:
    """Select the spending by line and class: as the report splits it, else all of it for a line of one class."""
    split = sa.select(
        lines.c.plan_id, lines.c.id, _spent.c.component_class, _spent.c.amount.label("spent")
    ).select_from(lines.join(_spent, is_report(lines, _spent)))
    alone = (
        sa.select(classes.c.action_id, sa.func.min(classes.c.component_class).label("component_class"))
        .group_by(classes.c.action_id)
        .having(sa.func.count() == 1)
        .subquery("alone")
    )
    is_split = sa.exists().where(is_report(lines, _spent)).correlate(lines)
    whole = (
        sa.select(
            lines.c.plan_id,
            lines.c.id,
            sa.type_coerce(alone.c.component_class, _spent.c.component_class.type),
            _progress.c.spent,
        )
        .select_from(
            lines.join(_progress, is_report(lines, _progress)).join(alone, alone.c.action_id == lines.c.id)
        )
        .where(sa.not_(is_split))
    )
    return sa.union_all(split, whole).cte("spending")


def cap_spending(lines: sa.CTE, classes: sa.CTE, spending: sa.CTE) -> sa.CTE:
    """Select the spending by line and class, capped by its class, with the figures that divide it further."""
    c, s = classes.c, spending.c
    planned = sa.select(c.action_id).distinct().subquery("planned")
    is_absent = sa.and_(c.action_id.is_(None), planned.c.action_id.is_not(None))
    cap = sa.case((c.is_known, c.amount), (is_absent, 0), else_=lines.c.allocation)
    capped = sa.case((s.spent > cap, cap), else_=s.spent)
    total = sa.func.sum(capped).over(partition_by=s.id)
    is_travel = c.all_travel == 1
    return (
        sa.select(
            s.plan_id,
            s.component_class,
            s.spent,
            capped.label("capped"),
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


def sum_whole(capped: sa.CTE) -> sa.Select[*tuple[object, ...]]:
    """Select by plan and class the spending that neither travel nor the allocation divides."""
    c = capped.c
    sums = [whole_sum(c[name]).label(name) for name in ("spent", "capped")]
    key = (c.plan_id, c.component_class)
    return sa.select(*key, *sums).where(_is_whole(capped)).group_by(*key)


def select_divided(capped: sa.CTE) -> sa.Select[*tuple[object, ...]]:
    """Select the other spending by line and class. Python divides it, in integers of any size."""
    return sa.select(capped).where(~_is_whole(capped))


def _is_whole(capped: sa.CTE) -> ColumnElement[bool]:
    return sa.and_(capped.c.total <= capped.c.allocation, capped.c.travel == 0)
