"""Routes of plans: read, write and move them, and read the province's notes."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.database.json_sql import dump_json
from app.kit.http.anonymous import PUBLIC
from app.kit.http.pagination import Page
from app.kit.http.replies import answer, answer_no_content, answer_resource, choose_language, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.kit.merge_patch import Patch
from app.kit.periods import get_local_date
from app.plans.core import commands
from app.plans.core.models import PlanIn, PlanKey, PlanNote, PlanOut, PlanState
from app.plans.core.queries import NotesQuery, find_plan, find_published_plan, list_notes, takes_reports
from app.plans.core.rules import format_plan_chain
from app.plans.findings.models import dump_placed
from app.plans.revisions import queries
from app.plans.revisions.models import AdoptIn
from app.plans.revisions.queries import AsOfQuery, PlanQuery, read_plan_at
from app.plans.workflow import commands as workflow
from app.plans.workflow.commands import Move
from app.plans.workflow.models import AmendIn, MoveIn, PlanReply, ReturnIn, SubmitReply
from app.plans.workflow.rules import PlanStatus, list_allowed_verbs

router = make_router(tags=["plans"])

_CONDITIONAL = {"x-conditional": True}


@router.get("/plans", response_model=Page[PlanOut])
def list_plans(call: Caller, query: FromQuery[PlanQuery]) -> Response:
    """List the plans that the caller sees, by region and year."""
    return call.answer_list(queries.list_plans(call.actor, query), query, sort=query.sort)


@router.get("/plans/{plan}", response_model=PlanReply, openapi_extra=PUBLIC)
def read_plan(call: Caller, plan: PlanKey, query: FromQuery[AsOfQuery]) -> Response:
    """Return a plan with its priority locations; `allowed` lists the caller's verbs.

    `as_of` selects the plan in force on a day or at an instant; 404 (`not_in_force_then`) before the first revision.
    The public reads the revision in force, in every state of the plan.
    """
    if query.as_of is None and not call.actor.opened:
        return _reply(call, plan)
    row = find_published_plan(call.session, call.actor, plan)
    if query.as_of is None and call.actor.sees(row.region_code):
        return _reply(call, plan)
    then = read_plan_at(call.session, row, query.as_of)
    return answer(call.request, dump_json({**then, "allowed": []}).encode())


@router.put("/plans/{plan}", response_model=PlanReply, responses=declare_created(PlanReply))
def put_plan(call: Caller, plan: PlanKey, content: PlanIn) -> Response:
    """Create or replace the plan of a region and year (`73.22-2026`), with all its priority locations."""
    is_new = commands.put_plan(call.write, plan, content)
    return _reply(call, plan, status=201 if is_new else 200)


@router.patch("/plans/{plan}", response_model=PlanReply)
def patch_plan(call: Caller, plan: PlanKey, patch: Patch) -> Response:
    """Change some fields of a plan (JSON Merge Patch); a list in the patch replaces that list whole."""
    commands.patch_plan(call.write, plan, patch)
    return _reply(call, plan)


@router.delete("/plans/{plan}", status_code=204)
def delete_plan(call: Caller, plan: PlanKey) -> Response:
    """Delete a plan without actions; 409 while it has some."""
    workflow.delete_plan(call.write, plan)
    return answer_no_content()


@router.get("/plans/{plan}/history", response_model=Page[HistoryEntry])
def list_plan_history(call: Caller, plan: PlanKey, query: History) -> Response:
    """List every write to a plan, its actions and their reports: author, instant, old and new values, reason.

    `kind=plan` omits actions and reports; `sort=-sequence` begins with the latest. The history survives the deletion
    of the plan.
    """
    return answer_history(call, format_plan_chain(plan), f"plans/{plan}", query)


# Moves


@router.post("/plans/{plan}/submit", response_model=SubmitReply, openapi_extra=_CONDITIONAL)
def submit_plan(call: Caller, plan: PlanKey, content: MoveIn) -> Response:
    """Submit a plan, or its open amendment, to the province. For the chair of the TKPK.

    422 without lines, or with findings of severity error: `errors` lists each with its line and place, and
    `dry_run=true` checks without a write. The reply lists the warnings. For a returned plan, `note` answers the notes.
    From the submission to a return the content cannot change; progress reports remain possible.
    """
    checked = workflow.move_plan(call.write, plan, Move("submit", content.note))
    language = choose_language(call.request)
    findings = [dump_placed(placed, language).model_dump(exclude_none=True) for placed in checked.warnings]
    return _reply(call, plan, warnings=len(checked.warnings) + checked.left_out, findings=findings)


@router.post("/plans/{plan}/return", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def return_plan(call: Caller, plan: PlanKey, content: ReturnIn) -> Response:
    """Return a plan to its region with notes on the plan or single lines. For a reviewer of a region above."""
    return _move(call, plan, Move("return", notes=content.notes))


@router.post("/plans/{plan}/endorse", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def endorse_plan(call: Caller, plan: PlanKey, content: MoveIn) -> Response:
    """Endorse a submitted plan, so that its region can adopt it. For a reviewer of a region above."""
    return _move(call, plan, Move("endorse", content.note))


@router.post("/plans/{plan}/adopt", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def adopt_plan(call: Caller, plan: PlanKey, content: AdoptIn) -> Response:
    """Adopt an endorsed plan by the region's legal instrument. For the chair of the TKPK.

    The plan comes into force: the server freezes it as the next revision, which never changes, and readers see it.
    """
    return _move(call, plan, Move("adopt", instrument=content))


@router.post("/plans/{plan}/amend", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def amend_plan(call: Caller, plan: PlanKey, content: AmendIn) -> Response:
    """Open an amendment of a plan in force. For the secretariat or the chair of the TKPK.

    The amendment passes the same states as a first plan; the revision in force stays until its adoption.
    """
    return _move(call, plan, Move("amend", content.note))


@router.post("/plans/{plan}/close", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def close_plan(call: Caller, plan: PlanKey, content: MoveIn) -> Response:
    """Close a plan after its year, for the chair of the TKPK: it takes no more amendments, and reports only in the
    correction of a quarter."""
    return _move(call, plan, Move("close", content.note))


@router.get("/plans/{plan}/notes", response_model=Page[PlanNote])
def list_plan_notes(call: Caller, plan: PlanKey, query: FromQuery[NotesQuery]) -> Response:
    """List the notes of a plan's returns, with author, place and answer.

    They remain after the adoption. 404 without the right to read drafts.
    """
    row = find_plan(call.session, call.actor, plan)
    listing = list_notes(call.actor, row, query)
    return call.answer_list(listing, query, sort=query.sort)


# Replies


def _move(call: RequestContext, code: str, move: Move) -> Response:
    workflow.move_plan(call.write, code, move)
    return _reply(call, code)


def _reply(call: RequestContext, code: str, *, status: int = 200, **more: object) -> Response:
    row = queries.read_plan_json(call.session, call.actor, code)
    plan_status = PlanStatus(
        plan=code,
        state=PlanState(row.state),
        revision=row.revision,
        year=row.year,
        action_count=row.action_count,
        is_kept=bool(row.is_kept),
        takes_reports=takes_reports(call.session, row.region_code, row.year, row.state),
        today=get_local_date(call.now, row.timezone),
    )
    verbs = list_allowed_verbs(call.actor, row.region_code, plan_status)
    return answer_resource(
        call.request, row.json, row.version, f"plans/{code}", status=status, allowed=verbs, **more
    )
