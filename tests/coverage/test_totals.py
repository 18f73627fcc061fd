"""The sums that are kept are those that the formulas give, whatever was written and taken back before."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.convergence.coverage.rules import (
    QUARTERS_BACK,
    CoverageCount,
    ReachInput,
    add_quarters,
    choose_target,
    compute_percent,
    compute_reach,
    pool_counts,
)
from app.convergence.coverage.sums.queries import region_sums, service_sums
from tests.coverage.world import ANY, PERIOD, SEKAPUNG, VILLAGES, add_villages, figures, put, report
from tests.database import OneTransaction
from tests.pages import walk

pytestmark = pytest.mark.both_engines

PERIODS = ["2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2027-Q2"]
PLACES = [*VILLAGES[:3], SEKAPUNG, "63.02.05.2002"]
SERVICES = ["health_insurance", "livelihood", "civil_documents"]

counts = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda two: (max(two), min(two)))
reports = st.dictionaries(st.sampled_from(SERVICES), counts, min_size=1)
written = st.tuples(
    st.just("put"),
    st.sampled_from(PERIODS),
    st.sampled_from(PLACES),
    reports,
    st.integers(0, 50),
    st.sampled_from([None, 0, 7]),
)
deleted = st.tuples(st.just("delete"), st.sampled_from(PERIODS), st.sampled_from(PLACES))
planned = st.tuples(
    st.just("plan"), st.dictionaries(st.sampled_from(PLACES), st.sampled_from([None, 0, 20]), max_size=3)
)


class Model:
    """What was reported and planned, and figures computed from it from scratch."""

    def __init__(self) -> None:
        self.reports: dict[tuple[str, str], dict[str, Any]] = {}
        self.plan: dict[str, int | None] = {}

    def figures(self, period: str, inside: Callable[[str], bool]) -> dict[str, Any]:
        here = {v: r for (p, v), r in self.reports.items() if p == period and inside(v)}
        back = [add_quarters(period, -n) for n in range(1, QUARTERS_BACK + 1)]
        earlier = {v for p, v in self.reports if p in back and inside(v)}
        plan = {v: h for v, h in self.plan.items() if period.startswith("2026") and inside(v)}
        targets = {v: self._target(v, here, plan, back) for v in {*here, *earlier, *plan}}
        expected = ReachInput(
            sum(r["target_families"] for r in here.values()),
            sum(h or 0 for h in targets.values()),
            len({*earlier, *plan}),
        )
        total = pool_counts(_counts(here.values()))
        counted = [r for r in here.values() if r["complete_families"] is not None]
        complete = sum(r["complete_families"] for r in counted)
        status = [r["status"] for r in here.values()]
        return {
            **total._asdict(),
            "coverage_percent": compute_percent(total.served, total.eligible),
            "villages_reporting": len(here),
            "villages_expected": len(targets),
            "villages_without_target": sum(h is None for h in targets.values()),
            "families_reporting": expected.reporting,
            "families_expected": expected.families,
            "reach_percent": compute_reach(expected),
            "complete_families": complete,
            "completeness_percent": compute_percent(complete, sum(r["target_families"] for r in counted)),
            **{name: status.count(name) for name in ("converged", "partial", "not_yet")},
            "undefined": status.count(None),
        }

    def _target(self, village: str, here: Any, plan: Mapping[str, int | None], back: list[str]) -> int | None:
        before = [self.reports.get((p, village)) for p in back]
        return choose_target(
            here[village]["target_families"] if village in here else None,
            plan.get(village),
            [r["target_families"] for r in before if r],
        )


def _counts(found: Iterable[dict[str, Any]]) -> list[CoverageCount]:
    return [CoverageCount(one["eligible"], one["served"]) for r in found for one in r["services"]]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=st.lists(st.one_of(written, written, deleted, planned), min_size=4, max_size=12))
def test_sums_are_those_computed_from_scratch(
    steps: list[Any], national_administrator: TestClient, database: OneTransaction
) -> None:
    point = database.connection.begin_nested()
    model = Model()
    try:
        for step in steps:
            _do(national_administrator, model, *step)
        for period in (*PERIODS, "2026-Q4"):
            _compare(national_administrator, model, period)
    finally:
        point.rollback()


def _do(client: TestClient, model: Model, what: str, *told: Any) -> None:
    if what == "put":
        period, village, services, families, complete = told
        complete = complete if complete is not None and complete <= families else None
        model.reports[period, village] = put(
            client, village, services, period, families=families, complete_families=complete
        )
    elif what == "delete":
        done = client.delete(f"/v1/coverage/{told[0]}/{told[1]}", headers=ANY)
        assert done.status_code == (204 if model.reports.pop(told, None) else 404)
    else:
        (model.plan,) = told
        locations = [{"region_code": v, "target_families": h} for v, h in model.plan.items()]
        exists = client.get("/v1/plans/63.02-2026").status_code == 200
        body = {"title": "RAT", "priority_locations": locations}
        done = client.put("/v1/plans/63.02-2026", json=body, headers=ANY if exists else {})
        assert done.status_code in (200, 201), done.text


def _compare(client: TestClient, model: Model, period: str) -> None:
    """Compare what is kept, of districts and regencies, and the nation's figures, which are added up from these."""
    for region in ("63.02.01", "63.02", "0"):
        expected = model.figures(period, lambda v, r=region: r == "0" or v.startswith(f"{r}."))  # type: ignore[misc]  # bound early
        found = figures(client, region, period)
        assert {name: found[name] for name in expected} == expected, (region, period)
        here = [
            r
            for (p, v), r in model.reports.items()
            if p == period and (region == "0" or v.startswith(f"{region}."))
        ]
        for one in found["by_service"]:
            of_service = [
                CoverageCount(s["eligible"], s["served"])
                for r in here
                for s in r["services"]
                if s["service"] == one["service"]
            ]
            assert CoverageCount(one["eligible"], one["served"]) == pool_counts(of_service), (region, one)
        for child in walk(client, f"/v1/regions/{region}/coverage/children?period={period}"):
            code = child["region_code"]
            expected = model.figures(period, lambda v, c=code: v == c or v.startswith(f"{c}."))  # type: ignore[misc]  # bound early
            assert {name: child[name] for name in expected} == expected, (code, period)


