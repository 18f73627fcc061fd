"""Commands of explanations of overlaps."""

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.access.write import Write
from app.kit.database.journal import Entry, hold, next_version, record
from app.kit.database.upsert import upsert
from app.kit.problems import NotFound, PreconditionFailed, Problem, Text
from app.plans.core.models import Plan
from app.plans.core.queries import read_again
from app.plans.core.rules import check_reportable, plan_chain
from app.plans.overlaps.models import ExplanationIn
from app.plans.overlaps.queries import Explanation, contents_of, explanations, explanations_of
from app.plans.overlaps.rules import Line, Pair, coincidence


class NoOverlap(Problem):
    status = 409
    code = "no_overlap"
    title = Text("Tidak tumpang tindih", "No overlap")
    detail = Text(
        "{first} dan {second} tidak tumpang tindih (lagi): tidak ada yang perlu dijelaskan.",
        "{first} and {second} do not overlap (any more): there is nothing to explain.",
    )


def put_explanation(write: Write, plan: Plan, pair: Pair, content: ExplanationIn) -> bool:
    """Explain an overlap, or replace its explanation. Return True if it had none.

    Raises NotFound if one of the lines does not exist, NoOverlap (409) if nothing of them coincides.
    """
    session, author, actor = write.session, write.author, write.actor
    actor.require("write_actions", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    plan = _open_plan(session, plan)
    lines = contents_of(session, plan, pair)
    if len(lines) < 2:
        raise NotFound()
    _require_either(actor, plan, lines)
    stored = explanations_of(session, plan, pair).get(pair)
    write.precondition.check(stored.version if stored else None)
    coincides = coincidence(lines[pair.first], lines[pair.second])
    if coincides is None:
        raise NoOverlap(first=pair.first, second=pair.second)
    after = {**content.model_dump(mode="json"), "explained": coincides}
    before = _content(stored) if stored else None
    if before == after:
        return False
    version = next_version(session, _address(plan, pair), stored.version if stored else None)
    row = {
        **after,
        "plan_id": plan.id,
        "first_action": pair.first,
        "second_action": pair.second,
        "version": version,
        "explained_at": author.at.isoformat(),
        "explained_by": author.actor,
    }
    key = ["plan_id", "first_action", "second_action"]
    if not upsert(session, explanations, [row], key=key, versioned=True, returning=["version"]):
        raise PreconditionFailed()
    record(session, chain, author, [_entry(plan, pair, version, before, after)])
    return stored is None


def delete_explanation(write: Write, plan: Plan, pair: Pair) -> None:
    """Delete an explanation: the overlap is open again. Raises NotFound if there is none."""
    session, author, actor = write.session, write.author, write.actor
    actor.require("write_actions", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    plan = _open_plan(session, plan)
    stored = explanations_of(session, plan, pair).get(pair)
    if stored is None:
        raise NotFound()
    _require_either(actor, plan, contents_of(session, plan, pair))
    write.precondition.check(stored.version)
    session.execute(
        sa.delete(explanations).where(
            explanations.c.plan_id == plan.id,
            explanations.c.first_action == pair.first,
            explanations.c.second_action == pair.second,
        )
    )
    record(session, chain, author, [_entry(plan, pair, stored.version + 1, _content(stored), None)])


def _open_plan(session: Session, plan: Plan) -> Plan:
    """Return the plan as it is under its held chain. Raises PlanClosed if it is closed."""
    now = read_again(session, plan)
    check_reportable(now.code, now.state)
    return now


def _require_either(actor: Actor, plan: Plan, lines: dict[str, Line]) -> None:
    """Raise Forbidden for an operator who leads neither of the lines."""
    agencies = sorted({line["lead_agency"] for line in lines.values()})
    actor.require("write_actions", plan.region_code, *(agencies or [""]))


def _content(stored: Explanation) -> dict[str, object]:
    return {"verdict": str(stored.verdict), "text": stored.text, "explained": stored.explained}


def _address(plan: Plan, pair: Pair) -> str:
    return f"plans/{plan.code}/overlaps/{pair}/explanation"


def _entry(
    plan: Plan,
    pair: Pair,
    version: int,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
) -> Entry:
    return Entry.of(
        "explanation",
        plan.region_code,
        _address(plan, pair),
        version,
        before,
        after,
        is_draft=plan.revision is None,
    )
