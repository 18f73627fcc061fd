"""A regency with figures small enough to compute all components by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.convergence.editions.methods.queries import methods
from app.convergence.scorecards.yardsticks.commands import store_yardstick
from app.convergence.scorecards.yardsticks.rules import CHAIN, choose_yardstick
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import Author, lock_chain
from app.plans.core.models import PlanRow, PlanState
from tests.coverage.world import put as put_coverage
from tests.plans.world import ANY, HEALTH, PLAN, furnish, put, put_plan, report

PERIOD = "2026-Q2"
OTHER_PLAN = "63.03-2026"
FIRST, SECOND, OTHER = "63.02.05.2001", "63.02.05.2002", "63.02.01.2001"
AT = f"/v1/scorecards/63.02?period={PERIOD}"
RANKING = f"/v1/scorecards?region=63&period={PERIOD}"
Connect = Callable[..., TestClient]

STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")


def make_line(strategy: str, allocation: int, locations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Make a line with direct spending, unless `more` changes it."""
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
    # All money in the first locus.
    "A-1": make_line(STRATEGIES[0], 400, [{"region_code": FIRST}]),
    # 100 stated for the first locus; the other 200 are split over a locus and another village.
    "A-2": make_line(
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
    "A-3": make_line(
        STRATEGIES[2],
        200,
        [{"region_code": FIRST}, {"region_code": "63.02.01"}],
        components=[
            {"code": "C1", "component_class": "indirect", "amount": 60},
            {"code": "C2", "component_class": "indirect", "amount": 40, "is_travel": True},
            {"code": "C3", "component_class": "direct", "amount": 100},
        ],
    ),
    # No location.
    "A-4": make_line(STRATEGIES[1], 100, []),
}


def furnish_world(database: Database, client: TestClient, *, in_force: bool = True) -> None:
    """Write a plan of 1,000 rupiah, reports of two quarters, coverage of two villages and a target."""
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
    reply = client.put("/v1/regions/63.02/indicators/p0/targets/2026", json=target)
    assert reply.status_code == 201, reply.text
    if in_force:
        adopt(database)


def _split(**amounts: int) -> list[dict[str, Any]]:
    return [{"component_class": name, "amount": amount} for name, amount in amounts.items()]


def observe(nation: TestClient, value: float, period: str = "2025-S1") -> None:
    path = f"/v1/regions/63.02/indicators/p0/observations/{period}"
    headers = ANY if nation.get(path).status_code == 200 else {}
    reply = nation.put(path, json={"value": value}, headers=headers)
    assert reply.status_code in (200, 201), reply.text


def measure_fairly(database: Database) -> None:
    """Make the first edition count spending up to the allocation and settle the yardstick."""
    with database.writing() as session:
        session.execute(sa.update(methods).values(fair_yardstick=True))


def settle(database: Database, period: str) -> None:
    """Settle a yardstick of the province without any plan."""
    with database.writing() as session:
        chain = lock_chain(session, f"{CHAIN}63")
        author = Author("test", datetime.now(UTC))
        store_yardstick(session, author, chain, period, choose_yardstick([], None))


def adopt(database: Database, plan: str = PLAN) -> None:
    """Put a plan in force directly."""
    table = get_table(PlanRow)
    with database.writing() as session:
        adopted = sa.update(table).where(table.c.code == plan)
        session.execute(adopted.values(state=PlanState.adopted, revision=0))


def get_json(client: TestClient, path: str = AT) -> Any:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def get_values(card: Any) -> dict[str, float | None]:
    return {component["component"]: component["value"] for component in card["components"]}


def get_ranking(caller: Any, region: str = "63") -> dict[str, Any]:
    reply = get_json(caller, RANKING.replace("region=63", f"region={region}"))
    return {regency["region_code"]: regency for regency in reply["regencies"]} | {"": reply}
