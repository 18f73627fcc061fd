"""What becomes of a plan's lines when an agency is merged into another; agencies must not know plans."""

import sqlalchemy as sa
from sqlmodel import Session

from app.access.write import Write
from app.agencies.queries import Referrer, count_by
from app.kit.database.engine import table_of
from app.kit.database.journal import hold, record
from app.plans.actions.commands import action_entry
from app.plans.actions.models import SupportingAgencyRow
from app.plans.actions.queries import actions, stored_actions
from app.plans.core.queries import plans_in, read_again
from app.plans.core.rules import plan_chain

_supporting = table_of(SupportingAgencyRow)


def move_lines(write: Write, region: str, old: str, new: str) -> None:
    """Point every line of a region that an agency leads or supports at another, plan by plan.

    Every plan's chain is held first: whoever writes lines meanwhile is done before, or waits.
    """
    session, reason = write.session, f"merge {old} → {new}"
    of_old = sa.select(_supporting.c.action_id).where(
        _supporting.c.region_code == region, _supporting.c.agency_code == old
    )
    names_old = sa.or_(actions.c.lead_agency == old, actions.c.id.in_(of_old))
    for plan in plans_in(session, region):
        chain = hold(session, plan_chain(plan.code))
        plan = read_again(session, plan)
        of_plan = sa.select(actions.c.code).where(actions.c.plan_id == plan.id, names_old)
        codes = list(session.scalars(of_plan.order_by(actions.c.code)))
        if not codes:
            continue
        before = stored_actions(session, plan, codes)
        ids = [line.id for line in before.values()]
        chosen = actions.c.id.in_(ids)
        session.execute(
            sa.update(actions).where(chosen, actions.c.lead_agency == old).values(lead_agency=new)
        )
        _move_support(session, ids, old, new)
        raised = {"version": actions.c.version + 1, "updated_at": write.author.at}
        session.execute(sa.update(actions).where(chosen).values(**raised))
        after = stored_actions(session, plan, codes)
        entries = [
            action_entry(plan, code, before[code].version + 1, before[code], after[code].content, reason)
            for code in codes
        ]
        record(session, chain, write.author, entries)


def _move_support(session: Session, ids: list[int], old: str, new: str) -> None:
    """A line that both supported keeps the one that stays; nobody supports what it leads."""
    both = sa.select(_supporting.c.action_id).where(
        _supporting.c.action_id.in_(ids), _supporting.c.agency_code == new
    )
    doubled = sa.and_(_supporting.c.agency_code == old, _supporting.c.action_id.in_(both))
    session.execute(sa.delete(_supporting).where(doubled))
    session.execute(
        sa.update(_supporting)
        .where(_supporting.c.action_id.in_(ids), _supporting.c.agency_code == old)
        .values(agency_code=new)
    )
    leads = sa.select(actions.c.id).where(actions.c.id.in_(ids), actions.c.lead_agency == new)
    session.execute(
        sa.delete(_supporting).where(_supporting.c.agency_code == new, _supporting.c.action_id.in_(leads))
    )


REFERRERS = [
    Referrer("lines it leads", count_by(actions.c.lead_agency)),
    Referrer("lines it supports", count_by(_supporting.c.agency_code)),
]
