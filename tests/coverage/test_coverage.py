"""Coverage of one village: writing, reading, refusals, deleting."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.coverage.world import ANY, AT, FULL, PERIOD, SEKAPUNG, get_figures, make_report, put
from tests.plans.world import refused


def test_a_report_gives_percentages_balance_and_status(secretariat: TestClient) -> None:
    reply = put(secretariat, SEKAPUNG, complete_families=20)
    assert (reply["eligible"], reply["served"], reply["coverage_percent"]) == (520, 382, 73.46)
    assert (reply["balance_percent"], reply["completeness_percent"], reply["status"]) == (25, 20, "partial")
    assert {row["strategy"]: row["coverage_percent"] for row in reply["by_strategy"]} == {
        "reduce_spending_burden": 84.78,
        "raise_income": 25,
        "reduce_poverty_pockets": 58.46,
        "base": 96,
    }
    assert (reply["service_package"], reply["method"], reply["allowed"]) == ("1", "1", ["edit", "delete"])


def test_coverage_without_eligible_families_is_undefined(secretariat: TestClient) -> None:
    reply = put(secretariat, SEKAPUNG, {"safe_water": (0, 0)}, families=0)
    assert reply["coverage_percent"] is reply["balance_percent"] is reply["status"] is None
    assert reply["completeness_percent"] is None
    result = get_figures(secretariat, "63.02")
    assert (result["undefined"], result["coverage_percent"], result["reach_percent"]) == (1, None, None)
    served = put(secretariat, SEKAPUNG, {"safe_water": (10, 10), "livelihood": (0, 0)})
    assert (served["balance_percent"], served["status"]) == (100, "converged")
    undefined = ["reduce_spending_burden", "raise_income"]
    assert get_figures(secretariat, "63.02")["undefined_strategies"] == undefined


def test_a_put_replaces_the_whole_report_and_keeps_the_history(secretariat: TestClient) -> None:
    put(secretariat, SEKAPUNG)
    shorter = put(secretariat, SEKAPUNG, {"livelihood": (60, 20)})
    assert [row["service"] for row in shorter["services"]] == ["livelihood"]
    assert (shorter["version"], shorter["served"]) == (2, 20)
    assert put(secretariat, SEKAPUNG, {"livelihood": (60, 20)})["version"] == 2
    assert secretariat.delete(f"{AT}/{SEKAPUNG}", headers=ANY).status_code == 204
    assert secretariat.get(f"{AT}/{SEKAPUNG}").status_code == 404
    kinds = [row["kind"] for row in secretariat.get(f"{AT}/{SEKAPUNG}/history").json()["items"]]
    assert kinds == ["coverage.created", "coverage.changed", "coverage.deleted"]


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        (
            {"services": [{"service": "safe_water", "eligible": 3, "served": 21}]},
            [("/services/0/served", "served_over_eligible")],
        ),
        ({"complete_families": 101}, [("/complete_families", "complete_over_target")]),
        (
            {"services": [{"service": "safe_watre", "eligible": 3, "served": 2}]},
            [("/services/0/service", "unknown_reference")],
        ),
        ({"services": []}, [("/services", "wrong_length")]),
        ({"source": None}, [("/source", "wrong_type")]),
        ({"source_period": "2026-Q5"}, [("/source_period", "wrong_pattern")]),
    ],
)
def test_refusals_have_a_pointer(secretariat: TestClient, changes: object, errors: object) -> None:
    reply = secretariat.put(f"{AT}/{SEKAPUNG}", json={**make_report(), **changes})  # type: ignore[dict-item]  # of the parameters
    assert refused(reply) == errors


def test_served_over_eligible_is_refused_for_each_service(secretariat: TestClient) -> None:
    wrong = {code: (eligible, eligible + 1) for code, (eligible, _) in FULL.items()}
    errors = refused(secretariat.put(f"{AT}/{SEKAPUNG}", json=make_report(wrong)))
    assert errors == [(f"/services/{n}/served", "served_over_eligible") for n in range(9)]
    twice = make_report({"livelihood": (1, 1)})
    twice["services"] *= 2
    assert refused(secretariat.put(f"{AT}/{SEKAPUNG}", json=twice)) == [("/services/1", "duplicate_key")]


@pytest.mark.parametrize(
    ("period", "village", "status"),
    [
        (PERIOD, "63.02.05.9999", 404),
        (PERIOD, "63.02.05", 404),
        (PERIOD, "63.03.01.2001", 404),
        ("2026", SEKAPUNG, 400),
        ("2026-S1", SEKAPUNG, 400),
    ],
)
def test_invalid_periods_and_villages_are_refused(
    secretariat: TestClient, period: str, village: str, status: int
) -> None:
    assert secretariat.put(f"/v1/coverage/{period}/{village}", json=make_report()).status_code == status
    assert secretariat.get(f"/v1/coverage/{period}/{village}").status_code == status


def test_each_role_reads_and_writes_coverage_within_its_rights(
    connect: Callable[..., TestClient], secretariat: TestClient
) -> None:
    put(secretariat, SEKAPUNG)
    callers = {
        ("reader", "63"): (200, 403),
        ("secretariat", "63"): (404, 404),
        ("administrator", "63"): (200, 200),
        ("operator", "63.02"): (200, 403),
        ("secretariat", "63.03"): (404, 404),
    }
    for role, (read_status, write_status) in callers.items():
        caller = connect(role)
        assert caller.get(f"{AT}/{SEKAPUNG}").status_code == read_status, role
        assert caller.put(f"{AT}/{SEKAPUNG}", json=make_report(), headers=ANY).status_code == write_status, (
            role
        )
        assert caller.get(f"{AT}?region=63.02").status_code == read_status, role
        assert caller.get(f"/v1/regions/63.02/coverage?period={PERIOD}").status_code == read_status, role
    # The secretariat of the province sees the province's own figures, not those of its regencies.
    province = connect(("secretariat", "63"))
    assert get_figures(province, "63")["villages_reporting"] == 1
    below = province.get(f"/v1/regions/63/coverage/children?period={PERIOD}").json()["items"]
    assert below == []
