"""Queries for a move: the plan's status, the errors that block it, and earlier moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import POSITION
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.periods import get_local_date
from app.kit.problems import FieldError
from app.plans.actions.models import ActionRow
from app.plans.actions.queries import read_contents
from app.plans.actions.rules import ActionContent
from app.plans.amendments.adoption import list_blocking_errors, read_proposed_lines
from app.plans.amendments.queries import amended_actions
from app.plans.copies.queries import has_kept_quarters
from app.plans.core.models import Plan, PlanNoteIn, PlanNoteRow, PlanState
from app.plans.core.queries import regions, takes_reports
from app.plans.findings.queries import check_lines, check_plan
from app.plans.findings.rules import PlacedFinding, build_blocking
from app.plans.revisions.queries import read_instrument_in_force
from app.plans.workflow.rules import PlanStatus

_notes, _journal, _actions = get_table(PlanNoteRow), get_table(JournalRow), get_table(ActionRow)


def read_plan_status(session: Session, plan: Plan, now: datetime) -> PlanStatus:
    """Return the plan's status for the conditions of a move, without findings."""
    count = sa.select(sa.func.count()).where(_actions.c.plan_id == plan.id).scalar_subquery()
    zone = sa.select(regions.c.timezone).where(regions.c.code == plan.region_code).scalar_subquery()
    kept = has_kept_quarters(sa.literal(plan.id)).label("kept")
    row = session.execute(sa.select(count.label("actions"), zone.label("zone"), kept)).one()
    return PlanStatus(
        plan=plan.code,
        state=PlanState(plan.state),
        revision=plan.revision,
        year=plan.year,
        action_count=row.actions,
        is_kept=bool(row.kept),
        takes_reports=takes_reports(session, plan.region_code, plan.year, plan.state),
        today=get_local_date(now, row.zone),
    )


@dataclass(frozen=True)
class Submission:
    """The findings of a plan at its submission: errors block it, warnings do not."""

    errors: Sequence[FieldError]
    warnings: Sequence[PlacedFinding] = ()
    left_out: int = 0
    """Number of warnings of overlaps that `warnings` omits."""


def check_submission(session: Session, plan: Plan) -> Submission:
    """Return the findings of every line and of the plan, with as many statements for many lines as for one.

    Findings of reports block their quarter, not the plan: no change of a line resolves them.
    """
    left_out = 0
    if plan.revision is None:
        checked = check_plan(session, plan)
        findings, left_out = checked.found, checked.left_out
    else:
        findings = check_lines(session, plan, read_lines_to_submit(session, plan), is_amended=True)
    own = [placed for placed in findings if placed.period is None]
    errors = [placed for placed in own if placed.finding.severity == "error"]
    lacking = list_blocking_errors(session, plan) if plan.revision is not None else ()
    return Submission(
        [
            *lacking,
            *(build_blocking(placed) for placed in sorted(errors, key=lambda placed: placed.action or "")),
        ],
        [placed for placed in own if placed.finding.severity == "warning"],
        left_out,
    )


def read_lines_to_submit(session: Session, plan: Plan) -> Mapping[str, ActionContent]:
    """Return the lines that an adoption would freeze, of the plan or of its open amendment, by code."""
    if plan.revision is not None:
        return read_proposed_lines(session, plan)
    return read_contents(session, plan)


class PastMove(NamedTuple):
    """The actor and the note of the latest move of a kind."""

    actor: str
    reason: str | None


def read_last_move(session: Session, plan: str, kind: str) -> PastMove | None:
    """Return the actor and note of the plan's latest move of this kind, or None."""
    statement = sa.select(POSITION, _journal.c.reason).where(
        _journal.c.subject == f"plans/{plan}", _journal.c.kind == kind
    )
    row = session.execute(statement.order_by(_journal.c.sequence.desc()).limit(1)).one_or_none()
    return PastMove(*row) if row else None


NOTE_VERBS = ("submit", "return")
"""Verbs that open or answer notes: a return opens them, the next submission answers them."""


def read_moved_fields(session: Session, plan: Plan, verb: str) -> dict[str, object]:
    """Return the plan's present values of the journal fields that a move sets besides state and revision.

    `instrument`, `number` and `date` are of the revision in force; `notes` are the open ones, null without any.
    """
    if verb == "adopt":
        return {**read_instrument_in_force(session, plan)}
    if verb not in NOTE_VERBS:
        return {}
    columns = [_notes.c[name] for name in PlanNoteIn.model_fields]
    statement = sa.select(*columns).where(_notes.c.plan_id == plan.id, _notes.c.answered_at.is_(None))
    rows = session.execute(statement.order_by(_notes.c.number)).mappings()
    return {"notes": [dict(row) for row in rows] or None}


def list_line_codes(session: Session, plan: Plan) -> list[str]:
    """Return the codes of a plan's lines, with those of its open amendment."""
    statement = sa.union(
        sa.select(_actions.c.code).where(_actions.c.plan_id == plan.id),
        sa.select(amended_actions.c.code).where(amended_actions.c.plan_id == plan.id),
    )
    return sorted(session.scalars(statement))
