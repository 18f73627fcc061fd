"""Routes of progress and summaries."""

from typing import Literal

from fastapi import Response
from pydantic import BaseModel, SkipValidation
from pydantic import Field as ShapeField

from app.access.actor import Caller, RequestContext
from app.agencies.rules import format_region_chain
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.batch import BatchQuery, BatchWrite, list_errors, read_items
from app.kit.fields import Batch, RegionCode, show_example
from app.kit.http.etags import answer_unchanged, is_unchanged
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_page,
    answer_resource,
    choose_language,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.kit.http.validation import narrow
from app.kit.merge_patch import Patch
from app.kit.periods import PeriodText, parse_period
from app.kit.problems import NotFound, require_found
from app.plans.actions.models import ActionKey
from app.plans.actions.queries import find_action_id
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import find_plan
from app.plans.core.rules import format_plan_chain, is_reportable
from app.plans.findings.models import BatchResult, build_batch_result
from app.plans.tags import make_plan_tag, plan_tag
from app.reference.rules import CHAIN as REFERENCE_CHAIN
from app.tracking.progress import queries
from app.tracking.progress.models import (
    PROGRESS_EXAMPLE,
    ProgressIn,
    ProgressItem,
    ProgressOut,
    ProgressReply,
    QuarterKey,
)
from app.tracking.progress.queries import ActionReportsQuery, ProgressQuery
from app.tracking.progress.rules import check_period, format_progress_subject
from app.tracking.quarters.queries import read_status
from app.tracking.reporting import commands
from app.tracking.reporting.commands import ReportDraft, ReportingResult
from app.tracking.summaries.models import RegionSummary, Summary
from app.tracking.summaries.queries import summarize_plan, summarize_region

router = make_router(tags=["tracking"])

_PROGRESS = "/plans/{plan}/actions/{action}/progress/{period}"


class Basis(BaseModel):
    """Basis of the figures in the request body."""

    basis: Literal["cumulative", "period"] = ShapeField(
        default="cumulative",
        description="`period`: money, outputs and recipients cover the quarter alone; the service adds the latest "
        "earlier report of the year to them. Milestones and percentages are states either way.",
    )


class ProgressBatchQuery(BatchQuery, Basis): ...


class ProgressBatch(Batch):
    """Reports on up to 1,000 actions."""

    items: list[SkipValidation[ProgressItem]] = ShapeField(min_length=1, max_length=1000)

    model_config = show_example(items=[{"action": "A-001", **PROGRESS_EXAMPLE}])


class SummaryQuery(BaseModel):
    period: PeriodText


class RegionSummaryQuery(SummaryQuery):
    region: RegionCode


@router.get("/plans/{plan}/progress/{period}", response_model=Page[ProgressOut])
@revalidate_by(plan_tag)
def list_quarter_progress(
    call: Caller, plan: PlanKey, period: QuarterKey, query: FromQuery[ProgressQuery]
) -> Response:
    """List the reports of a quarter by action. Money in whole rupiah, every figure cumulative from January."""
    row = find_plan(call.session, call.actor, plan)
    check_period(row.year, period)
    body = read_page(call.session, call.request, queries.list_progress(row, period), query, sort=query.sort)
    return answer_page(call.request, body, tag=make_plan_tag(call, row))


