"""Completeness of a quarter: a province in one call, by region and by agency."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.completeness.world import QUARTER, get_late_day, read_at
from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, report

AT = f"/v1/completeness?period={QUARTER}"
Connect = Callable[..., TestClient]


def test_a_province_lists_its_regions_with_missing_reports(secretariat: TestClient, connect: Connect) -> None:
    result = connect(("reviewer", "63")).get(f"{AT}&region=63").json()
    assert (result["region_code"], result["region_name"]) == ("63", "Kalimantan Selatan")
    regions = {
        row["region_code"]: (row["plan"], row["expected"], row["reported"], row["missing"])
        for row in result["regions"]
    }
    assert regions == {"63": (None, 0, 0, 0), "63.02": ("63.02-2026", 3, 1, 2), "63.03": (None, 0, 0, 0)}
    assert [row["level"] for row in result["regions"]] == ["province", "regency", "regency"]
    nothing = result["regions"][2]
    assert {nothing[name] for name in ("state", "deadline", "on_time", "late_by_days")} == {None}
    assert "agencies" not in nothing
    totals = result["totals"]
    assert (totals["regions"], totals["without_plan"]) == (3, 2)
    assert (totals["expected"], totals["reported"], totals["missing"]) == (3, 1, 2)
    quarters = secretariat.get(f"/v1/quarters?region=63&period={QUARTER}").json()["items"]
    assert [(row["expected"], row["reported"]) for row in quarters] == [(3, 1)]


def test_the_agencies_of_a_region_have_their_own_counts(secretariat: TestClient) -> None:
    result = secretariat.get(f"{AT}&region=63.02&by=agency").json()
    agencies = [
        (row["agency_code"], row["agency_name"], row["expected"], row["reported"], row["missing"])
        for row in result["regions"][0]["agencies"]
    ]
    assert agencies == [(HEALTH, "Dinas Kesehatan", 1, 0, 1), (SOCIAL, "Dinas Sosial", 2, 1, 1)]


def test_all_lines_are_expected_in_all_quarters(secretariat: TestClient) -> None:
    """Lines that ended or have not begun count too; a report of another quarter does not."""
    totals = {
        quarter: secretariat.get(f"/v1/completeness?period=2026-{quarter}&region=63.02").json()["totals"]
        for quarter in ("Q1", "Q2", "Q3", "Q4")
    }
    assert {row["expected"] for row in totals.values()} == {3}
    assert {quarter: row["reported"] for quarter, row in totals.items()} == {
        "Q1": 1,
        "Q2": 1,
        "Q3": 1,
        "Q4": 0,
    }


@pytest.mark.parametrize(
    ("period", "quarter"), [("2026-S1", "2026-Q2"), ("2026-S2", "2026-Q4"), ("2026", "2026-Q4")]
)
def test_a_semester_or_year_has_the_completeness_of_its_last_quarter(
    secretariat: TestClient, period: str, quarter: str
) -> None:
    derived = secretariat.get(f"/v1/completeness?period={period}&region=63.02&by=agency").json()
    last = secretariat.get(f"/v1/completeness?period={quarter}&region=63.02&by=agency").json()
    assert (derived.pop("period"), last.pop("period")) == (period, quarter)
    assert derived == last
    assert derived["to_quarter"] == quarter


def test_the_list_has_only_the_regions_visible_to_the_caller(
    secretariat: TestClient, connect: Connect
) -> None:
    result = secretariat.get(f"{AT}&region=63").json()
    assert [region["region_code"] for region in result["regions"]] == ["63.02"]
    assert [region["region_code"] for region in secretariat.get(f"{AT}&region=0").json()["regions"]] == [
        "63.02"
    ]
    for caller, region in (
        (connect(), "63.02"),
        (connect(("reviewer", "73")), "63.02"),
        (secretariat, "63.03"),
        (secretariat, "63.02.01"),
        (secretariat, "99"),
    ):
        assert caller.get(f"{AT}&region={region}").status_code == 404, region
    assert secretariat.get("/v1/completeness?period=2026-Q5&region=63.02").status_code == 400
    assert secretariat.get(f"{AT}&region=63.02&by=strategy").status_code == 400


def test_a_draft_does_not_count_for_a_reader(secretariat: TestClient, connect: Connect) -> None:
    reader = connect(("reader", "63"))
    result = reader.get(f"{AT}&region=63&by=agency").json()
    assert [(region["plan"], region["expected"], region["agencies"]) for region in result["regions"]] == [
        (None, 0, [])
    ] * 3
    assert reader.get(f"/v1/completeness/missing?period={QUARTER}&region=63").json()["items"] == []


def test_an_unchanged_result_is_304(secretariat: TestClient) -> None:
    first = secretariat.get(f"{AT}&region=63.02")
    headers = {"If-None-Match": first.headers["ETag"]}
    assert secretariat.get(f"{AT}&region=63.02", headers=headers).status_code == 304
    report(secretariat, "A-3", 2, spent=0)
    unchanged = secretariat.get(f"{AT}&region=63.02", headers=headers)
    assert (unchanged.status_code, unchanged.json()["totals"]["reported"]) == (200, 2)


def _write_regencies(database: OneTransaction, connect: Connect, lines: int, *regions: str) -> None:
    for region in regions:
        furnish(database, region)
        client = connect(("secretariat", region))
        put_plan(client, f"{region}-2026")
        items: list[dict[str, Any]] = [{**LEAN, "code": f"A-{n}"} for n in range(lines)]
        put_many(client, items, plan=f"{region}-2026")


def test_any_number_of_regions_and_lines_costs_one_statement(
    secretariat: TestClient, database: OneTransaction, connect: Connect
) -> None:
    nation = connect(("reviewer", "0"))

    def count_statements() -> list[int]:
        counts = []
        for address in (f"{AT}&region=0", f"{AT}&region=0&by=agency"):
            before = len(database.statements)
            assert nation.get(address).status_code == 200
            counts.append(len(database.statements) - before)
        return counts

    before = count_statements()
    _write_regencies(database, connect, 20, "63", "63.03", "73.22", "18.02", "18.06")
    assert count_statements() == before
    # One statement authenticates the caller, the other answers.
    assert before == [2, 2]
    result = read_at(database, get_late_day(1), "0")
    with_plan = [region for region in result["regions"] if region["plan"]]
    assert len(with_plan) == 6
    assert sum(region["expected"] for region in with_plan) == result["totals"]["expected"] == 103
    assert result["totals"]["without_plan"] == result["totals"]["regions"] - 6 == 2
