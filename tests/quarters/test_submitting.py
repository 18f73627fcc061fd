"""The conditions of submitting a quarter, and its deadlines."""

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
from tests.database import OneTransaction, turn_back
from tests.plans.world import ANY, HEALTH, SOCIAL
from tests.quarters.world import PART, Q2, Office, list_codes, send, summarise_refusal

pytestmark = pytest.mark.one_engine

SECRETARIAT = Actor("s", "s", frozenset(TokenScope), (Grant(Role.secretariat, "63.02", None),))


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text)


def submit(database: OneTransaction, instant: str, agency: str | None = None) -> None:
    """Submit a quarter, or an agency's part, at an instant in the past."""
    submission = QuarterSubmitIn(accept_missing=True, reason="x")
    author = Author("test", parse(instant).astimezone(UTC))
    turn_back(database, author.at)
    with database.writing() as session:
        write = Write(session, author, SECRETARIAT)
        if agency:
            move_part(write, "63.02", "2026-Q2", agency, QuarterMove("submit", submission))
        else:
            move_quarter(write, "63.02", "2026-Q2", QuarterMove("submit", submission))


def test_submitting_lines_without_a_report_needs_a_reason(office: Office) -> None:
    office.report("A-1", spent=5)
    refused = office.secretariat.post(f"{Q2}/submit", json={}, headers=ANY)
    assert summarise_refusal(refused) == (409, "quarter_not_ready", ["line_not_reported"])
    assert refused.json()["errors"][0]["value"] == "A-2"
    for wrong in ({"accept_missing": True}, {"accept_missing": True, "reason": " "}):
        reply = office.secretariat.post(f"{Q2}/submit", json=wrong, headers=ANY)
        assert reply.status_code == 422, reply.text
    quarter = send(office.secretariat, "submit").json()
    assert (quarter["state"], quarter["missing_reason"]) == ("submitted", "Belum mulai")
    assert (quarter["expected"], quarter["reported"]) == (2, 1)


