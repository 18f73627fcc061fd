"""In time or late, and by how many days: until the submission as it was judged then, else until today."""

from datetime import datetime

import pytest
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.kit.database.journal import Author
from app.tracking.calendars.commands import put_calendar
from app.tracking.calendars.models import CalendarIn
from tests.common import ConnectAs
from tests.completeness.world import (
    LAST_SECOND,
    QUARTER,
    agency_at,
    days_late,
    extend,
    look,
    move,
    region_at,
    submit_part,
)
from tests.database import OneTransaction
from tests.plans.world import HEALTH, SOCIAL, furnish, put_plan

pytestmark = pytest.mark.one_engine

IN_TIME, LATE, WAITING = True, False, None


def test_a_deadline_that_passes_changes_the_answer(secretariat: TestClient, database: OneTransaction) -> None:
    def shown(days: int) -> tuple[bool | None, int]:
        found = region_at(database, days_late(days))
        return found["on_time"], found["late_by_days"]

    assert [shown(days) for days in (-1, 0, 1, 12)] == [(WAITING, 0), (WAITING, 0), (LATE, 1), (LATE, 12)]
    assert look(database, days_late(0))["totals"]["late"] == 0
    assert look(database, days_late(1))["totals"]["late"] == 1
    assert region_at(database, LAST_SECOND)["deadline"] == "2026-07-20T23:59:59+08:00"


def test_midnight_is_that_of_the_region(
    secretariat: TestClient, database: OneTransaction, connect: ConnectAs
) -> None:
    furnish(database, "18.02")
    put_plan(connect(("secretariat", "18.02")), "18.02-2026")
    found = look(database, days_late(0).replace(hour=16, minute=30), "0")["regions"]
    late = {one["region_code"]: one["late_by_days"] for one in found if one["plan"]}
    # Half past midnight in Kalimantan, half past eleven in Lampung.
    assert late == {"18.02": 0, "63.02": 1}


def test_extensions_count(secretariat: TestClient, database: OneTransaction) -> None:
    extend(database, "2026-07-24", HEALTH)
    assert region_at(database, days_late(5))["late_by_days"] == 5
    assert agency_at(database, days_late(5), SOCIAL)["late_by_days"] == 5
    health = agency_at(database, days_late(5), HEALTH)
    assert (health["late_by_days"], health["deadline"]) == (1, "2026-07-24T23:59:59+08:00")
    extend(database, "2026-07-22")
    assert region_at(database, days_late(5))["late_by_days"] == 3
    assert agency_at(database, days_late(5), HEALTH)["late_by_days"] == 1
    assert agency_at(database, days_late(5), SOCIAL)["late_by_days"] == 3


def test_a_submission_keeps_how_it_was_judged(secretariat: TestClient, database: OneTransaction) -> None:
    move(database, days_late(5), "submit")
    (example,) = CalendarIn.model_config["json_schema_extra"]["examples"]
    calendar = CalendarIn.model_validate({**example, "due_on": "2026-08-31"})
    with database.writing() as session:
        author = Author("test", days_late(6))
        put_calendar(Write(session, author, CONSOLE), "63", QUARTER, calendar)
    found = region_at(database, days_late(90))
    assert (found["state"], found["on_time"], found["late_by_days"]) == ("submitted", LATE, 5)
    assert datetime.fromisoformat(found["submitted_at"]) == days_late(5)
    totals = look(database, days_late(90))["totals"]
    assert {name: totals[name] for name in _STEPS} == dict(zip(_STEPS, (1, 0, 0, 0, 1), strict=True))


def test_what_is_returned_is_awaited_again(secretariat: TestClient, database: OneTransaction) -> None:
    move(database, days_late(0), "submit")
    assert region_at(database, days_late(9))["on_time"] is IN_TIME
    move(database, days_late(2), "return", "Mohon dilengkapi")
    found = region_at(database, days_late(9))
    assert (found["submitted_at"], found["on_time"], found["late_by_days"]) == (None, LATE, 9)
    move(database, days_late(10), "submit")
    assert region_at(database, days_late(30))["late_by_days"] == 10


def test_a_correction_is_not_late(secretariat: TestClient, database: OneTransaction) -> None:
    for verb in ("submit", "verify", "freeze"):
        move(database, days_late(0), verb)
    frozen = region_at(database, days_late(1))
    assert frozen["state"] == "frozen"
    assert datetime.fromisoformat(frozen["frozen_at"]) == days_late(0)
    move(database, days_late(40), "correct", "Hasil pemeriksaan BPK")
    for verb in (None, "submit", "verify"):
        if verb:
            move(database, days_late(41), verb)
        found = region_at(database, days_late(60))
        assert (found["on_time"], found["late_by_days"]) == (IN_TIME, 0), verb
        totals = look(database, days_late(60))["totals"]
        assert {name: totals[name] for name in _STEPS} == dict(zip(_STEPS, (1, 1, 1, 1, 0), strict=True)), (
            verb
        )


def test_an_agency_goes_with_its_part_else_with_the_region(
    secretariat: TestClient, database: OneTransaction
) -> None:
    submit_part(database, days_late(2), SOCIAL)
    social, health = (agency_at(database, days_late(9), code) for code in (SOCIAL, HEALTH))
    assert (social["state"], social["on_time"], social["late_by_days"]) == ("submitted", LATE, 2)
    assert datetime.fromisoformat(social["submitted_at"]) == days_late(2)
    assert (health["state"], health["submitted_at"], health["late_by_days"]) == ("open", None, 9)
    move(database, days_late(4), "submit")
    assert [agency_at(database, days_late(9), code)["late_by_days"] for code in (SOCIAL, HEALTH)] == [2, 4]


_STEPS = ("submitted", "verified", "frozen", "on_time", "late")
