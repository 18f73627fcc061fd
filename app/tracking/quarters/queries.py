"""Queries of quarters. A quarter belongs to a plan, so every SELECT starts from the visible plans."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.access.queries import is_in_region
from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.agencies.queries import select_successor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, build_once, dump_json, select_fields, select_json
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.fields import RegionCode
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.periods import Period, Quarter
from app.kit.problems import FieldError, NotFound, require_found
from app.plans.actions.queries import actions, is_expected_in
from app.plans.copies.models import action_copies
from app.plans.copies.queries import COPIED, PRESENT, bind_lines, select_copy_by_day, select_number
from app.plans.core.models import Plan
from app.plans.core.queries import can_see_plan, find_plan, plans, read_plans, select_visible_plans
from app.reference.models import RegionRow, Timezone
from app.reference.nomenclature.queries import NotLoaded
from app.tracking.calendars.queries import (
    QuarterDays,
    bind_today,
    calendar_rules,
    format_end_of_day,
    join_days,
    select_today,
)
from app.tracking.progress.models import PROGRESS_PARTS
from app.tracking.progress.queries import is_own_report, progress, read_lines, read_stored_and_before
from app.tracking.progress.rules import UNPLANNED, check_period, check_report
from app.tracking.quarters.models import (
    ExtensionIn,
    ExtensionOut,
    PartOut,
    PartState,
    QuarterExtensionRow,
    QuarterOut,
    QuarterPartRow,
    QuarterReply,
    QuarterRow,
    QuarterState,
)
from app.tracking.quarters.rules import Extension, QuarterStatus
from app.tracking.quarters.snapshots.rules import format_address

quarters, parts = get_table(QuarterRow), get_table(QuarterPartRow)
extensions = get_table(QuarterExtensionRow)
_regions, _agencies = get_table(RegionRow), get_table(AgencyRow)

UNCOVERED: list[Callable[[Session, Plan, QuarterStatus], list[str]]] = []
"""Queries of the priority locations without coverage of a quarter. `app.wiring` adds that of the area above."""


def list_uncovered(session: Session, plan: Plan, status: QuarterStatus) -> list[str]:
    """Return the priority locations of a quarter that have no coverage of it, by code."""
    return [code for find in UNCOVERED for code in find(session, plan, status)]


EXTENSION = Resource(
    "extension",
    extensions,
    ExtensionIn,
    ("region_code", "period", "name"),
    "regions/{region_code}/quarters/{period}/extensions/{name}",
    written_at="granted_at",
    written_by="granted_by",
)


def make_extension_resource(plan: Plan) -> Resource:
    """Return the extensions of a plan's quarters as a resource."""
    return replace(EXTENSION, is_draft=plan.revision is None)


class RegionQuartersQuery(PageQuery):
    """Quarters of a region."""

    year: int | None = Field(default=None, ge=2015, le=2100, description="Only those of this year.")
    sort: Literal["-period", "period"] = "-period"


class QuartersQuery(PageQuery):
    """Filters of quarters; a quarter must meet all of them."""

    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    period: Quarter | None = Field(default=None, description="Only this quarter.")
    state: QuarterState | None = Field(default=None, description="Only quarters in this state.")
    sort: Literal["region_code", "-region_code", "period", "-period"] = "region_code"


class ExtensionsQuery(PageQuery):
    """Extensions of a quarter."""

    sort: Literal["name", "-name"] = "name"


def read_plan_of_quarter(session: Session, actor: Actor, region: str, period: str) -> Plan:
    """Return the plan of a quarter. Raises NotFound if it is not visible, UnknownPeriod for another year."""
    plan = find_plan(session, actor, f"{region}-{period[:4]}")
    check_period(plan.year, period)
    return plan


# Sources of all statements

_LAST_DAYS = {part: f"{Period(2026, part).last_day:-%m-%d}" for part in ("Q1", "Q2", "Q3", "Q4")}


