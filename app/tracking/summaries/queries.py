"""Summaries of a plan or a region, rolled up from grouped rows; and the sums that they share with reports."""

import json
from collections.abc import Callable, Iterable
from datetime import date
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.queries import list_stored
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_json_tables, whole_sum
from app.kit.periods import Period
from app.plans.actions.models import BudgetLineRow, ComponentRow, MilestoneRow, RecipientKind, RecipientRow
from app.plans.actions.rules import absorption_percent
from app.plans.copies.queries import select_part
from app.plans.core.models import Plan
from app.plans.core.queries import plans, regions
from app.reference.queries import read_funding_source_labels, read_strategy_labels
from app.tracking.lines.queries import (
    is_report,
    is_visible_plan,
    select_lines_of_quarter,
    select_plans_of_quarter,
)
from app.tracking.progress.models import (
    ComponentSpendingRow,
    MilestoneProgressRow,
    MilestoneState,
    ProgressRow,
    RecipientProgressRow,
    SpendingRow,
)
from app.tracking.summaries.models import (
    AgencyFigures,
    KeyFigures,
    MoneyFigures,
    PlanFigures,
    RecipientFigures,
    RegionSummary,
    Summary,
)

_progress = get_table(ProgressRow)
_milestones, _milestones_done = get_table(MilestoneRow), get_table(MilestoneProgressRow)
_recipients, _reached = get_table(RecipientRow), get_table(RecipientProgressRow)
_budget_lines, _spending = get_table(BudgetLineRow), get_table(SpendingRow)
_components, _component_spending = get_table(ComponentRow), get_table(ComponentSpendingRow)


def sum_money_by_group(lines: sa.CTE) -> sa.SelectBase:
    """Map (plan, strategy, lead_agency) to actions, reported, allocated, spent, weighted physical progress."""
    physical = _progress.c.physical_percent
    weight = sa.case((physical.is_not(None), lines.c.allocation), else_=0)
    return (
        sa.select(
            *_list_group_columns(lines),
            sa.func.count().label("actions"),
            sa.func.count(_progress.c.period).label("reported"),
            whole_sum(lines.c.allocation).label("allocated"),
            whole_sum(_progress.c.spent).label("spent"),
            whole_sum(weight).label("physical_weight"),
            sa.func.coalesce(sa.func.sum(sa.cast(lines.c.allocation, sa.Float) * physical), 0.0).label(
                "physical_sum"
            ),
        )
        .select_from(lines.outerjoin(_progress, is_report(lines, _progress)))
        .group_by(*_list_group_columns(lines))
    )


def sum_recipients_by_group(lines: sa.CTE) -> sa.SelectBase:
    """Map (plan, strategy, lead_agency, kind) to planned, reached."""
    planned = select_part(lines, _recipients)
    return (
        sa.select(
            *_list_group_columns(lines),
            planned.c.kind,
            whole_sum(planned.c["count"]).label("planned"),
            whole_sum(_reached.c.reached).label("reached"),
        )
        .select_from(join_reports(lines, planned, _reached, "code"))
        .group_by(*_list_group_columns(lines), planned.c.kind)
    )


def count_milestones_by_group(lines: sa.CTE, last_day: date) -> sa.SelectBase:
    """Map (plan, strategy, lead_agency) to the numbers of milestones due by `last_day` and of those done."""
    planned, is_done = select_part(lines, _milestones), _milestones_done.c.state == MilestoneState.done
    return (
        sa.select(
            *_list_group_columns(lines),
            sa.func.count().label("due"),
            sa.func.count(_milestones_done.c.code).label("met"),
        )
        .select_from(join_reports(lines, planned, _milestones_done, "code", is_done))
        .where(planned.c.due <= last_day)
        .group_by(*_list_group_columns(lines))
    )


def sum_money_by_source(lines: sa.CTE) -> sa.SelectBase:
    """Map funding source to allocated, spent."""
    planned = select_part(lines, _budget_lines)
    return (
        sa.select(
            planned.c.funding_source.label("key"),
            whole_sum(planned.c.amount).label("allocated"),
            whole_sum(_spending.c.amount).label("spent"),
        )
        .select_from(join_reports(lines, planned, _spending, "funding_source"))
        .group_by(planned.c.funding_source)
    )


