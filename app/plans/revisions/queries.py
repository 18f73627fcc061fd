"""Queries of plans as the actor may see them, of their revisions, and of the plan in force at a time."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, cast

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import is_in_region
from app.access.rules import Actor, is_within
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, dump_json, select_fields
from app.kit.database.resources import read_record
from app.kit.database.upsert import unnest_records
from app.kit.fields import DayOrInstant, RegionCode, split_words
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.periods import format_minute
from app.kit.problems import FieldError, Kind, Problem, require_found
from app.kit.wording import Text
from app.plans.actions.models import ActionOut
from app.plans.actions.queries import ACTION_SORTS, ActionQuery, actions, build_search_text
from app.plans.actions.rules import ActionRecord, absorption_percent
from app.plans.copies.queries import has_kept_quarters, select_copy_by_day, select_number
from app.plans.core.models import Plan, PlanOut, PlanState
from app.plans.core.queries import (
    can_read_drafts,
    can_see_plan,
    plans,
    region_name,
    regions,
    select_priorities,
)
from app.plans.revisions.differences.rules import fill_defaults
from app.plans.revisions.models import PlanRevisionRow, RevisionOut

revisions = get_table(PlanRevisionRow)


# Plans


class PlanQuery(PageQuery):
    """Filters and order of plans."""

    region: RegionCode | None = Field(default=None, description="This region and every region below it.")
    year: int | None = Field(default=None, ge=2015, le=2100, description="Year of the plan.")
    state: PlanState | None = Field(default=None, description="State of the plan.")
    sort: Literal["plan", "-plan", "year", "-year", "region_code", "-region_code"] = "plan"


def _replace_draft_columns(actor: Actor) -> dict[str, sa.SQLColumnExpression[object]]:
    """Return the columns that readers without drafts see in place of the plan's own: those of its revision.

    Until it is closed, a plan in force has the state, version and instant of its amendment, also of a discarded one.
    """
    if actor.sees_every_draft:
        return {}
    is_in_force = sa.and_(plans.c.revision.is_not(None), plans.c.state != PlanState.closed)
    is_frozen = sa.and_(is_in_force, sa.not_(can_read_drafts(actor)))
    newest = sa.and_(revisions.c.plan_id == plans.c.id, revisions.c.number == plans.c.revision)

    def select_of_revision(column: sa.SQLColumnExpression[object]) -> sa.SQLColumnExpression[object]:
        return sa.select(column).where(newest).correlate(plans).scalar_subquery()

    columns = {
        "state": sa.literal(PlanState.adopted, plans.c.state.type),
        "version": select_of_revision(revisions.c.plan_version),
        "updated_at": select_of_revision(revisions.c.adopted_at),
    }
    return {name: sa.case((is_frozen, value), else_=plans.c[name]) for name, value in columns.items()}


@lru_cache(maxsize=1000)
def _select_columns(actor: Actor) -> list[ColumnElement[Any]]:
    replaced = _replace_draft_columns(actor)
    return [
        replaced[column.name].label(column.name) if column.name in replaced else column
        for column in _build_plan_columns()
    ]


@cache
def _build_plan_columns() -> list[ColumnElement[Any]]:
    count = sa.select(sa.func.count()).where(actions.c.plan_id == plans.c.id).correlate(plans)
    money = sa.func.coalesce(sa.func.sum(actions.c.allocation), 0)
    return select_fields(
        PlanOut,
        plans,
        plan=plans.c.code,
        region_name=sa.select(regions.c.name).where(regions.c.code == plans.c.region_code).scalar_subquery(),
        priority_locations=build_json_array(select_priorities(), name="priorities"),
        action_count=count.scalar_subquery(),
        allocation=sa.cast(
            sa.select(money).where(actions.c.plan_id == plans.c.id).correlate(plans).scalar_subquery(),
            sa.BigInteger,
        ),
    )


class PlanText(NamedTuple):
    """A plan as JSON (`PlanOut`), with the fields on which its reply depends."""

    json: str
    region_code: str
    year: int
    state: str
    revision: int | None
    version: int
    action_count: int
    timezone: str
    is_kept: bool
    """True if a submitted quarter keeps its lines."""


def read_plan_json(session: Session, actor: Actor, code: str) -> PlanText:
    """Return a plan. Raises NotFound if the actor does not see it."""
    zone = sa.select(regions.c.timezone).where(regions.c.code == plans.c.region_code).scalar_subquery()
    extra = [zone.label("_timezone"), has_kept_quarters(plans.c.id).label("_kept")]
    query = sa.select(*_select_columns(actor), *extra).where(can_see_plan(actor), plans.c.code == code)
    return read_record(session, query, PlanText, *PlanText._fields[1:-2], "_timezone", "_kept")


def list_plans(actor: Actor, query: PlanQuery) -> Listing:
    state = _replace_draft_columns(actor).get("state", plans.c.state)
    equals = match_values((plans.c.year, query.year), (state, query.state))
    conditions = (can_see_plan(actor), is_in_region(plans.c.region_code, query.region), *equals)
    statement = sa.select(*_select_columns(actor)).where(*conditions)
    sorts = {"plan": plans.c.code, "year": plans.c.year, "region_code": plans.c.region_code}
    return Listing(statement, sorts, {"plan": plans.c.code})


# Revisions


class RevisionsQuery(PageQuery):
    """Order of a plan's revisions."""

    sort: Literal["revision", "-revision"] = "revision"


