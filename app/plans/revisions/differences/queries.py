"""Queries of the two sides of a comparison: frozen revisions, or a revision and the draft."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlmodel import Session

from app.kit.http.validation import unknown_value
from app.kit.problems import BadRequest, FieldError
from app.plans.core.models import Plan, ReasonContent
from app.plans.revisions.differences.rules import (
    NOTHING,
    Content,
    PlanEdition,
    RevisionReasonContent,
    compare_contents,
    compare_editions,
    compare_sums,
    fill_defaults,
    select_relevant_reasons,
)
from app.plans.revisions.queries import revisions


class DifferencesQuery(BaseModel):
    """The revision to compare with."""

    since: int | None = Field(
        default=None,
        alias="from",
        ge=0,
        le=1_000_000,
        description="Number of the revision to compare with; without it, the previous one. Revision 0 has none.",
    )


class RevisionHead(NamedTuple):
    """A revision without its content."""

    number: int
    sha256: str
    instrument_date: date
    adopted_at: datetime

    @property
    def shown(self) -> Content:
        return {
            "revision": self.number,
            "sha256": self.sha256,
            "instrument_date": self.instrument_date,
            "adopted_at": self.adopted_at,
        }


def read_revision_heads(session: Session, plan: Plan) -> dict[int, RevisionHead]:
    """Return every revision of a plan, by number, without contents."""
    c = revisions.c
    columns = [c[name] for name in RevisionHead._fields]
    rows = session.execute(sa.select(*columns).where(c.plan_id == plan.id))
    return {row.number: RevisionHead(*row) for row in rows}


def choose_sides(
    known: dict[int, RevisionHead], number: int, since: int | None
) -> tuple[RevisionHead | None, RevisionHead]:
    """Return (before, after) of a comparison. Raises BadRequest if no revision has the number `since`."""
    if since is None:
        return known.get(number - 1), known[number]
    if since not in known:
        error = FieldError(unknown_value, parameter="from", value=since, allowed=sorted(known))
        raise BadRequest(errors=[error])
    return known[since], known[number]


class ParsedRevision(NamedTuple):
    """The content of a revision."""

    edition: PlanEdition
    reasons: dict[str | None, list[ReasonContent]]
    """By code of the line; None for the plan's own fields."""


def parse_revision(content: str) -> ParsedRevision:
    """Parse the canonical JSON of a revision; fields younger than the revision get their defaults."""
    document = json.loads(content)
    lines = {action["code"]: fill_defaults("action", action) for action in document["actions"]}
    reasons: dict[str | None, list[ReasonContent]] = {}
    for reason in document.get("reasons", []):
        reasons.setdefault(reason.pop("action"), []).append(reason)
    return ParsedRevision(PlanEdition(fill_defaults("plan", document), lines), reasons)


def compute_revision_differences(
    session: Session, plan: Plan, before: RevisionHead | None, after: RevisionHead
) -> Content:
    """Return the differences of two revisions (`Differences`), with the reasons of each revision between them."""
    c = revisions.c
    first, last = sorted((before.number if before else -1, after.number))
    rows = session.execute(
        sa.select(c.number, c.content)
        .where(c.plan_id == plan.id, c.number.between(first, last))
        .order_by(c.number)
    )
    contents = {number: parse_revision(content) for number, content in rows}
    reasons: dict[str | None, list[RevisionReasonContent]] = {}
    for number, frozen in contents.items():
        for action, of_line in frozen.reasons.items() if number > first else ():
            reasons.setdefault(action, []).extend({**reason, "revision": number} for reason in of_line)
    return build_differences(
        plan.code,
        contents[before.number].edition if before else NOTHING,
        contents[after.number].edition,
        reasons,
        before.shown if before else None,
        after.shown,
    )


def build_differences(
    plan: str,
    before: PlanEdition,
    after: PlanEdition,
    reasons: Mapping[str | None, Sequence[RevisionReasonContent]],
    side: Content | None,
    other: Content,
) -> Content:
    """Return the differences of two editions (`Differences`); `reasons` by code of the line, None for the plan."""
    own = compare_contents(before.plan, after.plan) if before.plan else []
    return {
        "plan": plan,
        "before": side,
        "after": other,
        "sums": compare_sums(before, after),
        "changes": [change._asdict() for change in own],
        "reasons": select_relevant_reasons(own, reasons.get(None, ())),
        "actions": [
            {
                "code": line.code,
                "title": line.content["title"],
                "change": line.change,
                "changes": [change._asdict() for change in line.changes],
                "reasons": select_relevant_reasons(line.changes, reasons.get(line.code, ())),
            }
            for line in compare_editions(before, after)
        ],
    }