def is_quarter_of_plan(quarter: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Predicate: a row is the quarter of the enclosing plan."""
    return sa.and_(quarters.c.region_code == plans.c.region_code, quarters.c.period == quarter)


def choose_copy(quarter: ColumnElement[str]) -> ColumnElement[int]:
    """Return the copy of a plan with which a quarter compares: the one that it keeps, else that of the rule by day."""
    last_day = sa.func.substr(quarter, 1, 4) + sa.case(_LAST_DAYS, value=sa.func.substr(quarter, 6))
    return sa.func.coalesce(quarters.c.copy_id, select_copy_by_day(plans.c.id, last_day))


@dataclass(frozen=True)
class PlanQuarters:
    """Quarters of plans, joined with their days and their rows."""

    source: FromClause
    period: ColumnElement[str]
    days: QuarterDays
    state: ColumnElement[str]
    copy_id: ColumnElement[int]
    """Copy of the plan that the figures compare with; null: the plan's present lines."""
    revision: sa.SQLColumnExpression[object]
    due: ColumnElement[str]
    """Last day in time, the region's extensions included."""


def join_quarters() -> PlanQuarters:
    """Return the quarters of all plans. The caller restricts them to visible plans."""
    period = (sa.cast(plans.c.year, sa.Text) + "-" + calendar_rules.c.quarter).label("period")
    source = plans.join(_regions, _regions.c.code == plans.c.region_code).join(
        calendar_rules, calendar_rules.c.retired.is_(False)
    )
    days = join_days(source, plans.c.region_code, plans.c.year, period.element)
    by_calendar = sa.case(
        (days.columns["opens_on"] > select_today(_regions.c.timezone), QuarterState.not_yet_open.value),
        else_=QuarterState.open.value,
    )
    state = sa.func.coalesce(sa.cast(quarters.c.state, sa.Text), by_calendar)
    copy_id = choose_copy(period.element)
    return PlanQuarters(
        days.source.outerjoin(quarters, is_quarter_of_plan(period.element)),
        period,
        days,
        state,
        copy_id,
        select_number(copy_id),
        extend_day(days.columns["due_on"], plans.c.region_code, period.element),
    )


def extend_day(
    due: ColumnElement[str],
    region: ColumnElement[str],
    period: ColumnElement[str],
    agency: ColumnElement[str] | None = None,
) -> ColumnElement[str]:
    """Return the later of a day and the last day of the extensions of the region (and of the agency)."""
    c = extensions.c
    reach: ColumnElement[bool] = c.agency_code.is_(None)
    if agency is not None:
        reach = sa.or_(reach, c.agency_code == agency)
    latest = (
        sa.select(sa.func.max(sa.cast(c.until, sa.Text)))
        .where(c.region_code == region, c.period == period, reach)
        .correlate_except(extensions)
        .scalar_subquery()
    )
    return sa.case((latest > due, latest), else_=due)


def _count_lines(
    view: PlanQuarters, *, is_reported: bool = False, agency: ColumnElement[str] | None = None
) -> ColumnElement[int]:
    """Return the number of a quarter's lines, or of those with a report, or of those that an agency leads."""
    is_present = sa.and_(actions.c.plan_id == plans.c.id, view.copy_id.is_(None))
    counts = []
    for table, is_of_quarter in (
        (action_copies, action_copies.c.copy_id == view.copy_id),
        (actions, is_present),
    ):
        source: FromClause = table
        if is_reported:
            source = table.join(progress, is_own_report(table, view.period.element))
        is_expected = is_expected_in(table, view.period.element)
        query = sa.select(sa.func.count()).select_from(source).where(is_of_quarter, is_expected)
        if agency is not None:
            query = query.where(_select_part_agency(table, quarters.c.copy_id.is_not(None)) == agency)
        counts.append(query.correlate_except(table, progress).scalar_subquery())
    return counts[0] + counts[1]


def _select_part_agency(lines: sa.Table, keeps_copy: ColumnElement[bool]) -> sa.SQLColumnExpression[str]:
    """Return the agency whose part of a quarter has a line: the one of the copy that the quarter keeps, before its
    submission the successor of an agency that merged into another."""
    lead = lines.c.lead_agency
    return sa.case((keeps_copy, lead), else_=select_successor(lines.c.region_code, lead))


def _compute_columns(view: PlanQuarters) -> dict[str, sa.SQLColumnExpression[object]]:
    zone, period = _regions.c.timezone, view.period.element
    return {
        **{name: view.days.columns[name] for name in ("opens_on", "due_on", "closes_on")},
        "region_code": plans.c.region_code,
        "region_name": _regions.c.name,
        "period": period,
        "plan": plans.c.code,
        "revision": view.revision,
        "state": view.state,
        "timezone": zone,
        "deadline": format_end_of_day(view.due, zone),
        "expected": _count_lines(view),
        "reported": _count_lines(view, is_reported=True),
        "version": sa.func.coalesce(quarters.c.version, 0),
    }


@build_once
def _select_status(session: Session) -> Select[Any]:
    view = join_quarters()
    c = extensions.c
    longer = (
        sa.select(c.agency_code, c.until)
        .where(c.region_code == plans.c.region_code, c.period == view.period.element)
        .correlate(plans, calendar_rules)
    )
    done = (
        sa.select(parts.c.agency_code)
        .where(
            parts.c.region_code == plans.c.region_code,
            parts.c.period == view.period.element,
            parts.c.state == PartState.submitted,
        )
        .correlate(plans, calendar_rules)
    )
    return (
        sa.select(
            view.state.label("state"),
            _regions.c.timezone,
            *[view.days.columns[name].label(name) for name in ("opens_on", "due_on", "closes_on")],
            quarters.c.version,
            quarters.c.amendment,
            quarters.c.copy_id.is_not(None).label("keeps_copy"),
            view.copy_id.label("copy_id"),
            view.revision.label("revision"),
            sa.cast(build_json_array(longer, name="longer"), sa.Text).label("extensions"),
            sa.cast(build_json_array(done, name="done"), sa.Text).label("parts"),
        )
        .select_from(view.source)
        .where(plans.c.id == sa.bindparam("plan_id"), calendar_rules.c.quarter == sa.bindparam("quarter"))
    )


def read_status(session: Session, plan: Plan, period: str, now: datetime) -> QuarterStatus:
    """Return the status of a quarter of a plan, by one statement. Raises NotLoaded without a calendar."""
    days = bind_today(now)
    bound = {"plan_id": plan.id, "quarter": period[5:], **days}
    row = session.connection().execute(_select_status(session), bound).one_or_none()
    if row is None:
        raise NotLoaded()
    zone = Timezone(row.timezone)
    return QuarterStatus(
        region=plan.region_code,
        period=period,
        state=QuarterState(row.state),
        zone=zone,
        opens_on=date.fromisoformat(row.opens_on),
        due_on=date.fromisoformat(row.due_on),
        closes_on=date.fromisoformat(row.closes_on) if row.closes_on else None,
        today=date.fromisoformat(days[f"today_{zone.value}"]),
        version=row.version or 0,
        amendment=row.amendment,
        copy_id=row.copy_id,
        keeps_copy=row.keeps_copy,
        revision=row.revision,
        extensions=[
            Extension(item["agency_code"], date.fromisoformat(item["until"]))
            for item in json.loads(row.extensions)
        ],
        submitted_parts=frozenset(item["agency_code"] for item in json.loads(row.parts)),
    )


def read_copies(session: Session, plan: Plan, *, is_open: bool = False) -> dict[str, int | None]:
    """Map the quarters of a plan, or the open ones alone, to their copies of it; None: the plan's present lines."""
    view = join_quarters()
    query = (
        sa.select(view.period, view.copy_id.label("copy_id"))
        .select_from(view.source)
        .where(plans.c.id == plan.id)
    )
    if is_open:
        query = query.where(quarters.c.copy_id.is_(None))
    rows = session.connection().execute(query).all()
    return {row.period: row.copy_id for row in rows}


def has_submitted_quarter(session: Session, region: str, year: int) -> bool:
    """Return whether a region has submitted a quarter of a year, whose figures may not change."""
    return _has_quarter(session, region, year, quarters.c.copy_id.is_not(None))


def has_corrected_quarter(session: Session, region: str, year: int) -> bool:
    """Return whether a region has a quarter of a year in correction."""
    return _has_quarter(session, region, year, quarters.c.state == QuarterState.correcting)


def _has_quarter(session: Session, region: str, year: int, condition: ColumnElement[bool]) -> bool:
    c = quarters.c
    chosen = sa.select(sa.literal(1)).where(c.region_code == region, c.year == year, condition)
    return session.execute(chosen.limit(1)).first() is not None


def read_closed_quarters(
    session: Session, regions: Iterable[str], period: str, now: datetime
) -> dict[str, FieldError]:
    """Map each of these regions that has submitted a quarter to the reason why its figures cannot change now."""
    of_year = sa.and_(plans.c.region_code.in_(sorted(regions)), plans.c.year == int(period[:4]))
    is_closed = sa.and_(quarters.c.period == period, quarters.c.copy_id.is_not(None))
    closed = sa.select(plans).join(quarters, quarters.c.region_code == plans.c.region_code)
    reasons = {
        plan.region_code: read_status(session, plan, period, now).find_submission()
        for plan in read_plans(session, closed.where(of_year, is_closed))
    }
    return {region: reason for region, reason in reasons.items() if reason is not None}


# Quarters


def _list_quarters(
    actor: Actor, now: datetime, conditions: Sequence[ColumnElement[bool]], state: str | None = None
) -> Listing:
    view = join_quarters()
    rows = (
        sa.select(*select_fields(QuarterOut, quarters, **_compute_columns(view)))
        .select_from(view.source)
        .where(can_see_plan(actor), *conditions, *match_values((view.state, state)))
    )
    key = {"region_code": plans.c.region_code, "period": view.period}
    return Listing(rows.params(bind_today(now)), key, key)


def list_quarters(actor: Actor, query: QuartersQuery, now: datetime) -> Listing:
    """Return the quarters of every plan that the actor sees."""
    conditions = [is_in_region(plans.c.region_code, query.region)]
    if query.period is not None:
        year, _, quarter = query.period.partition("-")
        conditions += [plans.c.year == int(year), calendar_rules.c.quarter == quarter]
    return _list_quarters(actor, now, conditions, query.state)


def list_region_quarters(
    session: Session, actor: Actor, region: str, query: RegionQuartersQuery, now: datetime
) -> Listing:
    """Return the quarters of a region's plans. Raises NotFound if the actor sees no plan."""
    of_region = plans.c.region_code == region
    if session.execute(select_visible_plans(actor).where(of_region).limit(1)).first() is None:
        raise NotFound()
    return _list_quarters(actor, now, [of_region, *match_values((plans.c.year, query.year))])


@dataclass(frozen=True)
class QuarterText:
    """A quarter as JSON, with its status."""

    json: str
    status: QuarterStatus

    @property
    def lines(self) -> int:
        return int(json.loads(self.json)["expected"])


def read_quarter(session: Session, plan: Plan, period: str, now: datetime) -> QuarterText:
    """Return a quarter of a visible plan, as `QuarterReply` without the fields of `_OF_CALLER`."""
    status = read_status(session, plan, period, now)
    bound = {"plan_id": plan.id, "quarter": period[5:], **bind_today(now)}
    text = session.connection().execute(_select_quarter(session), bound).scalar_one()
    return QuarterText(str(text), status)


_OF_CALLER = ("loci_without_coverage", "allowed")
"""Fields of a reply that other queries give."""


@build_once
def _select_quarter(session: Session) -> Select[str]:
    view = join_quarters()
    period = view.period.element
    longer = (
        sa.select(*select_fields(ExtensionOut, extensions))
        .where(extensions.c.region_code == plans.c.region_code, extensions.c.period == period)
        .order_by(extensions.c.name)
        .correlate(plans, calendar_rules)
    )
    computed = {
        **_compute_columns(view),
        "calendar_set_by": view.days.columns["set_by"],
        "extensions": build_json_array(longer, name="longer"),
        "parts": build_json_array(_select_parts(view), name="parts_of"),
        **dict.fromkeys(_OF_CALLER, sa.null()),
    }
    columns = [
        column
        for column in select_fields(QuarterReply, quarters, **computed)
        if column.name not in _OF_CALLER
    ]
    return select_json(
        sa.select(*columns)
        .select_from(view.source)
        .where(plans.c.id == sa.bindparam("plan_id"), calendar_rules.c.quarter == sa.bindparam("quarter"))
    )


def read_semester(session: Session, actor: Actor, region: str, semester: str, now: datetime) -> str:
    """Return a half-year of a visible plan, as `SemesterReply`. Raises NotFound if it does not exist."""
    match = require_found(re.fullmatch(r"(20[0-9]{2})-S([12])", semester))
    last = 2 * int(match[2])
    periods = [f"{match[1]}-Q{last - 1}", f"{match[1]}-Q{last}"]
    texts = _read_quarters(session, read_plan_of_quarter(session, actor, region, periods[1]), periods, now)
    last_quarter = json.loads(texts[1])
    amendment = last_quarter["amendment"]
    head = {
        "region_code": region,
        "period": semester,
        "state": last_quarter["state"],
        "to_quarter": periods[1],
        "revision": last_quarter["revision"],
        "snapshot": None if amendment is None else f"/v1/{format_address(region, periods[1], amendment)}",
    }
    return f'{dump_json(head)[:-1]},"quarters":[{",".join(texts)}]}}'


def _read_quarters(session: Session, plan: Plan, periods: Sequence[str], now: datetime) -> list[str]:
    """Return quarters of a visible plan as `QuarterOut`, in the order of time."""
    view = join_quarters()
    query = (
        sa.select(*select_fields(QuarterOut, quarters, **_compute_columns(view)))
        .select_from(view.source)
        .where(plans.c.id == plan.id, calendar_rules.c.quarter.in_([period[5:] for period in periods]))
        .order_by(calendar_rules.c.quarter)
    )
    texts = [row[0] for row in session.execute(select_json(query.params(bind_today(now))))]
    if len(texts) != len(periods):
        raise NotLoaded()
    return texts


# Parts


def _select_parts(view: PlanQuarters) -> sa.SelectBase:
    """Return the parts of a quarter: one for each agency that leads a line of it."""
    period, zone, code = view.period.element, _regions.c.timezone, _agencies.c.code
    moved = sa.and_(
        parts.c.region_code == plans.c.region_code, parts.c.period == period, parts.c.agency_code == code
    )
    due = extend_day(view.days.columns["due_on"], plans.c.region_code, period, code)
    columns = {
        "agency_code": code,
        "agency_name": _agencies.c.name,
        "merged_into": _agencies.c.merged_into,
        "state": sa.func.coalesce(sa.cast(parts.c.state, sa.Text), PartState.open.value),
        "deadline": format_end_of_day(due, zone),
        "expected": _count_lines(view, agency=code),
        "reported": _count_lines(view, is_reported=True, agency=code),
        "version": sa.func.coalesce(parts.c.version, 0),
    }
    return (
        sa.select(*select_fields(PartOut, parts, **columns))
        .select_from(_agencies.outerjoin(parts, moved))
        .where(
            _agencies.c.region_code == plans.c.region_code,
            columns["expected"] > 0,
        )
        .order_by(code)
        .correlate_except(_agencies, parts)
    )


def find_part(text: QuarterText, agency: str) -> dict[str, Any]:
    """Return the part of an agency (`PartOut`). Raises NotFound if it leads no line of the quarter."""
    rows: list[dict[str, Any]] = json.loads(text.json)["parts"]
    return require_found(next((row for row in rows if row["agency_code"] == agency), None))


def list_expected_lines(
    session: Session, plan: Plan, status: QuarterStatus, agency: str | None
) -> list[tuple[str, bool]]:
    """Return (code, has a report of the quarter) for the lines of a quarter, or for those that an agency leads."""
    tables = COPIED if status.copy_id else PRESENT
    lines = tables.lines
    query = (
        sa.select(lines.c.code, progress.c.action_id.is_not(None).label("is_reported"))
        .select_from(lines.outerjoin(progress, is_own_report(lines, status.period)))
        .where(tables.is_of_plan, is_expected_in(lines, status.period))
        .order_by(lines.c.code)
    )
    if agency is not None:
        query = query.where(_select_part_agency(lines, sa.literal(status.keeps_copy)) == agency)
    bound = bind_lines(plan, status.copy_id)
    return [(row.code, row.is_reported) for row in session.execute(query, bound)]


def list_reports_outside(
    session: Session, plan: Plan, status: QuarterStatus, lines: Collection[str]
) -> list[str]:
    """Return the codes of the plan's lines with a report of the quarter that are not among these lines."""
    reported = (
        sa.select(actions.c.code)
        .join(progress, is_own_report(actions, status.period))
        .where(progress.c.plan_id == plan.id)
        .order_by(actions.c.code)
    )
    return [code for code in session.scalars(reported) if code not in lines]


def find_report_errors(
    session: Session, plan: Plan, status: QuarterStatus, codes: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return (line, finding, part of the report) of the errors in the reports on some lines: E06, E07, E08, and items
    that the quarter's revision of the plan does not have (`unplanned_item`)."""
    lines = read_lines(session, plan, codes, status.copy_id)
    stored, before = read_stored_and_before(session, [line.id for line in lines.values()], status.period)
    errors = []
    for code in codes:
        line, report = lines[code], stored[lines[code].id]
        errors += [
            (code, finding.code, finding.pointer.split("/")[1])
            for finding in check_report(report.content, before.get(line.id), line, report.physical_percent)
            if finding.severity == "error"
        ]
        errors += [
            (code, UNPLANNED, part.name)
            for part in PROGRESS_PARTS
            if part.reports_on
            and any(
                item[part.key] not in line.known[part.reports_on] for item in part.list_items(report.content)
            )
        ]
    return list(dict.fromkeys(errors))


def list_extensions(plan: Plan, period: str) -> Listing:
    """Return the extensions of a quarter of a visible plan."""
    c = extensions.c
    rows = sa.select(*select_fields(ExtensionOut, extensions)).where(
        c.region_code == plan.region_code, c.period == period
    )
    return Listing(rows, {"name": c.name}, {"name": c.name})


def read_extension(session: Session, plan: Plan, period: str, name: str) -> ResourceText:
    """Return one extension. Raises NotFound if it does not exist."""
    return read_text(session, list_extensions(plan, period).query.where(extensions.c.name == name))
