"""Which days hold for a region's quarter: its own, else those of the nearest region above, else the shipped ones.

Days are compared as ISO text: that is how both engines show a date, and it sorts as the days do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, FromClause
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.rules import is_home
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, json_texts
from app.kit.database.resources import Resource
from app.kit.periods import OFFSETS, QUARTER_PATTERN, local_date
from app.kit.problems import NotFound
from app.reference.models import RegionRow, ReportingCalendarRow, Timezone
from app.reference.nomenclature.queries import NotLoaded
from app.reference.queries import is_region
from app.tracking.calendars.models import CalendarIn, CalendarOut, CalendarRow

rules, calendar, _regions = table_of(ReportingCalendarRow), table_of(CalendarRow), table_of(RegionRow)
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
    """Chain of the journal in which the calendar that a region sets is written."""
    return f"calendar:{region}"


@dataclass(frozen=True)
class Days:
    """Where the days of quarters come from (joined to `source`), and what holds, as columns."""

    source: FromClause
    columns: Mapping[str, ColumnElement[str]]
    """`opens_on`, `due_on`, `closes_on` as text, `issued_by`, `legal_basis`, `set_by`, `own_version`."""


def days_of(
    source: FromClause,
    region: ColumnElement[str],
    year: sa.SQLColumnExpression[object],
    period: ColumnElement[str],
) -> Days:
    """The days that hold for `region` in `period`; `source` has a row of `rules`, the quarter's, beside it."""
    joined = source
    for one, code in ((_own, region), (_province, sa.func.substr(region, 1, 2)), (_nation, "0")):
        joined = joined.outerjoin(one, sa.and_(one.c.region_code == code, one.c.period == period))

    def nearest(name: str, shipped: sa.SQLColumnExpression[object]) -> ColumnElement[str]:
        # A row holds whole: one without a closing day never closes, whatever stands above it.
        holding = [
            (one.c.region_code.is_not(None), sa.cast(one.c[name], sa.Text))
            for one in (_own, _province, _nation)
        ]
        return sa.case(*holding, else_=shipped).label(name)

    def shipped(
        day: sa.SQLColumnExpression[object], later: sa.SQLColumnExpression[object]
    ) -> sa.SQLColumnExpression[object]:
        return sa.cast(year + later, sa.Text) + "-" + day

    r = rules.c
    return Days(
        joined,
        {
            "opens_on": nearest("opens_on", shipped(r.opens, r.opens_years_later)),
            "due_on": nearest("due_on", shipped(r.due, r.due_years_later)),
            "closes_on": nearest("closes_on", shipped(r.closes, r.closes_years_later)),
            "issued_by": nearest("issued_by", r.source),
            "legal_basis": nearest("legal_basis", r.legal_basis),
            "set_by": nearest("region_code", sa.null()),
            "own_version": sa.func.coalesce(_own.c.version, 0),
        },
    )


def today(zone: sa.SQLColumnExpression[object]) -> ColumnElement[str]:
    """The day it is in a region's zone; `clock` gives the values to bind."""
    return sa.case(*[(zone == one, sa.bindparam(f"today_{one.value}", type_=sa.Text)) for one in Timezone])


def clock(now: datetime) -> dict[str, str]:
    """Values of `today`."""
    return {f"today_{zone.value}": local_date(now, zone).isoformat() for zone in Timezone}


def end_of_day(
    day: sa.SQLColumnExpression[object], zone: sa.SQLColumnExpression[object]
) -> sa.SQLColumnExpression[object]:
    """The last second of a day in a zone, with its offset."""
    offsets = [(zone == one, f"T23:59:59+{hours:02}:00") for one, hours in OFFSETS.items()]
    return day + sa.case(*offsets)


def calendar_text(session: Session, actor: Actor, region: str, period: str) -> tuple[str, int]:
    """(the days that hold for a region that the actor sees, as `CalendarOut`; the version of its own)."""
    check_calendar(session, actor, region, period)
    year, _, quarter = period.partition("-")
    source = _regions.join(rules, sa.and_(rules.c.quarter == quarter, rules.c.retired.is_(False)))
    days = days_of(source, _regions.c.code, sa.literal(int(year)), sa.literal(period))
    given = dict(days.columns)
    version = given.pop("own_version")
    is_set = given["set_by"].is_not(None)
    query = (
        sa.select(
            *fields_of(
                CalendarOut,
                _regions,
                **given,
                region_code=_regions.c.code,
                period=sa.literal(period),
                edition=sa.case((is_set, sa.null()), else_=rules.c.edition),
                status=sa.case((is_set, "set"), else_=rules.c.status),
                version=version,
            )
        )
        .select_from(days.source)
        .where(_regions.c.code == region)
    )
    row = session.execute(json_texts(query, "version")).one_or_none()
    if row is None:
        raise NotLoaded()
    return row.json, row.version


def check_calendar(session: Session, actor: Actor, region: str, period: str) -> None:
    """NotFound where a region that has a calendar is not seen, or the period is no quarter."""
    has_calendar = region == "0" or is_home(region)
    is_quarter = re.fullmatch(QUARTER_PATTERN, period) is not None
    if not (has_calendar and is_quarter and actor.sees(region) and is_region(session, region)):
        raise NotFound()
