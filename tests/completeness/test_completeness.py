"""Who has reported a quarter and who has not: a province in one call, by region and by agency."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.completeness.world import QUARTER, days_late, look
from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, report

AT = f"/v1/completeness?period={QUARTER}"
Connect = Callable[..., TestClient]


def test_a_province_says_who_has_not_reported(secretariat: TestClient, connect: Connect) -> None:
    found = connect(("reviewer", "63")).get(f"{AT}&region=63").json()
    assert (found["region_code"], found["region_name"]) == ("63", "Kalimantan Selatan")
    shown = {
        one["region_code"]: (one["plan"], one["expected"], one["reported"], one["missing"])
        for one in found["regions"]
    }
    assert shown == {"63": (None, 0, 0, 0), "63.02": ("63.02-2026", 3, 1, 2), "63.03": (None, 0, 0, 0)}
    assert [one["level"] for one in found["regions"]] == ["province", "regency", "regency"]
    nothing = found["regions"][2]
    assert {nothing[name] for name in ("state", "deadline", "on_time", "late_by_days")} == {None}
    assert "agencies" not in nothing
    totals = found["totals"]
    assert (totals["regions"], totals["without_plan"]) == (3, 2)
    assert (totals["expected"], totals["reported"], totals["missing"]) == (3, 1, 2)
    listed = secretariat.get(f"/v1/quarters?region=63&period={QUARTER}").json()["items"]
    assert [(one["expected"], one["reported"]) for one in listed] == [(3, 1)]


def test_agencies_of_each_region(secretariat: TestClient) -> None:
    found = secretariat.get(f"{AT}&region=63.02&by=agency").json()
    shown = [
        (one["agency_code"], one["agency_name"], one["expected"], one["reported"], one["missing"])
        for one in found["regions"][0]["agencies"]
    ]
    assert shown == [(HEALTH, "Dinas Kesehatan", 1, 0, 1), (SOCIAL, "Dinas Sosial", 2, 1, 1)]


def test_every_line_is_expected_in_every_quarter(secretariat: TestClient) -> None:
    """One that has ended, one that has not begun; a report of another quarter does not stand for this one."""
    found = {
        quarter: secretariat.get(f"/v1/completeness?period=2026-{quarter}&region=63.02").json()["totals"]
        for quarter in ("Q1", "Q2", "Q3", "Q4")
    }
    assert {one["expected"] for one in found.values()} == {3}
    assert {quarter: one["reported"] for quarter, one in found.items()} == {
        "Q1": 1,
        "Q2": 1,
        "Q3": 1,
        "Q4": 0,
    }


@pytest.mark.parametrize(
    ("period", "quarter"), [("2026-S1", "2026-Q2"), ("2026-S2", "2026-Q4"), ("2026", "2026-Q4")]
)
def test_semester_and_year_are_their_last_quarter(secretariat: TestClient, period: str, quarter: str) -> None:
    derived = secretariat.get(f"/v1/completeness?period={period}&region=63.02&by=agency").json()
    whole = secretariat.get(f"/v1/completeness?period={quarter}&region=63.02&by=agency").json()
    assert (derived.pop("period"), whole.pop("period")) == (period, quarter)
    assert derived == whole
    assert derived["to_quarter"] == quarter


def test_only_what_the_caller_sees(secretariat: TestClient, connect: Connect) -> None:
    own = secretariat.get(f"{AT}&region=63").json()
    assert [one["region_code"] for one in own["regions"]] == ["63.02"]
    assert [one["region_code"] for one in secretariat.get(f"{AT}&region=0").json()["regions"]] == ["63.02"]
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


def test_a_draft_is_no_plan_to_a_reader(secretariat: TestClient, connect: Connect) -> None:
    reader = connect(("reader", "63"))
    found = reader.get(f"{AT}&region=63&by=agency").json()
    assert [(one["plan"], one["expected"], one["agencies"]) for one in found["regions"]] == [
        (None, 0, [])
    ] * 3
    assert reader.get(f"/v1/completeness/missing?period={QUARTER}&region=63").json()["items"] == []


def test_nothing_new_is_304(secretariat: TestClient) -> None:
    first = secretariat.get(f"{AT}&region=63.02")
    sent = {"If-None-Match": first.headers["ETag"]}
    assert secretariat.get(f"{AT}&region=63.02", headers=sent).status_code == 304
    report(secretariat, "A-3", 2, spent=0)
    again = secretariat.get(f"{AT}&region=63.02", headers=sent)
    assert (again.status_code, again.json()["totals"]["reported"]) == (200, 2)


def _regencies(database: OneTransaction, connect: Connect, lines: int, *regions: str) -> None:
    for region in regions:
        furnish(database, region)
        client = connect(("secretariat", region))
        put_plan(client, f"{region}-2026")
        items: list[dict[str, Any]] = [{**LEAN, "code": f"A-{n}"} for n in range(lines)]
        put_many(client, items, plan=f"{region}-2026")


def test_one_statement_however_many_regions_and_lines(
    secretariat: TestClient, database: OneTransaction, connect: Connect
) -> None:
    nation = connect(("reviewer", "0"))

    def counts() -> list[int]:
        found = []
        for address in (f"{AT}&region=0", f"{AT}&region=0&by=agency"):
            before = len(database.statements)
            assert nation.get(address).status_code == 200
            found.append(len(database.statements) - before)
        return found

    one = counts()
    _regencies(database, connect, 20, "63", "63.03", "73.22", "18.02", "18.06")
    assert counts() == one
    # Who asks is one statement, the answer the other.
    assert one == [2, 2]
    found = look(database, days_late(1), "0")
    with_plan = [one for one in found["regions"] if one["plan"]]
    assert len(with_plan) == 6
    assert sum(one["expected"] for one in with_plan) == found["totals"]["expected"] == 103
    assert found["totals"]["without_plan"] == found["totals"]["regions"] - 6 == 2
