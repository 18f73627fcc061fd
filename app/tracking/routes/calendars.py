"""Routes of the reporting calendar."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.http.pagination import Page
from app.kit.http.replies import answer_no_content, answer_resource, declare_created
from app.kit.http.routing import make_router
from app.reference.models import RegionKey
from app.tracking.calendars import commands, queries
from app.tracking.calendars.models import CalendarIn, CalendarPeriod, CalendarReply

router = make_router(prefix="/regions/{region}/calendar/{period}", tags=["tracking"])


@router.get("", response_model=CalendarReply)
def read_calendar(call: Caller, region: RegionKey, period: CalendarPeriod) -> Response:
    """Return the days of a quarter that apply to a region.

    The region's own days apply, else those of the nearest region above (`set_by`), else the shipped edition, a
    proposal without official status. `version` is 0 for a region without own days.
    """
    return _answer_calendar(call, region, period)


@router.put("", response_model=CalendarReply, responses=declare_created(CalendarReply))
def put_calendar(call: Caller, region: RegionKey, period: CalendarPeriod, content: CalendarIn) -> Response:
    """Set the opening, due and closing day of a quarter for a region and all regions below without own days.

    For administrators; `0` is the nation. Earlier submissions keep their lateness.
    """
    is_new = commands.put_calendar(call.write, region, period, content)
    return _answer_calendar(call, region, period, status=201 if is_new else 200)


@router.delete("", status_code=204)
def delete_calendar(call: Caller, region: RegionKey, period: CalendarPeriod) -> Response:
    """Delete a region's own days: those of the nearest region above apply again. 404 for a region without own days."""
    commands.delete_calendar(call.write, region, period)
    return answer_no_content()


@router.get("/history", response_model=Page[HistoryEntry])
def list_calendar_history(
    call: Caller, region: RegionKey, period: CalendarPeriod, query: History
) -> Response:
    """List the changes of a region's own days of a quarter, with actor and time. 404 before the first one."""
    return answer_history(
        call, queries.calendar_chain(region), queries.CALENDAR.format_subject(region, period), query
    )


def _answer_calendar(call: RequestContext, region: str, period: str, *, status: int = 200) -> Response:
    text, version = queries.read_calendar(call.session, call.actor, region, period)
    verbs = ["edit", "delete"] if version else ["edit"]
    allowed = verbs if call.actor.may("write_calendar", region) else []
    address = queries.CALENDAR.format_subject(region, period)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)
