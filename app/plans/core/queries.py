"""Reading plans; every SELECT starts from what the actor may see."""

from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import opened, visible, within
from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import JournalHead
from app.kit.database.json_sql import fields_of, json_rows, json_texts
from app.kit.fields import RegionCode
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.actions.models import (
    ActionRow,
)
from app.plans.core.models import PlanIn, PlanOut, PlanRow, PlanState, PriorityLocation, PriorityLocationRow
from app.plans.core.rules import PLAN_CHAIN
from app.plans.revisions.models import PlanRevisionRow
from app.reference.models import RegionRow

plans, regions, _actions = table_of(PlanRow), table_of(RegionRow), table_of(ActionRow)
_priorities, _heads = table_of(PriorityLocationRow), table_of(JournalHead)
_revisions = table_of(PlanRevisionRow)


class PlanQuery(PageQuery):
    """Which plans."""

    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    year: int | None = Field(default=None, ge=2015, le=2100, description="Year of the plan.")
    state: PlanState | None = Field(default=None, description="Where the plan stands.")
    sort: Literal["plan", "-plan", "year", "-year", "region_code", "-region_code"] = "plan"


def seen(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees this plan: its region, and that it is in force or that drafts are shown there."""
    there = visible(actor, plans.c.region_code)
    if actor.sees_every_draft:
        return there
    return sa.and_(there, sa.or_(plans.c.revision.is_not(None), _drafts(actor)))


def published_plans(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees this plan, or it is in force where that is anybody's to read."""
    return sa.or_(seen(actor), sa.and_(opened(actor, plans.c.region_code), plans.c.revision.is_not(None)))


def _drafts(actor: Actor) -> ColumnElement[bool]:
    return visible(actor, plans.c.region_code, "read_drafts")


def seen_lines(actor: Actor, plan_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Predicate: the plan of that id is in force, or drafts are shown there; the region is looked at elsewhere."""
    if actor.sees_every_draft:
        return sa.true()
    return plan_id.in_(sa.select(plans.c.id).where(seen(actor)))


def visible_plans(actor: Actor) -> Select[Any]:
    """The plans an actor sees: where every SELECT of this area begins."""
    return sa.select(plans).where(seen(actor))


def plan_of(session: Session, actor: Actor, code: str) -> sa.Row[Any]:
    """The plan of that key (id, code, region_code, year, version, …); NotFound when not visible.

    `stamp` changes with any write in the plan, as `journal.stamp` of its chain does.
    """
    return _found(session, _one_plan(actor), code)


def published_plan_of(session: Session, actor: Actor, code: str) -> sa.Row[Any]:
    """The same of one that the actor sees or anybody may: for what shows its revisions, and nothing else of it."""
    return _found(session, _one_published_plan(actor), code)


def _found(session: Session, statement: Select[Any], code: str) -> sa.Row[Any]:
    row = session.connection().execute(statement, {"code": code}).one_or_none()
    if row is None:
        raise NotFound()
    return row


@lru_cache(maxsize=1000)
def _one_published_plan(actor: Actor) -> Select[Any]:
    return sa.select(plans).where(published_plans(actor), plans.c.code == sa.bindparam("code"))


@lru_cache(maxsize=1000)
def _one_plan(actor: Actor) -> Select[Any]:
    chain = sa.literal(PLAN_CHAIN) + plans.c.code
    stamp = sa.select(_heads.c.hash).where(_heads.c.chain == chain).correlate(plans).scalar_subquery()
    found = visible_plans(actor).where(plans.c.code == sa.bindparam("code"))
    return found.add_columns(sa.func.coalesce(stamp, "").label("stamp"))


def as_it_is_now(session: Session, plan: sa.Row[Any]) -> sa.Row[Any]:
    """A plan that the actor was found to see, once its chain is held; NotFound where it went meanwhile."""
    row = session.execute(sa.select(plans).where(plans.c.id == plan.id)).one_or_none()
    if row is None:
        raise NotFound()
    return row


def _in_force(actor: Actor) -> dict[str, ColumnElement[Any]]:
    """State, version and instant of change as they are shown: until a plan in force is closed, what moves it
    is of the amendment beside it, also one that was discarded, and moves nothing that readers see."""
    if actor.sees_every_draft:
        return {}
    is_in_force = sa.and_(plans.c.revision.is_not(None), plans.c.state != PlanState.closed)
    is_frozen = sa.and_(is_in_force, sa.not_(_drafts(actor)))
    newest = sa.and_(_revisions.c.plan_id == plans.c.id, _revisions.c.number == plans.c.revision)

    def of_revision(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return sa.select(column).where(newest).correlate(plans).scalar_subquery()

    shown = {
        "state": sa.literal(PlanState.adopted, plans.c.state.type),
        "version": of_revision(_revisions.c.plan_version),
        "updated_at": of_revision(_revisions.c.adopted_at),
    }
    return {name: sa.case((is_frozen, value), else_=plans.c[name]) for name, value in shown.items()}


@lru_cache(maxsize=1000)
def _columns_for(actor: Actor) -> list[ColumnElement[Any]]:
    if actor.sees_every_draft:
        return _plan_columns()
    shown = _in_force(actor)
    return [
        shown[column.name].label(column.name) if column.name in shown else column
        for column in _plan_columns()
    ]


@cache
def _plan_columns() -> list[ColumnElement[Any]]:
    priorities = (
        sa.select(*fields_of(PriorityLocation, _priorities))
        .where(_priorities.c.plan_id == plans.c.id)
        .order_by(_priorities.c.position)
        .correlate(plans)
    )
    of_plan = sa.select(sa.func.count()).where(_actions.c.plan_id == plans.c.id).correlate(plans)
    money = sa.func.coalesce(sa.func.sum(_actions.c.allocation), 0)
    return fields_of(
        PlanOut,
        plans,
        plan=plans.c.code,
        region_name=sa.select(regions.c.name).where(regions.c.code == plans.c.region_code).scalar_subquery(),
        priority_locations=json_rows(priorities, name="priorities"),
        action_count=of_plan.scalar_subquery(),
        allocation=sa.cast(
            sa.select(money).where(_actions.c.plan_id == plans.c.id).correlate(plans).scalar_subquery(),
            sa.BigInteger,
        ),
    )


class PlanText(NamedTuple):
    """A plan as JSON (`PlanOut`), and what its reply depends on."""

    json: str
    region_code: str
    year: int
    state: str
    revision: int | None
    version: int
    action_count: int
    timezone: str


def plan_json(session: Session, actor: Actor, code: str) -> PlanText:
    """A plan; NotFound when not visible."""
    zone = sa.select(regions.c.timezone).where(regions.c.code == plans.c.region_code).scalar_subquery()
    query = sa.select(*_columns_for(actor), zone.label("_timezone")).where(seen(actor), plans.c.code == code)
    row = session.execute(json_texts(query, *PlanText._fields[1:-1], "_timezone")).one_or_none()
    if row is None:
        raise NotFound()
    return PlanText(*row)


def stored_plan(session: Session, row: sa.Row[Any]) -> dict[str, Any]:
    """A plan's content as `PlanIn` has it."""
    found = session.execute(
        sa.select(_priorities).where(_priorities.c.plan_id == row.id).order_by(_priorities.c.position)
    ).mappings()
    locations = [
        {k: v for k, v in location.items() if k not in ("plan_id", "position")} for location in found
    ]
    return {
        name: locations if name == "priority_locations" else row._mapping[name]
        for name in PlanIn.model_fields
    }


def is_plan(session: Session, code: str) -> bool:
    """Whether a plan of that key exists, for whoever sees everything."""
    return session.scalar(sa.select(plans.c.id).where(plans.c.code == code)) is not None


def region_name(session: Session, code: str) -> str:
    return str(session.scalar(sa.select(regions.c.name).where(regions.c.code == code)))


def list_plans(actor: Actor, query: PlanQuery) -> Listing:
    found = sa.select(*_columns_for(actor)).where(seen(actor))
    if query.region is not None:
        found = found.where(within(plans.c.region_code, query.region))
    if query.year is not None:
        found = found.where(plans.c.year == query.year)
    if query.state is not None:
        found = found.where(_in_force(actor).get("state", plans.c.state) == query.state)
    sorts = {"plan": plans.c.code, "year": plans.c.year, "region_code": plans.c.region_code}
    return Listing(found, sorts, {"plan": plans.c.code})
