"""Routes of progress and summaries."""

from typing import Literal

from fastapi import Response
from pydantic import BaseModel, SkipValidation
from pydantic import Field as ShapeField

from app.access.actor import Call, Caller
from app.agencies.rules import region_chain
from app.changes.history import History, history_page
from app.changes.models import HistoryEntry
from app.kit.batch import BatchQuery, BatchWrite, errors_of, read_items
from app.kit.fields import Batch, RegionCode, show_example
from app.kit.http.etags import is_unchanged, unchanged
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer, answer_page, answer_resource, created, language_of, no_content
from app.kit.http.routing import FromQuery, house_router, revalidated
from app.kit.http.validation import narrow
from app.kit.merge_patch import Patch
from app.kit.periods import PeriodText, period_in
from app.kit.problems import NotFound, require_found
from app.plans.actions.models import ActionKey
from app.plans.actions.queries import action_id_of
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import plan_of
from app.plans.core.rules import is_reportable, plan_chain
from app.plans.findings.models import BatchResult, batch_result
from app.plans.tags import plan_tag, tag_in
from app.reference.commands import CHAIN as REFERENCE_CHAIN
from app.tracking.progress import queries
from app.tracking.progress.models import (
    PROGRESS_EXAMPLE,
    ProgressIn,
    ProgressItem,
    ProgressOut,
    ProgressReply,
    QuarterKey,
)
from app.tracking.progress.queries import ProgressQuery, QuartersQuery
from app.tracking.progress.rules import check_period, progress_subject
from app.tracking.quarters.queries import standing_of
from app.tracking.reporting import commands
from app.tracking.reporting.commands import Report, Reported
from app.tracking.summaries.models import RegionSummary, Summary
from app.tracking.summaries.queries import region_summary, summary_of

router = house_router(tags=["tracking"])

_PROGRESS = "/plans/{plan}/actions/{action}/progress/{period}"


