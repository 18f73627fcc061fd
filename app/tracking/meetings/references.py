"""What meetings and commitments refer to must exist: agencies, a meeting, lines of plans."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import within
from app.access.rules import Actor
from app.agencies.models import AgencyState
from app.agencies.queries import agencies_by_code, agency_labels
from app.kit.http.validation import nearest, unknown_reference
from app.kit.problems import FieldError
from app.plans.actions.queries import actions
from app.plans.actions.references import retired_agency
from app.plans.core.queries import plans, seen, unknown
from app.tracking.meetings.queries import meetings


def check_agencies(
    session: Session, region: str, named: Sequence[tuple[str, str]], kept: Collection[str]
) -> list[FieldError]:
    """Errors of (pointer, code) pairs that are no active agencies of the region.

    Those in `kept` were named before: what an agency attended or promised stays true once it is retired.
    """
    known = agencies_by_code(session, region, {code for _, code in named})
    labels: dict[str, str] | None = None
    errors = []
    for pointer, code in named:
        found = known.get(code)
        if found is None:
            if labels is None:
                labels = agency_labels(session, region, state=AgencyState.active)
            errors.append(unknown(pointer, code, labels, f"regions/{region}/agencies"))
        elif found.state != AgencyState.active and code not in kept:
            successor = (found.merged_into,) if found.merged_into else ()
            errors.append(FieldError(retired_agency, pointer=pointer, value=code, nearest=successor))
    return errors


def check_meeting(session: Session, region: str, code: str | None) -> list[FieldError]:
    """The error of a meeting that the region has not."""
    if code is None:
        return []
    found = sa.select(meetings.c.code).where(meetings.c.region_code == region).order_by(meetings.c.code)
    if session.scalar(found.where(meetings.c.code == code)) is not None:
        return []
    return [_unknown("/meeting", code, list(session.scalars(found)), f"regions/{region}/meetings")]


def check_links(
    session: Session,
    actor: Actor,
    region: str,
    linked: Sequence[dict[str, str]],
    kept: Sequence[dict[str, str]],
) -> tuple[list[int], list[FieldError]]:
    """(ids of the linked lines, errors of those that are none of the region's or that the actor does not see).

    What was linked before may stay: who changes a word need not see what another linked.
    """
    ids, errors = _line_ids(session, actor, region, linked, kept), []
    for n, link in enumerate(linked):
        if _key(link) not in ids:
            of_plan = _reachable(actor, region).where(plans.c.code == link["plan"]).order_by(actions.c.code)
            near = [row.action for row in session.execute(of_plan)]
            source = f"plans/{link['plan']}/actions ({region})"
            errors.append(_unknown(f"/linked_actions/{n}/action", link["action"], near, source))
    return list(ids.values()), errors


def _line_ids(
    session: Session,
    actor: Actor,
    region: str,
    linked: Sequence[dict[str, str]],
    kept: Sequence[dict[str, str]],
) -> dict[tuple[str, str], int]:
    """(plan, action) → id, in the order in which they are linked; one SELECT."""
    if not linked:
        return {}
    pair = sa.tuple_(plans.c.code, actions.c.code)
    before = [_key(link) for link in kept]
    reachable = _is_reachable(actor, region)
    found = _lines().where(
        pair.in_([_key(link) for link in linked]),
        sa.or_(reachable, pair.in_(before)) if before else reachable,
    )
    ids = {(row.plan, row.action): row.id for row in session.execute(found)}
    return {_key(link): ids[_key(link)] for link in linked if _key(link) in ids}


def _lines() -> sa.Select[Any]:
    return sa.select(
        plans.c.code.label("plan"), actions.c.code.label("action"), actions.c.id.label("id")
    ).join_from(actions, plans, plans.c.id == actions.c.plan_id)


def _is_reachable(actor: Actor, region: str) -> sa.ColumnElement[bool]:
    return sa.and_(seen(actor), within(plans.c.region_code, region))


def _reachable(actor: Actor, region: str) -> sa.Select[Any]:
    return _lines().where(_is_reachable(actor, region))


def _key(link: dict[str, str]) -> tuple[str, str]:
    return link["plan"], link["action"]


def _unknown(pointer: str, value: str, known: list[str], source: str) -> FieldError:
    return FieldError(
        unknown_reference,
        pointer=pointer,
        value=value,
        nearest=nearest(value, known),
        values={"source": source},
    )
