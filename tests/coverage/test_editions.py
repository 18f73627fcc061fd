"""Packages and methods are data with an edition: replaced without code, never under what was measured by them."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.convergence.editions.rules import choose_edition
from tests.coverage.world import ANY, SEKAPUNG, figures, put
from tests.pages import walk
from tests.plans.world import refused

PACKAGES, METHODS = "/v1/service-packages", "/v1/methods"


def edited(client: TestClient, address: str, **changes: Any) -> dict[str, Any]:
    """An edition as it would be written anew."""
    shown = client.get(address).json()
    told = {"edition", "version", "in_use", "updated_at"}
    return {**{name: value for name, value in shown.items() if name not in told}, **changes}


def test_the_default_edition_is_a_proposal(stranger: TestClient, secretariat: TestClient) -> None:
    (package,) = walk(stranger, PACKAGES)
    assert (package["edition"], package["status"], package["in_use"]) == ("1", "proposal", False)
    assert len(package["services"]) == 9
    (method,) = walk(stranger, METHODS)
    weights = [
        method[f"weight_{name}"] for name in ("process", "coverage", "targeting", "spending", "outcome")
    ]
    assert weights == [0.25, 0.30, 0.15, 0.15, 0.15]
    assert [method["converged_coverage"], method["converged_balance"], method["partial_coverage"]] == [
        80,
        60,
        50,
    ]
    assert len(list(walk(secretariat, f"{METHODS}/1/history"))) == 1


@pytest.mark.parametrize("address", [f"{PACKAGES}/1", f"{METHODS}/1"])
def test_what_is_in_use_is_superseded_never_changed(
    national_administrator: TestClient, secretariat: TestClient, address: str
) -> None:
    body = edited(national_administrator, address, name="Lain")
    assert secretariat.put(address, json=body, headers=ANY).status_code == 403
    assert national_administrator.put(address, json=body, headers=ANY).json()["version"] == 2
    put(secretariat, SEKAPUNG)
    assert national_administrator.put(address, json=body, headers=ANY).status_code == 200, "nothing changes"
    late = national_administrator.put(address, json={**body, "name": "Lain lagi"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "edition_in_use")
    assert national_administrator.get(address).json()["in_use"] is True


def test_a_later_edition_leaves_what_was_measured(
    national_administrator: TestClient, secretariat: TestClient
) -> None:
    put(secretariat, SEKAPUNG)
    before = figures(secretariat, "63.02")
    strict = edited(national_administrator, f"{METHODS}/1", partial_coverage=79, first_year=2020)
    assert national_administrator.put(f"{METHODS}/2", json=strict).status_code == 201
    other = edited(national_administrator, f"{PACKAGES}/1", first_year=2020)
    other["services"] = other["services"][:1]
    assert national_administrator.put(f"{PACKAGES}/2", json=other).status_code == 201
    assert put(secretariat, SEKAPUNG, source="DTSEN lain")["status"] == "partial"
    assert figures(secretariat, "63.02") == before
    # The next year has not begun: its first report is by the newest.
    refusal = secretariat.put(
        f"/v1/coverage/2027-Q1/{SEKAPUNG}", json={**_lean(), "services": _one("livelihood")}
    )
    assert refused(refusal) == [("/services/0/service", "unknown_reference")]
    health = put(secretariat, SEKAPUNG, {"health_insurance": (10, 6)}, period="2027-Q1")
    assert (health["service_package"], health["method"], health["status"]) == ("2", "2", "not_yet")
    year = secretariat.get("/v1/regions/63.02/editions/2027").json()
    assert (year["service_package"], year["in_use"], year["version"]) == ("2", True, 1)


def _lean() -> dict[str, Any]:
    return {"target_families": 1, "source": "DTSEN", "source_period": "2026"}


def _one(service: str) -> list[dict[str, Any]]:
    return [{"service": service, "eligible": 1, "served": 1}]


def test_choosing_for_a_region_and_year(
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


def test_editions_that_contradict_themselves(national_administrator: TestClient) -> None:
    method = edited(national_administrator, f"{METHODS}/1")
    for changes, error in (
        ({"weight_process": 0.3}, ("/weight_process", "sum_is_not_one")),
        ({"share_direct": 0.6}, ("/share_direct", "sum_is_not_one")),
        ({"class_middle_from": 80}, ("/class_middle_from", "falling_thresholds")),
    ):
        assert refused(national_administrator.put(f"{METHODS}/2", json={**method, **changes})) == [error]
    package = edited(national_administrator, f"{PACKAGES}/1")
    package["services"][3]["strategy"] = "raise_incomes"
    assert refused(national_administrator.put(f"{PACKAGES}/2", json=package)) == [
        ("/services/3/strategy", "unknown_reference")
    ]


def test_no_edition_for_so_early_a_year(secretariat: TestClient) -> None:
    reply = secretariat.put(
        f"/v1/coverage/2014-Q1/{SEKAPUNG}", json={**_lean(), "services": _one("livelihood")}
    )
    assert (reply.status_code, reply.json()["code"]) == (409, "no_edition")


def test_the_edition_of_a_year_is_the_latest_not_after_it() -> None:
    class One:
        def __init__(self, edition: str, first_year: int) -> None:
            self.edition, self.first_year = edition, first_year

    editions = [One("b", 2024), One("a", 2026), One("c", 2026), One("d", 2030)]
    assert [
        (choose_edition(year, editions) or One("none", 0)).edition for year in (2020, 2025, 2026, 2031)
    ] == [
        "none",
        "b",
        "c",
        "d",
    ]
