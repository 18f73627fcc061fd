"""Queries of plans, of the province's notes and of the references in both, within the actor's rights."""

import json
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_public_region
from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalHead
from app.kit.database.json_sql import TextSelect, build_json_array, select_fields, select_json
from app.kit.http.pagination import Listing, PageQuery
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Invalid, Kind, NotFound, require_found
from app.kit.wording import Text, declare_words
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
from app.plans.core.rules import PLAN_CHAIN, is_inside, is_reportable
from app.reference.models import RegionRow
from app.reference.nomenclature.queries import find_latest_edition, list_editions
from app.reference.queries import find_regions_by_code, read_region_labels
from app.reference.rules import find_nearest_ancestor

CORRECTIONS: list[Callable[[Session, str, int], bool]] = []
"""Predicates: a quarter of a region's year is in correction. `app.wiring` adds that of the area above."""

plans, regions = get_table(PlanRow), get_table(RegionRow)
_priorities, _notes, _heads = get_table(PriorityLocationRow), get_table(PlanNoteRow), get_table(JournalHead)


def can_see_plan(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees the region, and the plan is in force or the actor may read drafts there."""
    is_in_region = can_see_region(actor, plans.c.region_code)
    if actor.sees_every_draft:
        return is_in_region
    return sa.and_(is_in_region, sa.or_(plans.c.revision.is_not(None), can_read_drafts(actor)))


def can_read_revisions(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor sees the plan, or the plan is in force in a region that the public may read."""
    return sa.or_(
        can_see_plan(actor),
        sa.and_(is_public_region(actor, plans.c.region_code), plans.c.revision.is_not(None)),
    )


def can_read_drafts(actor: Actor) -> ColumnElement[bool]:
    """Predicate: the actor may read drafts in the plan's region."""
    return can_see_region(actor, plans.c.region_code, "read_drafts")


def select_visible_plans(actor: Actor) -> Select[Any]:
    """Return the SELECT of the plans that the actor sees. Every SELECT of this area begins here."""
    return sa.select(plans).where(can_see_plan(actor))


def find_plan(session: Session, actor: Actor, code: str) -> Plan:
    """Return a plan with its stamp. Raises NotFound if the actor does not see it."""
    return _require_plan(session, _select_plan(actor), code=code)


def find_published_plan(session: Session, actor: Actor, code: str) -> Plan:
    """Return a plan whose revisions the actor or the public may read. Raises NotFound if neither may."""
    return _require_plan(session, _select_published_plan(actor), code=code)


def takes_reports(session: Session, region: str, year: int, state: str) -> bool:
    """Return whether a plan in a state takes progress reports, if only of a quarter in correction."""
    return is_reportable(state) or any(is_corrected(session, region, year) for is_corrected in CORRECTIONS)


def read_plans(session: Session, statement: Select[Any], **bound: object) -> list[Plan]:
    """Return the plans that a SELECT of their columns yields."""
    return [Plan(**row._mapping) for row in session.connection().execute(statement, bound)]


def read_plans_in(session: Session, region: str) -> list[Plan]:
    """Return all plans of a region, by key."""
    return read_plans(session, sa.select(plans).where(plans.c.region_code == region).order_by(plans.c.code))


def _require_plan(session: Session, statement: Select[Any], **bound: object) -> Plan:
    return require_found(next(iter(read_plans(session, statement, **bound)), None))


@lru_cache(maxsize=1000)
def _select_published_plan(actor: Actor) -> Select[Any]:
    return sa.select(plans).where(can_read_revisions(actor), plans.c.code == sa.bindparam("code"))


@lru_cache(maxsize=1000)
def _select_plan(actor: Actor) -> Select[Any]:
    chain = sa.literal(PLAN_CHAIN) + plans.c.code
    stamp = sa.select(_heads.c.hash).where(_heads.c.chain == chain).correlate(plans).scalar_subquery()
    statement = select_visible_plans(actor).where(plans.c.code == sa.bindparam("code"))
    return statement.add_columns(sa.func.coalesce(stamp, "").label("stamp"))


_BY_ID = sa.select(plans).where(plans.c.id == sa.bindparam("id"))


def read_again(session: Session, plan: Plan) -> Plan:
    """Read a plan again under the lock of its chain. Raises NotFound if another write deleted it."""
    return _require_plan(session, _BY_ID, id=plan.id)


def read_plan_content(session: Session, plan: Plan) -> PlanContent:
    """Return a plan's content (`PlanIn`)."""
    content: PlanContent = json.loads(session.scalars(_select_content(), {"id": plan.id}).one())
    return content


@cache
def _select_content() -> TextSelect:
    columns = select_fields(
        PlanIn, plans, priority_locations=build_json_array(select_priorities(), name="priorities")
    )
    return select_json(sa.select(*columns).where(plans.c.id == sa.bindparam("id")))


@cache
def select_priorities() -> Select[Any]:
    """Return the SELECT of a plan's priority locations in order, correlated with the plan."""
    columns = select_fields(PriorityLocation, _priorities)
    statement = (
        sa.select(*columns).where(_priorities.c.plan_id == plans.c.id).order_by(_priorities.c.position)
    )
    return statement.correlate(plans)


def is_plan(session: Session, code: str) -> bool:
    """Return whether a plan has this key, without a check of rights."""
    return session.scalar(sa.select(plans.c.id).where(plans.c.code == code)) is not None


def region_name(session: Session, code: str) -> str:
    return str(session.scalar(sa.select(regions.c.name).where(regions.c.code == code)))


# Notes


class NotesQuery(PageQuery):
    """Filters and order of a plan's notes."""

    state: NoteState | None = Field(default=None, description="State of the notes.")
    sort: Literal["number", "-number"] = "number"


def _select_notes(plan: Plan) -> Select[Any]:
    is_open = sa.case((_notes.c.answered_at.is_(None), NoteState.open.value), else_=NoteState.answered.value)
    return sa.select(*select_fields(PlanNote, _notes, state=is_open)).where(_notes.c.plan_id == plan.id)


def list_notes(actor: Actor, plan: Plan, query: NotesQuery) -> Listing:
    """Return the notes on a plan. Raises NotFound if the actor may not read drafts."""
    if not actor.may("read_drafts", plan.region_code):
        raise NotFound()
    statement = _select_notes(plan)
    if query.state is not None:
        is_open = _notes.c.answered_at.is_(None)
        statement = statement.where(is_open if query.state == NoteState.open else sa.not_(is_open))
    return Listing(statement, {"number": _notes.c.number}, {"number": _notes.c.number})


def read_open_notes(session: Session, actor: Actor, plan: Plan, line: str) -> list[object]:
    """Return the open notes on a line as JSON (`PlanNote`); none if the actor may not read drafts."""
    if not actor.may("read_drafts", plan.region_code):
        return []
    statement = _select_notes(plan).where(_notes.c.action == line, _notes.c.answered_at.is_(None))
    return [json.loads(text) for text in session.scalars(select_json(statement.order_by(_notes.c.number)))]


# References of a plan: its edition and locations

outside_region = Kind(
    "outside_region",
    id="“{value}” di luar wilayah rencana; pilih lokasi di dalam wilayah {region}",
    en="“{value}” is outside the plan's region; choose a location inside region {region}",
)
declare_words(
    {
        "edition_list": Text(
            "edisi nomenklatur yang terpasang", "the installed editions of the nomenclature"
        ),
        "plan_lines": Text("rencana ini", "this plan"),
        "region_list": Text("daftar wilayah Kemendagri", "the Kemendagri list of regions"),
    }
)


def choose_edition(session: Session, edition: str | None, *, pointer: str) -> str:
    """Return the edition, or the newest for None. Raises Invalid, with the known editions, if it is unknown."""
    name = edition or find_latest_edition(session)
    if name not in (known := list_editions(session)):
        raise Invalid(errors=[describe_unknown_edition(name, known, pointer)])
    return name


def describe_unknown_edition(edition: str, known: list[str], pointer: str) -> FieldError:
    """Return the error of an unknown edition, with the known ones."""
    return describe_unknown(edition, "edition_list", known, allowed=known, pointer=pointer)


def check_locations(session: Session, region: str, places: Iterable[tuple[str, str]]) -> list[FieldError]:
    """Return the errors of (pointer, region code) pairs that lie outside `region` or do not exist."""
    pairs = list(places)
    inside = [code for _, code in pairs if is_inside(code, region)]
    known = find_regions_by_code(session, inside) if inside else {}
    labels = read_region_labels(session, region) if len(known) < len(set(inside)) else {}
    return [
        FieldError(outside_region, pointer, value=code, allowed=f"{region}.…", values={"region": region})
        if not is_inside(code, region)
        else describe_unknown(code, "region_list", _list_siblings(code, labels), pointer=pointer)
        for pointer, code in pairs
        if code not in known
    ]


def _list_siblings(code: str, labels: dict[str, str]) -> list[str]:
    """Return “code name” of the regions below the code's nearest existing ancestor."""
    above = find_nearest_ancestor(code, labels) or ""
    return [f"{label} {name}" for label, name in labels.items() if label.startswith(f"{above}.")]
