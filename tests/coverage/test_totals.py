"""The stored sums equal those computed from scratch, after any sequence of writes and deletions."""

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
from tests.coverage.world import ANY, PERIOD, SEKAPUNG, VILLAGES, add_villages, get_figures, make_report, put
from tests.database import OneTransaction
from tests.pages import walk

pytestmark = pytest.mark.both_engines

PERIODS = ["2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2027-Q2"]
PLACES = [*VILLAGES[:3], SEKAPUNG, "63.02.05.2002"]
SERVICES = ["health_insurance", "livelihood", "civil_documents"]

counts = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda two: (max(two), min(two)))
reports = st.dictionaries(st.sampled_from(SERVICES), counts, min_size=1)
puts = st.tuples(
    st.just("put"),
    st.sampled_from(PERIODS),
    st.sampled_from(PLACES),
    reports,
    st.integers(0, 50),
    st.sampled_from([None, 0, 7]),
)
deletions = st.tuples(st.just("delete"), st.sampled_from(PERIODS), st.sampled_from(PLACES))
plans = st.tuples(
    st.just("plan"), st.dictionaries(st.sampled_from(PLACES), st.sampled_from([None, 0, 20]), max_size=3)
)


class Model:
    """Reports and plans, and the figures computed from them from scratch."""

    def __init__(self) -> None:
        self.reports: dict[tuple[str, str], dict[str, Any]] = {}
        self.plan: dict[str, int | None] = {}

    def compute_figures(self, period: str, inside: Callable[[str], bool]) -> dict[str, Any]:
        reported = {v: r for (p, v), r in self.reports.items() if p == period and inside(v)}
        back = [add_quarters(period, -n) for n in range(1, QUARTERS_BACK + 1)]
        earlier = {v for p, v in self.reports if p in back and inside(v)}
        plan = {v: h for v, h in self.plan.items() if period.startswith("2026") and inside(v)}
        targets = {v: self._target(v, reported, plan, back) for v in {*reported, *earlier, *plan}}
        reach = ReachInput(
            sum(r["target_families"] for r in reported.values()),
            sum(h or 0 for h in targets.values()),
            len({*earlier, *plan}),
        )
        total = pool_counts(_list_counts(reported.values()))
        counted = [r for r in reported.values() if r["complete_families"] is not None]
        complete = sum(r["complete_families"] for r in counted)
        status = [r["status"] for r in reported.values()]
        return {
            **total._asdict(),
            "coverage_percent": compute_percent(total.served, total.eligible),
            "villages_reporting": len(reported),
            "villages_expected": len(targets),
            "villages_without_target": sum(h is None for h in targets.values()),
            "families_reporting": reach.reporting,
            "families_expected": reach.families,
            "reach_percent": compute_reach(reach),
            "complete_families": complete,
            "completeness_percent": compute_percent(complete, sum(r["target_families"] for r in counted)),
            **{name: status.count(name) for name in ("converged", "partial", "not_yet")},
            "undefined": status.count(None),
        }

    def _target(
        self, village: str, reported: Any, plan: Mapping[str, int | None], back: list[str]
    ) -> int | None:
        before = [self.reports.get((p, village)) for p in back]
        return choose_target(
            reported[village]["target_families"] if village in reported else None,
            plan.get(village),
            [r["target_families"] for r in before if r],
        )


def _list_counts(entries: Iterable[dict[str, Any]]) -> list[CoverageCount]:
    return [
        CoverageCount(service["eligible"], service["served"]) for r in entries for service in r["services"]
    ]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=st.lists(st.one_of(puts, puts, deletions, plans), min_size=4, max_size=12))
def test_stored_sums_equal_those_computed_from_scratch(
    steps: list[Any], national_administrator: TestClient, database: OneTransaction
) -> None:
    point = database.connection.begin_nested()
    model = Model()
    try:
        for step in steps:
            _apply_step(national_administrator, model, *step)
        for period in (*PERIODS, "2026-Q4"):
            _check_figures(national_administrator, model, period)
    finally:
        point.rollback()


def _apply_step(client: TestClient, model: Model, verb: str, *args: Any) -> None:
    if verb == "put":
        period, village, services, families, complete = args
        complete = complete if complete is not None and complete <= families else None
        model.reports[period, village] = put(
            client, village, services, period, families=families, complete_families=complete
        )
    elif verb == "delete":
        reply = client.delete(f"/v1/coverage/{args[0]}/{args[1]}", headers=ANY)
        assert reply.status_code == (204 if model.reports.pop(args, None) else 404)
    else:
        (model.plan,) = args
        locations = [{"region_code": v, "target_families": h} for v, h in model.plan.items()]
        exists = client.get("/v1/plans/63.02-2026").status_code == 200
        body = {"title": "RAT", "priority_locations": locations}
        reply = client.put("/v1/plans/63.02-2026", json=body, headers=ANY if exists else {})
        assert reply.status_code in (200, 201), reply.text


