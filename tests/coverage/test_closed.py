"""Coverage of a quarter that the regency has submitted."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.coverage.world import AT, VILLAGES, make_report
from tests.database import OneTransaction
from tests.plans.world import ANY, furnish, put, put_plan
from tests.quarters.world import Q2, Office, list_codes, send, summarise_refusal

ACCEPTS_LINES = {"accept_missing": True, "reason": "Belum mulai"}
FIRST, SECOND = VILLAGES[:2]


@pytest.fixture
def office(database: OneTransaction, connect: Callable[..., TestClient]) -> Office:
    """The callers of a regency with a line and two priority locations; the first has coverage."""
    furnish(database)
    office = Office(connect)
    put_plan(office.secretariat)
    put(office.secretariat, "A-1")
    loci = [{"region_code": village, "target_families": 50} for village in (FIRST, SECOND)]
    reply = office.secretariat.patch("/v1/plans/63.02-2026", json={"priority_locations": loci}, headers=ANY)
    assert reply.status_code == 200, reply.text
    assert cover(office, FIRST).status_code == 201
    return office


def cover(office: Office, village: str, families: int = 100) -> Any:
    path = f"{AT}/{village}"
    headers = ANY if office.secretariat.get(path).status_code == 200 else {}
    return office.secretariat.put(path, json=make_report(families=families), headers=headers)


def submit(office: Office, **more: Any) -> Any:
    return office.secretariat.post(f"{Q2}/submit", json={**ACCEPTS_LINES, **more}, headers=ANY)


def test_a_submission_names_the_locations_without_coverage(office: Office) -> None:
    assert office.secretariat.get(Q2).json()["loci_without_coverage"] == [SECOND]
    refused = submit(office)
    assert summarise_refusal(refused) == (409, "quarter_not_ready", ["location_not_covered"])
    assert refused.json()["errors"][0]["value"] == SECOND
    accepted = submit(office, accept_without_coverage=True).json()
    assert (accepted["state"], accepted["loci_without_coverage"]) == ("submitted", [SECOND])
    assert accepted["missing_reason"] == "Belum mulai"


def test_acceptance_needs_a_reason_and_no_part_takes_it(office: Office) -> None:
    body = {"accept_without_coverage": True}
    refused = office.secretariat.post(f"{Q2}/submit", json=body, headers=ANY)
    assert (refused.status_code, list_codes(refused)) == (422, ["reason_required"])
    part = office.operator.post(f"{Q2}/agencies/1.06.0.00.0.00.08.0000/submit", json=body, headers=ANY)
    assert (part.status_code, list_codes(part)) == (422, ["unknown_field"])


def test_a_province_accepts_no_coverage(office: Office) -> None:
    secretariat = office.connect(("secretariat", "63"))
    put_plan(secretariat, "63-2026")
    body = {"accept_without_coverage": True, "reason": "Belum"}
    refused = secretariat.post("/v1/regions/63/quarters/2026-Q2/submit", json=body, headers=ANY)
    assert (refused.status_code, list_codes(refused)) == (422, ["coverage_of_regencies"])


@pytest.mark.both_engines
def test_coverage_of_a_submitted_quarter_is_closed_until_a_correction(office: Office) -> None:
    figures = f"/v1/regions/63.02/coverage?period={Q2[-7:]}"
    submit(office, accept_without_coverage=True)
    before = office.secretariat.get(figures).json()
    assert cover(office, FIRST).status_code == 200, "nothing changes"
    for refused in (
        cover(office, FIRST, 120),
        cover(office, SECOND),
        office.secretariat.delete(f"{AT}/{FIRST}", headers=ANY),
    ):
        assert summarise_refusal(refused) == (409, "quarter_closed", ["quarter_being_verified"])
    office.move("verify", "freeze")
    assert summarise_refusal(cover(office, SECOND)) == (409, "quarter_closed", ["quarter_frozen"])
    assert office.secretariat.get(figures).json() == before
    office.move("correct")
    assert cover(office, SECOND).status_code == 201
    assert send(office.secretariat, "submit").json()["loci_without_coverage"] == []
    office.move("verify", "freeze")
    assert office.secretariat.get(figures).json()["villages_reporting"] == 2
    cards = f"/v1/scorecards/63.02?period={Q2[-7:]}"
    numbers = [office.secretariat.get(f"{cards}&amendment={n}").json() for n in (0, 1)]
    reached = [card["inputs"]["families_reporting"] for card in numbers]
    assert reached == [100, 200]


@pytest.mark.both_engines
def test_an_earlier_quarter_does_not_move_what_a_submitted_one_expects(office: Office) -> None:
    earlier = f"/v1/coverage/2026-Q1/{VILLAGES[2]}"
    assert office.secretariat.put(earlier, json=make_report(families=30)).status_code == 201
    submit(office, accept_without_coverage=True)
    surfaces = [
        "/v1/regions/63.02/coverage?period=2026-Q2",
        "/v1/regions/63.02.01/coverage/children?period=2026-Q2",
    ]
    before = [office.secretariat.get(path).json() for path in surfaces]
    assert before[0]["families_expected"] == 100 + 50 + 30
    assert office.secretariat.put(earlier, json=make_report(families=90), headers=ANY).status_code == 200
    loci = [{"region_code": VILLAGES[3], "target_families": 70}]
    changed = office.secretariat.patch("/v1/plans/63.02-2026", json={"priority_locations": loci}, headers=ANY)
    assert changed.status_code == 200, changed.text
    assert [office.secretariat.get(path).json() for path in surfaces] == before
    office.move("return")
    assert office.secretariat.get(surfaces[0]).json()["families_expected"] == 100 + 90 + 70
