"""Setting the days of a quarter for a region and everything below it."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.journal import Author, Chain, Entry, hold, next_version, record
from app.kit.database.upsert import upsert
from app.kit.http.etags import CheckVersion
from app.kit.problems import NotFound
from app.tracking.calendars.models import CalendarIn
from app.tracking.calendars.queries import calendar, check_calendar
from app.tracking.calendars.rules import calendar_chain


def put_calendar(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    period: str,
    content: CalendarIn,
    check: CheckVersion,
) -> bool:
    """Set a quarter's days; True where the region had set none. Deadlines that have passed are judged no more."""
    chain, stored = _held(session, actor, region, period)
    check(stored["version"] if stored else None)
    after = content.model_dump(mode="json")
    if stored is not None and _content(stored) == after:
        return False
    version = next_version(session, _address(region, period), stored["version"] if stored else None)
    row = {**after, "region_code": region, "period": period, "version": version, "updated_at": author.at}
    upsert(session, calendar, [row], key=["region_code", "period"])
    record(session, chain, author, [_entry(region, period, version, stored, after)])
    return stored is None


def delete_calendar(
    session: Session, author: Author, actor: Actor, region: str, period: str, check: CheckVersion
) -> None:
    """Take a region's own days back; those of the nearest region above hold again. NotFound: it has set none."""
    chain, stored = _held(session, actor, region, period)
    if stored is None:
        raise NotFound()
    check(stored["version"])
    session.execute(sa.delete(calendar).where(calendar.c.region_code == region, calendar.c.period == period))
    record(session, chain, author, [_entry(region, period, stored["version"] + 1, stored, None)])


def _held(session: Session, actor: Actor, region: str, period: str) -> tuple[Chain, dict[str, Any] | None]:
    check_calendar(session, actor, region, period)
    actor.require("write_calendar", region)
    chain = hold(session, calendar_chain(region))
    row = session.execute(
        sa.select(calendar).where(calendar.c.region_code == region, calendar.c.period == period)
    ).one_or_none()
    return chain, dict(row._mapping) if row else None


def _content(stored: dict[str, Any]) -> dict[str, Any]:
    return CalendarIn.model_construct(**{n: stored[n] for n in CalendarIn.model_fields}).model_dump(
        mode="json"
    )


def _entry(
    region: str, period: str, version: int, stored: dict[str, Any] | None, after: dict[str, Any] | None
) -> Entry:
    before = _content(stored) if stored else None
    return Entry.of("calendar", region, _address(region, period), version, before, after)


def _address(region: str, period: str) -> str:
    return f"regions/{region}/calendar/{period}"
