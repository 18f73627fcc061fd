"""Routes of coordination meetings and joint commitments."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.agencies.queries import check_agency_region
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.http.pagination import Page
from app.kit.http.replies import answer_no_content, answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.kit.merge_patch import Patch
from app.reference.models import RegionKey
from app.tracking.meetings import commands, queries
from app.tracking.meetings.commands import FollowUpVerb
from app.tracking.meetings.models import (
    CommitmentIn,
    CommitmentKey,
    CommitmentOut,
    CommitmentQuery,
    CommitmentReply,
    FollowUpIn,
    MeetingIn,
    MeetingKey,
    MeetingOut,
    MeetingQuery,
    MeetingReply,
    RegionCommitmentQuery,
    RegionMeetingQuery,
)
from app.tracking.meetings.rules import list_allowed_verbs, meetings_chain

router = make_router(tags=["tracking"])

_MEETING = "/regions/{region}/meetings/{meeting}"
_COMMITMENT = "/regions/{region}/commitments/{commitment}"
_CONDITIONAL = {"x-conditional": True}


@router.get("/meetings", response_model=Page[MeetingOut])
def list_meetings(call: Caller, query: FromQuery[MeetingQuery]) -> Response:
    """List the coordination meetings of all visible regions, or of a region and everything below it.

    Day, attendance and today's date in the zone of the region decide `state`; the entity tag changes with it.
    """
    listing = queries.list_meetings(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/regions/{region}/meetings", response_model=Page[MeetingOut])
def list_region_meetings(call: Caller, region: RegionKey, query: FromQuery[RegionMeetingQuery]) -> Response:
    """List the coordination meetings (rakor) of a province, regency or city, with attendance and minutes.

    404 for a region that the caller does not see.
    """
    home = check_agency_region(call.session, call.actor, region)
    listing = queries.list_meetings(call.actor, query, call.now, home=home)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(_MEETING, response_model=MeetingReply)
def read_meeting(call: Caller, region: RegionKey, meeting: MeetingKey) -> Response:
    """Return a coordination meeting; `allowed` lists the operations that the caller may use."""
    check_agency_region(call.session, call.actor, region)
    return _answer_meeting(call, region, meeting)


@router.put(_MEETING, response_model=MeetingReply, responses=declare_created(MeetingReply))
def put_meeting(call: Caller, region: RegionKey, meeting: MeetingKey, content: MeetingIn) -> Response:
    """Create a coordination meeting under a key of your own, or replace its content.

    Plan it with its agenda; after it, add `agencies_present` and the minutes. Equal content writes nothing. 422 for
    agencies that the region does not have or that are no longer active.
    """
    is_new = commands.put_meeting(call.write, region, meeting, content)
    return _answer_meeting(call, region, meeting, status=201 if is_new else 200)


@router.patch(_MEETING, response_model=MeetingReply)
def patch_meeting(call: Caller, region: RegionKey, meeting: MeetingKey, patch: Patch) -> Response:
    """Change some fields of a meeting (JSON Merge Patch); a list in the patch replaces the stored list."""
    commands.patch_meeting(call.write, region, meeting, patch)
    return _answer_meeting(call, region, meeting)


@router.delete(_MEETING, status_code=204)
def delete_meeting(call: Caller, region: RegionKey, meeting: MeetingKey) -> Response:
    """Delete a meeting that did not take place; 409 while commitments refer to it. Its history stays."""
    commands.delete_meeting(call.write, region, meeting)
    return answer_no_content()


@router.get(f"{_MEETING}/history", response_model=Page[HistoryEntry])
def list_meeting_history(call: Caller, region: RegionKey, meeting: MeetingKey, query: History) -> Response:
    """List every write to a meeting with actor, time and changed fields, even after its deletion."""
    return answer_history(call, meetings_chain(region), f"regions/{region}/meetings/{meeting}", query)


def _answer_meeting(call: RequestContext, region: str, code: str, *, status: int = 200) -> Response:
    text, commitment_count, version = queries.read_meeting(call.session, region, code, call.now)
    verbs = ["edit"] if commitment_count else ["edit", "delete"]
    if not call.actor.may("write_meetings", region):
        verbs = []
    address = f"regions/{region}/meetings/{code}"
    return answer_resource(call.request, text, version, address, status=status, allowed=verbs)


@router.get("/commitments", response_model=Page[CommitmentOut])
def list_commitments(call: Caller, query: FromQuery[CommitmentQuery]) -> Response:
    """List the joint commitments of all visible regions with their follow-up, the first due first.

    `region=73&overdue=true` lists what a province has to follow up. Today's date in the zone of the region decides
    `overdue` and `days_overdue`; the entity tag changes with the day.
    """
    listing = queries.list_commitments(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/regions/{region}/commitments", response_model=Page[CommitmentOut])
def list_region_commitments(
    call: Caller, region: RegionKey, query: FromQuery[RegionCommitmentQuery]
) -> Response:
    """List the joint commitments of a province, regency or city; 404 for a region that the caller does not see."""
    home = check_agency_region(call.session, call.actor, region)
    listing = queries.list_commitments(call.actor, query, call.now, home=home)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(_COMMITMENT, response_model=CommitmentReply)
def read_commitment(call: Caller, region: RegionKey, commitment: CommitmentKey) -> Response:
    """Return a commitment with its follow-up; `allowed` lists the steps that the caller may take now."""
    check_agency_region(call.session, call.actor, region)
    return _answer_commitment(call, region, commitment)


@router.put(_COMMITMENT, response_model=CommitmentReply, responses=declare_created(CommitmentReply))
def put_commitment(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: CommitmentIn
) -> Response:
    """Create a commitment under a key of your own (it begins `open`), or replace its content.

    The meeting, the agencies and the linked lines must exist (422). A closed commitment accepts no changes (409)
    before `reopen`; equal content writes nothing.
    """
    is_new = commands.put_commitment(call.write, region, commitment, content)
    return _answer_commitment(call, region, commitment, status=201 if is_new else 200)


@router.patch(_COMMITMENT, response_model=CommitmentReply)
def patch_commitment(call: Caller, region: RegionKey, commitment: CommitmentKey, patch: Patch) -> Response:
    """Change some fields of a commitment (JSON Merge Patch); a list in the patch replaces the stored list."""
    commands.patch_commitment(call.write, region, commitment, patch)
    return _answer_commitment(call, region, commitment)


@router.delete(_COMMITMENT, status_code=204)
def delete_commitment(call: Caller, region: RegionKey, commitment: CommitmentKey) -> Response:
    """Delete a commitment that exists by mistake; 409 after it closes. Its history stays."""
    commands.delete_commitment(call.write, region, commitment)
    return answer_no_content()


@router.post(f"{_COMMITMENT}/start", response_model=CommitmentReply, openapi_extra=_CONDITIONAL)
def start_commitment(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: FollowUpIn
) -> Response:
    """Start the work on a commitment: `open` becomes `in_progress`.

    For the secretariat and for operators of the responsible agency. A commitment in progress stays unchanged,
    without the note; 409 from `done` and `cancelled`.
    """
    return _move(call, region, commitment, "start", content)


@router.post(f"{_COMMITMENT}/complete", response_model=CommitmentReply, openapi_extra=_CONDITIONAL)
def complete_commitment(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: FollowUpIn
) -> Response:
    """Close a commitment as `done`, with the address of the evidence.

    For the secretariat and for operators of the responsible agency. A done commitment stays unchanged; 409 from
    `cancelled`.
    """
    return _move(call, region, commitment, "complete", content)


@router.post(f"{_COMMITMENT}/cancel", response_model=CommitmentReply, openapi_extra=_CONDITIONAL)
def cancel_commitment(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: FollowUpIn
) -> Response:
    """Close a commitment as `cancelled`, with the reason. For the secretariat alone.

    A cancelled commitment stays unchanged; 409 from `done`.
    """
    return _move(call, region, commitment, "cancel", content)


@router.post(f"{_COMMITMENT}/reopen", response_model=CommitmentReply, openapi_extra=_CONDITIONAL)
def reopen_commitment(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: FollowUpIn
) -> Response:
    """Reopen a closed commitment, with the reason: it becomes `open`. For the secretariat alone.

    An open commitment stays unchanged; 409 from `in_progress`.
    """
    return _move(call, region, commitment, "reopen", content)


@router.post(f"{_COMMITMENT}/follow-ups", response_model=CommitmentReply, openapi_extra=_CONDITIONAL)
def note_follow_up(
    call: Caller, region: RegionKey, commitment: CommitmentKey, content: FollowUpIn
) -> Response:
    """Add a note on the progress of a commitment in any state; the state stays.

    For the secretariat and for operators of the responsible agency. Each call adds an entry: retry with the same
    `Idempotency-Key`.
    """
    return _move(call, region, commitment, "note", content)


@router.get(f"{_COMMITMENT}/history", response_model=Page[HistoryEntry])
def list_commitment_history(
    call: Caller, region: RegionKey, commitment: CommitmentKey, query: History
) -> Response:
    """List every write to a commitment and every step of its follow-up, even after its deletion."""
    return answer_history(call, meetings_chain(region), f"regions/{region}/commitments/{commitment}", query)


def _move(call: RequestContext, region: str, code: str, verb: FollowUpVerb, content: FollowUpIn) -> Response:
    commands.move_commitment(call.write, region, code, verb, content)
    return _answer_commitment(call, region, code)


def _answer_commitment(call: RequestContext, region: str, code: str, *, status: int = 200) -> Response:
    text, state, agency, version = queries.read_commitment(call.session, region, code, call.now)
    verbs = list_allowed_verbs(call.actor, region, agency, state)
    address = f"regions/{region}/commitments/{code}"
    return answer_resource(call.request, text, version, address, status=status, allowed=verbs)