def list_revisions(actor: Actor, plan: Plan) -> Listing:
    """Return the list of a plan's revisions; only actors that see the region get `adopted_by`."""
    c = revisions.c
    adopted_by = c.adopted_by if actor.sees(plan.region_code) else sa.literal("", sa.Text)
    replaced = {"plan": sa.literal(plan.code), "revision": c.number, "adopted_by": adopted_by}
    columns = select_fields(RevisionOut, revisions, **replaced)
    statement = sa.select(*columns).where(c.plan_id == plan.id)
    return Listing(statement, {"revision": c.number}, {"revision": c.number})


class FrozenRevision(NamedTuple):
    """The canonical JSON of a revision and its SHA-256, hex."""

    content: str
    sha256: str


def find_revision(session: Session, plan: Plan, number: str) -> FrozenRevision:
    """Return a revision. Raises NotFound if the text is no number of one."""
    is_number = number.isascii() and number.isdecimal() and len(number) < 10 and str(int(number)) == number
    c = revisions.c
    row = (
        session.execute(
            sa.select(c.content, c.sha256).where(c.plan_id == plan.id, c.number == int(number))
        ).one_or_none()
        if is_number
        else None
    )
    return FrozenRevision(*require_found(row))


def read_instrument_in_force(session: Session, plan: Plan) -> dict[str, str | None]:
    """Return the instrument of the revision in force (`AdoptIn`); each field is null before the first revision."""
    c = revisions.c
    statement = sa.select(c.instrument, c.instrument_number, c.instrument_date)
    row = session.execute(statement.where(c.plan_id == plan.id, c.number == plan.revision)).one_or_none()
    if row is None:
        return {"instrument": None, "number": None, "date": None}
    kind, number, signed = row
    return {"instrument": str(kind), "number": number, "date": signed.isoformat()}


# The plan in force on a day or at an instant, in the shapes of the present plan

before_adoption = Kind(
    "before_adoption",
    id="“{value}” sebelum revisi pertama; paling awal {earliest}",
    en="“{value}” is before the first revision; the earliest is {earliest}",
)


class NotInForceThen(Problem):
    status = 404
    code = "not_in_force_then"
    title = Text("Belum berlaku saat itu", "Not in force then")
    detail = Text(
        "Rencana {plan} belum berlaku pada “{as_of}”. Revisi pertamanya ditetapkan {signed} dan dicatat {entered}.",
        "Plan {plan} was not in force at “{as_of}”. Its first revision is dated {signed}; the region entered it at "
        "{entered}.",
    )


class AsOfQuery(BaseModel):
    """The day or instant of a read."""

    as_of: DayOrInstant | None = Field(
        default=None,
        description="Day (`2026-06-30`) or instant (RFC 3339 with offset) of the state to return. A day selects the "
        "last revision whose legal instrument is dated on or before it, an instant the last one that was entered by "
        "then. Reported figures (spending, latest quarter, physical progress) are the present ones.",
    )


class PastRevision(NamedTuple):
    """The revision in force on a day or at an instant."""

    number: int
    content: dict[str, Any]
    adopted_at: datetime
    action_count: int
    allocation: int
    plan_version: int


def find_revision_at(session: Session, plan: Plan, as_of: date | None) -> PastRevision:
    """Return the revision in force on a day, by its instrument, or at an instant, by its entry; None: the present one.

    Order decides, not the clock: an instant selects the revision before the first one with a later entry. Raises
    NotInForceThen before the first revision.
    """
    c = revisions.c
    number: object = plan.revision
    if isinstance(as_of, datetime):
        later = revisions.alias("later").c
        first = sa.select(sa.func.min(later.number)).where(later.plan_id == plan.id, later.adopted_at > as_of)
        number = sa.func.coalesce(first.scalar_subquery() - 1, plan.revision)
    elif as_of is not None:
        number = select_number(select_copy_by_day(sa.literal(plan.id), sa.literal(as_of.isoformat())))
    columns = (c.number, c.content, c.adopted_at, c.action_count, c.allocation, c.plan_version)
    row = session.execute(sa.select(*columns).where(c.plan_id == plan.id, c.number == number)).one_or_none()
    if row is None and as_of is not None:
        raise _explain_not_in_force(session, plan, as_of)
    row = require_found(row)
    return PastRevision(row.number, json.loads(row.content), *row[2:])


