"""Queries of yardsticks: the settled ones that an actor sees, and the plans from which one is settled."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.coverage.queries import regions
from app.convergence.scorecards.models import ScorecardRow
from app.convergence.scorecards.yardsticks.models import YardstickOut, YardstickRow, YardsticksQuery
from app.convergence.scorecards.yardsticks.rules import DAYS, SpendingPlan
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields, select_json
from app.kit.http.pagination import Listing, match_values
from app.kit.periods import get_local_date
from app.kit.problems import require_found
from app.plans.core.queries import plans
from app.reference.models import RegionLevel, Timezone
from app.tracking.calendars.queries import calendar_rules
from app.tracking.progress.queries import find_falling_regions
from app.tracking.quarters.queries import join_quarters

yardsticks, frozen_scorecards = get_table(YardstickRow), get_table(ScorecardRow)


def list_yardsticks(actor: Actor, query: YardsticksQuery) -> Listing:
    """Return every settled yardstick of a province that the actor sees."""
    c = yardsticks.c
    rows = sa.select(*select_fields(YardstickOut, yardsticks)).where(
        can_see_region(actor, c.region_code),
        is_in_region(c.region_code, query.region),
        *match_values((c.period, query.period)),
    )
    key = {"region_code": c.region_code, "period": c.period}
    return Listing(rows, key, key)


def read_yardstick(session: Session, actor: Actor, province: str, period: str) -> str:
    """Return a settled yardstick as JSON. Raises NotFound if there is none that the actor sees."""
    c = yardsticks.c
    rows = sa.select(*select_fields(YardstickOut, yardsticks)).where(
        can_see_region(actor, c.region_code), c.region_code == province, c.period == period
    )
    return require_found(session.scalar(select_json(rows)))


def is_settled(session: Session, province: str, period: str) -> bool:
    """Return whether the yardstick of a province's quarter is settled."""
    c = yardsticks.c
    return (
        session.scalar(sa.select(c.region_code).where(c.region_code == province, c.period == period))
        is not None
    )


def list_unsettled(session: Session) -> Sequence[tuple[str, str]]:
    """Return (province, quarter) of each frozen scorecard that waits for its yardstick."""
    c = frozen_scorecards.c
    province = sa.func.substr(c.region_code, 1, 2).label("province")
    is_there = sa.exists().where(
        yardsticks.c.region_code == province.element, yardsticks.c.period == c.period
    )
    waiting = sa.select(province, c.period).distinct().where(c.fair_method.is_not(None), ~is_there)
    return [(row.province, row.period) for row in session.execute(waiting.order_by(province, c.period))]


class Settlement(NamedTuple):
    """The plans in force of a province's regencies, and whether their yardstick can be settled now."""

    plans: list[SpendingPlan]
    is_due: bool
    """True if the quarters of all plans are frozen, or the last of them has closed."""


def read_settlement(session: Session, province: str, period: str, now: datetime) -> Settlement:
    """Read the plans in force of a province's regencies, each with its latest frozen scorecard of the quarter."""
    view, f, newer = join_quarters(), frozen_scorecards.c, frozen_scorecards.alias("newer").c
    latest = (
        sa.select(sa.func.max(newer.amendment))
        .where(newer.region_code == plans.c.region_code, newer.period == period)
        .correlate(plans)
        .scalar_subquery()
    )
    year, _, quarter = period.partition("-")
    rows = session.execute(
        sa.select(
            regions.c.code,
            regions.c.timezone,
            view.days.columns["due_on"],
            view.days.columns["closes_on"],
            *[f[name] for name in ("amendment", "spending_percent", "uncapped_percent", "fair_method")],
        )
        .select_from(
            view.source.outerjoin(
                frozen_scorecards,
                sa.and_(f.region_code == plans.c.region_code, f.period == period, f.amendment == latest),
            )
        )
        .where(
            plans.c.year == int(year),
            calendar_rules.c.quarter == quarter,
            regions.c.parent_code == province,
            regions.c.level == RegionLevel.regency,
            regions.c.retired.is_(False),
            sa.or_(plans.c.revision.is_not(None), f.amendment.is_not(None)),
        )
        .order_by(regions.c.code)
    ).all()
    falling = find_falling_regions(session, [row.code for row in rows], period)
    listed = [
        SpendingPlan(
            row.code,
            row.spending_percent,
            row.uncapped_percent,
            row.fair_method,
            row.code in falling,
            is_missing=row.amendment is None,
        )
        for row in rows
    ]
    last_days = [
        date.fromisoformat(row.closes_on)
        if row.closes_on
        else date.fromisoformat(row.due_on) + timedelta(DAYS)
        for row in rows
    ]
    has_closed = all(
        get_local_date(now, Timezone(row.timezone)) > day for row, day in zip(rows, last_days, strict=True)
    )
    return Settlement(listed, bool(rows) and (has_closed or not any(plan.is_missing for plan in listed)))
