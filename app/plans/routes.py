"""Plans and their actions over HTTP."""

import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query, Response

from app.access.actor import Call, Caller
from app.changes.models import HistoryEntry, HistoryQuery
from app.changes.routes import history_page
from app.changes.rules import SOURCES
from app.kit.etags import check_conditions, check_list_condition, is_unchanged, tag_of, unchanged
from app.kit.inputs import checked_key
from app.kit.journal import stamp
from app.kit.pages import Page, read_page
from app.kit.patches import Patch
from app.kit.requests import answer, answer_page, created, house_router, language_of, no_content, with_fields
from app.plans.batches import ActionBatch, BatchQuery, BatchResult, batch_result, errors_of, read_items
from app.plans.commands import Draft, delete_action, delete_plan, plan_chain, put_actions, put_plan
from app.plans.commands import patch_action as change_action
from app.plans.commands import patch_plan as change_plan
from app.plans.models import ActionIn, ActionItem, ActionOut, ActionReply, PlanIn, PlanOut, PlanReply
from app.plans.queries import (
    ActionQuery, PlanQuery, StoredAction, action_json, list_actions, list_plans, plan_json, plan_of,
)
from app.plans.references import successors_of_retired
from app.plans.rules import findings_of

router = house_router(tags=["plans"])
SOURCES += ["/v1/plans?region={region}", "/v1/plans/{plan}/actions"]


@router.get("/plans", response_model=Page[PlanOut])
def read_plans(call: Caller, query: Annotated[PlanQuery, Query()]) -> Response:
    """Plans that the caller sees, of a region and everything below it, of a year."""
    body = read_page(call.session, call.request, list_plans(call.actor, query), query, sort=query.sort)
    return answer_page(call.request, body)


@router.get("/plans/{plan}", response_model=PlanReply)
def read_plan(call: Caller, plan: str) -> Response:
    """One plan with its priority locations; `allowed` says what the caller may do with it."""
    return _plan_reply(call, plan)


@router.put("/plans/{plan}", response_model=PlanReply, responses=created(PlanReply))
def put_plan_(call: Caller, plan: str, content: PlanIn) -> Response:
    """Create or replace the plan of a region and year, `73.22-2026`; its priority locations are replaced whole."""
    is_new = put_plan(
        call.session, call.author, call.actor, plan, content, lambda version: check_conditions(call.request, version)
    )
    return _plan_reply(call, plan, status=201 if is_new else 200)


@router.patch("/plans/{plan}", response_model=PlanReply)
def patch_plan(call: Caller, plan: str, patch: Patch) -> Response:
    """Change some fields of a plan (JSON Merge Patch); a list in the patch replaces that list whole."""
    change_plan(
        call.session, call.author, call.actor, plan, patch, lambda version: check_conditions(call.request, version)
    )
    return _plan_reply(call, plan)


@router.delete("/plans/{plan}", status_code=204)
def delete_plan_(call: Caller, plan: str) -> Response:
    """Delete a plan that has no actions; 409 while it has some."""
    delete_plan(call.session, call.author, call.actor, plan, lambda version: check_conditions(call.request, version))
    return no_content()


def _plan_reply(call: Call, code: str, *, status: int = 200) -> Response:
    found = plan_json(call.session, call.actor, code)
    may = {
        "edit": "write_plan", "delete": "write_plan", "write_actions": "write_actions",
        "report_progress": "report_progress", "import_matrix": "import_matrix",
    }
    if found.action_count:
        del may["delete"]
    allowed = [verb for verb, right in may.items() if call.actor.may(right, found.region_code)]
    return answer(
        call.request, with_fields(found.json, allowed=allowed), status=status, version=found.version,
        location=f"/v1/plans/{code}" if status == 201 else None,
    )