@router.put("/plans/{plan}/progress/{period}", response_model=BatchResult)
def put_quarter_progress(
    call: Caller,
    plan: PlanKey,
    period: QuarterKey,
    query: FromQuery[ProgressBatchQuery],
    batch: ProgressBatch,
) -> Response:
    """Report a quarter on up to 1,000 actions in one call: all of them or none.

    With `each=true` the service writes the valid items and refuses the others with their errors. If one of the
    reports exists, send `If-Match` with the quarter's tag or `*`.
    """
    row = find_plan(call.session, call.actor, plan)
    call.actor.require("report_progress", row.region_code)
    items, refused = read_items(ProgressItem, batch.items, key="action")
    reports = [ReportDraft(item.action, narrow(item, ProgressIn), pointer=f"/items/{n}") for n, item in items]
    written = BatchWrite(reports, each=query.each, errors_before=list_errors(refused))
    done = commands.report_progress(
        call.write_of_list, row, period, written, is_period_only=query.basis == "period"
    )
    result = build_batch_result(done.outcomes, refused, done.findings, language=choose_language(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get("/plans/{plan}/actions/{action}/progress", response_model=Page[ProgressOut])
def list_action_progress(
    call: Caller, plan: PlanKey, action: ActionKey, query: FromQuery[ActionReportsQuery]
) -> Response:
    """List the reports on an action by quarter."""
    id = find_action_id(call.session, find_plan(call.session, call.actor, plan), action)
    return call.answer_list(queries.list_action_reports(id), query, sort=query.sort)


@router.get(_PROGRESS, response_model=ProgressReply)
def read_progress(call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey) -> Response:
    """Return a report with the findings on its figures."""
    return _answer_report(call, find_plan(call.session, call.actor, plan), action, period)


@router.put(_PROGRESS, response_model=ProgressReply, responses=declare_created(ProgressReply))
def put_progress(
    call: Caller,
    plan: PlanKey,
    action: ActionKey,
    period: QuarterKey,
    query: FromQuery[Basis],
    content: ProgressIn,
) -> Response:
    """Report a quarter on an action: spending by funding source and component class, outputs, recipients reached,
    milestones, obstacle, follow-up and evidence.

    Whole rupiah, cumulative from January. The service stores a figure that falls or exceeds the allocation, with a
    finding.
    """
    row = find_plan(call.session, call.actor, plan)
    written = BatchWrite([ReportDraft(action, content)])
    done = commands.report_progress(call.write, row, period, written, is_period_only=query.basis == "period")
    is_new = done.outcomes[0].status == "created"
    return _answer_report(call, row, action, period, done=done, status=201 if is_new else 200)


@router.patch(_PROGRESS, response_model=ProgressReply)
def patch_progress(
    call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey, patch: Patch
) -> Response:
    """Change some fields of a report (JSON Merge Patch); figures are cumulative."""
    row = find_plan(call.session, call.actor, plan)
    done = commands.patch_progress(call.write, row, action, period, patch)
    return _answer_report(call, row, action, period, done=done)


@router.delete(_PROGRESS, status_code=204)
def delete_progress(call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey) -> Response:
    """Delete a report; the action then shows the figures of its latest remaining report."""
    row = find_plan(call.session, call.actor, plan)
    check_period(row.year, period)
    commands.delete_progress(call.write, row, action, period)
    return answer_no_content()


@router.get(f"{_PROGRESS}/history", response_model=Page[HistoryEntry])
def list_progress_history(
    call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey, query: History
) -> Response:
    """List every write to a report, from the first figures to each correction, even after its deletion."""
    return answer_history(call, format_plan_chain(plan), format_progress_subject(plan, action, period), query)


def _answer_report(
    call: RequestContext,
    plan: Plan,
    action: str,
    period: str,
    *,
    done: ReportingResult | None = None,
    status: int = 200,
) -> Response:
    check_period(plan.year, period)
    quarter = read_status(call.session, plan, period, call.now)
    lines = done.lines if done else queries.read_lines(call.session, plan, [action], quarter.copy_id)
    # A report that the quarter does not expect stays readable, so that an agency can delete it.
    lines = lines or queries.read_lines(call.session, plan, [action], None)
    line = require_found(lines.get(action))
    report = queries.read_progress(call.session, line.id, period)
    language = choose_language(call.request)
    findings = done.findings[action] if done else queries.check_stored_report(call.session, line, period)
    is_allowed = is_reportable(plan.state, is_corrected=quarter.is_corrected) and call.actor.may(
        "report_progress", plan.region_code, line.lead_agency
    )
    if is_allowed and not done:
        compiles = call.actor.may("return_part", plan.region_code)
        is_allowed = quarter.find_closing_reason(quarter.choose_part(line), compiles=compiles) is None
    return answer_resource(
        call.request,
        report.json,
        report.version,
        format_progress_subject(plan.code, action, period),
        status=status,
        findings=[finding.render(language) for finding in findings],
        allowed=["edit", "delete"] if is_allowed else [],
    )


@router.get("/plans/{plan}/summary", response_model=Summary)
def read_summary(call: Caller, plan: PlanKey, query: FromQuery[SummaryQuery]) -> Response:
    """Return the summary of a plan at a period: in all, and by strategy, agency, funding source and component class.

    The last quarter of a semester or year decides.
    """
    row = find_plan(call.session, call.actor, plan)
    period = parse_period(query.period)
    check_period(row.year, period.last_quarter)
    tag = make_plan_tag(call, row, format_region_chain(row.region_code), REFERENCE_CHAIN)
    if is_unchanged(call.request, tag):
        return answer_unchanged(tag)
    return answer(call.request, summarize_plan(call.session, row, period).model_dump_json().encode(), tag=tag)


@router.get("/summaries", response_model=RegionSummary, openapi_extra={"x-problems": [404]})
def read_region_summary(call: Caller, query: FromQuery[RegionSummaryQuery]) -> Response:
    """Return the summary of the plans of a region and everything below it at a period: pooled, and by plan."""
    period = parse_period(query.period)
    summary = summarize_region(call.session, call.actor, query.region, period)
    if not summary.by_plan:
        raise NotFound()
    return answer(call.request, summary.model_dump_json().encode())
