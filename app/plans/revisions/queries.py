"""Reading what was adopted, of a plan that the actor was found to see."""

from datetime import date
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.revisions.models import PlanRevisionRow, RevisionOut

revisions = table_of(PlanRevisionRow)


class RevisionsQuery(PageQuery):
    """Revisions of a plan, in their order."""

    sort: Literal["revision", "-revision"] = "revision"


def list_revisions(actor: Actor, plan: sa.Row[Any]) -> Listing:
    """The revisions of a plan; by whom they were adopted is told to who sees the region."""
    c = revisions.c
    adopted_by = c.adopted_by if actor.sees(plan.region_code) else sa.literal("", sa.Text)
    given = {"plan": sa.literal(plan.code), "revision": c.number, "adopted_by": adopted_by}
    columns = fields_of(RevisionOut, revisions, **given)
    found = sa.select(*columns).where(c.plan_id == plan.id)
    return Listing(found, {"revision": c.number}, {"revision": c.number})


class Frozen(NamedTuple):
    """The canonical JSON of a revision and its SHA-256, hex."""

    content: str
    sha256: str


def revision_of(session: Session, plan: sa.Row[Any], number: str) -> Frozen:
    """A revision as it was adopted; NotFound when there is none of that number."""
    is_number = number.isascii() and number.isdecimal() and len(number) < 10 and str(int(number)) == number
    c = revisions.c
    row = (
        session.execute(
            sa.select(c.content, c.sha256).where(c.plan_id == plan.id, c.number == int(number))
        ).one_or_none()
        if is_number
        else None
    )
    if row is None:
        raise NotFound()
    return Frozen(*row)


def latest_instrument_date(session: Session, plan: sa.Row[Any]) -> date | None:
    """When the instrument of the revision in force was signed; None before the first."""
    c = revisions.c
    found: date | None = session.scalar(
        sa.select(c.instrument_date).where(c.plan_id == plan.id, c.number == plan.revision)
    )
    return found


def instrument_in_force(session: Session, plan: sa.Row[Any]) -> dict[str, Any]:
    """Return the instrument of the revision in force as `AdoptIn` has it; each field null before the first."""
    c = revisions.c
    found = sa.select(c.instrument, c.instrument_number, c.instrument_date)
    row = session.execute(found.where(c.plan_id == plan.id, c.number == plan.revision)).one_or_none()
    if row is None:
        return {"instrument": None, "number": None, "date": None}
    kind, number, signed = row
    return {"instrument": str(kind), "number": number, "date": signed.isoformat()}
