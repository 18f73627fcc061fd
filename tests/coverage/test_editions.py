"""Editions of packages and methods: a new one needs no code and never changes existing measurements."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.convergence.editions.rules import choose_edition
from tests.coverage.world import ANY, SEKAPUNG, get_figures, put
from tests.pages import walk
from tests.plans.world import refused

PACKAGES, METHODS = "/v1/service-packages", "/v1/methods"


def edited(client: TestClient, address: str, **changes: Any) -> dict[str, Any]:
    """Return the writable fields of an edition, with changes."""
    edition = client.get(address).json()
    read_only = {"edition", "version", "in_use", "updated_at"}
    return {**{name: value for name, value in edition.items() if name not in read_only}, **changes}


def test_the_default_edition_is_a_proposal(stranger: TestClient, secretariat: TestClient) -> None:
    (package,) = walk(stranger, PACKAGES)
    assert (package["edition"], package["status"], package["in_use"]) == ("1", "proposal", False)
    assert len(package["services"]) == 9
    method, fair = walk(stranger, METHODS)
    weights = [
        method[f"weight_{name}"] for name in ("process", "coverage", "targeting", "spending", "outcome")
    ]
    assert weights == [0.25, 0.30, 0.15, 0.15, 0.15]
    assert [method["converged_coverage"], method["converged_balance"], method["partial_coverage"]] == [
        80,
        60,
        50,
    ]
    assert (fair["edition"], fair["status"], fair["first_year"]) == ("2", "proposal", 2027)
    other = {name for name in method if method[name] != fair[name]}
    assert other == {"edition", "first_year", "note", "fair_yardstick"}
    assert len(list(walk(secretariat, f"{METHODS}/1/history"))) == 1


@pytest.mark.parametrize("address", [f"{PACKAGES}/1", f"{METHODS}/1"])
def test_an_edition_in_use_cannot_be_changed(
    national_administrator: TestClient, secretariat: TestClient, address: str
) -> None:
    body = edited(national_administrator, address, name="Lain")
    assert secretariat.put(address, json=body, headers=ANY).status_code == 403
    assert national_administrator.put(address, json=body, headers=ANY).json()["version"] == 2
    put(secretariat, SEKAPUNG)
    assert national_administrator.put(address, json=body, headers=ANY).status_code == 200, (
        "an equal edition is no change"
    )
    late = national_administrator.put(address, json={**body, "name": "Lain lagi"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "edition_in_use")
    assert national_administrator.get(address).json()["in_use"] is True


def test_a_later_edition_keeps_existing_measurements(
    national_administrator: TestClient, secretariat: TestClient
) -> None:
    put(secretariat, SEKAPUNG)
    before = get_figures(secretariat, "63.02")
    strict = edited(national_administrator, f"{METHODS}/1", partial_coverage=79, first_year=2027)
    assert national_administrator.put(f"{METHODS}/3", json=strict).status_code == 201
    package = edited(national_administrator, f"{PACKAGES}/1", first_year=2020)
    package["services"] = package["services"][:1]
    assert national_administrator.put(f"{PACKAGES}/2", json=package).status_code == 201
    assert put(secretariat, SEKAPUNG, source="DTSEN lain")["status"] == "partial"
    assert get_figures(secretariat, "63.02") == before
    # The first report of the next year takes the newest edition.
    reply = secretariat.put(
        f"/v1/coverage/2027-Q1/{SEKAPUNG}",
        json={**_make_lean_report(), "services": _make_service("livelihood")},
    )
    assert refused(reply) == [("/services/0/service", "unknown_reference")]
    health = put(secretariat, SEKAPUNG, {"health_insurance": (10, 6)}, period="2027-Q1")
    assert (health["service_package"], health["method"], health["status"]) == ("2", "3", "not_yet")
    year = secretariat.get("/v1/regions/63.02/editions/2027").json()
    assert (year["service_package"], year["in_use"], year["version"]) == ("2", True, 1)


def _make_lean_report() -> dict[str, Any]:
    return {"target_families": 1, "source": "DTSEN", "source_period": "2026"}


def _make_service(service: str) -> list[dict[str, Any]]:
    return [{"service": service, "eligible": 1, "served": 1}]


def test_the_edition_of_a_region_and_year_can_be_chosen_until_its_first_report(
    national_administrator: TestClient, secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    address = "/v1/regions/63.02/editions/2026"
    assert (
        national_administrator.put(
            f"{METHODS}/0", json=edited(national_administrator, f"{METHODS}/1")
        ).status_code
        == 201
    )
    unset = secretariat.get(address).json()
    assert (unset["method"], unset["version"], unset["allowed"]) == ("1", None, [])
    choice = {"service_package": "1", "method": "0", "legal_basis": "Keputusan Gubernur"}
    assert secretariat.put(address, json=choice).status_code == 403
    governor = connect(("administrator", "63"))
    assert refused(governor.put(address, json={**choice, "method": "9"})) == [
        ("/method", "unknown_reference")
    ]
    assert governor.put(address, json=choice).status_code == 201
    assert put(secretariat, SEKAPUNG)["method"] == "0"
    late = governor.put(address, json={**choice, "method": "1"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "measured_already")
    named = governor.put(address, json={**choice, "legal_basis": "SK 7/2026"}, headers=ANY)
    assert named.json()["version"] == 2
    assert len(list(walk(secretariat, f"{address}/history"))) == 2
    for year in ("26", "20260", "next"):
        assert secretariat.get(f"/v1/regions/63.02/editions/{year}").status_code == 404


def test_inconsistent_editions_are_refused(national_administrator: TestClient) -> None:
    method = edited(national_administrator, f"{METHODS}/1")
    for changes, error in (
        ({"weight_process": 0.3}, ("/weight_process", "sum_is_not_one")),
        ({"share_direct": 0.6}, ("/share_direct", "sum_is_not_one")),
        ({"class_middle_from": 80}, ("/class_middle_from", "falling_thresholds")),
    ):
        assert refused(national_administrator.put(f"{METHODS}/3", json={**method, **changes})) == [error]
    package = edited(national_administrator, f"{PACKAGES}/1")
    package["services"][3]["strategy"] = "raise_incomes"
    assert refused(national_administrator.put(f"{PACKAGES}/2", json=package)) == [
        ("/services/3/strategy", "unknown_reference")
    ]


def test_a_year_before_the_first_edition_is_409(secretariat: TestClient) -> None:
    reply = secretariat.put(
        f"/v1/coverage/2014-Q1/{SEKAPUNG}",
        json={**_make_lean_report(), "services": _make_service("livelihood")},
    )
    assert (reply.status_code, reply.json()["code"]) == (409, "no_edition")


def test_a_year_takes_the_latest_edition_up_to_it() -> None:
    class NumberedEdition:
        def __init__(self, edition: str, first_year: int) -> None:
            self.edition, self.first_year = edition, first_year

    editions = [
        NumberedEdition("b", 2024),
        NumberedEdition("a", 2026),
        NumberedEdition("c", 2026),
        NumberedEdition("d", 2030),
    ]
    assert [
        (choose_edition(year, editions) or NumberedEdition("none", 0)).edition
        for year in (2020, 2025, 2026, 2031)
    ] == [
        "none",
        "b",
        "c",
        "d",
    ]