def test_a_write_touches_the_ancestors_of_its_village_alone(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    """Rows are compared by what they hold and by where they lie: one that was written anew lies elsewhere."""
    other = add_villages(database, "63.03", 1, 2)
    for village in (*VILLAGES[:2], SEKAPUNG, *other):
        for period in ("2026-Q1", PERIOD):
            put(national_administrator, village, period=period)
    before = _rows(database)
    put(national_administrator, VILLAGES[0], {"livelihood": (60, 59)})
    after = _rows(database)
    touched = {row[2] for row in before ^ after}
    assert touched == {"63.02.01", "63.02"}
    assert {row[0] for row in before ^ after} >= {PERIOD}
    assert "2026-Q1" not in {row[0] for row in before ^ after}


def _rows(database: OneTransaction) -> set[tuple[Any, ...]]:
    place = "rowid" if database.is_sqlite else "ctid::text"
    found: set[tuple[Any, ...]] = set()
    for table in (region_sums, service_sums):
        query = sa.select(*table.c, sa.literal_column(place), sa.literal(table.name))
        found |= {tuple(row) for row in database.connection.execute(query)}
    return found


def test_reach_of_those_who_do_not_report(secretariat: TestClient) -> None:
    assert figures(secretariat, "63.02")["reach_percent"] is None
    plan = {"title": "RAT", "priority_locations": [{"region_code": SEKAPUNG, "target_families": 300}]}
    assert secretariat.put("/v1/plans/63.02-2026", json=plan).status_code == 201
    nobody = figures(secretariat, "63.02")
    assert (nobody["reach_percent"], nobody["families_expected"], nobody["coverage_percent"]) == (
        0,
        300,
        None,
    )
    put(secretariat, VILLAGES[0], families=100)
    some = figures(secretariat, "63.02")
    assert (some["reach_percent"], some["is_rankable"], some["villages_expected"]) == (25, False, 2)
    # The next year has no plan: who reported last is expected.
    later = figures(secretariat, "63.02", "2027-Q1")
    assert (later["reach_percent"], later["families_expected"]) == (0, 100)
    assert secretariat.delete("/v1/plans/63.02-2026", headers=ANY).status_code == 204
    assert figures(secretariat, "63.02")["reach_percent"] is None
    assert figures(secretariat, "63.02", "2027-Q2")["families_expected"] == 100
    assert figures(secretariat, "63.02", "2027-Q3")["families_expected"] == 0


def test_report_without_a_change_writes_no_sums(secretariat: TestClient, database: OneTransaction) -> None:
    put(secretariat, SEKAPUNG)
    database.statements.clear()
    done = secretariat.put(f"/v1/coverage/{PERIOD}/{SEKAPUNG}", json=report(), headers=ANY)
    assert done.json()["version"] == 1
    assert not [text for text in database.statements if "coverage_region" in text]
