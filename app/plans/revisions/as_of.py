"""A plan as it was in force at an instant, in the same shapes as the plan of today."""

import json
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlmodel import Session

from app.kit.fields import Instant
from app.kit.problems import FieldError, Kind, Problem, Text
from app.plans.actions.models import ActionOut
from app.plans.actions.queries import actions
from app.plans.actions.rules import absorption_percent
from app.plans.core.models import PlanOut, PlanState
from app.plans.core.queries import region_name
from app.plans.revisions.differences.rules import whole
from app.plans.revisions.queries import revisions

before_adoption = Kind(
    "before_adoption",
    id="{value} sebelum revisi pertama; paling awal {allowed}",
    en="{value} is before the first revision; the earliest is {allowed}",
)


class NotInForceThen(Problem):
    status = 404
    code = "not_in_force_then"
    title = Text("Belum berlaku saat itu", "Not in force then")
    detail = Text(
        "Rencana {plan} belum berlaku pada {as_of}; revisi pertama ditetapkan {first}.",
        "Plan {plan} was not in force at {as_of}; its first revision was adopted at {first}.",
    )


class AsOfQuery(BaseModel):
    """Of which instant."""

    as_of: Instant | None = Field(
        default=None,
        description="As it was in force at this instant (RFC 3339 with offset): the revision that had been adopted "
        "last. What was reported (spending, latest quarter, physical progress) is as it is now.",
    )


class RevisionThen(NamedTuple):
    """The revision that was in force at an instant."""

    number: int
    content: dict[str, Any]
    adopted_at: datetime
    action_count: int
    allocation: int
    plan_version: int


def revision_at(session: Session, plan: sa.Row[Any], instant: datetime) -> RevisionThen:
    """NotInForceThen before the first adoption."""
    c = revisions.c
    columns = (c.number, c.content, c.adopted_at, c.action_count, c.allocation, c.plan_version)
    found = sa.select(*columns).where(c.plan_id == plan.id, c.adopted_at <= instant)
    row = session.execute(found.order_by(c.number.desc()).limit(1)).one_or_none()
    if row is None:
        first = session.scalar(sa.select(sa.func.min(c.adopted_at)).where(c.plan_id == plan.id))
        told = first.isoformat() if first else "–"
        error = FieldError(
            before_adoption, parameter="as_of", value=instant.isoformat(), allowed=told if first else None
        )
        raise NotInForceThen(errors=[error], plan=plan.code, as_of=instant.isoformat(), first=told)
    return RevisionThen(row.number, json.loads(row.content), *row[2:])


def plan_then(session: Session, plan: sa.Row[Any], instant: datetime) -> dict[str, Any]:
    """The plan as `PlanOut`; its state is that of a plan in force."""
    found = revision_at(session, plan, instant)
    then = {
        **whole("plan", found.content),
        "plan": plan.code,
        "region_code": plan.region_code,
        "region_name": region_name(session, plan.region_code),
        "year": plan.year,
        "state": PlanState.adopted,
        "revision": found.number,
        "version": found.plan_version,
        "updated_at": found.adopted_at,
        "action_count": found.action_count,
        "allocation": found.allocation,
    }
    return {name: then[name] for name in PlanOut.model_fields}


def lines_then(session: Session, plan: sa.Row[Any], instant: datetime) -> dict[str, dict[str, Any]]:
    """The lines as `ActionOut`, by code."""
    found = revision_at(session, plan, instant)
    figures = _figures(session, plan)
    return {line["code"]: _line(plan, line, found, figures) for line in found.content["actions"]}


def _line(
    plan: sa.Row[Any], line: dict[str, Any], found: RevisionThen, figures: dict[str, sa.Row[Any]]
) -> dict[str, Any]:
    now = figures.get(line["code"])
    spent = now.spent if now else 0
    then = {
        **whole("action", line),
        "code": line["code"],
        "plan": plan.code,
        "version": line["version"],
        "updated_at": found.adopted_at,
        "progress_period": now and now.progress_period,
        "spent": spent,
        "absorption_percent": absorption_percent(spent, line["allocation"]),
        "physical_percent": now and now.physical_percent,
    }
    return {name: then[name] for name in ActionOut.model_fields}


def _figures(session: Session, plan: sa.Row[Any]) -> dict[str, sa.Row[Any]]:
    """What was reported on the lines that there are now, by code."""
    c = actions.c
    query = sa.select(c.code, c.progress_period, c.spent, c.physical_percent).where(c.plan_id == plan.id)
    return {row.code: row for row in session.execute(query)}
