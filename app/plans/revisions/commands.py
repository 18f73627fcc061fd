"""Commands of revisions: an adoption freezes the plan. Nothing changes or deletes a frozen revision."""

from collections.abc import Callable
from datetime import date as date_type
from typing import Protocol

import sqlalchemy as sa

from app.access.commands import Write
from app.kit.database.engine import table_of
from app.kit.database.journal import Chain
from app.plans.actions.queries import stored_actions
from app.plans.core.models import Instrument, Plan
from app.plans.core.queries import read_again, stored_plan
from app.plans.core.rules import canonical, sha256_of
from app.plans.revisions.models import AmendmentRow
from app.plans.revisions.queries import revisions

Apply = Callable[[Write, Plan, Chain], tuple[Chain, dict[str, object]]]
BEFORE_ADOPTION: list[Apply] = []
"""Called when an amendment is adopted, with the plan as it stands and the plan's chain: writes what was
drafted beside it into the plan, records it there, and gives the chain as it then is and what the
revision keeps of it (`purpose`, `reasons`). The part of this area that keeps amendments adds it when it is imported."""


class Signed(Protocol):
    """By what a region adopts."""

    instrument: Instrument
    number: str
    date: date_type


def adopt_revision(write: Write, plan: Plan, chain: Chain, signed: Signed) -> Chain:
    """Freeze the plan, with its amendment if it has one, as its next revision; the caller holds its chain."""
    session, author = write.session, write.author
    number = 0 if plan.revision is None else plan.revision + 1
    kept: dict[str, object] = {"purpose": None, "reasons": []}
    if plan.revision is not None:
        for apply in BEFORE_ADOPTION:
            chain, kept = apply(write, plan, chain)
        amendments = table_of(AmendmentRow)
        session.execute(sa.delete(amendments).where(amendments.c.plan_id == plan.id))
        plan = read_again(session, plan)
    lines = {
        code: {"version": action.version, **action.content}
        for code, action in stored_actions(session, plan).items()
    }
    content = canonical(
        {
            **stored_plan(session, plan),
            "plan": plan.code,
            "region_code": plan.region_code,
            "year": plan.year,
            "revision": number,
            "instrument": str(signed.instrument),
            "instrument_number": signed.number,
            "instrument_date": signed.date.isoformat(),
            **kept,
            "actions": [{"code": code, **lines[code]} for code in sorted(lines)],
        }
    )
    session.execute(
        sa.insert(revisions).values(
            plan_id=plan.id,
            number=number,
            content=content,
            sha256=sha256_of(content),
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
    return chain
