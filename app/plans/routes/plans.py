"""Plans over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Caller
from app.changes.history import history_page
from app.changes.models import HistoryEntry, HistoryQuery
from app.kit.database.json_sql import to_json
from app.kit.http.anonymous import PUBLIC
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer, answer_page, created, no_content
from app.kit.http.routing import house_router
from app.kit.merge_patch import Patch
from app.plans.actions import commands as actions
from app.plans.core import commands
from app.plans.core.models import PlanIn, PlanKey, PlanOut
from app.plans.core.queries import published_plan_of
from app.plans.core.rules import plan_chain
from app.plans.replies import plan_reply
from app.plans.revisions import queries
from app.plans.revisions.queries import AsOfQuery, PlanQuery, plan_then
from app.plans.workflow.models import PlanReply

router = house_router(tags=["plans"])


@router.get("/plans", response_model=Page[PlanOut])
def list_plans(call: Caller, query: Annotated[PlanQuery, Query()]) -> Response:
    """Plans that the caller sees, of a region and everything below it, of a year."""
    body = read_page(
        call.session, call.request, queries.list_plans(call.actor, query), query, sort=query.sort
    )
    return answer_page(call.request, body)


@router.get("/plans/{plan}", response_model=PlanReply, openapi_extra=PUBLIC)
def read_plan(call: Caller, plan: PlanKey, query: Annotated[AsOfQuery, Query()]) -> Response:
    """One plan with its priority locations; `allowed` says what the caller may do with it.

    With `as_of`, the plan that was in force then; 404 (`not_in_force_then`) before its first adoption. The public
    reads the revision in force, whatever the plan's state.
    """
    if query.as_of is None and not call.actor.opened:
        return plan_reply(call, plan)
    row = published_plan_of(call.session, call.actor, plan)
    if query.as_of is None and call.actor.sees(row.region_code):
        return plan_reply(call, plan)
    then = plan_then(call.session, row, query.as_of or call.now)
    return answer(call.request, to_json({**then, "allowed": []}).encode())


@router.put("/plans/{plan}", response_model=PlanReply, responses=created(PlanReply))
def put_plan(call: Caller, plan: PlanKey, content: PlanIn) -> Response:
    """Create or replace the plan of a region and year, `73.22-2026`; its priority locations are replaced whole."""
    is_new = commands.put_plan(call.write, plan, content)
    return plan_reply(call, plan, status=201 if is_new else 200)


@router.patch("/plans/{plan}", response_model=PlanReply)
def patch_plan(call: Caller, plan: PlanKey, patch: Patch) -> Response:
    """Change some fields of a plan (JSON Merge Patch); a list in the patch replaces that list whole."""
    commands.patch_plan(call.write, plan, patch)
    return plan_reply(call, plan)


@router.delete("/plans/{plan}", status_code=204)
def delete_plan(call: Caller, plan: PlanKey) -> Response:
    """Delete a plan that has no actions; 409 while it has some."""
    actions.delete_plan(call.write, plan)
    return no_content()


@router.get("/plans/{plan}/history", response_model=Page[HistoryEntry])
def list_plan_history(call: Caller, plan: PlanKey, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Every write to a plan, its actions and their reports: who, when, from what to what, why.

    `kind=plan` leaves out what lies below the plan; `sort=-sequence` begins with the latest. Stays after the
    plan was deleted.
    """
    return history_page(call, plan_chain(plan), f"plans/{plan}", query)
