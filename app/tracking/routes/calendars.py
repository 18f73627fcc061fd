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
    """The days of a quarter that hold for a region: its own, else those of the nearest region above, else the
    shipped edition, a proposal without official status. `set_by` says which; `version` is 0 where the region
    itself has set nothing."""
    return _answer_calendar(call, region, period)


@router.put("", response_model=CalendarReply, responses=declare_created(CalendarReply))
def put_calendar(call: Caller, region: RegionKey, period: CalendarPeriod, content: CalendarIn) -> Response:
    """Set when a quarter opens, is due and closes, for a region and everything below it that sets nothing itself;
    `0` is the nation. For administrators. What was submitted already keeps how it was judged."""
    is_new = commands.put_calendar(call.write, region, period, content)
    return _answer_calendar(call, region, period, status=201 if is_new else 200)


@router.delete("", status_code=204)
def delete_calendar(call: Caller, region: RegionKey, period: CalendarPeriod) -> Response:
    """Take a region's own days back: those of the nearest region above hold again. 404 where it has set none."""
    commands.delete_calendar(call.write, region, period)
    return answer_no_content()


@router.get("/history", response_model=Page[HistoryEntry])
def list_calendar_history(
    call: Caller, region: RegionKey, period: CalendarPeriod, query: History
) -> Response:
    """Who set which days of a quarter for a region, and when. 404 while nobody has."""
    return answer_history(
        call, queries.calendar_chain(region), queries.CALENDAR.format_subject(region, period), query
    )


def _answer_calendar(call: RequestContext, region: str, period: str, *, status: int = 200) -> Response:
    text, version = queries.read_calendar(call.session, call.actor, region, period)
    verbs = ["edit", "delete"] if version else ["edit"]
    allowed = verbs if call.actor.may("write_calendar", region) else []
    address = queries.CALENDAR.format_subject(region, period)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)
