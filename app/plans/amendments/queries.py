"""Reading an open amendment: the plan as it shall be, beside the one in force."""

from datetime import datetime
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from pydantic import Field
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import JournalRow, stamp
from app.kit.problems import NotFound
from app.plans.actions.queries import ActionQuery, contents_of, whole_actions
from app.plans.actions.rules import ActionContent, ActionRecord, absorption_percent
from app.plans.amendments.models import AmendedAction, AmendmentActionRow, AmendmentRow
from app.plans.amendments.rules import Amended, AmendedRecord
from app.plans.core.models import Plan, PlanContent
from app.plans.core.queries import plan_of, stored_plan
from app.plans.core.rules import AMENDMENT_CHAIN
from app.plans.revisions.differences.queries import build_differences, sealed
from app.plans.revisions.differences.rules import Content, Edition, Reasons, whole
from app.plans.revisions.queries import ReportedFigures

amendments, amended_actions = table_of(AmendmentRow), table_of(AmendmentActionRow)
_journal = table_of(JournalRow)


class AmendedActionQuery(ActionQuery):
    """Which lines of an amendment, in which order."""

    changed: bool | None = Field(
        default=None, description="Only lines that the amendment changes (`true`), or only the others."
    )


class Amendment(NamedTuple):
    """An open amendment, without its lines."""

    plan: Plan
    in_force: PlanContent
    content: PlanContent
    """As they shall be."""
    reasons: Reasons
    version: int
    opened_at: datetime
    purpose: str
    """Why the plan is amended at all."""
    number: int
    """Place of its opening in its chain: higher than that of any write to an earlier amendment."""


def amendment_chain(code: str) -> str:
    """Chain of the journal in which the drafting beside a plan is written."""
    return f"{AMENDMENT_CHAIN}{code}"


def amendment_of(session: Session, actor: Actor, code: str) -> Amendment:
    """The open amendment of a plan; NotFound: there is none, or the actor may not read drafts there."""
    plan = plan_of(session, actor, code)
    found = open_amendment(session, plan)
    if found is None or not actor.may("read_drafts", plan.region_code):
        raise NotFound()
    return found


def open_amendment(session: Session, plan: Plan) -> Amendment | None:
    opening = sa.select(sa.func.max(_journal.c.position)).where(
        _journal.c.subject == f"plans/{plan.code}",
        _journal.c.kind == "plan.amended",
        _journal.c.chain == amendment_chain(plan.code),
    )
    row = session.execute(
        sa.select(amendments, opening.scalar_subquery().label("number")).where(
            amendments.c.plan_id == plan.id
        )
    ).one_or_none()
    if row is None:
        return None
    in_force = stored_plan(session, plan)
    content = in_force if row.content is None else whole("plan", row.content)
    return Amendment(
        plan, in_force, content, row.reasons, row.version, row.opened_at, row.purpose, row.number or 0
    )


class AmendedRow(NamedTuple):
    """A line that was written to the amendment, also where it says again what is in force."""

    content: ActionContent | None
    """None: the line is taken out."""
    reasons: Reasons
    version: int
    updated_at: datetime | None = None
    """When it was last written; of what is as it is in force: None."""


def amended_rows(session: Session, plan: Plan, codes: list[str] | None = None) -> dict[str, AmendedRow]:
    """Return the lines of those codes (all: None) that were written to the amendment, by code."""
    c = amended_actions.c
    query = sa.select(c.code, c.content, c.reasons, c.version, c.updated_at).where(c.plan_id == plan.id)
    if codes is not None:
        query = query.where(c.code.in_(codes))
    return {
        code: AmendedRow(content and whole("action", content), reasons, version, at)
        for code, content, reasons, version, at in session.execute(query)
    }


def lines_of(session: Session, amendment: Amendment, codes: list[str] | None = None) -> list[AmendedRecord]:
    """Return the lines as they shall be (`AmendedAction`), one that is taken out as it is in force."""
    plan = amendment.plan
    in_force, rows = whole_actions(session, plan, codes), amended_rows(session, plan, codes)
    return [_line(amendment, code, in_force.get(code), rows.get(code)) for code in sorted({*in_force, *rows})]


def untouched_version(amendment: Amendment, in_force: int) -> int:
    """Return the version in an amendment of a line that nothing was written of there."""
    return in_force + amendment.number


def _line(
    amendment: Amendment, code: str, in_force: ActionRecord | None, row: AmendedRow | None
) -> AmendedRecord:
    if row is None:
        assert in_force is not None
        version = untouched_version(amendment, in_force["version"])
        return {**in_force, "version": version, "change": "unchanged", "reasons": [], "lacking": []}
    before = None if in_force is None else whole("action", in_force)
    line = Amended(before, row.content, row.reasons)
    new = {"code": code, "plan": amendment.plan.code, **ReportedFigures()._asdict()}
    shown: dict[str, Any] = {**(in_force or new), **(row.content or {})}
    shown |= {
        "version": row.version,
        "updated_at": row.updated_at,
        "absorption_percent": absorption_percent(shown["spent"], shown["allocation"]),
        "change": line.change,
        "reasons": row.reasons,
        "lacking": line.lacking,
    }
    return cast(AmendedRecord, {name: shown[name] for name in AmendedAction.model_fields})


class Editions(NamedTuple):
    """A plan as it is in force and as it shall be, with the reasons by line."""

    before: Edition
    after: Edition
    reasons: dict[str, Reasons]


def editions(session: Session, amendment: Amendment) -> Editions:
    """Both sides of an amendment whole."""
    rows = amended_rows(session, amendment.plan)
    in_force = contents_of(session, amendment.plan)
    lines = {**in_force, **{code: row.content for code, row in rows.items()}}
    after = {code: content for code, content in lines.items() if content is not None}
    return Editions(
        Edition(amendment.in_force, in_force),
        Edition(amendment.content, after),
        {code: row.reasons for code, row in rows.items()},
    )


def amendment_state(session: Session, code: str) -> str:
    """What changes with every write to the amendment."""
    return stamp(session, amendment_chain(code)) or "0" * 64


def amendment_differences(session: Session, amendment: Amendment) -> Content:
    """What an amendment would change of the revision in force (`Differences`)."""
    plan = amendment.plan
    assert plan.revision is not None  # an amendment lies beside a revision in force
    before, after, by_line = editions(session, amendment)
    by_place = [(None, amendment.reasons), *by_line.items()]
    return build_differences(
        plan.code,
        before,
        after,
        {code: [{**reason, "revision": None} for reason in of_line] for code, of_line in by_place},
        sealed(session, plan)[plan.revision].shown,
        {"revision": None, "sha256": None, "adopted_at": None},
    )
