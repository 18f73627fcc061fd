"""Completeness of a quarter, aggregated in one statement for any number of lines."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table
from app.kit.database.json_sql import (
    DaysBetween,
    build_json_array,
    build_json_object,
    select_fields,
    select_json,
    whole_sum,
)
from app.kit.fields import AgencyCode, RegionCode
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.periods import Period, PeriodText
from app.kit.problems import NotFound
from app.plans.actions.queries import is_expected_in
from app.plans.core.queries import plans, regions
from app.reference.models import RegionLevel
from app.reference.nomenclature.queries import NotLoaded
from app.tracking.calendars.queries import bind_today, calendar_rules, format_end_of_day, select_today
from app.tracking.completeness.models import (
    AgencyCompleteness,
    CompletenessReply,
    MissingLine,
    RegionCompleteness,
    Totals,
)
from app.tracking.completeness.rules import SUBMITTED
from app.tracking.lines.queries import is_visible_plan, select_lines_of_quarter, select_plans_of_quarter
from app.tracking.progress.queries import is_own_report, progress
from app.tracking.quarters.models import PartState
from app.tracking.quarters.queries import extend_day, join_quarters, parts, quarters

_agencies, _homes, _requested = get_table(AgencyRow), regions.alias("home"), regions.alias("requested")
_HOMES = (RegionLevel.province, RegionLevel.regency)
"""Levels that have plans."""


class CompletenessQuery(BaseModel):
    """Period and region."""

    period: PeriodText
    region: RegionCode
    by: Literal["agency"] | None = Field(
        default=None, description="`agency` adds the agencies of each region."
    )


class MissingFilters(BaseModel):
    """Filters of the missing lines; a line must meet all of them."""

    region: RegionCode = Field(description="This region and everything below it; `0` is the nation.")
    period: PeriodText
    agency: AgencyCode | None = Field(default=None, description="Only lines that this agency leads.")
    accepted: bool | None = Field(
        default=None,
        description="Only lines that a submission accepts without a report (`true`) or not (`false`).",
    )
    sort: Literal["plan", "-plan", "agency_code", "-agency_code"] = "plan"


class MissingQuery(MissingFilters, PageQuery): ...


def _is_submitted(state: sa.SQLColumnExpression[object]) -> ColumnElement[bool]:
    return state.in_([member.value for member in SUBMITTED])


@dataclass(frozen=True)
class _Lateness:
    days: ColumnElement[int]
    on_time: ColumnElement[bool | None]


def _select_lateness(
    due: ColumnElement[str],
    day: ColumnElement[str],
    is_done: ColumnElement[bool],
    stored_days: sa.SQLColumnExpression[object],
) -> _Lateness:
    """Return the lateness: the stored one of the submission if `is_done`, else that of today, `day`."""
    until_today = sa.case((day > due, DaysBetween(due, day)), else_=0)
    days = sa.case((is_done, sa.func.coalesce(stored_days, 0)), else_=until_today)
    return _Lateness(days, sa.case((days > 0, sa.false()), (is_done, sa.true())))


def read_completeness(session: Session, actor: Actor, query: CompletenessQuery, now: datetime) -> str:
    """Return the `CompletenessReply` of a region. Raises NotFound if the actor sees no region with plans in it."""
    period = Period.parse(query.period)
    quarter = _select_quarters(actor, query.region, period.last_quarter)
    counts = _count_reports(actor, query.region, period)
    rows = _select_regions(actor, query, quarter, counts).cte("completeness")
    columns = [column for column in rows.c if column.name != "agencies" or query.by]
    is_loaded = sa.exists().where(
        calendar_rules.c.quarter == period.last_quarter[5:], calendar_rules.c.retired.is_(False)
    )
    computed = {
        "region_code": _requested.c.code,
        "region_name": _requested.c.name,
        "period": sa.literal(str(period)),
        "to_quarter": sa.literal(period.last_quarter),
        "totals": build_json_object(_select_totals(rows), name="totals_of"),
        "regions": build_json_array(sa.select(*columns).order_by(rows.c.region_code), name="regions_of"),
    }
    reply = sa.select(
        *select_fields(CompletenessReply, _requested, **computed),
        sa.select(sa.func.count()).select_from(rows).scalar_subquery().label("_seen"),
        is_loaded.label("_loaded"),
    ).where(_requested.c.code == query.region)
    texts = select_json(reply, "_seen", "_loaded")
    row = session.connection().execute(texts, bind_today(now)).one_or_none()
    if row is None or not row._seen:
        raise NotFound()
    if not row._loaded:
        raise NotLoaded()
    return str(row.json)


def _select_quarters(actor: Actor, region: str, quarter: str) -> CTE:
    """Return the quarter of each visible plan."""
    view = join_quarters()
    zone, c = regions.c.timezone, quarters.c
    return (
        sa.select(
            plans.c.id.label("plan_id"),
            plans.c.code.label("plan"),
            plans.c.region_code,
            view.period,
            view.revision.label("revision"),
            view.state.label("state"),
            zone.label("zone"),
            select_today(zone).label("today"),
            view.days.columns["due_on"].label("due_on"),
            view.due.label("due"),
            _is_submitted(view.state).label("is_submitted"),
            c.late_by_days.label("stored_days"),
            sa.case((_is_submitted(view.state), c.submitted_at)).label("submitted_at"),
            c.verified_at,
            c.frozen_at,
        )
        .select_from(view.source)
        .where(is_visible_plan(actor, region, int(quarter[:4])), calendar_rules.c.quarter == quarter[5:])
        .cte("quarter_of_plan")
    )


def _count_reports(actor: Actor, region: str, period: Period) -> CTE:
    """Return the numbers of expected lines and of reports by plan and agency."""
    quarter = period.last_quarter
    chosen = select_plans_of_quarter(is_visible_plan(actor, region, period.year), quarter)
    lines = select_lines_of_quarter(chosen, quarter)
    key = (lines.c.plan_id, lines.c.plan_region.label("region_code"), lines.c.lead_agency)
    return (
        sa.select(
            *key,
            sa.func.count().label("expected"),
            sa.func.count(progress.c.action_id).label("reported"),
        )
        .select_from(lines.outerjoin(progress, is_own_report(lines, quarter)))
        .where(is_expected_in(lines, quarter))
        .group_by(*key)
        .cte("counted")
    )


def _select_regions(actor: Actor, query: CompletenessQuery, quarter: CTE, counts: CTE) -> sa.SelectBase:
    """Return the `RegionCompleteness` of every region that can have a plan."""
    sums = (
        sa.select(
            counts.c.plan_id, *[whole_sum(counts.c[name]).label(name) for name in ("expected", "reported")]
        )
        .group_by(counts.c.plan_id)
        .subquery("sums")
    )
    q, home = quarter.c, _homes.c
    has_plan = q.plan_id.is_not(None)
    timing = _select_lateness(q.due, q.today, q.is_submitted, q.stored_days)
    expected, reported = (sa.func.coalesce(column, 0) for column in (sums.c.expected, sums.c.reported))
    columns = {
        "region_code": home.code,
        "region_name": home.name,
        "deadline": format_end_of_day(q.due, q.zone),
        "on_time": sa.case((has_plan, timing.on_time)),
        "late_by_days": sa.case((has_plan, timing.days)),
        "expected": expected,
        "reported": reported,
        "missing": expected - reported,
        "level": home.level,
        "agencies": build_json_array(_select_agencies(quarter, counts), name="agencies_of")
        if query.by
        else sa.null(),
    }
    return (
        sa.select(*select_fields(RegionCompleteness, quarter, **columns))
        .select_from(
            _homes.outerjoin(quarter, q.region_code == home.code).outerjoin(sums, sums.c.plan_id == q.plan_id)
        )
        .where(
            can_see_region(actor, home.code),
            is_in_region(home.code, query.region),
            home.level.in_(_HOMES),
            sa.or_(home.retired.is_(False), has_plan),
        )
    )


def _select_agencies(quarter: CTE, counts: CTE) -> sa.SelectBase:
    """Return the `AgencyCompleteness` of the agencies that lead a line of a quarter's plan."""
    q, n, code = quarter.c, counts.c, counts.c.lead_agency
    due = extend_day(q.due_on, q.region_code, q.period, code)
    part = _Part(q.is_submitted, q.stored_days)
    timing = _select_lateness(due, q.today, part.is_done, part.stored_days)
    columns = {
        "agency_code": code,
        "agency_name": sa.func.coalesce(_agencies.c.name, code),
        "merged_into": _agencies.c.merged_into,
        "state": sa.func.coalesce(sa.cast(parts.c.state, sa.Text), PartState.open.value),
        "submitted_at": sa.case((_IS_SUBMITTED, parts.c.submitted_at)),
        "deadline": format_end_of_day(due, q.zone),
        "on_time": timing.on_time,
        "late_by_days": timing.days,
        "missing": n.expected - n.reported,
    }
    leads = sa.and_(_agencies.c.region_code == n.region_code, _agencies.c.code == code)
    return (
        sa.select(*select_fields(AgencyCompleteness, counts, **columns))
        .select_from(
            counts.outerjoin(_agencies, leads).outerjoin(parts, _is_part(n.region_code, q.period, code))
        )
        .where(n.plan_id == q.plan_id)
        .order_by(code)
        .correlate(quarter)
    )


