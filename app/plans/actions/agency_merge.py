"""What becomes of a plan's lines when an agency is merged into another; agencies must not know plans."""

import json
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.write import Write
from app.agencies.queries import Referrer, count_by
from app.kit.database.engine import table_of
from app.kit.database.journal import Entry, hold, record
from app.kit.database.json_sql import json_texts
from app.plans.actions.models import ActionIn, SupportingAgencyRow
from app.plans.actions.queries import action_columns, actions
from app.plans.actions.rules import action_subject
from app.plans.core.queries import plans_in, read_again
from app.plans.core.rules import plan_chain

_supporting = table_of(SupportingAgencyRow)


def move_lines(write: Write, region: str, old: str, new: str) -> None:
    """Point every line of a region that an agency leads or supports at another, plan by plan.

    Every plan's chain is held first: whoever writes lines meanwhile is done before, or waits.
    """
    session, author = write.session, write.author
    for plan in plans_in(session, region):
        chain = hold(session, plan_chain(plan.code))
        revision = read_again(session, plan).revision
        before = _lines_of(session, plan.id, region, old)
        ids = [id for id, _, _ in before]
        if not ids:
            continue
        session.execute(
            sa.update(actions)
            .where(actions.c.id.in_(ids), actions.c.lead_agency == old)
            .values(lead_agency=new)
        )
        _move_support(session, ids, old, new)
        session.execute(
            sa.update(actions)
            .where(actions.c.id.in_(ids))
            .values(version=actions.c.version + 1, updated_at=author.at)
        )
        after = {id: content for id, content, _ in _lines(session, ids)}
        entries = [
            Entry(
                "action.changed",
                region,
                action_subject(plan.code, code),
                content["version"] + 1,
                _content(content),
                _content(after[id]),
                f"merge {old} → {new}",
                is_draft=revision is None,
            )
            for id, content, code in before
        ]
        record(session, chain, author, entries)


def _content(line: dict[str, object]) -> dict[str, object]:
    return {name: line[name] for name in ActionIn.model_fields}


def _lines_of(
    session: Session, plan_id: int, region: str, agency: str
) -> list[tuple[int, dict[str, Any], str]]:
    supports = sa.select(_supporting.c.action_id).where(
        _supporting.c.region_code == region, _supporting.c.agency_code == agency
    )
    chosen = sa.select(actions.c.id).where(
        actions.c.plan_id == plan_id, sa.or_(actions.c.lead_agency == agency, actions.c.id.in_(supports))
    )
    return _lines(session, list(session.scalars(chosen)))


def _lines(session: Session, ids: list[int]) -> list[tuple[int, dict[str, Any], str]]:
    query = (
        sa.select(*action_columns(), actions.c.id.label("_id"))
        .where(actions.c.id.in_(ids))
        .order_by(actions.c.code)
    )
    return [
        (id, json.loads(text), code) for text, id, code in session.execute(json_texts(query, "_id", "code"))
    ]


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
