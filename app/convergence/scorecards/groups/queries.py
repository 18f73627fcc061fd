"""Queries of a region's comparison group: frozen figures, else stored ones, else computed ones.

A request recomputes stale figures, for all regions in one batch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Subquery
from sqlmodel import Session

from app.convergence.coverage.queries import regions
from app.convergence.editions.methods.queries import NoEdition
from app.convergence.scorecards.cache import FiguresCache, JsonRow
from app.convergence.scorecards.figures.queries import ComputedFigures, compute_figures
from app.convergence.scorecards.groups.rules import (
    NATION,
    RegionFigures,
    RegionGroup,
    complete_sums,
    compute_own_spending,
    parse_method,
)
from app.convergence.scorecards.models import FiguresFields, ScorecardFiguresRow
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.convergence.scorecards.yardsticks.queries import frozen_scorecards, yardsticks
from app.convergence.scorecards.yardsticks.rules import SpendingPlan
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.database.json_sql import build_once, dump_json, make_fixed_object
from app.kit.problems import require_found
from app.plans.copies.queries import select_number
from app.plans.core.queries import plans
from app.reference.models import RegionLevel
from app.tracking.calendars.queries import bind_today, select_today
from app.tracking.quarters.queries import quarters

stored_figures = get_table(ScorecardFiguresRow)
_journal = get_table(JournalRow)

RANKED = (RegionLevel.province, RegionLevel.regency)
"""Levels of the regions in a group."""

_COLUMNS = tuple(name for name in FiguresFields.model_fields if name != "content")
_OF_PLAN = ("spending_percent", "uncapped_percent", "fair_method", "open_errors")
_FORMAT = "2:"
"""Prefix of the stamps of figures; figures of versions that computed less have another one and are stale."""


class GroupRow(NamedTuple):
    """A region in a quarter, with its frozen figures, else its stored ones."""

    code: str
    name: str
    level: str
    period: str
    stamp: str
    """The stamp that figures computed now would get."""
    stored_stamp: str | None
    amendment: int | None
    revision: int | None
    """Revision that a frozen quarter has: content of before its figures named one lacks it."""
    json: str
    content: str | None
    yardstick: str | None
    """JSON of the settled yardstick; of provinces alone."""

    @property
    def is_withheld(self) -> bool:
        """True if the frozen scorecard waits for its yardstick."""
        return self.amendment is not None and json.loads(self.json)["fair_method"] is not None


@dataclass(frozen=True)
class GroupState:
    """The rows of a group in the database, one for each region and quarter (`_select_group`)."""

    own: str
    first: str
    rows: list[GroupRow]

    @property
    def key(self) -> int:
        """Return a cache key: equal until a source of the group's figures changes."""
        versions = tuple((row.code, row.period, row.stamp, row.amendment) for row in self.rows)
        return hash(versions)

    def find_own_row(self) -> GroupRow:
        """Return the row of the group's own region and first quarter. Raises NotFound if there is no such region."""
        own = (self.own, self.first)
        return require_found(next((row for row in self.rows if (row.code, row.period) == own), None))

    def load(
        self, session: Session, cache: FiguresCache, now: datetime, *, recompute: str | None = None
    ) -> RegionGroup:
        """Return the group with frozen, stored or cached figures; compute the stale ones and cache them.

        `recompute`: a region whose figures to compute in any case, without caching them.
        """
        figures: dict[tuple[str, str], RegionFigures] = {}
        stale: dict[str, dict[str, GroupRow]] = {}
        for row in self.rows:
            if row.code == recompute and row.period == self.first:
                stale.setdefault(row.period, {})[row.code] = row
            elif row.amendment is not None or row.stored_stamp == row.stamp:
                figures[row.code, row.period] = _parse(row, json.loads(row.json), row.content, row.amendment)
            elif values := cache.find(row.code, row.period, row.stamp):
                figures[row.code, row.period] = _parse(row, values, values["content"], None)
            else:
                stale.setdefault(row.period, {})[row.code] = row
        for period, rows_by_code in stale.items():
            try:
                computed = compute_figures(session, rows_by_code, period, now)
            except NoEdition:
                if period == self.first:
                    raise
                continue  # the year before has no edition of the method
            rows = [_build_row(computed[code], row.stamp, now) for code, row in rows_by_code.items()]
            cache.note([item for item in rows if item["region_code"] != recompute])
            for item in rows:
                row = rows_by_code[item["region_code"]]
                figures[row.code, period] = _parse(row, item, item["content"], None)
        settled = {
            (row.code, row.period): Yardstick.model_validate_json(row.yardstick)
            for row in self.rows
            if row.yardstick
        }
        return RegionGroup(self.own, figures, settled)


