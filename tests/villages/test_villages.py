"""What each village is promised and gets, and which villages a question finds."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.convergence.villages.models import VillageFilters
from app.convergence.villages.queries import FILTERS
from tests.coverage.world import put as put_coverage
from tests.database import OneTransaction
from tests.findings.world import CLEAN, DISTRICT, OTHER, at
from tests.plans.world import HEALTH, LEAN, SOCIAL, WORKS, put, put_many, report, walk

LIST = "/v1/convergence/villages"
FIRST, SECOND, THIRD = "63.02.01.2001", "63.02.01.2002", "63.02.01.2003"
ASKED = {"region": "63.02", "period": "2026-Q2"}


def page(client: TestClient, **params: Any) -> Any:
    reply = client.get(LIST, params={**ASKED, **params})
    assert reply.status_code == 200, reply.text
    return reply.json()


def village(client: TestClient, code: str = FIRST, **params: Any) -> Any:
    (found,) = [item for item in page(client, **params)["items"] if item["village"] == code]
    return found


def found(client: TestClient, **params: Any) -> list[str]:
    return [item["village"] for item in page(client, **params)["items"]]


def efforts(item: Any) -> tuple[int, int, int, int]:
    return (item["lines"], item["funded"], item["delivering"], item["on_time"])


def test_stages_of_a_village(secretariat: TestClient) -> None:
    """One line in each stage: planned, funded, delivering and late, delivering and on time."""
    put(secretariat, "A-1", **at(FIRST), allocation=0, components=[], budget_lines=[])
    put(secretariat, "A-2", **at(FIRST))
    put(secretariat, "A-3", **at(FIRST), lead_agency=HEALTH)
    report(secretariat, "A-3", 1, spent=5)
    put(secretariat, "A-4", **at(FIRST), lead_agency=HEALTH, strategy="raise_income")
    report(secretariat, "A-4", 1, recipients=[{"code": "R1", "reached": 3}])
    report(
        secretariat,
        "A-4",
        2,
        recipients=[{"code": "R1", "reached": 3}],
        milestones=[{"code": "M1", "state": "done"}],
    )
    here = village(secretariat)
    assert efforts(here) == (4, 3, 2, 1)
    assert here["late"] == 2
    by_strategy = {one["strategy"]: efforts(one) for one in here["strategies"]}
    assert by_strategy == {
        "reduce_spending_burden": (3, 3 - 1, 1, 0),
        "raise_income": (1, 1, 1, 1),
        "reduce_poverty_pockets": (0, 0, 0, 0),
    }
    assert [(one["agency_code"], one["agency_name"], *efforts(one)) for one in here["agencies"]] == [
        (HEALTH, "Dinas Kesehatan", 2, 2, 2, 1),
        (SOCIAL, "Dinas Sosial", 2, 1, 0, 0),
    ]
    # In the first quarter the second report was not there yet: its milestone was not done.
    assert efforts(village(secretariat, period="2026-Q1")) == (4, 3, 2, 0)
    assert page(secretariat, period="2025-Q4")["items"] == []


def test_on_time_without_a_milestone_due_is_a_report_of_the_quarter(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **at(FIRST), milestones=[{"code": "M1", "title": "…", "due": "2026-12-31"}])
    assert village(secretariat)["on_time"] == 0
    report(secretariat, "A-1", 1, spent=0)
    assert efforts(village(secretariat, period="2026-Q1")) == (1, 1, 0, 1)
    assert village(secretariat)["on_time"] == 0
    report(secretariat, "A-1", 2, spent=0, milestones=[{"code": "M1", "state": "pending"}])
    assert village(secretariat)["on_time"] == 1
    assert village(secretariat, period="2026-Q4")["on_time"] == 0


def test_lines_of_wider_places_are_never_spread(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **at(FIRST))
    put(secretariat, "A-2", **at(DISTRICT, "63.02"), strategy="raise_income")
    put(secretariat, "A-3", **at(DISTRICT, FIRST))
    put(secretariat, "A-4", **at("63.02.05"))
    put(secretariat, "A-5", locations=[])
    here, other = village(secretariat), village(secretariat, SECOND)
    assert (here["lines"], other["lines"]) == (2, 0)
    assert here["wider"] == other["wider"]
    assert [(one["region_code"], one["strategy"], one["lines"]) for one in here["wider"]] == [
        ("63.02", "raise_income", 1),
        (DISTRICT, "raise_income", 1),
        (DISTRICT, "reduce_spending_burden", 1),
    ]
    assert found(secretariat, missing_strategy="raise_income") == [FIRST, SECOND]


def test_target_families_are_reported_or_planned(secretariat: TestClient) -> None:
    put_coverage(secretariat, SECOND, families=80)
    put_coverage(secretariat, THIRD, {"livelihood": (10, 9)}, families=7)
    items = {item["village"]: item for item in page(secretariat)["items"]}
    assert {code: item["target_families"] for code, item in items.items()} == {
        FIRST: 120,
        SECOND: 80,
        THIRD: 7,
    }
    assert (items[FIRST]["status"], items[FIRST]["coverage_percent"]) == (None, None)
    assert (items[THIRD]["status"], items[THIRD]["balance_percent"]) == ("converged", 90.0)
    assert page(secretariat)["totals"] == {
        "villages": 3,
        "target_families": 207,
        "villages_without_target": 0,
        "priority": 2,
        "overlapping": 0,
        "not_funded": 0,
        "late": 0,
        "without_coordinates": 3,
    }
    assert found(secretariat, status="converged") == [THIRD]
    later = page(secretariat, period="2026-Q3")["totals"]
    assert (later["target_families"], later["villages_without_target"]) == (120, 1)


def test_questions(secretariat: TestClient) -> None:
    """Each filter alone and together, with its totals."""
    put(secretariat, "A-1", base=CLEAN, **at(FIRST, SECOND))
    put(secretariat, "A-2", base=OTHER, **at(FIRST, SECOND))
    put(secretariat, "A-3", base=OTHER, **at(FIRST), lead_agency=WORKS)
    put(secretariat, "A-4", base=LEAN, **at(THIRD), allocation=0, budget_lines=[])
    report(secretariat, "A-2", 2, spent=1, milestones=[{"code": "M1", "state": "done"}])
    for asked, expected in (
        ({"is_priority": True, "missing_strategy": "raise_income"}, [FIRST, SECOND]),
        ({"strategy": "raise_income", "is_priority": False, "late": False}, [THIRD]),
        ({"overlap": True}, [FIRST, SECOND]),
        ({"overlap": True, "min_agencies": 3}, [FIRST]),
        ({"not_funded": True, "overlap": False}, [THIRD]),
        ({"not_funded": False, "late": True}, [FIRST, SECOND]),
        ({"region": SECOND, "overlap": True}, [SECOND]),
    ):
        body = page(secretariat, **asked)
        assert [item["village"] for item in body["items"]] == expected, asked
        assert body["totals"]["villages"] == len(expected)
    overlapping = {item["village"]: item["overlapping_agencies"] for item in page(secretariat)["items"]}
    assert overlapping == {FIRST: 3, SECOND: 2, THIRD: 0}
    totals = page(secretariat, min_agencies=3)["totals"]
    assert (totals["villages"], totals["target_families"], totals["overlapping"]) == (1, 120, 1)


def test_every_filter_that_is_declared_has_its_predicate() -> None:
    assert set(FILTERS) == set(VillageFilters.model_fields) - {"region", "period"}


def test_pages_and_unchanged(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **at(FIRST, THIRD))
    put(secretariat, "A-2", **at(THIRD))
    at_one = f"{LIST}?region=63.02&period=2026-Q2&limit=1"
    for sort, order in (("village", [FIRST, SECOND, THIRD]), ("-lines", [THIRD, FIRST, SECOND])):
        assert [item["village"] for item in walk(secretariat, f"{at_one}&sort={sort}")] == order
    first = secretariat.get(at_one)
    assert first.json()["totals"]["villages"] == 3
    unchanged = secretariat.get(at_one, headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    report(secretariat, "A-1", 2, spent=1)
    assert secretariat.get(at_one, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_only_what_somebody_sees(
    secretariat: TestClient, provincial_administrator: TestClient, connect: Any
) -> None:
    """Drafts, plans of above and other regencies' villages are for whoever sees them."""
    put(secretariat, "A-1", **at(FIRST))
    put_coverage(secretariat, SECOND)
    reader = connect(("reader", "63"))
    assert page(connect(("secretariat", "63.03")))["items"] == []
    assert page(connect())["totals"]["villages"] == 0
    assert found(provincial_administrator) == [FIRST, SECOND]
    # The draft's lines and its priority locations are nothing for a reader; what is reported is.
    assert found(reader) == [SECOND]
    assert village(reader, SECOND)["is_priority"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("missing_strategy", "S2"), ("min_agencies", "1"), ("period", "2026"), ("status", "good")],
)
def test_refused_questions(secretariat: TestClient, name: str, value: str) -> None:
    reply = secretariat.get(LIST, params={**ASKED, name: value})
    assert reply.status_code == 400
    (error,) = reply.json()["errors"]
    assert (error["parameter"], error["value"]) == (name, value)
    assert error["allowed"]


def test_as_many_statements_for_many_villages_as_for_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def statements() -> int:
        database.statements.clear()
        page(secretariat)
        return len(database.statements)

    few = statements()
    put_many(secretariat, [{**LEAN, "code": f"L-{n}", **at(FIRST, SECOND, THIRD)} for n in range(20)])
    assert statements() == few