def sum_money_by_class(lines: sa.CTE) -> sa.SelectBase:
    """Map component class to allocated, spent. A class without a planned amount can have spending."""
    components = select_part(lines, _components)
    planned = sa.select(
        components.c.component_class.label("key"),
        components.c.amount.label("allocated"),
        sa.literal(0, sa.BigInteger).label("spent"),
    )
    table = _component_spending
    spent = sa.select(table.c.component_class, sa.literal(0, sa.BigInteger), table.c.amount).select_from(
        lines.join(table, is_report(lines, table))
    )
    both = sa.union_all(planned, spent).subquery("both")
    return sa.select(
        both.c.key, whole_sum(both.c.allocated).label("allocated"), whole_sum(both.c.spent).label("spent")
    ).group_by(both.c.key)


def join_reports(
    lines: sa.CTE, planned: sa.Subquery, reported: sa.Table, key: str, *conditions: ColumnElement[bool]
) -> sa.Join:
    """Return the planned items of the lines, each with its item in the report of the line that counts."""
    is_of_item = sa.and_(is_report(lines, reported), reported.c[key] == planned.c[key], *conditions)
    return lines.join(planned, planned.c.action_id == lines.c.id).outerjoin(reported, is_of_item)


def _list_group_columns(lines: sa.CTE) -> list[sa.SQLColumnExpression[object]]:
    return [lines.c.plan_id, lines.c.strategy, lines.c.lead_agency]


def _name_plans(chosen: sa.CTE) -> sa.SelectBase:
    """Return id, code, revision, and name of the region of chosen plans."""
    return (
        sa.select(plans.c.id, plans.c.code, chosen.c.revision, regions.c.name)
        .join_from(chosen, plans, plans.c.id == chosen.c.plan_id)
        .join(regions, regions.c.code == plans.c.region_code)
    )


_MONEY = ("actions", "reported", "allocated", "spent", "physical_weight", "physical_sum")
_MILESTONES = ("due", "met")


