"""What becomes of drafted lines when an agency is merged into another; agencies must not know amendments."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.write import Write
from app.agencies.queries import Referrer
from app.kit.database.engine import table_of
from app.kit.database.journal import hold, record
from app.kit.database.upsert import upsert
from app.plans.actions.queries import stored_actions
from app.plans.amendments.commands import drafted_entry, drafted_versions
from app.plans.amendments.queries import AmendedRow, amended_rows, amendment_chain, amendments
from app.plans.core.models import Plan
from app.plans.core.queries import plans, read_plans
from app.plans.core.rules import plan_chain
from app.plans.revisions.models import AmendmentActionRow


def _names(content: dict[str, Any] | None, agency: str) -> bool:
    return content is not None and agency in (content["lead_agency"], *content["supporting_agencies"])


def _being_amended(session: Session, region: str) -> list[Plan]:
    found = sa.select(plans).join(amendments, amendments.c.plan_id == plans.c.id)
    return read_plans(session, found.where(plans.c.region_code == region).order_by(plans.c.code))


def _count_drafted(session: Session, region: str, agency: str) -> int:
    return sum(
        _names(row.content, agency)
        for plan in _being_amended(session, region)
        for row in amended_rows(session, plan).values()
    )


def move_drafted(write: Write, region: str, old: str, new: str) -> None:
    """Point every drafted line of a region that names an agency at another; its plans' chains are held first."""
    session, author = write.session, write.author
    for plan in _being_amended(session, region):
        hold(session, plan_chain(plan.code))
        chain = hold(session, amendment_chain(plan.code))
        before = {code: row for code, row in amended_rows(session, plan).items() if _names(row.content, old)}
        if not before:
            continue
        stored = stored_actions(session, plan, list(before))
        versions, after = drafted_versions(session, plan, chain, before, stored), {}
        for code, row in before.items():
            content = _renamed(row.content or {}, old, new)
            is_in_force = code in stored and content == stored[code].content
            after[code] = AmendedRow(content, [] if is_in_force else row.reasons, versions[code], author.at)
        upsert(
            session,
            table_of(AmendmentActionRow),
            [
                {
                    "plan_id": plan.id,
                    "code": code,
                    "content": row.content,
                    "reasons": row.reasons,
                    "version": row.version,
                    "updated_at": author.at.isoformat(),
                }
                for code, row in after.items()
            ],
            key=["plan_id", "code"],
        )
        entries = [drafted_entry(plan, code, before[code], row) for code, row in after.items()]
        record(session, chain, author, entries)


def _renamed(content: dict[str, Any], old: str, new: str) -> dict[str, object]:
    """Return a line's content with one agency in the place of another, as `move_lines` leaves the line in force.

    An agency does not support what it leads, and supports a line once: in the place that it has already.
    """
    lead = new if content["lead_agency"] == old else content["lead_agency"]
    supporting = list(content["supporting_agencies"])
    if old in supporting and new in supporting:
        supporting.remove(old)
    supporting = [new if one == old else one for one in supporting]
    return {
        **content,
        "lead_agency": lead,
        "supporting_agencies": [one for one in supporting if one != lead],
    }


REFERRERS = [Referrer("lines drafted for it", _count_drafted)]
