"""Routes of a plan's amendment."""

from collections import Counter
from typing import Any, get_args

from fastapi import Response
from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.batch import BatchQuery, BatchWrite, list_errors, read_items
from app.kit.database.json_sql import dump_json
from app.kit.http.etags import STATE_LENGTH, make_etag
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_page,
    answer_resource,
    choose_language,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router
from app.kit.http.validation import check_key
from app.kit.merge_patch import Patch
from app.kit.problems import NotFound, require_found
from app.plans.actions.models import ActionKey
from app.plans.actions.rules import Draft
from app.plans.amendments import commands
from app.plans.amendments.models import (
    AmendedAction,
    AmendedActionBatch,
    AmendedActionIn,
    AmendedActionItem,
    AmendedActionReply,
    AmendmentIn,
    AmendmentReply,
    build_reason,
)
from app.plans.amendments.queries import (
    AmendedActionQuery,
    find_amendment,
    format_amendment_chain,
    read_amended_lines,
    read_amendment_hash,
    read_editions,
)
from app.plans.amendments.rules import RIGHT_OF, Verb, find_missing_reasons
from app.plans.core.models import PlanKey, ReasonCategory, ReasonText
from app.plans.core.queries import find_plan
from app.plans.core.rules import EDITABLE
from app.plans.findings.models import BatchResult, build_batch_result
from app.plans.findings.queries import list_findings_by_line
from app.plans.revisions.differences.models import LineChange
from app.plans.revisions.differences.rules import compare_editions, compare_sums
from app.plans.revisions.queries import list_lines

router = make_router(tags=["plans"])

_ACTION = "/plans/{plan}/amendment/actions/{action}"


@router.get("/plans/{plan}/amendment", response_model=AmendmentReply)
def read_amendment(call: Caller, plan: PlanKey) -> Response:
    """Return the open amendment of a plan: drafted fields, sums before and after, and missing reasons.

    404 without an open amendment, or without the right to read drafts. The plan's own addresses return the revision in
    force until the adoption.
    """
    return _amendment_reply(call, plan)


@router.put("/plans/{plan}/amendment", response_model=AmendmentReply)
def put_amendment(call: Caller, plan: PlanKey, content: AmendmentIn) -> Response:
    """Replace the drafted fields of the plan itself; a change of a priority location needs a reason."""
    commands.put_amendment(call.write, plan, content)
    return _amendment_reply(call, plan)


@router.patch("/plans/{plan}/amendment", response_model=AmendmentReply)
def patch_amendment(call: Caller, plan: PlanKey, patch: Patch) -> Response:
    """Change some drafted fields of the plan itself (JSON Merge Patch)."""
    commands.patch_amendment(call.write, plan, patch)
    return _amendment_reply(call, plan)


@router.delete("/plans/{plan}/amendment", status_code=204)
def discard_amendment(call: Caller, plan: PlanKey) -> Response:
    """Discard the amendment with its lines. The revision in force stays; the state returns to `adopted`."""
    commands.discard_amendment(call.write, plan)
    return answer_no_content()


@router.get("/plans/{plan}/amendment/history", response_model=Page[HistoryEntry])
def list_amendment_history(call: Caller, plan: PlanKey, query: History) -> Response:
    """List every write to the drafts of a plan's amendments, and their moves. 404 without the right to read drafts.

    The plan's own history has the adopted changes.
    """
    if not call.actor.may("read_drafts", plan.partition("-")[0]):
        raise NotFound()
    return answer_history(call, format_amendment_chain(plan), f"plans/{plan}", query)


@router.get("/plans/{plan}/amendment/actions", response_model=Page[AmendedAction])
def list_amended_actions(call: Caller, plan: PlanKey, query: FromQuery[AmendedActionQuery]) -> Response:
    """List the drafted lines; `change` tells new, changed and ended lines apart.

    The part of the ETag before the dash is valid as `If-Match` of a batch write.
    """
    amendment = find_amendment(call.session, call.actor, plan)
    lines = read_amended_lines(call.session, amendment)
    if query.changed is not None:
        lines = [line for line in lines if (line["change"] != "unchanged") == query.changed]
    listing = list_lines(call.session, lines, query)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    state = read_amendment_hash(call.session, plan)[:STATE_LENGTH]
    return answer_page(call.request, body, tag=make_etag(body, version=state))


