"""Villages: planned and delivered lines, and the filters of the list."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.convergence.villages.models import VillageFilters
from app.convergence.villages.queries import FILTERS
from tests.coverage.world import put as put_coverage
from tests.database import OneTransaction
from tests.findings.world import CLEAN, DISTRICT, OTHER, make_locations
from tests.plans.world import HEALTH, LEAN, SOCIAL, WORKS, put, put_many, report, walk

LIST = "/v1/convergence/villages"
FIRST, SECOND, THIRD = "63.02.01.2001", "63.02.01.2002", "63.02.01.2003"
QUERY = {"region": "63.02", "period": "2026-Q2"}


def get_page(client: TestClient, **params: Any) -> Any:
    reply = client.get(LIST, params={**QUERY, **params})
    assert reply.status_code == 200, reply.text
    return reply.json()


def find_village(client: TestClient, code: str = FIRST, **params: Any) -> Any:
    (item_of_village,) = [item for item in get_page(client, **params)["items"] if item["village"] == code]
    return item_of_village


def list_codes(client: TestClient, **params: Any) -> list[str]:
    return [item["village"] for item in get_page(client, **params)["items"]]


def get_stages(item: Any) -> tuple[int, int, int, int]:
    return (item["lines"], item["funded"], item["delivering"], item["on_time"])


def test_a_village_counts_its_lines_by_stage(secretariat: TestClient) -> None:
    """One line for each stage: planned, funded, delivering late, delivering on time."""
    put(secretariat, "A-1", **make_locations(FIRST), allocation=0, components=[], budget_lines=[])
    put(secretariat, "A-2", **make_locations(FIRST))
    put(secretariat, "A-3", **make_locations(FIRST), lead_agency=HEALTH)
    report(secretariat, "A-3", 1, spent=5)
    put(secretariat, "A-4", **make_locations(FIRST), lead_agency=HEALTH, strategy="raise_income")
    report(secretariat, "A-4", 1, recipients=[{"code": "R1", "reached": 3}])
    report(
        secretariat,
        "A-4",
        2,
        recipients=[{"code": "R1", "reached": 3}],
        milestones=[{"code": "M1", "state": "done"}],
    )
    row = find_village(secretariat)
    assert get_stages(row) == (4, 3, 2, 1)
    assert row["late"] == 2
    by_strategy = {group["strategy"]: get_stages(group) for group in row["strategies"]}
    assert by_strategy == {
        "reduce_spending_burden": (3, 3 - 1, 1, 0),
        "raise_income": (1, 1, 1, 1),
        "reduce_poverty_pockets": (0, 0, 0, 0),
    }
    assert [
        (group["agency_code"], group["agency_name"], *get_stages(group)) for group in row["agencies"]
    ] == [
        (HEALTH, "Dinas Kesehatan", 2, 2, 2, 1),
        (SOCIAL, "Dinas Sosial", 2, 1, 0, 0),
    ]
    # The report of the second quarter, with its milestone, does not count in the first.
    assert get_stages(find_village(secretariat, period="2026-Q1")) == (4, 3, 2, 0)
    assert get_page(secretariat, period="2025-Q4")["items"] == []


def test_a_line_without_due_milestones_is_on_time_if_it_has_a_report(secretariat: TestClient) -> None:
    put(
        secretariat,
        "A-1",
        **make_locations(FIRST),
        milestones=[{"code": "M1", "title": "…", "due": "2026-12-31"}],
    )
    assert find_village(secretariat)["on_time"] == 0
    report(secretariat, "A-1", 1, spent=0)
    assert get_stages(find_village(secretariat, period="2026-Q1")) == (1, 1, 0, 1)
    assert find_village(secretariat)["on_time"] == 0
    report(secretariat, "A-1", 2, spent=0, milestones=[{"code": "M1", "state": "pending"}])
    assert find_village(secretariat)["on_time"] == 1
    assert find_village(secretariat, period="2026-Q4")["on_time"] == 0


def test_lines_of_wider_places_are_not_attributed_to_villages(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **make_locations(FIRST))
    put(secretariat, "A-2", **make_locations(DISTRICT, "63.02"), strategy="raise_income")
    put(secretariat, "A-3", **make_locations(DISTRICT, FIRST))
    put(secretariat, "A-4", **make_locations("63.02.05"))
    put(secretariat, "A-5", locations=[])
    first, second = find_village(secretariat), find_village(secretariat, SECOND)
    assert (first["lines"], second["lines"]) == (2, 0)
    assert first["wider"] == second["wider"]
    assert [(group["region_code"], group["strategy"], group["lines"]) for group in first["wider"]] == [
        ("63.02", "raise_income", 1),
        (DISTRICT, "raise_income", 1),
        (DISTRICT, "reduce_spending_burden", 1),
    ]
    assert list_codes(secretariat, missing_strategy="raise_income") == [FIRST, SECOND]


def test_target_families_are_reported_or_planned(secretariat: TestClient) -> None:
    put_coverage(secretariat, SECOND, families=80)
    put_coverage(secretariat, THIRD, {"livelihood": (10, 9)}, families=7)
    items = {item["village"]: item for item in get_page(secretariat)["items"]}
    assert {code: item["target_families"] for code, item in items.items()} == {
        FIRST: 120,
        SECOND: 80,
        THIRD: 7,
    }
    assert (items[FIRST]["status"], items[FIRST]["coverage_percent"]) == (None, None)
    assert (items[THIRD]["status"], items[THIRD]["balance_percent"]) == ("converged", 90.0)
    assert get_page(secretariat)["totals"] == {
        "villages": 3,
        "target_families": 207,
        "villages_without_target": 0,
        "priority": 2,
        "overlapping": 0,
        "not_funded": 0,
        "late": 0,
        "without_coordinates": 3,
    }
    assert list_codes(secretariat, status="converged") == [THIRD]
    later = get_page(secretariat, period="2026-Q3")["totals"]
    assert (later["target_families"], later["villages_without_target"]) == (120, 1)


def test_filters_apply_alone_and_together(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN, **make_locations(FIRST, SECOND))
    put(secretariat, "A-2", base=OTHER, **make_locations(FIRST, SECOND))
    put(secretariat, "A-3", base=OTHER, **make_locations(FIRST), lead_agency=WORKS)
    put(secretariat, "A-4", base=LEAN, **make_locations(THIRD), allocation=0, budget_lines=[])
    report(secretariat, "A-2", 2, spent=1, milestones=[{"code": "M1", "state": "done"}])
    for params, expected in (
        ({"is_priority": True, "missing_strategy": "raise_income"}, [FIRST, SECOND]),
        ({"strategy": "raise_income", "is_priority": False, "late": False}, [THIRD]),
        ({"overlap": True}, [FIRST, SECOND]),
        ({"overlap": True, "min_agencies": 3}, [FIRST]),
        ({"not_funded": True, "overlap": False}, [THIRD]),
        ({"not_funded": False, "late": True}, [FIRST, SECOND]),
        ({"region": SECOND, "overlap": True}, [SECOND]),
    ):
        body = get_page(secretariat, **params)
        assert [item["village"] for item in body["items"]] == expected, params
        assert body["totals"]["villages"] == len(expected)
    overlapping = {item["village"]: item["overlapping_agencies"] for item in get_page(secretariat)["items"]}
    assert overlapping == {FIRST: 3, SECOND: 2, THIRD: 0}
    totals = get_page(secretariat, min_agencies=3)["totals"]
    assert (totals["villages"], totals["target_families"], totals["overlapping"]) == (1, 120, 1)


def test_declared_filters_have_a_predicate() -> None:
    assert set(FILTERS) == set(VillageFilters.model_fields) - {"region", "period"}


def test_pages_are_sorted_and_an_unchanged_page_is_304(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **make_locations(FIRST, THIRD))
    put(secretariat, "A-2", **make_locations(THIRD))
    at_one = f"{LIST}?region=63.02&period=2026-Q2&limit=1"
    for sort, order in (("village", [FIRST, SECOND, THIRD]), ("-lines", [THIRD, FIRST, SECOND])):
        assert [item["village"] for item in walk(secretariat, f"{at_one}&sort={sort}")] == order
    first = secretariat.get(at_one)
    assert first.json()["totals"]["villages"] == 3
    unchanged = secretariat.get(at_one, headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    report(secretariat, "A-1", 2, spent=1)
    assert secretariat.get(at_one, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_the_list_has_only_the_villages_visible_to_the_caller(
    secretariat: TestClient, provincial_administrator: TestClient, connect: Any
) -> None:
    put(secretariat, "A-1", **make_locations(FIRST))
    put_coverage(secretariat, SECOND)
    reader = connect(("reader", "63"))
    assert get_page(connect(("secretariat", "63.03")))["items"] == []
    assert get_page(connect())["totals"]["villages"] == 0
    assert list_codes(provincial_administrator) == [FIRST, SECOND]
    # A reader sees reported coverage, but neither lines nor priority locations of a draft.
    assert list_codes(reader) == [SECOND]
    assert find_village(reader, SECOND)["is_priority"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("missing_strategy", "S2"), ("min_agencies", "1"), ("period", "2026"), ("status", "good")],
)
def test_invalid_filters_are_refused(secretariat: TestClient, name: str, value: str) -> None:
    reply = secretariat.get(LIST, params={**QUERY, name: value})
    assert reply.status_code == 400
    (error,) = reply.json()["errors"]
    assert (error["parameter"], error["value"]) == (name, value)
    assert error["allowed"]


def test_many_lines_cost_as_many_statements_as_none(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def count_statements() -> int:
        database.statements.clear()
        get_page(secretariat)
        return len(database.statements)

    few = count_statements()
    put_many(
        secretariat, [{**LEAN, "code": f"L-{n}", **make_locations(FIRST, SECOND, THIRD)} for n in range(20)]
    )
    assert count_statements() == few
