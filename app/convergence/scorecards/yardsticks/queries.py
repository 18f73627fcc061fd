"""Queries of yardsticks: the settled ones that an actor sees, and the plans from which one is settled."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
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
    of_query = (is_in_region(c.region_code, query.region), *match_values((c.period, query.period)))
    rows = _select_visible(actor).where(*of_query)
    key = {"region_code": c.region_code, "period": c.period}
    return Listing(rows, key, key)


def _select_visible(actor: Actor) -> Select[Any]:
    is_visible = can_see_region(actor, yardsticks.c.region_code)
    return sa.select(*select_fields(YardstickOut, yardsticks)).where(is_visible)


def read_yardstick(session: Session, actor: Actor, province: str, period: str) -> str:
    """Return a settled yardstick as JSON. Raises NotFound if there is none that the actor sees."""
    rows = _select_visible(actor).where(*_match_key(province, period))
    return require_found(session.scalar(select_json(rows)))


def is_settled(session: Session, province: str, period: str) -> bool:
    """Return whether the yardstick of a province's quarter is settled."""
    settled = sa.select(yardsticks.c.period).where(*_match_key(province, period))
    return session.scalar(settled) is not None


def _match_key(province: str, period: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return yardsticks.c.region_code == province, yardsticks.c.period == period


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
            sa.or_(plans.c.revision.is_not(None), f.amendment.is_not(None)),
        )
        .order_by(regions.c.code)
    ).all()
    falling = find_falling_regions(session, [row.code for row in rows], period)
    listed, has_closed = [], True
    for row in rows:
        figures = (row.spending_percent, row.uncapped_percent, row.fair_method)
        listed.append(SpendingPlan(row.code, *figures, row.code in falling, row.amendment is None))
        days = (row.closes_on, 0) if row.closes_on else (row.due_on, DAYS)
        last_day = date.fromisoformat(days[0]) + timedelta(days[1])
        has_closed &= get_local_date(now, Timezone(row.timezone)) > last_day
    return Settlement(listed, bool(rows) and (has_closed or not any(plan.is_missing for plan in listed)))
