"""Commands of explanations of overlaps."""

from app.access.commands import Write
from app.access.rules import Actor
from app.kit.database.journal import Chain, lock_chain
from app.kit.database.resources import StoredRow
from app.kit.problems import NotFound, Problem, require_found
from app.kit.wording import Text
from app.plans.actions.queries import read_contents
from app.plans.actions.rules import ActionContent
from app.plans.core.models import Plan
from app.plans.core.queries import read_again
from app.plans.core.rules import check_reportable, format_plan_chain
from app.plans.overlaps.models import ExplanationIn
from app.plans.overlaps.queries import Explanation, build_explanation_resource, read_explanations
from app.plans.overlaps.rules import LinePair, find_coincidence


class NoOverlap(Problem):
    status = 409
    code = "no_overlap"
    title = Text("Tidak tumpang tindih", "No overlap")
    detail = Text(
        "“{first}” dan “{second}” tidak tumpang tindih. Tidak ada yang perlu dijelaskan.",
        "“{first}” and “{second}” do not overlap. There is nothing to explain.",
    )


def put_explanation(write: Write, plan: Plan, pair: LinePair, content: ExplanationIn) -> bool:
    """Explain an overlap, or replace its explanation. Return True if it had none.

    Raises NotFound if one of the lines does not exist, NoOverlap if the lines do not overlap.
    """
    plan, chain = _hold_plan(write, plan)
    lines = read_contents(write.session, plan, pair)
    if len(lines) < 2:
        raise NotFound()
    _require_either(write.actor, plan, lines)
    stored = read_explanations(write.session, plan, pair).get(pair)
    write.precondition.check(stored.version if stored else None)
    coincides = find_coincidence(lines[pair.first], lines[pair.second], plan.year)
    if coincides is None:
        raise NoOverlap(first=pair.first, second=pair.second)
    key = (plan.id, *pair)
    drafts = {key: {**content.model_dump(mode="json"), "explained": coincides}}
    known = {key: _build_stored(stored)} if stored else {}
    build_explanation_resource(plan).put(write.session, write.author, chain, drafts, known)
    return stored is None


def delete_explanation(write: Write, plan: Plan, pair: LinePair) -> None:
    """Delete an explanation, which opens the overlap again. Raises NotFound without an explanation."""
    plan, chain = _hold_plan(write, plan)
    stored = require_found(read_explanations(write.session, plan, pair).get(pair))
    _require_either(write.actor, plan, read_contents(write.session, plan, pair))
    write.precondition.check(stored.version)
    build_explanation_resource(plan).delete(
        write.session, write.author, chain, (plan.id, *pair), _build_stored(stored)
    )


def _hold_plan(write: Write, plan: Plan) -> tuple[Plan, Chain]:
    """Lock the plan's chain. Return the plan under the lock, and the chain. Raises PlanClosed if it is closed."""
    write.actor.require("write_actions", plan.region_code)
    chain = lock_chain(write.session, format_plan_chain(plan.code))
    plan_now = read_again(write.session, plan)
    check_reportable(plan_now.code, plan_now.state)
    return plan_now, chain


def _require_either(actor: Actor, plan: Plan, lines: dict[str, ActionContent]) -> None:
    """Raise Forbidden unless the actor may write lines of an agency that leads one of these."""
    agencies = sorted({line["lead_agency"] for line in lines.values()})
    actor.require("write_actions", plan.region_code, *(agencies or [""]))


def _build_stored(stored: Explanation) -> StoredRow:
    content = {"verdict": str(stored.verdict), "text": stored.text, "explained": stored.explained}
    return StoredRow(content, stored.version)