def _select_totals(rows: CTE) -> sa.SelectBase:
    c, count = rows.c, sa.func.count
    columns = {
        "expected": whole_sum(c.expected),
        "reported": whole_sum(c.reported),
        "missing": whole_sum(c.missing),
        "regions": count(),
        "without_plan": count().filter(c.plan.is_(None)),
        "submitted": count().filter(_is_submitted(c.state)),
        "verified": count().filter(sa.or_(c.verified_at.is_not(None), c.frozen_at.is_not(None))),
        "frozen": count().filter(c.frozen_at.is_not(None)),
        "on_time": count().filter(c.on_time.is_(True)),
        "late": count().filter(c.on_time.is_(False)),
    }
    return sa.select(*select_fields(Totals, rows, **columns)).select_from(rows)


_IS_SUBMITTED = sa.func.coalesce(sa.cast(parts.c.state, sa.Text), "") == PartState.submitted.value


def _is_part(
    region: ColumnElement[str], period: ColumnElement[str], agency: ColumnElement[str]
) -> ColumnElement[bool]:
    return sa.and_(parts.c.region_code == region, parts.c.period == period, parts.c.agency_code == agency)


class _Part:
    """Submission of a part, by its agency or with the region's quarter, and its lateness."""

    def __init__(
        self, is_submitted: ColumnElement[bool], stored_days: sa.SQLColumnExpression[object]
    ) -> None:
        self.is_done = sa.or_(_IS_SUBMITTED, is_submitted)
        own = sa.case((_IS_SUBMITTED, parts.c.late_by_days))
        self.stored_days = sa.func.coalesce(own, stored_days)


