"""Routes of a plan's findings and of the kinds of findings."""

from collections import Counter
from functools import cache
from typing import Annotated

from fastapi import Request, Response

from app.access.actor import Caller, RequestContext
from app.agencies.rules import format_region_chain
from app.kit.fields import describe_key
from app.kit.http.constants import CONSTANT, Constant
from app.kit.http.replies import answer, choose_language
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.kit.http.validation import find_nearest, unknown_value
from app.kit.problems import BadRequest, FieldError, require_found
from app.kit.wording import Language
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import find_plan
from app.plans.findings.kinds import W07, FindingKind, list_kinds
from app.plans.findings.models import (
    FindingCount,
    FindingMeaning,
    FindingMeanings,
    FindingsQuery,
    PlanFindings,
    describe_kind,
    dump_placed,
)
from app.plans.findings.queries import CheckedPlan, check_plan
from app.plans.findings.rules import PlacedFinding
from app.plans.findings.thresholds import EDITIONS, choose_thresholds
from app.plans.tags import make_early_tag, make_plan_tag
from app.reference.rules import CHAIN as REFERENCE_CHAIN

router = make_router(tags=["plans"])
documents = make_router(root="", tags=["service"])


def _tag_in(call: RequestContext, plan: Plan) -> str:
    """Return the ETag of findings: they depend on the plan, the reference data and the names of agencies."""
    chains = format_region_chain(plan.region_code), REFERENCE_CHAIN
    return make_plan_tag(call, plan, *chains, language=choose_language(call.request))


@router.get("/plans/{plan}/findings", response_model=PlanFindings)
@revalidate_by(make_early_tag(_tag_in))
def read_plan_findings(call: Caller, plan: PlanKey, query: FromQuery[FindingsQuery]) -> Response:
    """Check a plan, its lines and their reports. Return the errors and warnings, in Indonesian or English.

    An error of a line blocks the submission of the plan, an error of a report that of its quarter. `counts` cover the
    whole plan, without regard to filters. An overlap (`W07`) appears at the first of its two lines; `items` has the
    first hundred open overlaps, the list of overlaps has all.
    """
    row = find_plan(call.session, call.actor, plan)
    _check_codes(query.code)
    tag = _tag_in(call, row)
    body = _build_reply(row, check_plan(call.session, row), query, choose_language(call.request))
    return answer(call.request, body.model_dump_json(exclude_none=True).encode(), tag=tag)


def _check_codes(codes: list[str]) -> None:
    known = [kind.code for kind in list_kinds()]
    errors = [
        FieldError(
            unknown_value, parameter="code", value=code, allowed=known, nearest=find_nearest(code, known)
        )
        for code in codes
        if code not in known
    ]
    if errors:
        raise BadRequest(errors=errors)


def _build_reply(plan: Plan, checked: CheckedPlan, query: FindingsQuery, language: Language) -> PlanFindings:
    unexplained = Counter(placed.finding.code for placed in checked.found)
    if checked.left_out:
        unexplained[W07.code] += checked.left_out
    explained = {W07.code: checked.explained}
    counts = [
        FindingCount(
            code=kind.code,
            severity=kind.severity,
            title=kind.title.render(language, {}),
            open=unexplained[kind.code],
            explained=explained.get(kind.code, 0),
        )
        for kind in list_kinds()
        if unexplained[kind.code] or explained.get(kind.code)
    ]
    return PlanFindings(
        plan=plan.code,
        edition=choose_thresholds(plan.year).edition,
        lines=len(checked.lines),
        errors=sum(count.open for count in counts if count.severity == "error"),
        warnings=sum(count.open for count in counts if count.severity == "warning"),
        counts=counts,
        left_out=checked.left_out,
        items=[
            dump_placed(placed, language) for placed in checked.found if _is_chosen(placed, query, checked)
        ],
    )


def _is_chosen(placed: PlacedFinding, query: FindingsQuery, checked: CheckedPlan) -> bool:
    finding = placed.finding
    lines = {placed.action, finding.values.get("second")} if finding.kind is W07 else {placed.action}
    agencies = {checked.lines[line]["lead_agency"] for line in checked.lines.keys() & lines}
    return (
        (query.severity is None or finding.severity == query.severity)
        and (not query.code or finding.code in query.code)
        and (query.action is None or query.action in lines)
        and (query.agency is None or query.agency in agencies)
    )


# Documents


@cache
def _make_list() -> Constant:
    body = FindingMeanings(items=[describe_kind(kind) for kind in list_kinds()], editions=[*EDITIONS])
    return Constant(body.model_dump_json().encode(), "application/json")


@cache
def _make_meaning(code: str) -> Constant:
    """Return the document of a kind. Raises NotFound, which `cache` does not store."""
    kind = require_found(FindingKind.known.get(code))
    return Constant(describe_kind(kind).model_dump_json().encode(), "application/json")


@documents.get("/findings", response_model=FindingMeanings, openapi_extra=CONSTANT)
def list_finding_kinds(request: Request) -> Response:
    """List every kind of finding in both languages: sentences, advice, source and thresholds of the rule."""
    return _make_list().answer(request)


@documents.get("/findings/{code}", response_model=FindingMeaning, openapi_extra=CONSTANT)
def read_finding_kind(
    request: Request, code: Annotated[str, describe_key("Code of a finding.", "W07")]
) -> Response:
    """Return a kind of finding in both languages; `type` of each finding is this address."""
    return _make_meaning(code).answer(request)