class _Sums:
    """Running sums over grouped rows."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys((*_MONEY, *_MILESTONES), 0)
        self.recipients: dict[str, list[int]] = {}

    def add(self, row: Any, names: Iterable[str]) -> None:
        """Add columns of a row."""
        for name in names:
            self.sums[name] += getattr(row, name)

    def figures(self) -> dict[str, Any]:
        """Return the fields of `SummaryFigures`."""
        sums = self.sums
        return {
            **{name: sums[name] for name in ("actions", "reported", "allocated", "spent")},
            "absorption_percent": absorption_percent(sums["spent"], sums["allocated"]),
            "physical_percent": round(sums["physical_sum"] / sums["physical_weight"], 2)
            if sums["physical_weight"]
            else None,
            "recipients": [
                RecipientFigures.model_construct(kind=RecipientKind(kind), planned=planned, reached=reached)
                for kind, (planned, reached) in sorted(self.recipients.items())
            ],
            "milestones_due": sums["due"],
            "milestones_met": sums["met"],
        }


class _Groups:
    """Grouped rows of the lines of chosen plans, for sums by any of their keys.

    One statement reads all of them, so the parts add up to the total despite concurrent writes.
    """

    def __init__(self, session: Session, is_chosen: ColumnElement[bool], period: Period) -> None:
        chosen = select_plans_of_quarter(is_chosen, period.last_quarter)
        lines = select_lines_of_quarter(chosen, period.last_quarter)
        queries = {
            "money": sum_money_by_group(lines),
            "recipients": sum_recipients_by_group(lines),
            "milestones": count_milestones_by_group(lines, period.last_day),
            "sources": sum_money_by_source(lines),
            "classes": sum_money_by_class(lines),
            "plans": _name_plans(chosen),
        }
        row = session.execute(select_json_tables(queries)).one()
        self.rows = {
            name: json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
            for name, text in zip(queries, row, strict=True)
        }

    def roll_up(self, key: Callable[[Any], str]) -> dict[str, _Sums]:
        """Return the sums by a key of the rows."""
        groups: dict[str, _Sums] = {}
        for row in self.rows["money"]:
            groups.setdefault(key(row), _Sums()).add(row, _MONEY)
        for row in self.rows["recipients"]:
            counts = groups[key(row)].recipients.setdefault(str(row.kind), [0, 0])
            counts[0] += row.planned
            counts[1] += row.reached
        for row in self.rows["milestones"]:
            groups[key(row)].add(row, _MILESTONES)
        return groups

    def total(self) -> _Sums:
        return self.roll_up(lambda row: "").get("", _Sums())

    def list_figures(self, key: Callable[[Any], str], names: dict[str, str]) -> list[KeyFigures]:
        groups = sorted(self.roll_up(key).items())
        return [
            KeyFigures.model_construct(**sums.figures(), key=code, name=names.get(code))
            for code, sums in groups
        ]

    def summarize(self, session: Session, period: Period) -> dict[str, Any]:
        """Return the fields that the summaries of a plan and of a region share."""
        total = self.total()
        return {
            **total.figures(),
            "by_funding_source": _split_money(
                self.rows["sources"], read_funding_source_labels(session), total
            ),
            "by_component_class": _split_money(self.rows["classes"], {}, total),
            "period": str(period),
            "to_quarter": period.last_quarter,
            "by_strategy": self.list_figures(lambda row: str(row.strategy), read_strategy_labels(session)),
        }


def _split_money(rows: Iterable[Any], names: dict[str, str], total: _Sums) -> list[MoneyFigures]:
    """Return the rows, and under the key None the money of the total without a split."""
    splits = sorted((str(row.key), row.allocated, row.spent) for row in rows)
    allocated = total.sums["allocated"] - sum(row[1] for row in splits)
    spent = total.sums["spent"] - sum(row[2] for row in splits)
    keyed: list[tuple[str | None, int, int]] = [*splits]
    if allocated or spent:
        keyed.append((None, allocated, spent))
    return [
        MoneyFigures.model_construct(
            key=key,
            name=names.get(key) if key else None,
            allocated=planned,
            spent=used,
            absorption_percent=absorption_percent(used, planned) if planned >= 0 else None,
        )
        for key, planned, used in keyed
    ]


def summarize_plan(session: Session, plan: Plan, period: Period) -> Summary:
    """Return a visible plan at a period. A semester or a year is its last quarter."""
    groups = _Groups(session, plans.c.id == plan.id, period)
    agencies = {agency.code: agency for agency in list_stored(session, plan.region_code)}
    # A region could delete an agency that past quarters alone name, before copies referred to it.
    names = {code: agency.name for code, agency in agencies.items()}
    return Summary.model_construct(
        **groups.summarize(session, period),
        plan=plan.code,
        revision=groups.rows["plans"][0].revision,
        by_agency=[
            AgencyFigures.model_construct(
                **dict(figures),
                merged_into=agency.merged_into if (agency := agencies.get(figures.key)) else None,
            )
            for figures in groups.list_figures(lambda row: str(row.lead_agency), names)
        ],
    )


def summarize_region(session: Session, actor: Actor, region: str, period: Period) -> RegionSummary:
    """Return the summary of the visible plans of the period's year in the region and below it."""
    groups = _Groups(session, is_visible_plan(actor, region, period.year), period)
    plan_of = {row.id: row for row in groups.rows["plans"]}
    figures = groups.roll_up(lambda row: str(plan_of[row.plan_id].code))
    return RegionSummary.model_construct(
        **groups.summarize(session, period),
        region_code=region,
        by_plan=[
            PlanFigures.model_construct(
                **figures.get(row.code, _Sums()).figures(), key=row.code, name=row.name, revision=row.revision
            )
            for row in sorted(plan_of.values(), key=lambda row: str(row.code))
        ],
    )
