"""Reading what a move depends on: what blocks it, and what was said before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.engine import table_of
from app.kit.database.journal import JournalRow
from app.kit.periods import local_date
from app.kit.problems import FieldError
from app.plans.actions.models import ActionRow
from app.plans.actions.queries import contents_of
from app.plans.actions.rules import ActionContent
from app.plans.amendments.adoption import blocks, proposed
from app.plans.amendments.queries import amended_actions
from app.plans.core.models import Plan, PlanNoteIn, PlanNoteRow, PlanState
from app.plans.core.queries import regions
from app.plans.findings.queries import check_lines, check_plan
from app.plans.findings.rules import Placed, blocking
from app.plans.revisions.queries import instrument_in_force
from app.plans.workflow.rules import Standing

_notes, _journal, _actions = table_of(PlanNoteRow), table_of(JournalRow), table_of(ActionRow)


def standing_of(session: Session, plan: Plan, now: datetime) -> Standing:
    """A plan as the conditions of a move look at it, findings aside."""
    count = sa.select(sa.func.count()).where(_actions.c.plan_id == plan.id).scalar_subquery()
    zone = sa.select(regions.c.timezone).where(regions.c.code == plan.region_code).scalar_subquery()
    row = session.execute(sa.select(count.label("actions"), zone.label("zone"))).one()
    return Standing(
        plan=plan.code,
        state=PlanState(plan.state),
        revision=plan.revision,
        year=plan.year,
        action_count=row.actions,
        today=local_date(now, row.zone),
    )


@dataclass(frozen=True)
class Submission:
    """What is to be said of a plan that is to be submitted: errors block it, warnings travel with it."""

    errors: Sequence[FieldError]
    warnings: Sequence[Placed] = ()
    left_out: int = 0
    """Warnings of overlaps beyond those named."""


def check_submission(session: Session, plan: Plan) -> Submission:
    """The findings of every line and of the whole; as many statements for many lines as for one.

    What is wrong with a report holds up its quarter, not the plan: no line can mend it.
    """
    left_out = 0
    if plan.revision is None:
        checked = check_plan(session, plan)
        found, left_out = checked.found, checked.left_out
    else:
        found = check_lines(session, plan, lines_to_submit(session, plan))
    of_plan = [placed for placed in found if placed.period is None]
    errors = [placed for placed in of_plan if placed.finding.severity == "error"]
    lacking = blocks(session, plan) if plan.revision is not None else ()
    return Submission(
        [*lacking, *(blocking(placed) for placed in sorted(errors, key=lambda placed: placed.action or ""))],
        [placed for placed in of_plan if placed.finding.severity == "warning"],
        left_out,
    )


def lines_to_submit(session: Session, plan: Plan) -> Mapping[str, ActionContent]:
    """The lines of a plan, or of its open amendment, as they would be adopted."""
    if plan.revision is not None:
        return proposed(session, plan)
    return contents_of(session, plan)


class Said(NamedTuple):
    """Who made the latest move of a kind, and why."""

    actor: str
    reason: str | None


def last_said(session: Session, plan: str, kind: str) -> Said | None:
    found = sa.select(_journal.c.actor, _journal.c.reason).where(
        _journal.c.subject == f"plans/{plan}", _journal.c.kind == kind
    )
    row = session.execute(found.order_by(_journal.c.sequence.desc()).limit(1)).one_or_none()
    return Said(*row) if row else None


NOTED_BY = ("submit", "return")
"""Verbs that change which notes are open: a return opens notes, and the next submission answers them."""


def moved_fields(session: Session, plan: Plan, verb: str) -> dict[str, object]:
    """Return the fields of a plan's journal that a move sets besides state and revision, as they are now.

    `instrument`, `number` and `date` are of the revision in force, `notes` are the open ones; null: there are none.
    """
    if verb == "adopt":
        return instrument_in_force(session, plan)
    if verb not in NOTED_BY:
        return {}
    columns = [_notes.c[name] for name in PlanNoteIn.model_fields]
    found = sa.select(*columns).where(_notes.c.plan_id == plan.id, _notes.c.answered_at.is_(None))
    rows = session.execute(found.order_by(_notes.c.number)).mappings()
    return {"notes": [dict(row) for row in rows] or None}


def known_lines(session: Session, plan: Plan) -> list[str]:
    """Codes of a plan's lines, those of an open amendment among them."""
    found = sa.union(
        sa.select(_actions.c.code).where(_actions.c.plan_id == plan.id),
        sa.select(amended_actions.c.code).where(amended_actions.c.plan_id == plan.id),
    )
    return sorted(session.scalars(found))
