"""What a quarter must hold to be submitted, and when it is late."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.access.commands import Write
from app.access.models import Role, TokenScope
from app.access.rules import Actor, Grant
from app.kit.database.journal import Author
from app.kit.periods import get_end_of_day, get_local_date
from app.reference.models import Timezone
from app.tracking.quarters.commands import QuarterMove, move_part, move_quarter
from app.tracking.quarters.models import QuarterState, QuarterSubmitIn
from app.tracking.quarters.queries import read_plan_of_quarter, read_status
from app.tracking.quarters.rules import Extension, QuarterStatus
from tests.database import OneTransaction
from tests.plans.world import ANY, HEALTH, SOCIAL
from tests.quarters.world import PART, Q2, Office, codes, send, told

pytestmark = pytest.mark.one_engine

SECRETARIAT = Actor("s", "s", frozenset(TokenScope), (Grant(Role.secretariat, "63.02", None),))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def submit(database: OneTransaction, instant: str, agency: str | None = None) -> None:
    """Submit at an instant that has long passed."""
    submission = QuarterSubmitIn(accept_missing=True, reason="x")
    author = Author("test", at(instant).astimezone(UTC))
    with database.writing() as session:
        write = Write(session, author, SECRETARIAT)
        if agency:
            move_part(write, "63.02", "2026-Q2", agency, QuarterMove("submit", submission))
        else:
            move_quarter(write, "63.02", "2026-Q2", QuarterMove("submit", submission))


def test_lines_without_a_report_are_named_or_explained(office: Office) -> None:
    office.report("A-1", spent=5)
    refused = office.secretariat.post(f"{Q2}/submit", json={}, headers=ANY)
    assert told(refused) == (409, "quarter_not_ready", ["line_not_reported"])
    assert refused.json()["errors"][0]["value"] == "A-2"
    for wrong in ({"accept_missing": True}, {"accept_missing": True, "reason": " "}):
        reply = office.secretariat.post(f"{Q2}/submit", json=wrong, headers=ANY)
        assert reply.status_code == 422, reply.text
    done = send(office.secretariat, "submit").json()
    assert (done["state"], done["missing_reason"]) == ("submitted", "Belum mulai")
    assert (done["expected"], done["reported"]) == (2, 1)


def test_a_whole_quarter_needs_no_words(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    done = office.secretariat.post(f"{Q2}/submit", json={}, headers=ANY)
    assert (done.status_code, done.json()["missing_reason"]) == (200, None)


def test_reports_with_errors_are_named_by_line_and_cannot_be_accepted(office: Office) -> None:
    office.report("A-1", quarter=1, spent=50)
    office.report("A-1", spent=5)
    office.report("A-2", spent=999_000_000_000, recipients=[{"code": "R1", "reached": 41}])
    refused = send(office.secretariat, "submit")
    assert told(refused) == (409, "quarter_not_ready", ["line_has_error"] * 4)
    assert {error["message"] for error in refused.json()["errors"]} == {
        f"Laporan baris {line} memuat kesalahan pada {part}: {finding}. Perbaiki lebih dahulu."
        for line, part, finding in (
            ("A-1", "realisasi seluruhnya", "Angka kumulatif turun"),
            ("A-1", "realisasi per sumber pembiayaan", "Angka kumulatif turun"),
            ("A-2", "realisasi seluruhnya", "Realisasi melebihi alokasi"),
            ("A-2", "penerima manfaat", "Terlayani melebihi sasaran"),
        )
    }
    assert codes(send(office.operator, "submit", PART)) == ["line_has_error"] * 2
    office.report("A-1", spent=50)
    assert send(office.operator, "submit", PART).status_code == 200


def test_part_is_judged_by_its_own_lines(office: Office) -> None:
    office.report("A-1", spent=5)
    done = office.operator.post(f"{PART}/submit", json={}, headers=ANY).json()
    assert (done["state"], done["expected"], done["reported"], done["version"]) == ("submitted", 1, 1, 1)
    parts = {one["agency_code"]: one["state"] for one in office.secretariat.get(Q2).json()["parts"]}
    assert parts == {SOCIAL: "submitted", HEALTH: "open"}
    returned = send(office.secretariat, "return", PART).json()
    assert (returned["state"], returned["notes"]) == ("open", "Mohon diperiksa")


@pytest.mark.parametrize(
    ("zone", "last", "first"),
    [
        (Timezone.wib, "2026-07-20T16:59:59+00:00", "2026-07-20T17:00:00+00:00"),
        (Timezone.wita, "2026-07-20T15:59:59+00:00", "2026-07-20T16:00:00+00:00"),
        (Timezone.wit, "2026-07-20T14:59:59+00:00", "2026-07-20T15:00:00+00:00"),
    ],
)
def test_a_day_ends_at_midnight_of_the_zone(zone: Timezone, last: str, first: str) -> None:
    due = date(2026, 7, 20)
    assert (get_local_date(at(last), zone), get_local_date(at(first), zone)) == (due, date(2026, 7, 21))
    assert get_end_of_day(due, zone) == at(last)
    day = {"region": "63.02", "period": "2026-Q2", "state": QuarterState.open, "zone": zone}
    standing = QuarterStatus(**day, opens_on=due, due_on=due, closes_on=None, today=due)
    assert [standing.late_by_days(at(one)) for one in (last, first)] == [0, 1]


@pytest.mark.parametrize(
    ("region", "zone", "offset"), [("63.02", "WITA", 8), ("18.06", "WIB", 7), ("73.22", "WITA", 8)]
)
def test_deadline_is_an_instant_of_the_region(office: Office, region: str, zone: str, offset: int) -> None:
    office.administrator.put(f"/v1/plans/{region}-2026", json={"title": "RAT"})
    found = office.administrator.get(f"/v1/regions/{region}/quarters/2026-Q2").json()
    assert (found["timezone"], found["deadline"]) == (zone, f"2026-07-20T23:59:59+0{offset}:00")


def test_kotabaru_is_in_time_until_its_own_midnight(office: Office, database: OneTransaction) -> None:
    for instant, is_late in (
        ("2026-07-20T23:59:59+08:00", False),
        ("2026-07-21T00:00:00+08:00", True),
        ("2026-07-20T23:30:00+07:00", True),
    ):
        point = database.connection.begin_nested()
        submit(database, instant)
        submitted = office.secretariat.get(Q2).json()
        assert (submitted["state"], submitted["is_late"]) == ("submitted", is_late)
        assert at(submitted["submitted_at"]) == at(instant)
        point.rollback()


def test_papua_is_in_time_until_its_own_midnight(office: Office, database: OneTransaction) -> None:
    """The same instant is the 20th in Kotabaru and the 21st in Jayapura."""
    instant = at("2026-07-20T23:30:00+08:00")
    with database.read_session() as session:
        plan = read_plan_of_quarter(session, SECRETARIAT, "63.02", "2026-Q2")
        standing = read_status(session, plan, "2026-Q2", instant)
    assert standing.late_by_days(instant) == 0
    there = QuarterStatus(**{**vars(standing), "zone": Timezone.wit})
    assert there.late_by_days(instant) == 1


def test_opening_is_judged_in_the_zone_too(office: Office, database: OneTransaction) -> None:
    office.calendar(opens_on="2026-04-01")
    with database.read_session() as session:
        plan = read_plan_of_quarter(session, SECRETARIAT, "63.02", "2026-Q2")
        states = [
            read_status(session, plan, "2026-Q2", at(instant)).state
            for instant in ("2026-03-31T23:59:59+08:00", "2026-04-01T00:00:00+08:00")
        ]
    assert states == [QuarterState.not_yet_open, QuarterState.open]


def test_an_extension_moves_the_deadline_of_those_it_is_for(office: Office, database: OneTransaction) -> None:
    assert office.extend("2026-07-31", agency=SOCIAL).status_code == 201
    found = office.secretariat.get(Q2).json()
    assert found["deadline"] == "2026-07-20T23:59:59+08:00"
    assert {one["agency_code"]: one["deadline"] for one in found["parts"]} == {
        SOCIAL: "2026-07-31T23:59:59+08:00",
        HEALTH: "2026-07-20T23:59:59+08:00",
    }
    assert [one["name"] for one in found["extensions"]] == ["banjir"]
    for agency in (SOCIAL, HEALTH):
        submit(database, "2026-07-31T23:00:00+08:00", agency)
    late = {one["agency_code"]: one["is_late"] for one in office.secretariat.get(Q2).json()["parts"]}
    assert late == {SOCIAL: False, HEALTH: True}
    assert office.extend("2026-08-05", name="semua").status_code == 201
    found = office.secretariat.get(Q2).json()
    assert {found["deadline"], *(one["deadline"] for one in found["parts"])} == {"2026-08-05T23:59:59+08:00"}
    assert [one["is_late"] for one in found["parts"]] == [True, False]
    submit(database, "2026-08-06T00:00:00+08:00")
    assert office.secretariat.get(Q2).json()["is_late"] is True


def test_extensions_are_for_who_reviews_and_extend_something(office: Office) -> None:
    content: dict[str, Any] = {"until": "2026-07-31", "reason": "Banjir"}
    assert office.secretariat.put(f"{Q2}/extensions/x", json=content).status_code == 403
    for wrong, code in (
        ({"until": "2026-07-20"}, "extends_nothing"),
        ({"agency_code": "9.99"}, "unknown_reference"),
        ({"reason": ""}, "wrong_length"),
    ):
        reply = office.province.put(f"{Q2}/extensions/x", json={**content, **wrong})
        assert (reply.status_code, codes(reply)) == (422, [code])
    made = office.province.put(f"{Q2}/extensions/x", json=content)
    assert (made.status_code, made.json()["granted_by"][:8]) == (201, "reviewer")
    assert office.province.delete(f"{Q2}/extensions/x", headers=ANY).status_code == 204
    assert office.secretariat.get(Q2).json()["deadline"] == "2026-07-20T23:59:59+08:00"
    history = office.secretariat.get(f"{Q2}/history?kind=extension").json()["items"]
    assert [one["kind"] for one in history] == ["extension.created", "extension.deleted"]


def test_a_correction_is_not_late_by_itself(office: Office, database: OneTransaction) -> None:
    submit(database, "2026-07-20T10:00:00+08:00")
    office.move("verify", "freeze", "correct")
    corrected = office.move("submit").json()
    assert corrected["is_late"] is False
    assert corrected["correction_reason"] == "Koreksi setelah pemeriksaan"


def test_longest_extension_counts() -> None:
    day = date(2026, 7, 20)
    standing = QuarterStatus(
        "63.02",
        "2026-Q2",
        QuarterState.open,
        Timezone.wita,
        opens_on=date(2026, 4, 1),
        due_on=day,
        closes_on=date(2026, 7, 25),
        today=date(2026, 7, 28),
        extensions=[Extension(None, date(2026, 7, 22)), Extension("A", date(2026, 7, 28))],
    )
    assert standing.deadline().isoformat() == "2026-07-22T23:59:59+08:00"
    assert standing.deadline("A").isoformat() == "2026-07-28T23:59:59+08:00"
    assert [standing.is_past_closing(one) for one in (None, "A", "B")] == [True, False, True]
