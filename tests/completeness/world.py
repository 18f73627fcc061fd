"""A province whose regencies report a quarter, moved and looked at on stated days."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from app.access.commands import Write
from app.access.models import Role, TokenScope
from app.access.rules import CONSOLE, Actor, Grant
from app.kit.database.engine import Database
from app.kit.database.journal import Author
from app.kit.periods import get_zone
from app.reference.models import Timezone
from app.tracking.completeness.queries import CompletenessQuery, read_completeness
from app.tracking.quarters.commands import QuarterMove, move_part, move_quarter, put_extension
from app.tracking.quarters.models import ExtensionIn, QuarterSubmitIn, QuarterVerb

QUARTER = "2026-Q2"
#: The shipped calendar: the second quarter is due on 20 July.
LAST_SECOND = datetime(2026, 7, 20, 23, 59, 59, tzinfo=get_zone(Timezone.wita))
OFFICES = Actor(
    "offices", "offices", frozenset(TokenScope), (*CONSOLE.grants, Grant(Role.reviewer, "63", None))
)
"""Secretariat and province in one."""
REVIEWER = Actor("bappeda", "bappeda", frozenset(TokenScope), (Grant(Role.reviewer, "0", None),))
ACCEPTED = QuarterSubmitIn(accept_missing=True, reason="Dua kegiatan belum dimulai")


def days_late(number: int) -> datetime:
    """The middle of the day that many days after the last one in time."""
    return LAST_SECOND.astimezone(UTC) + timedelta(days=number, hours=-8)


def look(database: Database, at: datetime, region: str = "63.02", **query: Any) -> Any:
    """The reply as it is at an instant."""
    with database.read_session() as session:
        asked = CompletenessQuery(period=QUARTER, region=region, **query)
        return json.loads(read_completeness(session, REVIEWER, asked, at))


def region_at(database: Database, at: datetime, code: str = "63.02") -> Any:
    (found,) = [one for one in look(database, at)["regions"] if one["region_code"] == code]
    return found


def agency_at(database: Database, at: datetime, agency: str) -> Any:
    (region,) = look(database, at, by="agency")["regions"]
    (found,) = [one for one in region["agencies"] if one["agency_code"] == agency]
    return found


def move(database: Database, at: datetime, verb: QuarterVerb, text: str | None = None) -> None:
    with database.writing() as session:
        step = QuarterMove(verb, ACCEPTED if verb == "submit" else None, text)
        move_quarter(Write(session, Author("test", at), OFFICES), "63.02", QUARTER, step)


def submit_part(database: Database, at: datetime, agency: str) -> None:
    with database.writing() as session:
        write = Write(session, Author("test", at), OFFICES)
        move_part(write, "63.02", QUARTER, agency, QuarterMove("submit", ACCEPTED))


def extend(database: Database, until: str, agency: str | None = None) -> None:
    content = ExtensionIn(agency_code=agency, until=until, reason="Banjir")
    with database.writing() as session:
        write = Write(session, Author("test", LAST_SECOND), OFFICES)
        put_extension(write, "63.02", QUARTER, f"until-{until}", content)