def test_a_complete_quarter_needs_no_reason(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    reply = office.secretariat.post(f"{Q2}/submit", json={}, headers=ANY)
    assert (reply.status_code, reply.json()["missing_reason"]) == (200, None)


def test_reports_with_errors_block_the_submission_line_by_line(office: Office) -> None:
    office.report("A-1", quarter=1, spent=50)
    office.report("A-1", spent=5)
    office.report("A-2", spent=999_000_000_000, recipients=[{"code": "R1", "reached": 41}])
    refused = send(office.secretariat, "submit")
    assert summarise_refusal(refused) == (409, "quarter_not_ready", ["line_has_error"] * 5)
    assert {error["message"] for error in refused.json()["errors"]} == {
        f"Laporan baris {line} memuat kesalahan pada {part}: {finding}. Perbaiki lebih dahulu."
        for line, part, finding in (
            ("A-1", "realisasi seluruhnya", "Angka kumulatif turun"),
            ("A-1", "realisasi per sumber pembiayaan", "Angka kumulatif turun"),
            ("A-2", "realisasi seluruhnya", "Realisasi melebihi alokasi"),
            ("A-2", "realisasi per sumber pembiayaan", "Realisasi melebihi alokasi"),
            ("A-2", "penerima manfaat", "Terlayani melebihi sasaran"),
        )
    }
    assert list_codes(send(office.operator, "submit", PART)) == ["line_has_error"] * 2
    office.report("A-1", spent=50)
    assert send(office.operator, "submit", PART).status_code == 200


def test_a_part_needs_only_the_reports_of_its_own_lines(office: Office) -> None:
    office.report("A-1", spent=5)
    part = office.operator.post(f"{PART}/submit", json={}, headers=ANY).json()
    assert (part["state"], part["expected"], part["reported"], part["version"]) == ("submitted", 1, 1, 1)
    parts = {entry["agency_code"]: entry["state"] for entry in office.secretariat.get(Q2).json()["parts"]}
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
    assert (get_local_date(parse(last), zone), get_local_date(parse(first), zone)) == (due, date(2026, 7, 21))
    assert get_end_of_day(due, zone) == parse(last)
    day = {"region": "63.02", "period": "2026-Q2", "state": QuarterState.open, "zone": zone}
    status = QuarterStatus(**day, opens_on=due, due_on=due, closes_on=None, today=due)
    assert [status.late_by_days(parse(instant)) for instant in (last, first)] == [0, 1]


@pytest.mark.parametrize(
    ("region", "zone", "offset"), [("63.02", "WITA", 8), ("18.06", "WIB", 7), ("73.22", "WITA", 8)]
)
def test_the_deadline_is_an_instant_in_the_regions_zone(
    office: Office, region: str, zone: str, offset: int
) -> None:
    office.administrator.put(f"/v1/plans/{region}-2026", json={"title": "RAT"})
    quarter = office.administrator.get(f"/v1/regions/{region}/quarters/2026-Q2").json()
    assert (quarter["timezone"], quarter["deadline"]) == (zone, f"2026-07-20T23:59:59+0{offset}:00")


def test_a_submission_in_kotabaru_is_late_after_its_midnight(
    office: Office, database: OneTransaction
) -> None:
    for instant, is_late in (
        ("2026-07-20T23:59:59+08:00", False),
        ("2026-07-21T00:00:00+08:00", True),
        ("2026-07-20T23:30:00+07:00", True),
    ):
        point = database.connection.begin_nested()
        submit(database, instant)
        submitted = office.secretariat.get(Q2).json()
        assert (submitted["state"], submitted["is_late"]) == ("submitted", is_late)
        assert parse(submitted["submitted_at"]) == parse(instant)
        point.rollback()


def test_a_submission_in_papua_is_late_after_its_midnight(office: Office, database: OneTransaction) -> None:
    """At this instant it is the 20th in Kotabaru and the 21st in Jayapura."""
    instant = parse("2026-07-20T23:30:00+08:00")
    with database.read_session() as session:
        plan = read_plan_of_quarter(session, SECRETARIAT, "63.02", "2026-Q2")
        status = read_status(session, plan, "2026-Q2", instant)
    assert status.late_by_days(instant) == 0
    in_papua = QuarterStatus(**{**vars(status), "zone": Timezone.wit})
    assert in_papua.late_by_days(instant) == 1


def test_a_quarter_opens_at_midnight_of_the_zone(office: Office, database: OneTransaction) -> None:
    office.calendar(opens_on="2026-04-01")
    with database.read_session() as session:
        plan = read_plan_of_quarter(session, SECRETARIAT, "63.02", "2026-Q2")
        states = [
            read_status(session, plan, "2026-Q2", parse(instant)).state
            for instant in ("2026-03-31T23:59:59+08:00", "2026-04-01T00:00:00+08:00")
        ]
    assert states == [QuarterState.not_yet_open, QuarterState.open]


def test_an_extension_moves_the_deadline_of_its_agency_or_of_all(
    office: Office, database: OneTransaction
) -> None:
    assert office.extend("2026-07-31", agency=SOCIAL).status_code == 201
    quarter = office.secretariat.get(Q2).json()
    assert quarter["deadline"] == "2026-07-20T23:59:59+08:00"
    assert {entry["agency_code"]: entry["deadline"] for entry in quarter["parts"]} == {
        SOCIAL: "2026-07-31T23:59:59+08:00",
        HEALTH: "2026-07-20T23:59:59+08:00",
    }
    assert [entry["name"] for entry in quarter["extensions"]] == ["banjir"]
    for agency in (SOCIAL, HEALTH):
        submit(database, "2026-07-31T23:00:00+08:00", agency)
    late = {entry["agency_code"]: entry["is_late"] for entry in office.secretariat.get(Q2).json()["parts"]}
    assert late == {SOCIAL: False, HEALTH: True}
    assert office.extend("2026-08-05", name="semua").status_code == 201
    quarter = office.secretariat.get(Q2).json()
    assert {quarter["deadline"], *(entry["deadline"] for entry in quarter["parts"])} == {
        "2026-08-05T23:59:59+08:00"
    }
    assert [entry["is_late"] for entry in quarter["parts"]] == [True, False]
    submit(database, "2026-08-06T00:00:00+08:00")
    assert office.secretariat.get(Q2).json()["is_late"] is True


def test_only_reviewers_grant_extensions_beyond_the_deadline(office: Office) -> None:
    content: dict[str, Any] = {"until": "2026-07-31", "reason": "Banjir"}
    assert office.secretariat.put(f"{Q2}/extensions/x", json=content).status_code == 403
    for wrong, code in (
        ({"until": "2026-07-20"}, "extends_nothing"),
        ({"agency_code": "9.99"}, "unknown_reference"),
        ({"reason": ""}, "wrong_length"),
    ):
        reply = office.province.put(f"{Q2}/extensions/x", json={**content, **wrong})
        assert (reply.status_code, list_codes(reply)) == (422, [code])
    created = office.province.put(f"{Q2}/extensions/x", json=content)
    assert (created.status_code, created.json()["granted_by"][:8]) == (201, "reviewer")
    assert office.province.delete(f"{Q2}/extensions/x", headers=ANY).status_code == 204
    assert office.secretariat.get(Q2).json()["deadline"] == "2026-07-20T23:59:59+08:00"
    history = office.secretariat.get(f"{Q2}/history?kind=extension").json()["items"]
    assert [entry["kind"] for entry in history] == ["extension.created", "extension.deleted"]


def test_submitting_a_correction_is_not_late(office: Office, database: OneTransaction) -> None:
    submit(database, "2026-07-20T10:00:00+08:00")
    office.move("verify", "freeze", "correct")
    corrected = office.move("submit").json()
    assert corrected["is_late"] is False
    assert corrected["correction_reason"] == "Koreksi setelah pemeriksaan"


def test_the_longest_extension_applies() -> None:
    day = date(2026, 7, 20)
    status = QuarterStatus(
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
    assert status.deadline().isoformat() == "2026-07-22T23:59:59+08:00"
    assert status.deadline("A").isoformat() == "2026-07-28T23:59:59+08:00"
    assert [status.is_past_closing(agency) for agency in (None, "A", "B")] == [True, False, True]