def _explain_not_in_force(session: Session, plan: Plan, as_of: date) -> NotInForceThen:
    c = revisions.c
    zone = sa.select(regions.c.timezone).where(regions.c.code == plan.region_code).scalar_subquery()
    first = sa.select(c.instrument_date, c.adopted_at, zone).where(c.plan_id == plan.id, c.number == 0)
    signed, at, of_region = session.execute(first).one_or_none() or (None, None, "")
    entered = at and format_minute(at, of_region)
    earliest, shown = (at, entered) if isinstance(as_of, datetime) else (signed, signed)
    error = FieldError(
        before_adoption,
        parameter="as_of",
        value=as_of.isoformat(),
        allowed=earliest and earliest.isoformat(),
        values={"earliest": shown},
    )
    return NotInForceThen(
        errors=[error], plan=plan.code, as_of=as_of.isoformat(), signed=signed, entered=entered
    )


def read_plan_at(session: Session, plan: Plan, as_of: date | None) -> dict[str, object]:
    """Return the plan in force then as `PlanOut`, in the state `adopted`; `find_revision_at` chooses its revision."""
    revision = find_revision_at(session, plan, as_of)
    fields = {
        **fill_defaults("plan", revision.content),
        "plan": plan.code,
        "region_code": plan.region_code,
        "region_name": region_name(session, plan.region_code),
        "year": plan.year,
        "state": PlanState.adopted,
        "revision": revision.number,
        "version": revision.plan_version,
        "updated_at": revision.adopted_at,
        "action_count": revision.action_count,
        "allocation": revision.allocation,
    }
    return {name: fields[name] for name in PlanOut.model_fields}


def read_lines_at(session: Session, plan: Plan, as_of: date) -> dict[str, ActionRecord]:
    """Return the lines in force then as `ActionOut`, by code, with present figures."""
    revision = find_revision_at(session, plan, as_of)
    figures = _read_figures(session, plan)
    lines = revision.content["actions"]
    return {
        line["code"]: _build_line(plan, line, revision, figures.get(line["code"], ReportedFigures()))
        for line in lines
    }


class ReportedFigures(NamedTuple):
    """The latest reported figures of a line."""

    progress_period: str | None = None
    spent: int = 0
    physical_percent: float | None = None


def _build_line(
    plan: Plan, line: dict[str, Any], revision: PastRevision, figures: ReportedFigures
) -> ActionRecord:
    fields = {
        **fill_defaults("action", line),
        **figures._asdict(),
        "code": line["code"],
        "plan": plan.code,
        "version": line["version"],
        "updated_at": revision.adopted_at,
        "absorption_percent": absorption_percent(figures.spent, line["allocation"]),
        "imported_from": None,
    }
    return cast(ActionRecord, {name: fields[name] for name in ActionOut.model_fields})


def _read_figures(session: Session, plan: Plan) -> dict[str, ReportedFigures]:
    c = actions.c
    query = sa.select(c.code, *[c[name] for name in ReportedFigures._fields]).where(c.plan_id == plan.id)
    return {code: ReportedFigures(*reported) for code, *reported in session.execute(query)}


# Lines of an earlier revision or of an amendment are in no table of actions. A plan has about a thousand lines at
# most, so this module filters them in memory and sends them to the database, which pages them by keyset like the
# lines in force.


def is_chosen(line: ActionRecord, query: ActionQuery) -> bool:
    """Return whether a line matches the filters, by the conditions of the SELECT of actions in force."""
    return (
        query.strategy in (None, line["strategy"])
        and query.lead_agency in (None, line["lead_agency"])
        and (query.supporting_agency is None or query.supporting_agency in line["supporting_agencies"])
        and (
            query.location is None
            or any(is_within(location["region_code"], query.location) for location in line["locations"])
        )
        and (
            query.funding_source is None
            or any(budget["funding_source"] == query.funding_source for budget in line["budget_lines"])
        )
        and (
            query.subactivity_code is None
            or _is_code_within(line["subactivity_code"], query.subactivity_code)
        )
        and (query.tag is None or query.tag in line["tags"])
        and query.reported in (None, line["progress_period"])
        and all(word in build_search_text(line) for word in split_words(query.q or ""))
    )


def _is_code_within(code: str | None, start: str) -> bool:
    start = start.rstrip(".")
    return code is not None and (code == start or code.startswith(f"{start}."))


def list_lines(session: Session, lines: Iterable[ActionRecord], query: ActionQuery) -> Listing:
    """Return the matching lines as a list that the database sorts and pages."""
    chosen = [line for line in lines if is_chosen(line, query)]
    rows = [
        {**{name: value for name, value in line.items() if name in ACTION_SORTS}, "json": dump_json(line)}
        for line in chosen
    ]
    types = {name: actions.c[name].type for name in ACTION_SORTS}
    table = unnest_records(session, {**types, "json": sa.Text()})
    sorts = {name: table.c[name] for name in ACTION_SORTS}
    statement = sa.select(*table.c).params(records=dump_json(rows))
    return Listing(statement, sorts, {"code": table.c.code}, item=table.c.json)
