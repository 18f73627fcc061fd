"""Days and zones: which day it is in a region, and when a day there ends. Pure."""

from datetime import date, datetime, time, timedelta, timezone

from app.reference.models import Timezone

#: Indonesia knows no summer time; its three zones have had these offsets since Keppres 41/1987.
OFFSETS = {Timezone.wib: 7, Timezone.wita: 8, Timezone.wit: 9}


def calendar_chain(region: str) -> str:
    """Chain of the journal in which the calendar that a region sets is written."""
    return f"calendar:{region}"


def zone_of(name: Timezone) -> timezone:
    return timezone(timedelta(hours=OFFSETS[name]), name)


def local_day(at: datetime, zone: Timezone) -> date:
    """The day that an instant is in a zone: 16:30 UTC is the next day in Jayapura already."""
    return at.astimezone(zone_of(zone)).date()


def end_of(day: date, zone: Timezone) -> datetime:
    """The last second of a day in a zone, with its offset."""
    return datetime.combine(day, time(23, 59, 59), zone_of(zone))
