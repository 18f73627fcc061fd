"""Routes of a plan's overlaps and their explanations."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.agencies.rules import format_region_chain
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer_no_content, answer_page, answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.kit.problems import require_found
from app.plans.actions.queries import read_contents
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import find_plan
from app.plans.core.rules import format_plan_chain, is_reportable
from app.plans.overlaps import commands, queries
from app.plans.overlaps.models import ExplanationIn, ExplanationReply, OverlapOut, OverlapQuery, PairKey
from app.plans.overlaps.rules import LinePair, find_coincidence, parse_pair
from app.plans.tags import make_early_tag, make_plan_tag

router = make_router(tags=["plans"])

_EXPLANATION = "/plans/{plan}/overlaps/{pair}/explanation"


def _tag_in(call: RequestContext, plan: Plan) -> str:
    """Return the ETag of a list that depends on the plan and the names of its region's agencies."""
    return make_plan_tag(call, plan, format_region_chain(plan.region_code))


@router.get("/plans/{plan}/overlaps", response_model=Page[OverlapOut])
@revalidate_by(make_early_tag(_tag_in))
def list_overlaps(call: Caller, plan: PlanKey, query: FromQuery[OverlapQuery]) -> Response:
    """List overlaps (`W07`): lines of two agencies with a common benefit, recipients, place and months.

    A place inside another counts as common. A missing field excludes nothing: without months a line takes the whole
    year, without deciles all of them. Money in whole rupiah.
    """
    row = find_plan(call.session, call.actor, plan)
    tag = _tag_in(call, row)
    listing = queries.list_overlaps(call.session, row, query)
    page = read_page(call.session, call.request, listing, query, sort=query.sort)
    return answer_page(call.request, queries.add_contents(call.session, row, page), tag=tag)


@router.get(_EXPLANATION, response_model=ExplanationReply)
def read_explanation(call: Caller, plan: PlanKey, pair: PairKey) -> Response:
    """Return the explanation of an overlap, with its common fields then; also after the overlap has gone."""
    return _reply(call, find_plan(call.session, call.actor, plan), _require_pair(pair))


@router.put(_EXPLANATION, response_model=ExplanationReply, responses=declare_created(ExplanationReply))
def put_explanation(call: Caller, plan: PlanKey, pair: PairKey, content: ExplanationIn) -> Response:
    """Explain an overlap; its warning is no longer open. For the secretariat and the two agencies.

    If the common agencies, forms, recipients, places or months change later, the explanation is stale and the warning
    open again; a second PUT confirms it. Possible until the close of the plan, since no line changes. 409 if the lines
    do not overlap.
    """
    row = find_plan(call.session, call.actor, plan)
    is_new = commands.put_explanation(call.write, row, _require_pair(pair), content)
    return _reply(call, row, _require_pair(pair), status=201 if is_new else 200)


@router.delete(_EXPLANATION, status_code=204)
def delete_explanation(call: Caller, plan: PlanKey, pair: PairKey) -> Response:
    """Delete an explanation; the warning opens again. The history keeps the explanation."""
    row = find_plan(call.session, call.actor, plan)
    commands.delete_explanation(call.write, row, _require_pair(pair))
    return answer_no_content()


@router.get(f"{_EXPLANATION}/history", response_model=Page[HistoryEntry])
def list_explanation_history(call: Caller, plan: PlanKey, pair: PairKey, query: History) -> Response:
    """List every write to an explanation: author, instant, old and new values; also after its deletion."""
    subject = f"plans/{plan}/overlaps/{_require_pair(pair)}/explanation"
    return answer_history(call, format_plan_chain(plan), subject, query)


def _require_pair(text: str) -> LinePair:
    return require_found(parse_pair(text))


def _reply(call: RequestContext, plan: Plan, pair: LinePair, *, status: int = 200) -> Response:
    explanation = require_found(queries.read_explanations(call.session, plan, pair).get(pair))
    lines = read_contents(call.session, plan, pair)
    coincides = (
        find_coincidence(lines[pair.first], lines[pair.second], plan.year) if len(lines) == 2 else None
    )
    is_allowed = is_reportable(plan.state) and queries.may_explain(call.actor, plan, lines)
    allowed = ["edit", "delete"] if coincides else ["delete"]
    text = dump_json(
        {**queries.dump_explanation(explanation, coincides), "plan": plan.code, "pair": str(pair)}
    )
    address, verbs = f"plans/{plan.code}/overlaps/{pair}/explanation", allowed if is_allowed else []
    return answer_resource(call.request, text, explanation.version, address, status=status, allowed=verbs)
