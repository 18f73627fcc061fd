"""Reading plans; every SELECT starts from what the actor may see."""

from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.kit.db import table_of
from app.kit.fields import RegionCode
from app.kit.journal import JournalHead
from app.kit.json_sql import fields_of, json_rows, json_texts
from app.kit.pages import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.actions.models import (
    ActionRow,
)
from app.plans.models import PlanOut, PlanRow, PlanState, PriorityLocation, PriorityLocationRow
from app.plans.rules import PLAN_CHAIN
from app.reference.models import RegionRow

plans, regions, _actions = table_of(PlanRow), table_of(RegionRow), table_of(ActionRow)
_priorities, _heads = table_of(PriorityLocationRow), table_of(JournalHead)


class PlanQuery(PageQuery):
    """Which plans."""

    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    year: int | None = Field(default=None, ge=2015, le=2100, description="Year of the plan.")
    state: PlanState | None = Field(default=None, description="Where the plan stands.")
    sort: Literal["plan", "-plan", "year", "-year", "region_code", "-region_code"] = "plan"


def visible_plans(actor: Actor) -> Select[Any]:
    """The plans an actor sees: where every SELECT of this area begins."""
    return sa.select(plans).where(visible(actor, plans.c.region_code))


def plan_of(session: Session, actor: Actor, code: str) -> sa.Row[Any]:
    """The plan of that key (id, code, region_code, year, version, …); NotFound when not visible.

    `stamp` changes with any write in the plan, as `journal.stamp` of its chain does.
    """
    row = session.connection().execute(_one_plan(actor), {"code": code}).one_or_none()
    if row is None:
        raise NotFound()
    return row


@lru_cache(maxsize=1000)
def _one_plan(actor: Actor) -> Select[Any]:
    chain = sa.literal(PLAN_CHAIN) + plans.c.code
    stamp = sa.select(_heads.c.hash).where(_heads.c.chain == chain).correlate(plans).scalar_subquery()
    found = visible_plans(actor).where(plans.c.code == sa.bindparam("code"))
    return found.add_columns(sa.func.coalesce(stamp, "").label("stamp"))


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
    version: int
    action_count: int


def plan_json(session: Session, actor: Actor, code: str) -> PlanText:
    """A plan; NotFound when not visible."""
    query = sa.select(*_plan_columns()).where(visible(actor, plans.c.region_code), plans.c.code == code)
    row = session.execute(json_texts(query, *PlanText._fields[1:])).one_or_none()
    if row is None:
        raise NotFound()
    return PlanText(*row)


def is_plan(session: Session, code: str) -> bool:
    """Whether a plan of that key exists, for whoever sees everything."""
    return session.scalar(sa.select(plans.c.id).where(plans.c.code == code)) is not None


def region_name(session: Session, code: str) -> str:
    return str(session.scalar(sa.select(regions.c.name).where(regions.c.code == code)))


def list_plans(actor: Actor, query: PlanQuery) -> Listing:
    found = sa.select(*_plan_columns()).where(visible(actor, plans.c.region_code))
    if query.region is not None:
        found = found.where(within(plans.c.region_code, query.region))
    if query.year is not None:
        found = found.where(plans.c.year == query.year)
    if query.state is not None:
        found = found.where(plans.c.state == query.state)
    sorts = {"plan": plans.c.code, "year": plans.c.year, "region_code": plans.c.region_code}
    return Listing(found, sorts, {"plan": plans.c.code})
