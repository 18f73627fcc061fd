"""When a day ends in a region's zone. Pure."""

from datetime import date, datetime, time, timedelta, timezone

from app.reference.models import Timezone
from app.reference.rules import HOURS_AHEAD


def calendar_chain(region: str) -> str:
    """Chain of the journal in which the calendar that a region sets is written."""
    return f"calendar:{region}"


def zone_of(name: Timezone) -> timezone:
    return timezone(timedelta(hours=HOURS_AHEAD[name]), name)


def end_of(day: date, zone: Timezone) -> datetime:
    """The last second of a day in a zone, with its offset."""
    return datetime.combine(day, time(23, 59, 59), zone_of(zone))