def list_missing(actor: Actor, query: MissingFilters, now: datetime) -> Listing:
    """Return the lines of visible plans on which a report is due and missing."""
    quarter = Period.parse(query.period).last_quarter
    view, chosen = (
        join_quarters(),
        select_plans_of_quarter(is_visible_plan(actor, query.region, int(quarter[:4])), quarter),
    )
    lines = select_lines_of_quarter(chosen, quarter, "title", "first_month", "last_month")
    agency, region, zone = lines.c.lead_agency, plans.c.region_code, regions.c.timezone
    period = sa.literal(quarter)
    due = extend_day(view.days.columns["due_on"], region, period, agency)
    part = _Part(_is_submitted(view.state), quarters.c.late_by_days)
    columns = {
        "plan": plans.c.code,
        "action": lines.c.code,
        "revision": lines.c.revision,
        "region_code": region,
        "region_name": regions.c.name,
        "agency_code": agency,
        "agency_name": sa.func.coalesce(_agencies.c.name, agency),
        "latest_report": _find_latest_before(lines, quarter),
        "state": view.state,
        "accepted": part.is_done,
        "deadline": format_end_of_day(due, zone),
        "late_by_days": _select_lateness(due, select_today(zone), part.is_done, part.stored_days).days,
    }
    leads = sa.and_(_agencies.c.region_code == region, _agencies.c.code == agency)
    rows = (
        sa.select(*select_fields(MissingLine, lines, **columns))
        .select_from(
            view.source.join(lines, lines.c.plan_id == plans.c.id)
            .outerjoin(_agencies, leads)
            .outerjoin(parts, _is_part(region, period, agency))
            .outerjoin(progress, is_own_report(lines, quarter))
        )
        .where(
            calendar_rules.c.quarter == quarter[5:],
            is_expected_in(lines, quarter),
            progress.c.action_id.is_(None),
            *match_values((agency, query.agency)),
        )
    )
    if query.accepted is not None:
        rows = rows.where(part.is_done if query.accepted else sa.not_(part.is_done))
    sorts = {"plan": plans.c.code, "agency_code": agency}
    return Listing(rows.params(bind_today(now)), sorts, {"plan": plans.c.code, "action": lines.c.code})


def _find_latest_before(lines: CTE, quarter: str) -> sa.SQLColumnExpression[object]:
    """Return the quarter of the earlier report that counts for a line without one of `quarter`; null without any."""
    carried = progress.alias("carried")
    carried_from = (
        sa.select(carried.c.carried_from)
        .where(carried.c.action_id == lines.c.id, carried.c.period == quarter)
        .correlate(lines)
        .scalar_subquery()
    )
    return sa.case((lines.c.is_closed, carried_from), else_=lines.c.period)
