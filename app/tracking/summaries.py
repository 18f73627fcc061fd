"""A plan's or a region's summary at a period, rolled up from five grouped statements."""

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.agencies.queries import agency_labels
from app.kit.periods import Period
from app.plans.models import RecipientKind
from app.plans.queries import actions, plans, regions
from app.reference.queries import funding_source_labels, strategy_labels
from app.tracking import figures
from app.tracking.models import KeyFigures, MoneyFigures, RecipientFigures, RegionSummary, Summary


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
            "physical_percent": round(self.physical_sum / self.physical_weight, 2) if self.physical_weight else None,
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
    """The grouped rows of a set of actions, to be rolled up by any of their keys."""

    def __init__(self, session: Session, chosen: Any, period: Period) -> None:
        quarter = period.last_quarter
        self.money = session.execute(figures.money_by_group(chosen, quarter)).all()
        self.recipients = session.execute(figures.recipients_by_group(chosen, quarter)).all()
        self.milestones = session.execute(figures.milestones_by_group(chosen, quarter, period.last_day)).all()
        self.sources = session.execute(figures.money_by_source(chosen, quarter)).all()
        self.classes = session.execute(figures.money_by_class(chosen, quarter)).all()

    def by(self, key: Callable[[Any], str]) -> dict[str, _Roll]:
        rolls: dict[str, _Roll] = {}
        for row in self.money:
            roll = rolls.setdefault(key(row), _Roll())
            roll.actions += row.actions
            roll.reported += row.reported
            roll.allocated += row.allocated
            roll.spent += row.spent
            roll.physical_weight += row.physical_weight
            roll.physical_sum += row.physical_sum
        for row in self.recipients:
            counts = rolls[key(row)].recipients.setdefault(str(row.kind), [0, 0])
            counts[0] += row.planned
            counts[1] += row.reached
        for row in self.milestones:
            rolls[key(row)].due += row.due
            rolls[key(row)].met += row.met
        return rolls

    def total(self) -> _Roll:
        return self.by(lambda row: "").get("", _Roll())

    def keyed(self, key: Callable[[Any], str], names: dict[str, str]) -> list[KeyFigures]:
        rolls = sorted(self.by(key).items())
        return [KeyFigures.model_construct(**roll.figures(), key=code, name=names.get(code)) for code, roll in rolls]

    def money_parts(self, session: Session) -> dict[str, list[MoneyFigures]]:
        total = self.total()
        return {
            "by_funding_source": _money(self.sources, funding_source_labels(session), total),
            "by_component_class": _money(self.classes, {}, total),
        }


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
            key=key, name=names.get(key) if key else None, allocated=planned, spent=used,
            absorption_percent=percent(used, planned) if planned >= 0 else None,
        )
        for key, planned, used in rest
    ]


def summary_of(session: Session, plan: sa.Row[Any], period: Period) -> Summary:
    """A visible plan at a period; semester and year derive from their last quarter."""
    groups = _Groups(session, actions.c.plan_id == plan.id, period)
    return Summary.model_construct(
        **groups.total().figures(),
        **groups.money_parts(session),
        plan=plan.code,
        period=str(period),
        to_quarter=period.last_quarter,
        by_strategy=groups.keyed(lambda row: str(row.strategy), strategy_labels(session)),
        by_agency=groups.keyed(lambda row: str(row.lead_agency), agency_labels(session, plan.region_code)),
    )


def region_summary(session: Session, actor: Actor, region: str, period: Period) -> RegionSummary:
    """Every visible plan of the period's year in the region and below it."""
    found = session.execute(
        sa.select(plans.c.id, plans.c.code, regions.c.name)
        .join_from(plans, regions, regions.c.code == plans.c.region_code)
        .where(visible(actor, plans.c.region_code), within(plans.c.region_code, region), plans.c.year == period.year)
    ).all()
    code_of = {row.id: row.code for row in found}
    # The plans' regions say the same as their ids and let the planner see a range.
    chosen = sa.and_(
        visible(actor, actions.c.region_code), within(actions.c.region_code, region), actions.c.year == period.year
    )
    groups = _Groups(session, chosen, period)
    by_plan = {row.code: KeyFigures.model_construct(**_Roll().figures(), key=row.code, name=row.name) for row in found}
    by_plan |= {f.key: f for f in groups.keyed(lambda row: code_of[row.plan_id], {r.code: r.name for r in found})}
    return RegionSummary.model_construct(
        **groups.total().figures(),
        **groups.money_parts(session),
        region_code=region,
        period=str(period),
        to_quarter=period.last_quarter,
        by_plan=[by_plan[code] for code in sorted(by_plan)],
        by_strategy=groups.keyed(lambda row: str(row.strategy), strategy_labels(session)),
    )