class Basis(BaseModel):
    """Basis of the figures in the request body."""

    basis: Literal["cumulative", "period"] = ShapeField(
        default="cumulative",
        description="`period`: money, outputs and recipients are those of the quarter alone; they are stored added "
        "to the latest earlier report of the year. Milestones and percentages are states either way.",
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
@revalidated(plan_tag)
def list_quarter_progress(
    call: Caller, plan: PlanKey, period: QuarterKey, query: FromQuery[ProgressQuery]
) -> Response:
    """The reports of a quarter, action by action. Money in whole rupiah, every figure cumulative from January."""
    row = plan_of(call.session, call.actor, plan)
    check_period(row.year, period)
    body = read_page(call.session, call.request, queries.list_progress(row, period), query, sort=query.sort)
    return answer_page(call.request, body, tag=tag_in(call, row))


@router.put("/plans/{plan}/progress/{period}", response_model=BatchResult)
def put_quarter_progress(
    call: Caller,
    plan: PlanKey,
    period: QuarterKey,
    query: FromQuery[ProgressBatchQuery],
    batch: ProgressBatch,
) -> Response:
    """Report a quarter on up to 1,000 actions in one call: all of them or none.

    With `each=true` an item with errors is refused with them and the others are written. Where one of
    the reports exists, `If-Match` is required: the quarter's tag or `*`.
    """
    row = plan_of(call.session, call.actor, plan)
    call.actor.require("report_progress", row.region_code)
    items, refused = read_items(ProgressItem, batch.items, key="action")
    reports = [Report(item.action, narrow(item, ProgressIn), pointer=f"/items/{n}") for n, item in items]
    written = BatchWrite(reports, each=query.each, errors_before=errors_of(refused))
    done = commands.report_progress(
        call.write_of_list, row, period, written, is_period_only=query.basis == "period"
    )
    result = batch_result(done.outcomes, refused, done.findings, language=language_of(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get("/plans/{plan}/actions/{action}/progress", response_model=Page[ProgressOut])
def list_action_progress(
    call: Caller, plan: PlanKey, action: ActionKey, query: FromQuery[QuartersQuery]
) -> Response:
    """The reports on one action, quarter by quarter."""
    id = action_id_of(call.session, plan_of(call.session, call.actor, plan), action)
    return call.answer_list(queries.list_quarters(id), query, sort=query.sort)


@router.get(_PROGRESS, response_model=ProgressReply)
def read_progress(call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey) -> Response:
    """One report, with what is to be said of its figures."""
    return _answer_report(call, plan_of(call.session, call.actor, plan), action, period)


@router.put(_PROGRESS, response_model=ProgressReply, responses=created(ProgressReply))
def put_progress(
    call: Caller,
    plan: PlanKey,
    action: ActionKey,
    period: QuarterKey,
    query: FromQuery[Basis],
    content: ProgressIn,
) -> Response:
    """Report a quarter on an action: spending per funding source and component class, outputs,
    recipients reached, milestones, obstacle, follow-up, evidence. Whole rupiah, cumulative from January;
    a figure that falls or passes the allocation is stored and flagged."""
    row = plan_of(call.session, call.actor, plan)
    written = BatchWrite([Report(action, content)])
    done = commands.report_progress(call.write, row, period, written, is_period_only=query.basis == "period")
    is_new = done.outcomes[0].status == "created"
    return _answer_report(call, row, action, period, done=done, status=201 if is_new else 200)


@router.patch(_PROGRESS, response_model=ProgressReply)
def patch_progress(
    call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey, patch: Patch
) -> Response:
    """Change some fields of a report (JSON Merge Patch); figures are cumulative."""
    row = plan_of(call.session, call.actor, plan)
    done = commands.patch_progress(call.write, row, action, period, patch)
    return _answer_report(call, row, action, period, done=done)


@router.delete(_PROGRESS, status_code=204)
def delete_progress(call: Caller, plan: PlanKey, action: ActionKey, period: QuarterKey) -> Response:
    """Take a report back; the latest one before it is then the latest of the action."""
    row = plan_of(call.session, call.actor, plan)
    check_period(row.year, period)
    commands.delete_progress(call.write, row, action, period)
    return no_content()


@router.get(f"{_PROGRESS}/history", response_model=Page[HistoryEntry])
def list_progress_history(
    call: Caller,
    plan: PlanKey,
    action: ActionKey,
    period: QuarterKey,
    query: History,
) -> Response:
    """Every write to a report: what was first reported and each correction.

    Stays after it was taken back.
    """
    return history_page(call, plan_chain(plan), progress_subject(plan, action, period), query)


def _answer_report(
    call: Call,
    plan: Plan,
    action: str,
    period: str,
    *,
    done: Reported | None = None,
    status: int = 200,
) -> Response:
    """Answer with a report; `done` is the result of its write in this request."""
    check_period(plan.year, period)
    lines = done.lines if done else queries.lines_by_code(call.session, plan, [action])
    line = require_found(lines.get(action))
    report = queries.read_progress(call.session, line.id, period)
    language = language_of(call.request)
    findings = done.findings[action] if done else queries.findings_on(call.session, line, period)
    is_allowed = is_reportable(plan.state) and call.actor.may(
        "report_progress", plan.region_code, line.lead_agency
    )
    if is_allowed and not done:
        quarter_status = standing_of(call.session, plan, period, call.now)
        compiles = call.actor.may("return_part", plan.region_code)
        is_allowed = quarter_status.why_closed(line.lead_agency, compiles=compiles) is None
    return answer_resource(
        call.request,
        report.json,
        report.version,
        progress_subject(plan.code, action, period),
        status=status,
        findings=[finding.shown(language) for finding in findings],
        allowed=["edit", "delete"] if is_allowed else [],
    )


@router.get("/plans/{plan}/summary", response_model=Summary)
def read_summary(call: Caller, plan: PlanKey, query: FromQuery[SummaryQuery]) -> Response:
    """A plan at a period: allocated, spent, absorption, physical progress, recipients, milestones due and
    met; in all, by strategy, agency, funding source and component class. Semester and year derive from
    the quarter they end with."""
    row = plan_of(call.session, call.actor, plan)
    period = period_in(query.period)
    check_period(row.year, period.last_quarter)
    tag = tag_in(call, row, region_chain(row.region_code), REFERENCE_CHAIN)
    if is_unchanged(call.request, tag):
        return unchanged(tag)
    return answer(call.request, summary_of(call.session, row, period).model_dump_json().encode(), tag=tag)


@router.get("/summaries", response_model=RegionSummary, openapi_extra={"x-problems": [404]})
def read_region_summary(call: Caller, query: FromQuery[RegionSummaryQuery]) -> Response:
    """The plans of a region and everything below it at a period: pooled, and each plan by itself."""
    period = period_in(query.period)
    summary = region_summary(call.session, call.actor, query.region, period)
    if not summary.by_plan:
        raise NotFound()
    return answer(call.request, summary.model_dump_json().encode())