def _check_figures(client: TestClient, model: Model, period: str) -> None:
    """Compare the stored sums of districts and regencies, and the nation's figures, with the model."""
    for region in ("63.02.01", "63.02", "0"):
        expected = model.compute_figures(period, lambda v, r=region: r == "0" or v.startswith(f"{r}."))  # type: ignore[misc]  # bound early
        result = get_figures(client, region, period)
        assert {name: result[name] for name in expected} == expected, (region, period)
        reported = [
            r
            for (p, v), r in model.reports.items()
            if p == period and (region == "0" or v.startswith(f"{region}."))
        ]
        for row in result["by_service"]:
            of_service = [
                CoverageCount(s["eligible"], s["served"])
                for r in reported
                for s in r["services"]
                if s["service"] == row["service"]
            ]
            assert CoverageCount(row["eligible"], row["served"]) == pool_counts(of_service), (region, row)
        for child in walk(client, f"/v1/regions/{region}/coverage/children?period={period}"):
            code = child["region_code"]
            expected = model.compute_figures(period, lambda v, c=code: v == c or v.startswith(f"{c}."))  # type: ignore[misc]  # bound early
            assert {name: child[name] for name in expected} == expected, (code, period)


def test_a_write_rewrites_only_the_sums_of_the_villages_ancestors(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    """The comparison includes the physical place of the rows, which a rewrite changes."""
    neighbours = add_villages(database, "63.03", 1, 2)
    for village in (*VILLAGES[:2], SEKAPUNG, *neighbours):
        for period in ("2026-Q1", PERIOD):
            put(national_administrator, village, period=period)
    before = _read_rows(database)
    put(national_administrator, VILLAGES[0], {"livelihood": (60, 59)})
    after = _read_rows(database)
    touched = {row[2] for row in before ^ after}
    assert touched == {"63.02.01", "63.02"}
    assert {row[0] for row in before ^ after} >= {PERIOD}
    assert "2026-Q1" not in {row[0] for row in before ^ after}


def _read_rows(database: OneTransaction) -> set[tuple[Any, ...]]:
    place = "rowid" if database.is_sqlite else "ctid::text"
    result: set[tuple[Any, ...]] = set()
    for table in (region_sums, service_sums):
        query = sa.select(*table.c, sa.literal_column(place), sa.literal(table.name))
        result |= {tuple(row) for row in database.connection.execute(query)}
    return result


def test_the_reach_counts_expected_villages_without_a_report(secretariat: TestClient) -> None:
    assert get_figures(secretariat, "63.02")["reach_percent"] is None
    plan = {"title": "RAT", "priority_locations": [{"region_code": SEKAPUNG, "target_families": 300}]}
    assert secretariat.put("/v1/plans/63.02-2026", json=plan).status_code == 201
    none_reported = get_figures(secretariat, "63.02")
    assert (
        none_reported["reach_percent"],
        none_reported["families_expected"],
        none_reported["coverage_percent"],
    ) == (
        0,
        300,
        None,
    )
    put(secretariat, VILLAGES[0], families=100)
    one_reported = get_figures(secretariat, "63.02")
    assert (
        one_reported["reach_percent"],
        one_reported["is_rankable"],
        one_reported["villages_expected"],
    ) == (25, False, 2)
    # The next year has no plan, so the villages of the latest reports are expected.
    later = get_figures(secretariat, "63.02", "2027-Q1")
    assert (later["reach_percent"], later["families_expected"]) == (0, 100)
    assert secretariat.delete("/v1/plans/63.02-2026", headers=ANY).status_code == 204
    assert get_figures(secretariat, "63.02")["reach_percent"] is None
    assert get_figures(secretariat, "63.02", "2027-Q2")["families_expected"] == 100
    assert get_figures(secretariat, "63.02", "2027-Q3")["families_expected"] == 0


def test_an_unchanged_report_writes_no_sums(secretariat: TestClient, database: OneTransaction) -> None:
    put(secretariat, SEKAPUNG)
    database.statements.clear()
    reply = secretariat.put(f"/v1/coverage/{PERIOD}/{SEKAPUNG}", json=make_report(), headers=ANY)
    assert reply.json()["version"] == 1
    assert not [text for text in database.statements if "coverage_region" in text]