def read_group_state(
    session: Session, region: str, periods: Sequence[str], now: datetime, *, whole: bool = False
) -> GroupState:
    """Return the rows of a region's province and its regencies, for the nation of all, in one or two quarters.
    `whole`: with the content of every region, not only of `region`."""
    bound = {
        "above": NATION if region == NATION else region[:2],
        "own": region,
        "whole": whole,
        "period": periods[0],
        "before": periods[-1],
        **bind_today(now),
    }
    rows = session.connection().execute(_select_group(session, region == NATION), bound)
    return GroupState(region, periods[0], [GroupRow._make(row) for row in rows])


def _parse(row: GroupRow, values: JsonRow, content: str | None, amendment: int | None) -> RegionFigures:
    return RegionFigures(
        row.code,
        row.name,
        RegionLevel(row.level),
        row.period,
        complete_sums(values),
        values["in_force"],
        SpendingPlan(row.code, *[values[name] for name in _OF_PLAN]),
        datetime.fromisoformat(values["computed_at"]),
        amendment,
        row.revision,
        content,
    )


def _build_row(computed: ComputedFigures, stamp: str, now: datetime) -> JsonRow:
    method, has_plan = parse_method(computed.content), computed.content["has_plan"]
    counted, uncapped = (
        compute_own_spending(computed.sums, method, counted=is_counted) if has_plan else None
        for is_counted in (method.fair_yardstick, False)
    )
    return {
        "period": computed.period,
        "region_code": computed.region_code,
        "stamp": stamp,
        **computed.sums,
        "in_force": computed.in_force,
        "spending_percent": counted,
        "uncapped_percent": uncapped,
        "fair_method": method.edition if method.fair_yardstick else None,
        "open_errors": computed.open_errors,
        "content": dump_json(computed.content),
        "computed_at": now.isoformat(),
    }


@build_once
def _select_group(session: Session, is_nation: bool) -> sa.Select[*tuple[object, ...]]:
    """Select a row for each region and quarter: the frozen figures, else the stored ones, with their stamp and the
    present stamp. That consists of the newest journal entries on the region, its province, the nation and the regencies
    of a province, and of the day in the region's zone; figures with another stamp are stale."""
    f, y = stored_figures.c, yardsticks.c
    yardstick = make_fixed_object("yardstick", [y[name] for name in Yardstick.model_fields])
    frozen = frozen_scorecards.alias("frozen")
    scope, newest = _select_regions(is_nation), frozen_scorecards.alias("newest")
    periods = sa.union_all(
        *[sa.select(sa.bindparam(name, type_=sa.String).label("period")) for name in ("period", "before")]
    )
    period = sa.select(periods.subquery("both").c.period).distinct().subquery("of_period").c.period
    latest = (
        sa.select(sa.func.max(newest.c.amendment))
        .where(newest.c.region_code == scope.c.code, newest.c.period == period)
        .correlate(scope, period.table)
        .scalar_subquery()
    )
    is_frozen = frozen.c.region_code.is_not(None)
    is_of_scope = sa.and_(quarters.c.region_code == scope.c.code, quarters.c.period == period)
    copy_id = sa.select(quarters.c.copy_id).where(is_of_scope).correlate(scope, period.table)
    revision = sa.case((is_frozen, select_number(copy_id.scalar_subquery())))
    stamps = [
        _select_newest_entry(scope, code)
        for code in (scope.c.code, sa.func.substr(scope.c.code, 1, 2), sa.literal(NATION))
    ]
    stamps.append(_select_newest_below(scope))
    stamp = (
        sa.literal(_FORMAT) + stamps[0] + stamps[1] + stamps[2] + stamps[3] + select_today(scope.c.timezone)
    )
    is_wanted = sa.or_(sa.bindparam("whole", type_=sa.Boolean), scope.c.code == sa.bindparam("own"))
    shown = [sa.case((is_frozen, frozen.c[name]), else_=f[name]).label(name) for name in _COLUMNS]
    content = sa.case((is_wanted, sa.case((is_frozen, frozen.c.content), else_=f.content)))
    return sa.select(
        scope.c.code,
        scope.c.name,
        sa.cast(scope.c.level, sa.Text).label("level"),
        period.label("period"),
        stamp.label("stamp"),
        f.stamp.label("stored_stamp"),
        frozen.c.amendment,
        revision.label("revision"),
        make_fixed_object("scorecard_figures", shown),
        content.label("content"),
        sa.case((y.region_code.is_not(None), yardstick)).label("yardstick"),
    ).select_from(
        scope.join(period.table, sa.true())
        .outerjoin(yardsticks, sa.and_(y.region_code == scope.c.code, y.period == period))
        .outerjoin(stored_figures, sa.and_(f.region_code == scope.c.code, f.period == period))
        .outerjoin(
            frozen,
            sa.and_(
                frozen.c.region_code == scope.c.code,
                frozen.c.period == period,
                frozen.c.amendment == latest,
            ),
        )
    )


