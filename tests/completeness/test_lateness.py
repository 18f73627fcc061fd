"""Lateness in days: as judged at the submission, otherwise until today."""

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
    extend,
    get_late_day,
    move,
    read_agency_at,
    read_at,
    read_region_at,
    submit_part,
)
from tests.database import OneTransaction
from tests.plans.world import HEALTH, SOCIAL, furnish, put_plan

pytestmark = pytest.mark.one_engine

IN_TIME, LATE, WAITING = True, False, None


def test_a_region_is_late_after_its_deadline(secretariat: TestClient, database: OneTransaction) -> None:
    def read_lateness(days: int) -> tuple[bool | None, int]:
        row = read_region_at(database, get_late_day(days))
        return row["on_time"], row["late_by_days"]

    assert [read_lateness(days) for days in (-1, 0, 1, 12)] == [
        (WAITING, 0),
        (WAITING, 0),
        (LATE, 1),
        (LATE, 12),
    ]
    assert read_at(database, get_late_day(0))["totals"]["late"] == 0
    assert read_at(database, get_late_day(1))["totals"]["late"] == 1
    assert read_region_at(database, LAST_SECOND)["deadline"] == "2026-07-20T23:59:59+08:00"


def test_the_deadline_is_midnight_in_the_region(
    secretariat: TestClient, database: OneTransaction, connect: ConnectAs
) -> None:
    furnish(database, "18.02")
    put_plan(connect(("secretariat", "18.02")), "18.02-2026")
    row = read_at(database, get_late_day(0).replace(hour=16, minute=30), "0")["regions"]
    late = {region["region_code"]: region["late_by_days"] for region in row if region["plan"]}
    # 00:30 in Kalimantan, 23:30 in Lampung.
    assert late == {"18.02": 0, "63.02": 1}


def test_an_extension_moves_the_deadline(secretariat: TestClient, database: OneTransaction) -> None:
    extend(database, "2026-07-24", HEALTH)
    assert read_region_at(database, get_late_day(5))["late_by_days"] == 5
    assert read_agency_at(database, get_late_day(5), SOCIAL)["late_by_days"] == 5
    health = read_agency_at(database, get_late_day(5), HEALTH)
    assert (health["late_by_days"], health["deadline"]) == (1, "2026-07-24T23:59:59+08:00")
    extend(database, "2026-07-22")
    assert read_region_at(database, get_late_day(5))["late_by_days"] == 3
    assert read_agency_at(database, get_late_day(5), HEALTH)["late_by_days"] == 1
    assert read_agency_at(database, get_late_day(5), SOCIAL)["late_by_days"] == 3


def test_a_submission_keeps_its_lateness(secretariat: TestClient, database: OneTransaction) -> None:
    move(database, get_late_day(5), "submit")
    (example,) = CalendarIn.model_config["json_schema_extra"]["examples"]
    calendar = CalendarIn.model_validate({**example, "due_on": "2026-08-31"})
    with database.writing() as session:
        author = Author("test", get_late_day(6))
        put_calendar(Write(session, author, CONSOLE), "63", QUARTER, calendar)
    row = read_region_at(database, get_late_day(90))
    assert (row["state"], row["on_time"], row["late_by_days"]) == ("submitted", LATE, 5)
    assert datetime.fromisoformat(row["submitted_at"]) == get_late_day(5)
    totals = read_at(database, get_late_day(90))["totals"]
    assert {name: totals[name] for name in _STEPS} == dict(zip(_STEPS, (1, 0, 0, 0, 1), strict=True))


def test_a_returned_quarter_is_late_again(secretariat: TestClient, database: OneTransaction) -> None:
    move(database, get_late_day(0), "submit")
    assert read_region_at(database, get_late_day(9))["on_time"] is IN_TIME
    move(database, get_late_day(2), "return", "Mohon dilengkapi")
    row = read_region_at(database, get_late_day(9))
    assert (row["submitted_at"], row["on_time"], row["late_by_days"]) == (None, LATE, 9)
    move(database, get_late_day(10), "submit")
    assert read_region_at(database, get_late_day(30))["late_by_days"] == 10


def test_a_correction_is_not_late(secretariat: TestClient, database: OneTransaction) -> None:
    for verb in ("submit", "verify", "freeze"):
        move(database, get_late_day(0), verb)
    frozen = read_region_at(database, get_late_day(1))
    assert frozen["state"] == "frozen"
    assert datetime.fromisoformat(frozen["frozen_at"]) == get_late_day(0)
    move(database, get_late_day(40), "correct", "Hasil pemeriksaan BPK")
    for verb in (None, "submit", "verify"):
        if verb:
            move(database, get_late_day(41), verb)
        row = read_region_at(database, get_late_day(60))
        assert (row["on_time"], row["late_by_days"]) == (IN_TIME, 0), verb
        totals = read_at(database, get_late_day(60))["totals"]
        assert {name: totals[name] for name in _STEPS} == dict(zip(_STEPS, (1, 1, 1, 1, 0), strict=True)), (
            verb
        )


def test_an_agency_has_the_lateness_of_its_part_or_of_the_region(
    secretariat: TestClient, database: OneTransaction
) -> None:
    submit_part(database, get_late_day(2), SOCIAL)
    social, health = (read_agency_at(database, get_late_day(9), code) for code in (SOCIAL, HEALTH))
    assert (social["state"], social["on_time"], social["late_by_days"]) == ("submitted", LATE, 2)
    assert datetime.fromisoformat(social["submitted_at"]) == get_late_day(2)
    assert (health["state"], health["submitted_at"], health["late_by_days"]) == ("open", None, 9)
    move(database, get_late_day(4), "submit")
    assert [read_agency_at(database, get_late_day(9), code)["late_by_days"] for code in (SOCIAL, HEALTH)] == [
        2,
        4,
    ]


_STEPS = ("submitted", "verified", "frozen", "on_time", "late")
