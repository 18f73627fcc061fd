"""Command of revisions: an adoption freezes the plan. No command changes or deletes a revision."""

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.plans.actions.queries import read_stored_actions
from app.plans.copies.commands import copy_plan
from app.plans.core.models import Plan
from app.plans.core.queries import read_again, read_plan_content
from app.plans.core.rules import compute_sha256, dump_canonical
from app.plans.revisions.models import AdoptIn
from app.plans.revisions.queries import revisions

AFTER_ADOPTION: list[Callable[[Session, Plan], None]] = []
"""Hooks that run after the rows of a revision are written. `app.wiring` adds those of the areas above."""


def adopt_revision(write: Write, plan: Plan, signed: AdoptIn, amended: Mapping[str, object] | None) -> None:
    """Freeze the plan as its next revision; the caller locked its chain.

    `amended` is `purpose` and `reasons` of the amendment that the caller wrote into the plan; None for the first
    revision.
    """
    session, author = write.session, write.author
    number = 0 if plan.revision is None else plan.revision + 1
    if amended is not None:
        plan = read_again(session, plan)
    lines = {
        code: {"version": action.version, **action.content}
        for code, action in read_stored_actions(session, plan).items()
    }
    content = dump_canonical(
        {
            **read_plan_content(session, plan),
            "plan": plan.code,
            "region_code": plan.region_code,
            "year": plan.year,
            "revision": number,
            "instrument": str(signed.instrument),
            "instrument_number": signed.number,
            "instrument_date": signed.date.isoformat(),
            **(amended or {"purpose": None, "reasons": []}),
            "actions": [{"code": code, **lines[code]} for code in sorted(lines)],
        }
    )
    session.execute(
        sa.insert(revisions).values(
            plan_id=plan.id,
            number=number,
            content=content,
            sha256=compute_sha256(content),
            action_count=len(lines),
            allocation=sum(line["allocation"] for line in lines.values()),
            instrument=signed.instrument,
            instrument_number=signed.number,
            instrument_date=signed.date,
            adopted_at=author.at,
            adopted_by=author.actor,
            plan_version=plan.version + 1,
        )
    )
    copy_plan(session, plan, number=number, instrument_date=signed.date)
    for hook in AFTER_ADOPTION:
        hook(session, plan)
