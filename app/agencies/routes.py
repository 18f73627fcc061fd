"""Routes of a region's agencies."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.agencies import commands, queries
from app.agencies.models import AgencyIn, AgencyKey, AgencyOut, AgencyQuery, AgencyReply, MergeIn
from app.agencies.rules import format_region_chain
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.http.pagination import Page
from app.kit.http.replies import answer_no_content, answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.kit.merge_patch import Patch
from app.reference.models import RegionKey

router = make_router(prefix="/regions/{region}/agencies", tags=["agencies"])

_CONDITIONAL = {"x-conditional": True}


@router.get("", response_model=Page[AgencyOut])
def list_agencies(call: Caller, region: RegionKey, query: FromQuery[AgencyQuery]) -> Response:
    """List the agencies of a province, regency or city that lead or support its actions, with the partners.

    The list has merged and retired agencies too; `state=active` leaves them out. 404 for a region that the caller
    does not see.
    """
    home = queries.check_agency_region(call.session, call.actor, region)
    return call.answer_list(queries.list_agencies(call.session, home, query), query, sort=query.order)


@router.get("/{agency}", response_model=AgencyReply)
def read_agency(call: Caller, region: RegionKey, agency: AgencyKey) -> Response:
    """Return one agency, in `allowed` with the verbs that the caller may use, in `merged_into` with its successor."""
    queries.check_agency_region(call.session, call.actor, region)
    return _reply(call, region, agency)


@router.put("/{agency}", response_model=AgencyReply, responses=declare_created(AgencyReply))
def put_agency(call: Caller, region: RegionKey, agency: AgencyKey, content: AgencyIn) -> Response:
    """Create an agency under its official code, or replace its name and kind.

    Equal content changes nothing, not even the version. 409 for a merged agency.
    """
    is_new = commands.put_agency(call.write, region, agency, content)
    return _reply(call, region, agency, status=201 if is_new else 200)


@router.patch("/{agency}", response_model=AgencyReply)
def patch_agency(call: Caller, region: RegionKey, agency: AgencyKey, patch: Patch) -> Response:
    """Change the name or the kind of an agency (JSON Merge Patch)."""
    commands.patch_agency(call.write, region, agency, patch)
    return _reply(call, region, agency)


@router.delete("/{agency}", status_code=204)
def delete_agency(call: Caller, region: RegionKey, agency: AgencyKey) -> Response:
    """Delete an agency that exists by mistake.

    409 while anything refers to it: a line of a plan, a membership, an agency merged into it. Then `retire` or
    `merge` it.
    """
    commands.delete_agency(call.write, region, agency)
    return answer_no_content()


@router.post("/{agency}/retire", response_model=AgencyReply, openapi_extra=_CONDITIONAL)
def retire_agency(call: Caller, region: RegionKey, agency: AgencyKey) -> Response:
    """Retire a dissolved agency: its lines stay, and no new line can name it. 409 unless it is active."""
    commands.set_state(call.write, region, agency, "retire")
    return _reply(call, region, agency)


@router.post("/{agency}/restore", response_model=AgencyReply, openapi_extra=_CONDITIONAL)
def restore_agency(call: Caller, region: RegionKey, agency: AgencyKey) -> Response:
    """Make a retired agency active again. 409 in any other state."""
    commands.set_state(call.write, region, agency, "restore")
    return _reply(call, region, agency)


@router.post("/{agency}/merge", response_model=AgencyReply, openapi_extra=_CONDITIONAL)
def merge_agency(call: Caller, region: RegionKey, agency: AgencyKey, merge: MergeIn) -> Response:
    """Merge an agency into another one of its region, after a reorganisation.

    One transaction moves the lines that it leads or supports, its operators, and the agencies merged into it before.
    It stays readable, with `merged_into`. 422 if the other agency does not exist or is not active (with the nearest
    active ones), 409 for an agency that has merged already.
    """
    commands.merge_agency(call.write, region, agency, merge.into)
    return _reply(call, region, agency)


@router.get("/{agency}/history", response_model=Page[HistoryEntry])
def list_agency_history(call: Caller, region: RegionKey, agency: AgencyKey, query: History) -> Response:
    """List every write to an agency, also mergers and retirement: position, time, old and new values.

    The history outlives the agency.
    """
    return answer_history(call, format_region_chain(region), f"regions/{region}/agencies/{agency}", query)


def _reply(call: RequestContext, region: str, code: str, *, status: int = 200) -> Response:
    text, state, version = queries.read_agency_text(call.session, region, code)
    allowed = queries.list_allowed_verbs(call.session, call.actor, region, code, state)
    address = f"regions/{region}/agencies/{code}"
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)
