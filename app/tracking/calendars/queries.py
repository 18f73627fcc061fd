"""Days of a region's quarter: its own, else those of the nearest region above, else the shipped ones.

The statements compare days as ISO text: both engines show dates that way, and it sorts as the days do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, FromClause
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.rules import can_have_agencies
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields, select_json
from app.kit.database.resources import Resource
from app.kit.periods import QUARTER_PATTERN, UTC_OFFSETS, get_local_date
from app.kit.problems import NotFound
from app.reference.models import RegionRow, ReportingCalendarRow, Timezone
from app.reference.nomenclature.queries import NotLoaded
from app.reference.queries import is_region
from app.tracking.calendars.models import CalendarIn, CalendarOut, CalendarRow

calendar_rules, calendar, _regions = (
    get_table(ReportingCalendarRow),
    get_table(CalendarRow),
    get_table(RegionRow),
)
_own, _province, _nation = (calendar.alias(name) for name in ("own", "of_province", "of_nation"))

CALENDAR = Resource(
    "calendar",
    calendar,
    CalendarIn,
    ("region_code", "period"),
    "regions/{region_code}/calendar/{period}",
    written_at="updated_at",
)


def calendar_chain(region: str) -> str:
    """Return the journal's chain for the calendar of a region."""
    return f"calendar:{region}"


@dataclass(frozen=True)
class QuarterDays:
    """Days of quarters as columns; `source` includes the joins with their tables."""

    source: FromClause
    columns: Mapping[str, ColumnElement[str]]
    """`opens_on`, `due_on`, `closes_on` as text, `issued_by`, `legal_basis`, `set_by`, `own_version`."""


def join_days(
    source: FromClause,
    region: ColumnElement[str],
    year: sa.SQLColumnExpression[object],
    period: ColumnElement[str],
) -> QuarterDays:
    """Return the days of `region` in `period`; each row of `source` contains the quarter's row of `rules`."""
    joined = source
    for table, code in ((_own, region), (_province, sa.func.substr(region, 1, 2)), (_nation, "0")):
        joined = joined.outerjoin(table, sa.and_(table.c.region_code == code, table.c.period == period))

    def find_nearest(name: str, shipped: sa.SQLColumnExpression[object]) -> ColumnElement[str]:
        # A region's row applies whole: without a closing day it never closes, even if a row above has one.
        holding = [
            (table.c.region_code.is_not(None), sa.cast(table.c[name], sa.Text))
            for table in (_own, _province, _nation)
        ]
        return sa.case(*holding, else_=shipped).label(name)

    def shift_day(
        day: sa.SQLColumnExpression[object], later: sa.SQLColumnExpression[object]
    ) -> sa.SQLColumnExpression[object]:
        return sa.cast(year + later, sa.Text) + "-" + day

    r = calendar_rules.c
    return QuarterDays(
        joined,
        {
            "opens_on": find_nearest("opens_on", shift_day(r.opens, r.opens_years_later)),
            "due_on": find_nearest("due_on", shift_day(r.due, r.due_years_later)),
            "closes_on": find_nearest("closes_on", shift_day(r.closes, r.closes_years_later)),
            "issued_by": find_nearest("issued_by", r.source),
            "legal_basis": find_nearest("legal_basis", r.legal_basis),
            "set_by": find_nearest("region_code", sa.null()),
            "own_version": sa.func.coalesce(_own.c.version, 0),
        },
    )


def select_today(zone: sa.SQLColumnExpression[object]) -> ColumnElement[str]:
    """Return today's day in a region's zone; bind the values of `bind_today`."""
    return sa.case(
        *[(zone == member, sa.bindparam(f"today_{member.value}", type_=sa.Text)) for member in Timezone]
    )


def bind_today(now: datetime) -> dict[str, str]:
    """Return the values to bind for `today`."""
    return {f"today_{zone.value}": get_local_date(now, zone).isoformat() for zone in Timezone}


def format_end_of_day(
    day: sa.SQLColumnExpression[object], zone: sa.SQLColumnExpression[object]
) -> sa.SQLColumnExpression[object]:
    """Return the last second of a day in a zone, with its offset."""
    offsets = [(zone == member, f"T23:59:59+{hours:02}:00") for member, hours in UTC_OFFSETS.items()]
    return day + sa.case(*offsets)


def read_calendar(session: Session, actor: Actor, region: str, period: str) -> tuple[str, int]:
    """Return the days of a visible region as `CalendarOut`, and the version of its own days."""
    check_calendar(session, actor, region, period)
    year, _, quarter = period.partition("-")
    source = _regions.join(
        calendar_rules, sa.and_(calendar_rules.c.quarter == quarter, calendar_rules.c.retired.is_(False))
    )
    days = join_days(source, _regions.c.code, sa.literal(int(year)), sa.literal(period))
    columns = dict(days.columns)
    version = columns.pop("own_version")
    is_set = columns["set_by"].is_not(None)
    query = (
        sa.select(
            *select_fields(
                CalendarOut,
                _regions,
                **columns,
                region_code=_regions.c.code,
                period=sa.literal(period),
                edition=sa.case((is_set, sa.null()), else_=calendar_rules.c.edition),
                status=sa.case((is_set, "set"), else_=calendar_rules.c.status),
                version=version,
            )
        )
        .select_from(days.source)
        .where(_regions.c.code == region)
    )
    row = session.execute(select_json(query, "version")).one_or_none()
    if row is None:
        raise NotLoaded()
    return row.json, row.version


def check_calendar(session: Session, actor: Actor, region: str, period: str) -> None:
    """Raise NotFound if the actor sees no region with a calendar or the period is not a quarter."""
    has_calendar = region == "0" or can_have_agencies(region)
    is_quarter = re.fullmatch(QUARTER_PATTERN, period) is not None
    if not (has_calendar and is_quarter and actor.sees(region) and is_region(session, region)):
        raise NotFound()
