"""Queries of an open amendment: the drafted plan and its differences from the plan in force."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from pydantic import Field
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow, state_hash
from app.kit.problems import NotFound
from app.plans.actions.queries import ActionQuery, read_contents, read_stored_actions, read_whole_actions
from app.plans.actions.rules import ActionContent, ActionRecord, absorption_percent
from app.plans.amendments.models import AmendedAction, AmendmentActionRow, AmendmentRow
from app.plans.amendments.rules import AmendedLine, AmendedRecord, end_line
from app.plans.core.models import Plan, PlanContent
from app.plans.core.queries import find_plan, read_plan_content
from app.plans.core.rules import AMENDMENT_CHAIN
from app.plans.imports.queries import read_draft_origins
from app.plans.revisions.differences.models import Side
from app.plans.revisions.differences.queries import build_differences, read_revision_heads
from app.plans.revisions.differences.rules import Content, PlanEdition, Reasons, fill_defaults
from app.plans.revisions.queries import ReportedFigures

amendments, amended_actions = get_table(AmendmentRow), get_table(AmendmentActionRow)
_journal = get_table(JournalRow)


class AmendedActionQuery(ActionQuery):
    """Filters and order of an amendment's lines."""

    changed: bool | None = Field(
        default=None, description="Only lines that the amendment changes (`true`), or only the others."
    )


class Amendment(NamedTuple):
    """An open amendment, without its lines."""

    plan: Plan
    in_force: PlanContent
    content: PlanContent
    """The plan's own fields in the draft."""
    reasons: Reasons
    version: int
    opened_at: datetime
    purpose: str
    """Why the region amends the plan."""
    number: int
    """Position of its opening in its chain, above every write to an earlier amendment."""


def format_amendment_chain(code: str) -> str:
    """Return the journal's chain of a plan's amendments."""
    return f"{AMENDMENT_CHAIN}{code}"


def find_amendment(session: Session, actor: Actor, code: str) -> Amendment:
    """Return the open amendment of a plan. Raises NotFound without one or without the right to read drafts."""
    plan = find_plan(session, actor, code)
    amendment = read_open_amendment(session, plan)
    if amendment is None or not actor.may("read_drafts", plan.region_code):
        raise NotFound()
    return amendment


def read_open_amendment(session: Session, plan: Plan) -> Amendment | None:
    """Return the open amendment of a plan, or None."""
    opening = sa.select(sa.func.max(_journal.c.position)).where(
        _journal.c.subject == f"plans/{plan.code}",
        _journal.c.kind == "plan.amended",
        _journal.c.chain == format_amendment_chain(plan.code),
    )
    row = session.execute(
        sa.select(amendments, opening.scalar_subquery().label("number")).where(
            amendments.c.plan_id == plan.id
        )
    ).one_or_none()
    if row is None:
        return None
    in_force = read_plan_content(session, plan)
    content = in_force if row.content is None else fill_defaults("plan", row.content)
    return Amendment(
        plan, in_force, content, row.reasons, row.version, row.opened_at, row.purpose, row.number or 0
    )


class AmendedRow(NamedTuple):
    """A drafted line, also one that equals the line in force."""

    content: ActionContent
    reasons: Reasons
    version: int
    updated_at: datetime | None = None
    """Instant of the last write; None for a line without a draft."""
    is_ending: bool = False
    """True if the draft is the line in force, ended after its last reported quarter; a later report moves the end."""


def read_amended_rows(session: Session, plan: Plan, codes: list[str] | None = None) -> dict[str, AmendedRow]:
    """Return the drafted lines of these codes (all: None), by code."""
    c = amended_actions.c
    query = sa.select(c.code, c.content, c.reasons, c.version, c.updated_at).where(c.plan_id == plan.id)
    if codes is not None:
        query = query.where(c.code.in_(codes))
    drafted = session.execute(query).all()
    ending = [row.code for row in drafted if row.content is None]
    ended = {
        code: end_line(line.content, line.progress_period, plan.year)
        for code, line in (read_stored_actions(session, plan, ending) if ending else {}).items()
    }
    return {
        code: AmendedRow(
            ended[code] if content is None else fill_defaults("action", content),
            reasons,
            version,
            at,
            is_ending=content is None,
        )
        for code, content, reasons, version, at in drafted
    }


