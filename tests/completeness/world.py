"""Moving the quarter of a regency, and reading its completeness, at stated instants."""

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
from app.tracking.quarters.models import ExtensionIn, PartSubmitIn, QuarterSubmitIn, QuarterVerb
from tests.database import turn_back

QUARTER = "2026-Q2"
#: The shipped calendar: the second quarter is due on 20 July.
LAST_SECOND = datetime(2026, 7, 20, 23, 59, 59, tzinfo=get_zone(Timezone.wita))
OFFICES = Actor(
    "offices", "offices", frozenset(TokenScope), (*CONSOLE.grants, Grant(Role.reviewer, "63", None))
)
"""An actor with the rights of the secretariat and of the province."""
REVIEWER = Actor("bappeda", "bappeda", frozenset(TokenScope), (Grant(Role.reviewer, "0", None),))
PART_ACCEPTED = PartSubmitIn(accept_missing=True, reason="Dua kegiatan belum dimulai")
ACCEPTED = QuarterSubmitIn(accept_missing=True, reason=PART_ACCEPTED.reason)


def get_late_day(number: int) -> datetime:
    """Return an instant in the afternoon, this many days after the day of the deadline."""
    return LAST_SECOND.astimezone(UTC) + timedelta(days=number, hours=-8)


def read_at(database: Database, instant: datetime, region: str = "63.02", **query: Any) -> Any:
    """Return the completeness at an instant."""
    with database.read_session() as session:
        completeness_query = CompletenessQuery(period=QUARTER, region=region, **query)
        return json.loads(read_completeness(session, REVIEWER, completeness_query, instant))


def read_region_at(database: Database, instant: datetime, code: str = "63.02") -> Any:
    (row,) = [region for region in read_at(database, instant)["regions"] if region["region_code"] == code]
    return row


def read_agency_at(database: Database, instant: datetime, agency: str) -> Any:
    (region,) = read_at(database, instant, by="agency")["regions"]
    (row,) = [entry for entry in region["agencies"] if entry["agency_code"] == agency]
    return row


def move(database: Database, instant: datetime, verb: QuarterVerb, text: str | None = None) -> None:
    turn_back(database, instant)
    with database.writing() as session:
        step = QuarterMove(verb, ACCEPTED if verb == "submit" else None, text)
        move_quarter(Write(session, Author("test", instant), OFFICES), "63.02", QUARTER, step)


def submit_part(database: Database, instant: datetime, agency: str) -> None:
    turn_back(database, instant)
    with database.writing() as session:
        write = Write(session, Author("test", instant), OFFICES)
        move_part(write, "63.02", QUARTER, agency, QuarterMove("submit", PART_ACCEPTED))


def extend(database: Database, until: str, agency: str | None = None) -> None:
    content = ExtensionIn(agency_code=agency, until=until, reason="Banjir")
    with database.writing() as session:
        write = Write(session, Author("test", LAST_SECOND), OFFICES)
        put_extension(write, "63.02", QUARTER, f"until-{until}", content)