def _select_regions(is_nation: bool) -> Subquery:
    """Select a region and the level below it; for the nation, two levels.

    A retired region stays in the quarters of the years in which it has a plan.
    """
    above: ColumnElement[str] = sa.bindparam("above", type_=sa.String)
    year = sa.func.substr(sa.bindparam("period", type_=sa.String), 1, 4)

    def select(table: sa.FromClause) -> sa.Select[*tuple[object, ...]]:
        return sa.select(*[table.c[name] for name in ("code", "name", "level", "timezone")])

    def is_ranked(table: sa.FromClause) -> ColumnElement[bool]:
        has_plan = sa.exists().where(
            plans.c.region_code == table.c.code, sa.cast(plans.c.year, sa.Text) == year
        )
        return sa.and_(table.c.level.in_(RANKED), sa.or_(table.c.retired.is_(False), has_plan))

    parts = [
        select(regions).where(regions.c.code == above),
        select(regions).where(regions.c.parent_code == above, is_ranked(regions)),
    ]
    if is_nation:
        child, below = regions.alias("child"), regions.alias("below")
        lower = child.join(below, below.c.parent_code == child.c.code)
        is_below = sa.and_(child.c.parent_code == above, child.c.retired.is_(False), is_ranked(below))
        parts.append(select(below).select_from(lower).where(is_below))
    return sa.union_all(*parts).subquery("of")


def _select_newest_entry(
    scope: Subquery, code: sa.SQLColumnExpression[object]
) -> sa.SQLColumnExpression[object]:
    """Select a prefix of the hash of the newest journal entry on a region, `-` without one."""
    newest = (
        sa.select(sa.func.substr(_journal.c.hash, 1, 20))
        .where(_journal.c.region_code == code)
        .order_by(_journal.c.sequence.desc())
        .limit(1)
        .correlate(scope)
        .scalar_subquery()
    )
    return sa.func.coalesce(newest, "-")


def _select_newest_below(scope: Subquery) -> sa.SQLColumnExpression[object]:
    """Select the sequence of the newest journal entry on a regency of the region; P of a province counts them all."""
    below = regions.alias("under")
    newest = (
        sa.select(_journal.c.sequence)
        .where(_journal.c.region_code == below.c.code)
        .order_by(_journal.c.sequence.desc())
        .limit(1)
        .correlate(below)
        .scalar_subquery()
    )
    greatest = (
        sa.select(sa.func.max(newest))
        .where(below.c.parent_code == scope.c.code, below.c.level == RegionLevel.regency)
        .correlate(scope)
        .scalar_subquery()
    )
    return sa.func.coalesce(sa.cast(greatest, sa.Text), "-")
