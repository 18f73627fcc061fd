"""Reading plans, the notes on them, and what both refer to; SELECTs of plans start from what the actor may see."""

import json
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import opened, visible
from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import JournalHead
from app.kit.database.json_sql import TextSelect, fields_of, json_rows, json_texts
from app.kit.http.pagination import Listing, PageQuery
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Invalid, Kind, NotFound
from app.plans.core.models import (
    NoteState,
    Plan,
    PlanContent,
    PlanIn,
    PlanNote,
    PlanNoteRow,
    PlanRow,
    PriorityLocation,
    PriorityLocationRow,
)
from app.plans.core.rules import PLAN_CHAIN, is_inside
from app.reference.models import RegionRow
from app.reference.nomenclature.queries import editions, latest_edition
from app.reference.queries import region_labels, regions_by_code
from app.reference.rules import nearest_ancestor

plans, regions = table_of(PlanRow), table_of(RegionRow)
_priorities, _notes, _heads = table_of(PriorityLocationRow), table_of(PlanNoteRow), table_of(JournalHead)


def seen(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees this plan: its region, and that it is in force or that drafts are shown there."""
    there = visible(actor, plans.c.region_code)
    if actor.sees_every_draft:
        return there
    return sa.and_(there, sa.or_(plans.c.revision.is_not(None), can_read_drafts(actor)))


def published_plans(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees this plan, or it is in force where that is anybody's to read."""
    return sa.or_(seen(actor), sa.and_(opened(actor, plans.c.region_code), plans.c.revision.is_not(None)))


def can_read_drafts(actor: Actor) -> ColumnElement[bool]:
    """Return the predicate that the actor may read drafts where the plan is."""
    return visible(actor, plans.c.region_code, "read_drafts")


def seen_lines(actor: Actor, plan_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Predicate: the plan of that id is in force, or drafts are shown there; the region is looked at elsewhere."""
    if actor.sees_every_draft:
        return sa.true()
    return plan_id.in_(sa.select(plans.c.id).where(seen(actor)))


def visible_plans(actor: Actor) -> Select[Any]:
    """The plans an actor sees: where every SELECT of this area begins."""
    return sa.select(plans).where(seen(actor))


def plan_of(session: Session, actor: Actor, code: str) -> Plan:
    """Return the plan of that key, with its stamp. Raises NotFound if the actor does not see it."""
    return _one(read_plans(session, _one_plan(actor), code=code))


def published_plan_of(session: Session, actor: Actor, code: str) -> Plan:
    """Return the plan of that key, for its revisions alone. Raises NotFound if neither actor nor public see it."""
    return _one(read_plans(session, _one_published_plan(actor), code=code))


def read_plans(session: Session, statement: Select[Any], **bound: object) -> list[Plan]:
    """Return the plans of a statement that selects their columns."""
    return [Plan(**row._mapping) for row in session.connection().execute(statement, bound)]


def plans_in(session: Session, region: str) -> list[Plan]:
    """Return all plans of a region, by their keys."""
    return read_plans(session, sa.select(plans).where(plans.c.region_code == region).order_by(plans.c.code))


def _one(rows: Sequence[Plan]) -> Plan:
    if not rows:
        raise NotFound()
    return rows[0]


@lru_cache(maxsize=1000)
def _one_published_plan(actor: Actor) -> Select[Any]:
    return sa.select(plans).where(published_plans(actor), plans.c.code == sa.bindparam("code"))


@lru_cache(maxsize=1000)
def _one_plan(actor: Actor) -> Select[Any]:
    chain = sa.literal(PLAN_CHAIN) + plans.c.code
    stamp = sa.select(_heads.c.hash).where(_heads.c.chain == chain).correlate(plans).scalar_subquery()
    found = visible_plans(actor).where(plans.c.code == sa.bindparam("code"))
    return found.add_columns(sa.func.coalesce(stamp, "").label("stamp"))


_BY_ID = sa.select(plans).where(plans.c.id == sa.bindparam("id"))


def read_again(session: Session, plan: Plan) -> Plan:
    """Return a plan as it is once its chain is locked. Raises NotFound if it was deleted meanwhile."""
    return _one(read_plans(session, _BY_ID, id=plan.id))


def stored_plan(session: Session, plan: Plan) -> PlanContent:
    """Return a plan's content as `PlanIn` has it."""
    content: PlanContent = json.loads(session.scalars(_select_content(), {"id": plan.id}).one())
    return content


@cache
def _select_content() -> TextSelect:
    columns = fields_of(PlanIn, plans, priority_locations=json_rows(select_priorities(), name="priorities"))
    return json_texts(sa.select(*columns).where(plans.c.id == sa.bindparam("id")))


@cache
def select_priorities() -> Select[Any]:
    """Return the SELECT of a plan's priority locations in their order, correlated with the plan."""
    columns = fields_of(PriorityLocation, _priorities)
    found = sa.select(*columns).where(_priorities.c.plan_id == plans.c.id).order_by(_priorities.c.position)
    return found.correlate(plans)


def is_plan(session: Session, code: str) -> bool:
    """Whether a plan of that key exists, for whoever sees everything."""
    return session.scalar(sa.select(plans.c.id).where(plans.c.code == code)) is not None


def region_name(session: Session, code: str) -> str:
    return str(session.scalar(sa.select(regions.c.name).where(regions.c.code == code)))


# Notes


class NotesQuery(PageQuery):
    """Which notes of a plan."""

    state: NoteState | None = Field(default=None, description="`open` or `answered` ones.")
    sort: Literal["number", "-number"] = "number"


def _select_notes(plan: Plan) -> Select[Any]:
    is_open = sa.case((_notes.c.answered_at.is_(None), NoteState.open.value), else_=NoteState.answered.value)
    return sa.select(*fields_of(PlanNote, _notes, state=is_open)).where(_notes.c.plan_id == plan.id)


def list_notes(actor: Actor, plan: Plan, query: NotesQuery) -> Listing:
    """The notes of a plan's returns. Raises NotFound if the actor may not read drafts: they are about drafts."""
    if not actor.may("read_drafts", plan.region_code):
        raise NotFound()
    found = _select_notes(plan)
    if query.state is not None:
        is_open = _notes.c.answered_at.is_(None)
        found = found.where(is_open if query.state == NoteState.open else sa.not_(is_open))
    return Listing(found, {"number": _notes.c.number}, {"number": _notes.c.number})


def open_notes(session: Session, actor: Actor, plan: Plan, line: str) -> list[object]:
    """Return the open notes on one line as JSON (`PlanNote`); none if the actor may not read drafts."""
    if not actor.may("read_drafts", plan.region_code):
        return []
    found = _select_notes(plan).where(_notes.c.action == line, _notes.c.answered_at.is_(None))
    return [json.loads(text) for text in session.scalars(json_texts(found.order_by(_notes.c.number)))]


# What a plan refers to must exist: its region, its edition, its locations

outside_region = Kind(
    "outside_region",
    id="{value} di luar wilayah rencana; harus di dalam {allowed}",
    en="{value} is outside the plan's region; it must lie in {allowed}",
)


def edition_in_force(session: Session, edition: str | None, *, pointer: str) -> str:
    """The edition named, or the newest. Invalid names the editions there are."""
    chosen = edition or latest_edition(session)
    if chosen not in (known := editions(session)):
        raise Invalid(errors=[unknown_edition(chosen, known, pointer)])
    return chosen


def unknown_edition(edition: str, known: list[str], pointer: str) -> FieldError:
    return describe_unknown(edition, "nomenclatures", known, allowed=known, pointer=pointer)


def check_locations(session: Session, region: str, places: Iterable[tuple[str, str]]) -> list[FieldError]:
    """Errors of (pointer, region code) pairs that lie outside `region` or do not exist."""
    pairs = list(places)
    inside = [code for _, code in pairs if is_inside(code, region)]
    known = regions_by_code(session, inside) if inside else {}
    labels = region_labels(session, region) if len(known) < len(set(inside)) else {}
    return [
        FieldError(outside_region, pointer=pointer, value=code, allowed=f"{region}.…")
        if not is_inside(code, region)
        else describe_unknown(code, "regions", _beside(code, labels), pointer=pointer)
        for pointer, code in pairs
        if code not in known
    ]


def _beside(code: str, labels: dict[str, str]) -> list[str]:
    """Return the regions that lie where one of this code would; letters alone would take it elsewhere."""
    above = nearest_ancestor(code, labels) or ""
    return [f"{one} {name}" for one, name in labels.items() if one.startswith(f"{above}.")]
