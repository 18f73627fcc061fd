"""A plan's or a region's summary at a period, rolled up from grouped rows."""

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.agencies.queries import agency_labels
from app.kit.database.json_sql import json_rows
from app.kit.periods import Period
from app.plans.actions.models import RecipientKind
from app.plans.actions.queries import actions
from app.plans.core.models import Plan
from app.plans.core.queries import plans, regions, seen, seen_lines
from app.reference.queries import funding_source_labels, strategy_labels
from app.tracking.progress import aggregates
from app.tracking.progress.models import KeyFigures, MoneyFigures, RecipientFigures, RegionSummary, Summary


class _Roll:
    """Adds up grouped rows; made into figures at the end."""

    def __init__(self) -> None:
        self.actions = self.reported = self.allocated = self.spent = self.due = self.met = 0
        self.physical_weight, self.physical_sum = 0, 0.0
        self.recipients: dict[str, list[int]] = {}

    def figures(self) -> dict[str, Any]:
        return {
            "actions": self.actions,
            "reported": self.reported,
            "allocated": self.allocated,
            "spent": self.spent,
            "absorption_percent": percent(self.spent, self.allocated),
            "physical_percent": round(self.physical_sum / self.physical_weight, 2)
            if self.physical_weight
            else None,
            "recipients": [
                RecipientFigures.model_construct(kind=RecipientKind(kind), planned=planned, reached=reached)
                for kind, (planned, reached) in sorted(self.recipients.items())
            ],
            "milestones_due": self.due,
            "milestones_met": self.met,
        }


def percent(part: int, whole: int) -> float | None:
    """part/whole × 100 at two decimals; null where there is no whole."""
    return round(part * 100 / whole, 2) if whole else None


class _Groups:
    """The grouped rows of a set of actions, to be rolled up by any of their keys.

    One statement reads them all: whoever writes meanwhile, the parts add up to the total.
    """

    def __init__(
        self, session: Session, chosen: ColumnElement[bool], period: Period, **beside: Select[Any]
    ) -> None:
        lines = aggregates.lines_of(chosen, period.last_quarter)
        queries = {
            "money": aggregates.money_by_group(lines),
            "recipients": aggregates.recipients_by_group(lines),
            "milestones": aggregates.milestones_by_group(lines, period.last_day),
            "sources": aggregates.money_by_source(lines),
            "classes": aggregates.money_by_class(lines),
            **beside,
        }
        row = session.execute(
            sa.select(
                *[sa.cast(json_rows(query, name=f"{name}_row"), sa.Text) for name, query in queries.items()]
            )
        ).one()
        self.rows = {
            name: json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
            for name, text in zip(queries, row, strict=True)
        }

    def by(self, key: Callable[[Any], str]) -> dict[str, _Roll]:
        rolls: dict[str, _Roll] = {}
        for row in self.rows["money"]:
            roll = rolls.setdefault(key(row), _Roll())
            roll.actions += row.actions
            roll.reported += row.reported
            roll.allocated += row.allocated
            roll.spent += row.spent
            roll.physical_weight += row.physical_weight
            roll.physical_sum += row.physical_sum
        for row in self.rows["recipients"]:
            counts = rolls[key(row)].recipients.setdefault(str(row.kind), [0, 0])
            counts[0] += row.planned
            counts[1] += row.reached
        for row in self.rows["milestones"]:
            rolls[key(row)].due += row.due
            rolls[key(row)].met += row.met
        return rolls

    def total(self) -> _Roll:
        return self.by(lambda row: "").get("", _Roll())

    def keyed(self, key: Callable[[Any], str], names: dict[str, str]) -> list[KeyFigures]:
        rolls = sorted(self.by(key).items())
        return [
            KeyFigures.model_construct(**roll.figures(), key=code, name=names.get(code))
            for code, roll in rolls
        ]

    def by_source(self, session: Session) -> list[MoneyFigures]:
        return _money(self.rows["sources"], funding_source_labels(session), self.total())

    def by_class(self) -> list[MoneyFigures]:
        return _money(self.rows["classes"], {}, self.total())


def _money(rows: Iterable[Any], names: dict[str, str], total: _Roll) -> list[MoneyFigures]:
    """The rows, and under no key what the total has beyond them: money that nobody has split."""
    found = sorted((str(row.key), row.allocated, row.spent) for row in rows)
    allocated = total.allocated - sum(row[1] for row in found)
    spent = total.spent - sum(row[2] for row in found)
    rest: list[tuple[str | None, int, int]] = [*found]
    if allocated or spent:
        rest.append((None, allocated, spent))
    return [
        MoneyFigures.model_construct(
            key=key,
            name=names.get(key) if key else None,
            allocated=planned,
            spent=used,
            absorption_percent=percent(used, planned) if planned >= 0 else None,
        )
        for key, planned, used in rest
    ]


def summary_of(session: Session, plan: Plan, period: Period) -> Summary:
    """A visible plan at a period; semester and year derive from their last quarter."""
    groups = _Groups(session, actions.c.plan_id == plan.id, period)
    return Summary.model_construct(
        **groups.total().figures(),
        by_funding_source=groups.by_source(session),
        by_component_class=groups.by_class(),
        plan=plan.code,
        period=str(period),
        to_quarter=period.last_quarter,
        by_strategy=groups.keyed(lambda row: str(row.strategy), strategy_labels(session)),
        by_agency=groups.keyed(lambda row: str(row.lead_agency), agency_labels(session, plan.region_code)),
    )


def region_summary(session: Session, actor: Actor, region: str, period: Period) -> RegionSummary:
    """Every visible plan of the period's year in the region and below it."""
    found = (
        sa.select(plans.c.id, plans.c.code, regions.c.name)
        .join_from(plans, regions, regions.c.code == plans.c.region_code)
        .where(
            seen(actor),
            within(plans.c.region_code, region),
            plans.c.year == period.year,
        )
    )
    # The plans' regions say the same as their ids and let the planner see a range.
    chosen = sa.and_(
        visible(actor, actions.c.region_code),
        within(actions.c.region_code, region),
        actions.c.year == period.year,
        seen_lines(actor, actions.c.plan_id),
    )
    groups = _Groups(session, chosen, period, plans=found)
    plan_of = {row.id: row for row in groups.rows["plans"]}
    names = {row.code: row.name for row in plan_of.values()}
    by_plan = {
        code: KeyFigures.model_construct(**_Roll().figures(), key=code, name=names[code]) for code in names
    }
    by_plan |= {
        figure.key: figure for figure in groups.keyed(lambda row: str(plan_of[row.plan_id].code), names)
    }
    return RegionSummary.model_construct(
        **groups.total().figures(),
        by_funding_source=groups.by_source(session),
        by_component_class=groups.by_class(),
        region_code=region,
        period=str(period),
        to_quarter=period.last_quarter,
        by_plan=[by_plan[code] for code in sorted(by_plan)],
        by_strategy=groups.keyed(lambda row: str(row.strategy), strategy_labels(session)),
    )