@router.put("/plans/{plan}/amendment/actions", response_model=BatchResult)
def put_amended_actions(
    call: Caller, plan: PlanKey, query: FromQuery[BatchQuery], batch: AmendedActionBatch
) -> Response:
    """Draft up to 1,000 lines in one call: all or none.

    With `each=true` the server refuses items with errors and writes the others. Lines outside the batch stay
    unchanged. If one of the lines exists, send `If-Match` with the ETag of the list or `*`.
    """
    items, refused = read_items(AmendedActionItem, batch.items, key="code")
    drafts = [Draft(item.code, item.action, pointer=f"/items/{n}") for n, item in items]
    batch_write = BatchWrite(drafts, each=query.each, errors_before=list_errors(refused))
    reasons = {item.code: item.reasons for _, item in items}
    written = commands.put_amended_actions(call.write_of_list, plan, batch_write, reasons)
    findings = list_findings_by_line(
        call.session, find_plan(call.session, call.actor, plan), written.contents, is_amended=True
    )
    result = build_batch_result(written.outcomes, refused, findings, language=choose_language(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get(_ACTION, response_model=AmendedActionReply)
def read_amended_action(call: Caller, plan: PlanKey, action: ActionKey) -> Response:
    """Return a drafted line with its findings."""
    return _action_reply(call, plan, action)


@router.put(_ACTION, response_model=AmendedActionReply, responses=declare_created(AmendedActionReply))
def put_amended_action(call: Caller, plan: PlanKey, action: ActionKey, content: AmendedActionIn) -> Response:
    """Draft a line with reasons, by the same rules as a line of a plan.

    A reason covers a field and all fields below it: `/allocation`, `/outputs/O1/target`, `/locations`; the empty text
    covers the whole line, as a new line needs it. Changed targets, amounts, locations and due dates need a reason
    before the submission; `lacking` lists the missing ones. A budget below what was spent is a finding (E07) that
    blocks the submission. A draft equal to the line in force withdraws the change and its reasons.
    """
    batch = BatchWrite([Draft(check_key(action), content.action)])
    (outcome,) = commands.put_amended_actions(call.write, plan, batch, {action: content.reasons}).outcomes
    return _action_reply(call, plan, action, status=201 if outcome.status == "created" else 200)


@router.patch(_ACTION, response_model=AmendedActionReply)
def patch_amended_action(call: Caller, plan: PlanKey, action: ActionKey, patch: Patch) -> Response:
    """Change some fields of a drafted line, or its reasons (JSON Merge Patch); a list replaces the list whole."""
    commands.patch_amended_action(call.write, plan, action, patch)
    return _action_reply(call, plan, action)


class RemovalQuery(BaseModel):
    """The reason for the end of a line, in both parts or, until the submission, in neither."""

    category: ReasonCategory | None = ShapeField(default=None, description="Category of the reason.")
    reason: ReasonText | None = ShapeField(default=None, description="Sentence of the reason.")


@router.delete(_ACTION, status_code=204, openapi_extra={"x-problems": [422]})
def delete_amended_action(
    call: Caller, plan: PlanKey, action: ActionKey, query: FromQuery[RemovalQuery]
) -> Response:
    """End a line after the last quarter with a report on it, or before the year without reports.

    The line stays in the plan with `ends_after`; a report before the adoption moves its end. Give `category` and
    `reason`, now or by a second call. The server drops a line that is new in the amendment.
    """
    reason = build_reason(query.category, query.reason)
    commands.remove_amended_action(call.write, plan, action, reason)
    return answer_no_content()


def _amendment_reply(call: RequestContext, plan: str) -> Response:
    amendment = find_amendment(call.session, call.actor, plan)
    before, after, reasons = read_editions(call.session, amendment)
    row = amendment.plan
    changes = Counter(line.change for line in compare_editions(before, after))
    missing = find_missing_reasons(before, after, amendment.reasons, reasons)
    is_open = row.state in EDITABLE
    body: dict[str, Any] = {
        **amendment.content,
        "reasons": amendment.reasons,
        "plan": row.code,
        "state": row.state,
        "revision": row.revision,
        "version": amendment.version,
        "opened_at": amendment.opened_at,
        "purpose": amendment.purpose,
        **{change: changes[change] for change in get_args(LineChange)},
        "unchanged": len(after.actions) - changes.total(),
        "lacking": [item._asdict() for item in missing],
        "sums": compare_sums(before, after),
        "allowed": [
            verb for verb in get_args(Verb) if is_open and call.actor.may(RIGHT_OF[verb], row.region_code)
        ],
    }
    return answer(call.request, dump_json(body).encode(), version=amendment.version)


def _action_reply(call: RequestContext, plan: str, action: str, *, status: int = 200) -> Response:
    amendment = find_amendment(call.session, call.actor, plan)
    line = require_found(next(iter(read_amended_lines(call.session, amendment, [action])), None))
    drafted = {action: line} if line["change"] != "removed" else {}
    by_line = list_findings_by_line(call.session, amendment.plan, drafted, is_amended=True)
    language = choose_language(call.request)
    return answer_resource(
        call.request,
        dump_json(line),
        line["version"],
        f"plans/{plan}/amendment/actions/{action}",
        status=status,
        findings=[finding.render(language) for finding in by_line.get(action, ())],
    )
