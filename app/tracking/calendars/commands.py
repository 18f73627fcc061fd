"""Commands of calendars: set and reset the days of a quarter for a region and everything below it."""

from app.access.commands import Write
from app.kit.database.journal import Chain, lock_chain
from app.kit.database.resources import StoredRow
from app.tracking.calendars.models import CalendarIn
from app.tracking.calendars.queries import CALENDAR, calendar_chain, check_calendar


def put_calendar(write: Write, region: str, period: str, content: CalendarIn) -> bool:
    """Set a quarter's days. Return whether the region had none itself. Earlier submissions keep their lateness."""
    chain, stored = _lock_calendar(write, region, period)
    key = (region, period)
    write.precondition.check(stored[key].version if stored else None)
    CALENDAR.put(write.session, write.author, chain, {key: content.model_dump(mode="json")}, stored)
    return not stored


def delete_calendar(write: Write, region: str, period: str) -> None:
    """Delete a region's own days; those of the nearest region above apply again.

    Raises NotFound if the region has no days of its own.
    """
    chain, stored = _lock_calendar(write, region, period)
    key = (region, period)
    existing = write.precondition.check_existing(stored.get(key))
    CALENDAR.delete(write.session, write.author, chain, key, existing)


def _lock_calendar(write: Write, region: str, period: str) -> tuple[Chain, dict[tuple[str, str], StoredRow]]:
    check_calendar(write.session, write.actor, region, period)
    write.actor.require("write_calendar", region)
    chain = lock_chain(write.session, calendar_chain(region))
    return chain, CALENDAR.read(write.session, [(region, period)])