def read_amended_lines(
    session: Session, amendment: Amendment, codes: list[str] | None = None
) -> list[AmendedRecord]:
    """Return the lines of the draft (`AmendedAction`)."""
    plan = amendment.plan
    in_force, rows = read_whole_actions(session, plan, codes), read_amended_rows(session, plan, codes)
    origins = read_draft_origins(session, plan)
    return [
        _build_line(amendment, code, in_force.get(code), rows.get(code), origins)
        for code in sorted({*in_force, *rows})
    ]


def compute_untouched_version(amendment: Amendment, in_force: int) -> int:
    """Return the version, in an amendment, of a line without a draft."""
    return in_force + amendment.number


def _build_line(
    amendment: Amendment,
    code: str,
    in_force: ActionRecord | None,
    row: AmendedRow | None,
    origins: Mapping[tuple[str, int], object],
) -> AmendedRecord:
    if row is None:
        assert in_force is not None
        version = compute_untouched_version(amendment, in_force["version"])
        return {**in_force, "version": version, "change": "unchanged", "reasons": [], "lacking": []}
    before = None if in_force is None else fill_defaults("action", in_force)
    line = AmendedLine(before, row.content, row.reasons)
    new = {"code": code, "plan": amendment.plan.code, **ReportedFigures()._asdict()}
    fields: dict[str, Any] = {**(in_force or new), **row.content}
    fields |= {
        "version": row.version,
        "updated_at": row.updated_at,
        "absorption_percent": absorption_percent(fields["spent"], fields["allocation"]),
        "change": line.change,
        "reasons": row.reasons,
        "lacking": line.lacking,
        "imported_from": origins.get((code, row.version)),
    }
    return cast(AmendedRecord, {name: fields[name] for name in AmendedAction.model_fields})


def read_amended_versions(session: Session, amendment: Amendment) -> dict[str, int]:
    """Return the versions of all lines of the draft, by code."""
    in_force = read_stored_actions(session, amendment.plan)
    drafted = read_amended_rows(session, amendment.plan)
    return {code: compute_untouched_version(amendment, line.version) for code, line in in_force.items()} | {
        code: line.version for code, line in drafted.items()
    }


class AmendmentEditions(NamedTuple):
    """The plan in force and the drafted plan, with the reasons by code of the line."""

    before: PlanEdition
    after: PlanEdition
    reasons: dict[str, Reasons]


def read_editions(session: Session, amendment: Amendment) -> AmendmentEditions:
    """Return both editions whole, the plan in force and the draft."""
    rows = read_amended_rows(session, amendment.plan)
    in_force = read_contents(session, amendment.plan)
    after = {**in_force, **{code: row.content for code, row in rows.items()}}
    return AmendmentEditions(
        PlanEdition(amendment.in_force, in_force),
        PlanEdition(amendment.content, after),
        {code: row.reasons for code, row in rows.items()},
    )


def read_amendment_hash(session: Session, code: str) -> str:
    """Return the hash of the amendment's chain, new with every write to the amendment."""
    return state_hash(session, format_amendment_chain(code)) or "0" * 64


def compute_amendment_differences(session: Session, amendment: Amendment) -> Content:
    """Return the differences of the draft from the revision in force (`Differences`)."""
    plan = amendment.plan
    assert plan.revision is not None  # only a plan in force has an amendment
    before, after, by_line = read_editions(session, amendment)
    by_place = [(None, amendment.reasons), *by_line.items()]
    return build_differences(
        plan.code,
        before,
        after,
        {code: [{**reason, "revision": None} for reason in of_line] for code, of_line in by_place},
        read_revision_heads(session, plan)[plan.revision].shown,
        dict.fromkeys(Side.model_fields),
    )
