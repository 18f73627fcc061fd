"""Routes of a plan's actions."""

import json
from collections.abc import Sequence
from datetime import date

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.batch import BatchQuery, BatchWrite, list_errors, read_items
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_page,
    answer_resource,
    append_fields,
    choose_language,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.kit.http.validation import check_key, narrow
from app.kit.merge_patch import Patch
from app.kit.problems import require_found
from app.plans.actions import commands, queries
from app.plans.actions.models import ActionIn, ActionItem, ActionKey, ActionOut
from app.plans.actions.queries import ActionQuery, count_references, map_reported_quarters, read_action_json
from app.plans.actions.rules import Draft
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import find_plan, read_open_notes, takes_reports
from app.plans.core.rules import format_action_subject, format_plan_chain, is_editable
from app.plans.findings.kinds import Finding
from app.plans.findings.models import ActionBatch, BatchResult, build_batch_result
from app.plans.findings.queries import list_findings_by_line, list_line_findings
from app.plans.revisions.queries import AsOfQuery, list_lines, read_lines_at
from app.plans.tags import make_plan_tag, plan_tag
from app.plans.workflow.models import ActionReply

router = make_router(tags=["plans"])


class ActionsQuery(ActionQuery, AsOfQuery):
    """Filters, order and time of a plan's actions."""


@router.get("/plans/{plan}/actions", response_model=Page[ActionOut])
@revalidate_by(plan_tag)
def list_actions(call: Caller, plan: PlanKey, query: FromQuery[ActionsQuery]) -> Response:
    """List the actions of a plan with all their parts and their latest reported figures.

    The ETag changes with any write in the plan, so a poll without changes costs a 304. Its part before the dash is
    valid as `If-Match` of a batch write.
    """
    row = find_plan(call.session, call.actor, plan)
    if query.as_of is None:
        listing = queries.list_actions(row, query)
    else:
        listing = list_lines(call.session, read_lines_at(call.session, row, query.as_of).values(), query)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    return answer_page(call.request, body, tag=make_plan_tag(call, row))


@router.put("/plans/{plan}/actions", response_model=BatchResult)
def put_actions(call: Caller, plan: PlanKey, query: FromQuery[BatchQuery], batch: ActionBatch) -> Response:
    """Create or replace up to 1,000 actions in one call: all or none.

    With `each=true` the server refuses items with errors and writes the others. Actions outside the batch stay
    unchanged. If one of the actions exists, send `If-Match` with the ETag of the list or `*`.
    """
    row = find_plan(call.session, call.actor, plan)
    call.actor.require("write_actions", row.region_code)
    items, refused = read_items(ActionItem, batch.items, key="code")
    drafts = [Draft(item.code, narrow(item, ActionIn), pointer=f"/items/{n}") for n, item in items]
    batch_write = BatchWrite(drafts, each=query.each, errors_before=list_errors(refused))
    written = commands.put_actions(call.write_of_list, row, batch_write)
    findings = list_findings_by_line(call.session, row, written.contents)
    result = build_batch_result(written.outcomes, refused, findings, language=choose_language(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get("/plans/{plan}/actions/{action}", response_model=ActionReply)
def read_action(call: Caller, plan: PlanKey, action: ActionKey, query: FromQuery[AsOfQuery]) -> Response:
    """Return an action with its findings; `allowed` lists the caller's verbs."""
    row = find_plan(call.session, call.actor, plan)
    if query.as_of is not None:
        return _reply_then(call, row, action, query.as_of)
    return _action_reply(call, row, action)


@router.put(
    "/plans/{plan}/actions/{action}", response_model=ActionReply, responses=declare_created(ActionReply)
)
def put_action(call: Caller, plan: PlanKey, action: ActionKey, content: ActionIn) -> Response:
    """Create or replace an action, each list whole.

    The server matches items by their key (code, funding source, region): reports on an item that stays survive.
    """
    row = find_plan(call.session, call.actor, plan)
    draft = Draft(check_key(action), content)
    (outcome,) = commands.put_actions(call.write, row, BatchWrite([draft])).outcomes
    return _action_reply(call, row, action, status=201 if outcome.status == "created" else 200)


@router.patch("/plans/{plan}/actions/{action}", response_model=ActionReply)
def patch_action(call: Caller, plan: PlanKey, action: ActionKey, patch: Patch) -> Response:
    """Change some fields of an action (JSON Merge Patch); a list in the patch replaces that list whole."""
    row = find_plan(call.session, call.actor, plan)
    commands.patch_action(call.write, row, action, patch)
    return _action_reply(call, row, action)


@router.delete("/plans/{plan}/actions/{action}", status_code=204)
def delete_action(call: Caller, plan: PlanKey, action: ActionKey) -> Response:
    """Delete an action; 409 if it has progress reports or a commitment names it."""
    commands.delete_action(call.write, find_plan(call.session, call.actor, plan), action)
    return answer_no_content()


@router.get("/plans/{plan}/actions/{action}/history", response_model=Page[HistoryEntry])
def list_action_history(call: Caller, plan: PlanKey, action: ActionKey, query: History) -> Response:
    """List every write to an action and its reports; `kind=action` omits the reports.

    The history survives the deletion of the action.
    """
    return answer_history(call, format_plan_chain(plan), format_action_subject(plan, action), query)


def _action_reply(call: RequestContext, plan: Plan, code: str, *, status: int = 200) -> Response:
    text = read_action_json(call.session, plan, code)
    content = json.loads(text)
    may = {"report_progress": "report_progress"}
    if is_editable(plan.state, plan.revision):
        is_used = map_reported_quarters(call.session, plan, code) or count_references(
            call.session, plan, [code]
        )
        may = {"edit": "write_actions"} | ({} if is_used else {"delete": "write_actions"}) | may
    elif not takes_reports(call.session, plan.region_code, plan.year, plan.state):
        may = {}
    allowed = [
        v for v, right in may.items() if call.actor.may(right, plan.region_code, content["lead_agency"])
    ]
    fields = _read_fields(call, plan, code, list_line_findings(call.session, plan, code, content))
    address = format_action_subject(plan.code, code)
    return answer_resource(
        call.request, text, content["version"], address, status=status, **fields, allowed=allowed
    )


def _reply_then(call: RequestContext, plan: Plan, code: str, as_of: date) -> Response:
    content = require_found(read_lines_at(call.session, plan, as_of).get(code))
    fields = _read_fields(call, plan, code, list_findings_by_line(call.session, plan, {code: content})[code])
    return answer(call.request, append_fields(dump_json(content), **fields, allowed=[]))


def _read_fields(
    call: RequestContext, plan: Plan, code: str, findings: Sequence[Finding]
) -> dict[str, object]:
    language = choose_language(call.request)
    return {
        "findings": [finding.render(language) for finding in findings],
        "notes": read_open_notes(call.session, call.actor, plan, code),
    }
