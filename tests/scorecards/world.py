"""What the tests of scorecards share: a regency whose every component can be reckoned by hand."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.plans.core.models import PlanRow, PlanState
from tests.coverage.world import put as put_coverage
from tests.plans.world import ANY, HEALTH, PLAN, furnish, put, put_plan, report

PERIOD = "2026-Q2"
FIRST, SECOND, OTHER = "63.02.05.2001", "63.02.05.2002", "63.02.01.2001"
AT = f"/v1/scorecards/63.02?period={PERIOD}"
RANKING = f"/v1/scorecards?region=63&period={PERIOD}"
Connect = Callable[..., TestClient]

STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")


def line(strategy: str, allocation: int, locations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A line whose money is direct but for what is said otherwise."""
    return {
        "title": "Baris",
        "strategy": strategy,
        "lead_agency": HEALTH,
        "subactivity": "Sub kegiatan",
        "allocation": allocation,
        "components": [{"code": "C1", "component_class": "direct", "amount": allocation}],
        "budget_lines": [{"funding_source": "APBD", "amount": allocation}],
        "locations": locations,
        **more,
    }


LOCI = [
    {"region_code": FIRST, "target_families": 150},
    {"region_code": SECOND, "target_families": 50},
]
LINES = {
    # All of it in the first locus.
    "A-1": line(STRATEGIES[0], 400, [{"region_code": FIRST}]),
    # 100 stated in the first locus; the other 200 are split over the two others, of which one is a locus.
    "A-2": line(
        STRATEGIES[1],
        300,
        [{"region_code": FIRST, "amount": 100}, {"region_code": SECOND}, {"region_code": OTHER}],
        components=[
            {"code": "C1", "component_class": "direct", "amount": 200},
            {"code": "C2", "component_class": "supporting", "amount": 100},
        ],
        recipients=[{"code": "R1", "kind": "families", "count": 60}],
    ),
    # Half in the first locus, half in a district, which is no village; 40 of its 100 indirect are travel.
    "A-3": line(
        STRATEGIES[2],
        200,
        [{"region_code": FIRST}, {"region_code": "63.02.01"}],
        components=[
            {"code": "C1", "component_class": "indirect", "amount": 60},
            {"code": "C2", "component_class": "indirect", "amount": 40, "is_travel": True},
            {"code": "C3", "component_class": "direct", "amount": 100},
        ],
    ),
    # No place at all.
    "A-4": line(STRATEGIES[1], 100, []),
}


def make(database: Database, client: TestClient, *, in_force: bool = True) -> None:
    """Kotabaru: a plan of 1,000 rupiah, reports of two quarters, coverage of two villages, a target."""
    furnish(database)
    put_plan(client, priority_locations=LOCI)
    for code, base in LINES.items():
        put(client, code, base=base)
    report(client, "A-1", 1, spent=100)
    report(client, "A-1", 2, spent=200)
    report(client, "A-2", 2, components=_split(direct=120, supporting=50))
    report(client, "A-3", 2, components=_split(indirect=50, direct=30))
    report(client, "A-4", 2, spent=0)
    put_coverage(client, FIRST, {"health_insurance": (100, 90), "livelihood": (50, 10)}, families=140)
    put_coverage(client, OTHER, {"health_insurance": (40, 40), "livelihood": (20, 12)}, families=60)
    target = {"value": 3.5, "baseline": 4.56, "baseline_year": 2021}
    done = client.put("/v1/regions/63.02/indicators/p0/targets/2026", json=target)
    assert done.status_code == 201, done.text
    if in_force:
        adopt(database)


def _split(**amounts: int) -> list[dict[str, Any]]:
    return [{"component_class": name, "amount": amount} for name, amount in amounts.items()]


def observe(nation: TestClient, value: float, period: str = "2025-S1") -> None:
    at = f"/v1/regions/63.02/indicators/p0/observations/{period}"
    headers = ANY if nation.get(at).status_code == 200 else {}
    done = nation.put(at, json={"value": value}, headers=headers)
    assert done.status_code in (200, 201), done.text


def adopt(database: Database, plan: str = PLAN) -> None:
    """The plan is in force: how it came to be is told elsewhere."""
    table = get_table(PlanRow)
    with database.writing() as session:
        adopted = sa.update(table).where(table.c.code == plan)
        session.execute(adopted.values(state=PlanState.adopted, revision=0))


def read(client: TestClient, at: str = AT) -> Any:
    reply = client.get(at)
    assert reply.status_code == 200, reply.text
    return reply.json()


def values(card: Any) -> dict[str, float | None]:
    return {one["component"]: one["value"] for one in card["components"]}
