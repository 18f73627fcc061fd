"""Setting the days of a quarter for a region and everything below it."""

from app.access.commands import Write
from app.kit.database.journal import Chain, hold
from app.kit.database.resources import Stored
from app.tracking.calendars.models import CalendarIn
from app.tracking.calendars.queries import CALENDAR, calendar_chain, check_calendar


def put_calendar(write: Write, region: str, period: str, content: CalendarIn) -> bool:
    """Set a quarter's days; True where the region had set none. Deadlines that have passed are judged no more."""
    chain, stored = _held(write, region, period)
    key = (region, period)
    write.precondition.check(stored[key].version if stored else None)
    CALENDAR.put(write.session, write.author, chain, {key: content.model_dump(mode="json")}, stored)
    return not stored


def delete_calendar(write: Write, region: str, period: str) -> None:
    """Take a region's own days back; those of the nearest region above hold again.

    Raises NotFound if the region has set none.
    """
    chain, stored = _held(write, region, period)
    key = (region, period)
    existing = write.precondition.check_existing(stored.get(key))
    CALENDAR.delete(write.session, write.author, chain, key, existing)


def _held(write: Write, region: str, period: str) -> tuple[Chain, dict[tuple[str, str], Stored]]:
    check_calendar(write.session, write.actor, region, period)
    write.actor.require("write_calendar", region)
    chain = hold(write.session, calendar_chain(region))
    return chain, CALENDAR.read(write.session, [(region, period)])