@router.get("/plans/{plan}/history", response_model=Page[HistoryEntry])
def list_plan_history(call: Caller, plan: str, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Every write to a plan, its actions and their reports: who, when, from what to what, why. `kind=plan` leaves
    out what lies below the plan; `sort=-sequence` begins with the latest. Stays after the plan was deleted."""
    return history_page(call, plan_chain(plan), f"plans/{plan}", query)


@router.get("/plans/{plan}/actions", response_model=Page[ActionOut])
def read_actions(call: Caller, plan: str, query: Annotated[ActionQuery, Query()]) -> Response:
    """Actions of a plan with all their parts and the latest figures reported on each.

    The entity tag changes with any write in the plan, so an unattended reader polls for the price of a
    304. Its part before the dash can be sent as `If-Match` of a call that writes many.
    """
    row = plan_of(call.session, call.actor, plan)
    state = row.stamp[:12]
    tag = tag_of(call.request.url.query, call.actor.fingerprint, version=state)
    if is_unchanged(call.request, tag):
        return unchanged(tag)
    body = read_page(call.session, call.request, list_actions(row, query), query, sort=query.sort)
    return answer_page(call.request, body, tag=tag)


def _state(call: Call, plan: str) -> str:
    return stamp(call.session, plan_chain(plan))[:12]


@router.put("/plans/{plan}/actions", response_model=BatchResult)
def put_many_actions(call: Caller, plan: str, query: Annotated[BatchQuery, Query()], batch: ActionBatch) -> Response:
    """Create or replace up to 1,000 actions in one call: all of them or none.

    With `each=true` an item with errors is refused with them and the others are written. Actions that
    the batch does not name stay. Where one of them exists, `If-Match` is required: the list's tag or `*`.
    """
    row = plan_of(call.session, call.actor, plan)
    call.actor.require("write_actions", row.region_code)
    items, refused = read_items(ActionItem, batch.items, key="code")
    drafts = [Draft(item.code, _content(item), pointer=f"/items/{n}") for n, item in items]

    def check(stored: dict[str, StoredAction]) -> None:
        check_list_condition(call.request, _state(call, plan), exists=bool(stored))

    outcomes = put_actions(
        call.session, call.author, call.actor, row, drafts, check=check, each=query.each,
        errors_before=errors_of(refused),
    )
    result = batch_result(outcomes, refused, language=language_of(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


def _content(item: ActionItem) -> ActionIn:
    return ActionIn.model_construct(**{name: getattr(item, name) for name in ActionIn.model_fields})


@router.get("/plans/{plan}/actions/{action}", response_model=ActionReply)
def read_action(call: Caller, plan: str, action: str) -> Response:
    """One action with its findings (what to mend or know) and what the caller may do with it."""
    return _action_reply(call, plan_of(call.session, call.actor, plan), action)


@router.put("/plans/{plan}/actions/{action}", response_model=ActionReply, responses=created(ActionReply))
def put_action(call: Caller, plan: str, action: str, content: ActionIn) -> Response:
    """Create or replace an action. Each list is replaced whole, its items matched by their own key
    (code, funding source, region), so that what was reported on an item that stays survives."""
    row = plan_of(call.session, call.actor, plan)
    return _put_action(call, row, action, content)


@router.patch("/plans/{plan}/actions/{action}", response_model=ActionReply)
def patch_action(call: Caller, plan: str, action: str, patch: Patch) -> Response:
    """Change some fields of an action (JSON Merge Patch); a list in the patch replaces that list whole."""
    row = plan_of(call.session, call.actor, plan)
    change_action(
        call.session, call.author, call.actor, row, action, patch,
        lambda version: check_conditions(call.request, version),
    )
    return _action_reply(call, row, action)


@router.delete("/plans/{plan}/actions/{action}", status_code=204)
def delete_action_(call: Caller, plan: str, action: str) -> Response:
    """Delete an action; 409 where progress was reported on it."""
    row = plan_of(call.session, call.actor, plan)
    delete_action(
        call.session, call.author, call.actor, row, action, lambda version: check_conditions(call.request, version)
    )
    return no_content()


@router.get("/plans/{plan}/actions/{action}/history", response_model=Page[HistoryEntry])
def list_action_history(call: Caller, plan: str, action: str, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Every write to an action and to the reports on it; `kind=action` leaves the reports out. Stays after the
    action was deleted."""
    return history_page(call, plan_chain(plan), f"plans/{plan}/actions/{action}", query)


def _put_action(call: Call, plan: sa.Row[Any], code: str, content: ActionIn) -> Response:
    def check(stored: dict[str, StoredAction]) -> None:
        check_conditions(call.request, stored[code].version if code in stored else None)

    draft = Draft(checked_key(code), content)
    (outcome,) = put_actions(call.session, call.author, call.actor, plan, [draft], check=check)
    return _action_reply(call, plan, code, status=201 if outcome.status == "created" else 200)


def _action_reply(call: Call, plan: sa.Row[Any], code: str, *, status: int = 200) -> Response:
    text = action_json(call.session, plan, code)
    content = json.loads(text)
    may = {"edit": "write_actions", "delete": "write_actions", "report_progress": "report_progress"}
    if content["progress_period"] is not None:
        del may["delete"]
    allowed = [v for v, right in may.items() if call.actor.may(right, plan.region_code, content["lead_agency"])]
    language = language_of(call.request)
    findings = findings_of(content, plan.year, successors_of_retired(call.session, plan, content))
    body = with_fields(text, findings=[finding.shown(language) for finding in findings], allowed=allowed)
    return answer(
        call.request, body, status=status, version=content["version"],
        location=f"/v1/plans/{plan.code}/actions/{code}" if status == 201 else None,
    )
