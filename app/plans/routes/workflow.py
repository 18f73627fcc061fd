"""Moving a plan over HTTP, and the notes that it came back with."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Call, Caller
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer_page, language_of
from app.kit.http.routing import house_router
from app.plans.core.models import PlanKey
from app.plans.core.queries import plan_of
from app.plans.findings.models import placed_shown
from app.plans.replies import plan_reply
from app.plans.workflow import commands, queries
from app.plans.workflow.commands import Move
from app.plans.workflow.models import (
    AdoptIn,
    AmendIn,
    MoveIn,
    PlanNote,
    PlanReply,
    ReturnIn,
    SubmitReply,
)
from app.plans.workflow.queries import NotesQuery, Submission

router = house_router(prefix="/plans/{plan}", tags=["plans"])

_CONDITIONAL = {"x-conditional": True}


@router.post("/submit", response_model=SubmitReply, openapi_extra=_CONDITIONAL)
def submit_plan(call: Caller, plan: PlanKey, said: MoveIn) -> Response:
    """Submit a plan, or the amendment of one in force, to the province. For the team's chair.

    422 while it has no line or a finding of severity error, each of them in `errors` with its line and place;
    with `dry_run=true` this tells what would block. Warnings travel with it. To a plan that was returned, `note`
    is the answer to the notes. From here to its return nothing in it can be changed; progress can be reported.
    """
    checked = _move(call, plan, Move("submit", said.note))
    language = language_of(call.request)
    return plan_reply(
        call,
        plan,
        warnings=len(checked.warnings) + checked.left_out,
        findings=[placed_shown(one, language).model_dump(exclude_none=True) for one in checked.warnings],
    )


@router.post("/return", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def return_plan(call: Caller, plan: PlanKey, said: ReturnIn) -> Response:
    """Return a plan to its region with notes, on the plan or on single lines. For a reviewer of a region above."""
    _move(call, plan, Move("return", notes=said.notes))
    return plan_reply(call, plan)


@router.post("/endorse", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def endorse_plan(call: Caller, plan: PlanKey, said: MoveIn) -> Response:
    """Endorse a plan that was submitted, so that its region can adopt it. For a reviewer of a region above."""
    _move(call, plan, Move("endorse", said.note))
    return plan_reply(call, plan)


@router.post("/adopt", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def adopt_plan(call: Caller, plan: PlanKey, said: AdoptIn) -> Response:
    """Adopt an endorsed plan by the region's legal instrument. For the team's chair.

    It is in force then: frozen as the next revision, which never changes, and visible to readers.
    """
    _move(call, plan, Move("adopt", instrument=said))
    return plan_reply(call, plan)


@router.post("/amend", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def amend_plan(call: Caller, plan: PlanKey, said: AmendIn) -> Response:
    """Begin to amend a plan in force. For the secretariat or the chair.

    The amendment is drafted beside it and goes the same way; until it is adopted the revision in force stays.
    """
    _move(call, plan, Move("amend", said.note))
    return plan_reply(call, plan)


@router.post("/close", response_model=PlanReply, openapi_extra=_CONDITIONAL)
def close_plan(call: Caller, plan: PlanKey, said: MoveIn) -> Response:
    """Close a plan whose year is over in its region's zone: no more reports, no more amendments. For the chair."""
    _move(call, plan, Move("close", said.note))
    return plan_reply(call, plan)


def _move(call: Call, plan: str, move: Move) -> Submission:
    return commands.move_plan(call.write, plan, move)


@router.get("/notes", response_model=Page[PlanNote])
def list_plan_notes(call: Caller, plan: PlanKey, query: Annotated[NotesQuery, Query()]) -> Response:
    """The notes with which a plan was returned: from whom, on what, whether they were answered.

    For whoever may read drafts; they stay after the plan was adopted. 404 for others.
    """
    row = plan_of(call.session, call.actor, plan)
    found = queries.list_notes(call.actor, row, query)
    return answer_page(call.request, read_page(call.session, call.request, found, query, sort=query.sort))
