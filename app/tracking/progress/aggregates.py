"""The figures of a set of actions, in SQL: physical progress, and the parts of a summary."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select

from app.kit.database.engine import table_of
from app.plans.actions.models import BudgetLineRow, ComponentRow, MilestoneRow, OutputRow, RecipientRow
from app.plans.actions.queries import actions
from app.tracking.progress.models import (
    ComponentSpendingRow,
    MilestoneProgressRow,
    MilestoneState,
    OutputProgressRow,
    PhysicalBasis,
    ProgressRow,
    RecipientProgressRow,
    SpendingRow,
)

_progress = table_of(ProgressRow)
_milestones, _milestones_done = table_of(MilestoneRow), table_of(MilestoneProgressRow)
_outputs, _achieved = table_of(OutputRow), table_of(OutputProgressRow)
_recipients, _reached = table_of(RecipientRow), table_of(RecipientProgressRow)
_budget_lines, _spending = table_of(BudgetLineRow), table_of(SpendingRow)
_components, _component_spending = table_of(ComponentRow), table_of(ComponentSpendingRow)


def _of(table: sa.Table) -> ColumnElement[bool]:
    return sa.and_(table.c.action_id == _progress.c.action_id, table.c.period == _progress.c.period)


def _by_milestones() -> ColumnElement[Any]:
    """Weight of the milestones done of the weight of all, × 100; null where the action has no weighted ones."""
    done = (
        sa.exists()
        .where(
            _of(_milestones_done),
            _milestones_done.c.code == _milestones.c.code,
            _milestones_done.c.state == MilestoneState.done,
        )
        .correlate(_progress, _milestones)
    )
    return (
        sa.select(
            sa.func.sum(sa.case((done, _milestones.c.weight), else_=0.0))
            * 100.0
            / sa.func.nullif(sa.func.sum(_milestones.c.weight), 0.0)
        )
        .where(_milestones.c.action_id == _progress.c.action_id, _milestones.c.weight.is_not(None))
        .correlate(_progress)
        .scalar_subquery()
    )


def _by_outputs() -> ColumnElement[Any]:
    """Mean over the outputs of achieved/target, each at most 1, × 100; null where none has a target."""
    share = sa.func.coalesce(_achieved.c.achieved, 0.0) / _outputs.c.target
    return (
        sa.select(sa.func.avg(sa.case((share > 1.0, 1.0), else_=share)) * 100.0)
        .select_from(
            _outputs.outerjoin(_achieved, sa.and_(_of(_achieved), _achieved.c.code == _outputs.c.code))
        )
        .where(_outputs.c.action_id == _progress.c.action_id, _outputs.c.target > 0.0)
        .correlate(_progress)
        .scalar_subquery()
    )


def physical_percent() -> ColumnElement[Any]:
    """Physical progress of a report: as reported, else by milestones, else by outputs, else null."""
    exact = sa.func.coalesce(_progress.c.physical_reported_percent, _by_milestones(), _by_outputs())
    return sa.func.round(sa.cast(exact, sa.Numeric(9, 4)), 2)


def physical_basis() -> ColumnElement[Any]:
    """Which of them it was."""
    return sa.case(
        (_progress.c.physical_reported_percent.is_not(None), PhysicalBasis.reported.value),
        (_by_milestones().is_not(None), PhysicalBasis.milestones.value),
        (_by_outputs().is_not(None), PhysicalBasis.outputs.value),
        else_=None,
    )


# Sums over a set of actions.


def newest_period(quarter: str) -> sa.ScalarSelect[str]:
    """The latest quarter reported on, of the year up to `quarter`, for each row of the actions around it."""
    return (
        sa.select(sa.func.max(_progress.c.period))
        .where(
            _progress.c.action_id == actions.c.id,
            _progress.c.period <= quarter,
            _progress.c.period > quarter[:4],
        )
        .correlate(actions)
        .scalar_subquery()
    )


def lines_of(chosen: ColumnElement[bool], quarter: str, *, name: str = "lines") -> sa.CTE:
    """The actions that fulfil the predicate, each with its latest reported quarter of the year up to `quarter`.

    A statement about several quarters gives each its own `name`.
    """
    return (
        sa.select(
            actions.c.id,
            actions.c.plan_id,
            actions.c.strategy,
            actions.c.lead_agency,
            actions.c.allocation,
            newest_period(quarter).label("period"),
        )
        .where(chosen)
        .cte(name)
    )


def money_by_group(lines: sa.CTE) -> Select[Any]:
    """(plan, strategy, lead_agency) → actions, reported, allocated, spent, weighted physical progress."""
    physical = _progress.c.physical_percent
    reported = sa.and_(_progress.c.action_id == lines.c.id, _progress.c.period == lines.c.period)
    weight = sa.case((physical.is_not(None), lines.c.allocation), else_=0)
    return (
        sa.select(
            *_group(lines),
            sa.func.count().label("actions"),
            sa.func.count(_progress.c.period).label("reported"),
            _sum(lines.c.allocation).label("allocated"),
            _sum(_progress.c.spent).label("spent"),
            _sum(weight).label("physical_weight"),
            sa.func.coalesce(sa.func.sum(sa.cast(lines.c.allocation, sa.Float) * physical), 0.0).label(
                "physical_sum"
            ),
        )
        .select_from(lines.outerjoin(_progress, reported))
        .group_by(*_group(lines))
    )


def recipients_by_group(lines: sa.CTE) -> Select[Any]:
    """(plan, strategy, lead_agency, kind) → planned, reached."""
    reached = sa.and_(
        _reached.c.action_id == lines.c.id,
        _reached.c.period == lines.c.period,
        _reached.c.code == _recipients.c.code,
    )
    return (
        sa.select(
            *_group(lines),
            _recipients.c.kind,
            _sum(_recipients.c["count"]).label("planned"),
            _sum(_reached.c.reached).label("reached"),
        )
        .select_from(
            lines.join(_recipients, _recipients.c.action_id == lines.c.id).outerjoin(_reached, reached)
        )
        .group_by(*_group(lines), _recipients.c.kind)
    )


def milestones_by_group(lines: sa.CTE, last_day: date) -> Select[Any]:
    """(plan, strategy, lead_agency) → milestones due by `last_day`, and those of them that are done."""
    done = sa.and_(
        _milestones_done.c.action_id == lines.c.id,
        _milestones_done.c.period == lines.c.period,
        _milestones_done.c.code == _milestones.c.code,
        _milestones_done.c.state == MilestoneState.done,
    )
    return (
        sa.select(
            *_group(lines), sa.func.count().label("due"), sa.func.count(_milestones_done.c.code).label("met")
        )
        .select_from(
            lines.join(_milestones, _milestones.c.action_id == lines.c.id).outerjoin(_milestones_done, done)
        )
        .where(_milestones.c.due <= last_day)
        .group_by(*_group(lines))
    )


def money_by_source(lines: sa.CTE) -> Select[Any]:
    """funding source → allocated, spent."""
    spent = sa.and_(
        _spending.c.action_id == lines.c.id,
        _spending.c.period == lines.c.period,
        _spending.c.funding_source == _budget_lines.c.funding_source,
    )
    return (
        sa.select(
            _budget_lines.c.funding_source.label("key"),
            _sum(_budget_lines.c.amount).label("allocated"),
            _sum(_spending.c.amount).label("spent"),
        )
        .select_from(
            lines.join(_budget_lines, _budget_lines.c.action_id == lines.c.id).outerjoin(_spending, spent)
        )
        .group_by(_budget_lines.c.funding_source)
    )


def money_by_class(lines: sa.CTE) -> Select[Any]:
    """component class → allocated, spent; a class may be spent on that the plan gives no amount for."""
    planned = sa.select(
        _components.c.component_class.label("key"),
        _components.c.amount.label("allocated"),
        sa.literal(0, sa.BigInteger).label("spent"),
    ).select_from(lines.join(_components, _components.c.action_id == lines.c.id))
    table = _component_spending
    spent = sa.select(table.c.component_class, sa.literal(0, sa.BigInteger), table.c.amount).select_from(
        lines.join(table, sa.and_(table.c.action_id == lines.c.id, table.c.period == lines.c.period))
    )
    both = sa.union_all(planned, spent).subquery("both")
    return sa.select(
        both.c.key, _sum(both.c.allocated).label("allocated"), _sum(both.c.spent).label("spent")
    ).group_by(both.c.key)


def _group(lines: sa.CTE) -> list[ColumnElement[Any]]:
    return [lines.c.plan_id, lines.c.strategy, lines.c.lead_agency]


def _sum(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A sum of whole rupiah stays a whole number on both engines."""
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)
