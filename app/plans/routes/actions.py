"""Routes of a plan's actions."""

import json
from collections.abc import Sequence
from datetime import datetime

from fastapi import Response

from app.access.actor import Call, Caller
from app.changes.history import History, history_page
from app.changes.models import HistoryEntry
from app.kit.batch import BatchQuery, BatchWrite, errors_of, read_items
from app.kit.database.json_sql import to_json
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_page,
    answer_resource,
    created,
    language_of,
    no_content,
    with_fields,
)
from app.kit.http.routing import FromQuery, house_router, revalidated
from app.kit.http.validation import checked_key, narrow
from app.kit.merge_patch import Patch
from app.kit.problems import require_found
from app.plans.actions import commands, queries
from app.plans.actions.models import ActionIn, ActionItem, ActionKey, ActionOut
from app.plans.actions.queries import ActionQuery, action_json, references_to
from app.plans.actions.rules import Draft
from app.plans.core.models import Plan, PlanKey
from app.plans.core.queries import open_notes, plan_of
from app.plans.core.rules import action_subject, is_editable, is_reportable, plan_chain
from app.plans.findings.kinds import Finding
from app.plans.findings.models import ActionBatch, BatchResult, batch_result
from app.plans.findings.queries import findings_by_line, findings_on
from app.plans.revisions.queries import AsOfQuery, lines_then, list_lines
from app.plans.tags import plan_tag, tag_in
from app.plans.workflow.models import ActionReply

router = house_router(tags=["plans"])


class ActionsQuery(ActionQuery, AsOfQuery):
    """Filters, order and instant of a plan's actions."""


@router.get("/plans/{plan}/actions", response_model=Page[ActionOut])
@revalidated(plan_tag)
def list_actions(call: Caller, plan: PlanKey, query: FromQuery[ActionsQuery]) -> Response:
    """Actions of a plan with all their parts and the latest figures reported on each.

    The entity tag changes with any write in the plan, so an unattended reader polls for the price of a
    304. Its part before the dash can be sent as `If-Match` of a call that writes many.
    """
    row = plan_of(call.session, call.actor, plan)
    if query.as_of is None:
        listing = queries.list_actions(row, query)
    else:
        listing = list_lines(call.session, lines_then(call.session, row, query.as_of).values(), query)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    return answer_page(call.request, body, tag=tag_in(call, row))


@router.put("/plans/{plan}/actions", response_model=BatchResult)
def put_actions(call: Caller, plan: PlanKey, query: FromQuery[BatchQuery], batch: ActionBatch) -> Response:
    """Create or replace up to 1,000 actions in one call: all of them or none.

    With `each=true` an item with errors is refused with them and the others are written. Actions that
    the batch does not name stay. Where one of them exists, `If-Match` is required: the list's tag or `*`.
    """
    row = plan_of(call.session, call.actor, plan)
    call.actor.require("write_actions", row.region_code)
    items, refused = read_items(ActionItem, batch.items, key="code")
    drafts = [Draft(item.code, narrow(item, ActionIn), pointer=f"/items/{n}") for n, item in items]
    batch_write = BatchWrite(drafts, each=query.each, errors_before=errors_of(refused))
    written = commands.put_actions(call.write_of_list, row, batch_write)
    findings = findings_by_line(call.session, row, written.contents)
    result = batch_result(written.outcomes, refused, findings, language=language_of(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get("/plans/{plan}/actions/{action}", response_model=ActionReply)
def read_action(call: Caller, plan: PlanKey, action: ActionKey, query: FromQuery[AsOfQuery]) -> Response:
    """One action with its findings (what to mend or know) and what the caller may do with it."""
    row = plan_of(call.session, call.actor, plan)
    if query.as_of is not None:
        return _reply_then(call, row, action, query.as_of)
    return _action_reply(call, row, action)


@router.put("/plans/{plan}/actions/{action}", response_model=ActionReply, responses=created(ActionReply))
def put_action(call: Caller, plan: PlanKey, action: ActionKey, content: ActionIn) -> Response:
    """Create or replace an action. Each list is replaced whole, its items matched by their own key
    (code, funding source, region), so that what was reported on an item that stays survives."""
    row = plan_of(call.session, call.actor, plan)
    draft = Draft(checked_key(action), content)
    (outcome,) = commands.put_actions(call.write, row, BatchWrite([draft])).outcomes
    return _action_reply(call, row, action, status=201 if outcome.status == "created" else 200)


@router.patch("/plans/{plan}/actions/{action}", response_model=ActionReply)
def patch_action(call: Caller, plan: PlanKey, action: ActionKey, patch: Patch) -> Response:
    """Change some fields of an action (JSON Merge Patch); a list in the patch replaces that list whole."""
    row = plan_of(call.session, call.actor, plan)
    commands.patch_action(call.write, row, action, patch)
    return _action_reply(call, row, action)


@router.delete("/plans/{plan}/actions/{action}", status_code=204)
def delete_action(call: Caller, plan: PlanKey, action: ActionKey) -> Response:
    """Delete an action; 409 where progress was reported on it or a commitment names it."""
    commands.delete_action(call.write, plan_of(call.session, call.actor, plan), action)
    return no_content()


@router.get("/plans/{plan}/actions/{action}/history", response_model=Page[HistoryEntry])
def list_action_history(call: Caller, plan: PlanKey, action: ActionKey, query: History) -> Response:
    """Every write to an action and to the reports on it; `kind=action` leaves the reports out.

    Stays after the action was deleted.
    """
    return history_page(call, plan_chain(plan), action_subject(plan, action), query)


def _action_reply(call: Call, plan: Plan, code: str, *, status: int = 200) -> Response:
    text = action_json(call.session, plan, code)
    content = json.loads(text)
    may = {"edit": "write_actions", "delete": "write_actions", "report_progress": "report_progress"}
    if content["progress_period"] is not None or references_to(call.session, plan, [code]):
        del may["delete"]
    if not is_editable(plan.state, plan.revision):
        may = {"report_progress": "report_progress"} if is_reportable(plan.state) else {}
    allowed = [
        v for v, right in may.items() if call.actor.may(right, plan.region_code, content["lead_agency"])
    ]
    fields = _read_fields(call, plan, code, findings_on(call.session, plan, code, content))
    address = action_subject(plan.code, code)
    return answer_resource(
        call.request, text, content["version"], address, status=status, **fields, allowed=allowed
    )


def _reply_then(call: Call, plan: Plan, code: str, instant: datetime) -> Response:
    """Answer with the action in force at an instant; `allowed` is empty."""
    content = require_found(lines_then(call.session, plan, instant).get(code))
    fields = _read_fields(call, plan, code, findings_by_line(call.session, plan, {code: content})[code])
    return answer(call.request, with_fields(to_json(content), **fields, allowed=[]))


def _read_fields(call: Call, plan: Plan, code: str, findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings and open notes of an action."""
    language = language_of(call.request)
    return {
        "findings": [finding.shown(language) for finding in findings],
        "notes": open_notes(call.session, call.actor, plan, code),
    }
