"""Summaries of random plans against an independent computation over the lists of the API."""

import random
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import (
    ANY,
    AT,
    HEALTH,
    LEAN,
    PARTNER,
    PLAN,
    SOCIAL,
    furnish,
    put,
    put_many,
    put_plan,
    report,
    walk,
)

pytestmark = pytest.mark.both_engines

STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")
CLASSES = ("direct", "indirect", "supporting")
QUARTER_ENDS = {1: "03-31", 2: "06-30", 3: "09-30", 4: "12-31"}
PERIODS = {"Q1": 1, "Q2": 2, "Q3": 3, "Q4": 4, "S1": 2, "S2": 4, "": 4}


def write_random_plan(client: TestClient, plan: str, seed: int, number: int = 12) -> None:
    draw = random.Random(seed)
    year = plan[-4:]
    lines = [_draw_line(draw, f"A-{n:02}", year) for n in range(number)]
    put_many(client, lines, plan=plan)
    for quarter in (1, 2, 3, 4):
        items = [_draw_report(draw, line, quarter) for line in lines if draw.random() < 0.6]
        if items:
            reply = client.put(f"/v1/plans/{plan}/progress/{year}-Q{quarter}", json={"items": items})
            assert reply.status_code == 200, reply.text


def _draw_line(draw: random.Random, code: str, year: str) -> dict[str, Any]:
    sources = draw.sample(["APBD", "DAU", "DBH"], draw.randint(0, 3))
    milestones = [
        {
            "code": f"M{n}",
            "title": "t",
            "due": draw.choice(
                [None, f"{year}-03-31", f"{year}-04-01", f"{year}-12-31", f"{int(year) - 1}-12-01"]
            ),
        }
        for n in range(draw.randint(0, 3))
    ]
    return {
        **LEAN,
        "code": code,
        "strategy": draw.choice(STRATEGIES),
        "lead_agency": draw.choice([SOCIAL, HEALTH, PARTNER]),
        "allocation": draw.choice([0, 1, 333, draw.randint(1, 10**13)]),
        "budget_lines": [
            {"funding_source": s, "amount": draw.choice([None, draw.randint(0, 10**12)])} for s in sources
        ],
        "components": [
            {
                "code": f"C{n}",
                "component_class": draw.choice(CLASSES),
                "amount": draw.choice([None, draw.randint(0, 10**12)]),
            }
            for n in range(draw.randint(0, 3))
        ],
        "recipients": [
            {
                "code": f"R{n}",
                "kind": draw.choice(["families", "persons"]),
                "count": draw.choice([None, draw.randint(0, 999)]),
            }
            for n in range(draw.randint(0, 3))
        ],
        "milestones": milestones,
    }


def _draw_report(draw: random.Random, line: dict[str, Any], quarter: int) -> dict[str, Any]:
    spending = [
        {"funding_source": b["funding_source"], "amount": draw.randint(0, 10**9)}
        for b in line["budget_lines"]
    ]
    item: dict[str, Any] = {"action": line["code"]}
    if spending and draw.random() < 0.7:
        item["spending"] = spending
        total = sum(share["amount"] for share in spending)
    else:
        item["spent"] = total = draw.randint(0, 10**9)
    if draw.random() < 0.5:
        part = draw.randint(0, total)
        item["components"] = [
            {"component_class": "direct", "amount": part},
            {"component_class": "indirect", "amount": total - part},
        ]
    item["recipients"] = [
        {"code": r["code"], "reached": draw.randint(0, 999)}
        for r in line["recipients"]
        if draw.random() < 0.8
    ]
    item["milestones"] = [
        {"code": m["code"], "state": draw.choice(["pending", "done"])}
        for m in line["milestones"]
        if draw.random() < 0.8
    ]
    if draw.random() < 0.7:
        item["physical_reported_percent"] = draw.randint(0, 10_000) / 100
    return item


# The independent computation


def compute_percent(part: int, total: int) -> float | None:
    exact = Decimal(part) * 100 / Decimal(total) if total else None
    return None if exact is None else float(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))


class Facts:
    """The lines of some plans as the API lists them, and the figures computed from them up to a quarter."""

    def __init__(self, client: TestClient, plans: Iterable[str], quarter: int) -> None:
        self.lines: list[dict[str, Any]] = []
        self.quarter = quarter
        for plan in plans:
            for line in walk(client, f"/v1/plans/{plan}/actions?limit=500"):
                reports = client.get(f"/v1/plans/{plan}/actions/{line['code']}/progress").json()["items"]
                until = [r for r in reports if r["period"] <= f"{plan[-4:]}-Q{quarter}"]
                self.lines.append({**line, "latest": until[-1] if until else None})

    def figures(self, chosen: Callable[[dict[str, Any]], bool] = lambda line: True) -> dict[str, Any]:
        lines = [line for line in self.lines if chosen(line)]
        reported = [(line, line["latest"]) for line in lines if line["latest"]]
        physical = [
            (line["allocation"], r["physical_percent"])
            for line, r in reported
            if r["physical_percent"] is not None
        ]
        weight = sum(allocation for allocation, _ in physical)
        recipients: dict[str, list[int]] = {}
        due = met = 0
        for line in lines:
            reached = (
                {r["code"]: r["reached"] for r in line["latest"]["recipients"]} if line["latest"] else {}
            )
            finished = (
                {m["code"] for m in line["latest"]["milestones"] if m["state"] == "done"}
                if line["latest"]
                else set()
            )
            for part in line["recipients"]:
                counts = recipients.setdefault(part["kind"], [0, 0])
                counts[0] += part["count"] or 0
                counts[1] += reached.get(part["code"], 0)
            for part in line["milestones"]:
                if part["due"] and part["due"] <= f"{line['plan'][-4:]}-{QUARTER_ENDS[self.quarter]}":
                    due += 1
                    met += part["code"] in finished
        allocated, spent = sum(line["allocation"] for line in lines), sum(r["spent"] for _, r in reported)
        return {
            "actions": len(lines),
            "reported": len(reported),
            "allocated": allocated,
            "spent": spent,
            "absorption_percent": compute_percent(spent, allocated),
            "physical_percent": pytest.approx(sum(a * p for a, p in physical) / weight, abs=0.0051)
            if weight
            else None,
            "recipients": [
                {"kind": k, "planned": p, "reached": r} for k, (p, r) in sorted(recipients.items())
            ],
            "milestones_due": due,
            "milestones_met": met,
        }

    def by(self, field: str) -> dict[str, dict[str, Any]]:
        keys = sorted({line[field] for line in self.lines})
        return {key: self.figures(lambda line, key=key: line[field] == key) for key in keys}  # type: ignore[misc]

    def money(self, planned: str, reported: str, key: str) -> dict[str | None, tuple[int, int]]:
        """Return key → (allocated, spent), with the unsplit remainder under None."""
        sums: dict[str | None, list[int]] = {}
        for line in self.lines:
            for part in line[planned]:
                sums.setdefault(part[key], [0, 0])[0] += part["amount"] or 0
            for part in line["latest"][reported] if line["latest"] else ():
                sums.setdefault(part[key], [0, 0])[1] += part["amount"]
        total = self.figures()
        remainder = [
            total["allocated"] - sum(s[0] for s in sums.values()),
            total["spent"] - sum(s[1] for s in sums.values()),
        ]
        if any(remainder):
            sums[None] = remainder
        return {name: (allocated, spent) for name, (allocated, spent) in sums.items()}


def read_money(parts: list[dict[str, Any]]) -> dict[str | None, tuple[int, int]]:
    return {part["key"]: (part["allocated"], part["spent"]) for part in parts}


def drop_names(parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        part["key"]: {k: v for k, v in part.items() if k not in ("key", "name", "merged_into", "revision")}
        for part in parts
    }


def check_summary(summary: dict[str, Any], facts: Facts, groups: dict[str, str]) -> None:
    figures = facts.figures()
    assert {name: summary[name] for name in figures} == figures
    for group, field in groups.items():
        assert drop_names(summary[group]) == facts.by(field), group
    assert read_money(summary["by_funding_source"]) == facts.money(
        "budget_lines", "spending", "funding_source"
    )
    assert read_money(summary["by_component_class"]) == facts.money(
        "components", "components", "component_class"
    )
    for parts in ("by_funding_source", "by_component_class"):
        assert sum(part["allocated"] for part in summary[parts]) == summary["allocated"]
        assert sum(part["spent"] for part in summary[parts]) == summary["spent"]
        for part in summary[parts]:
            expected = compute_percent(part["spent"], part["allocated"]) if part["allocated"] >= 0 else None
            assert part["absorption_percent"] == expected
    for group in groups:
        for name in ("actions", "reported", "allocated", "spent", "milestones_due", "milestones_met"):
            assert sum(part[name] for part in summary[group]) == summary[name]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plans_summary_agrees_with_its_lists_at_any_period(secretariat: TestClient, seed: int) -> None:
    write_random_plan(secretariat, PLAN, seed)
    for part, quarter in PERIODS.items():
        period = f"2026-{part}".rstrip("-")
        summary = secretariat.get(f"{AT}/summary?period={period}").json()
        assert (summary["period"], summary["to_quarter"], summary["plan"]) == (
            period,
            f"2026-Q{quarter}",
            PLAN,
        )
        if part in ("Q1", "Q2", "Q4"):
            check_summary(
                summary,
                Facts(secretariat, [PLAN], quarter),
                {"by_strategy": "strategy", "by_agency": "lead_agency"},
            )
        else:
            same = secretariat.get(f"{AT}/summary?period=2026-Q{quarter}").json()
            assert {**same, "period": period} == summary
    names = {part["key"]: part["name"] for part in summary["by_agency"]}
    assert names[SOCIAL] == "Dinas Sosial"
    assert all(
        part["name"]
        for part in (*summary["by_strategy"], *(p for p in summary["by_funding_source"] if p["key"]))
    )


def test_a_regions_summary_pools_the_plans_visible_to_the_caller(
    database: OneTransaction, secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    national = connect(("administrator", "0"))
    for seed, (region, year) in enumerate([("63.03", 2026), ("63", 2026), ("73.22", 2026), ("63.03", 2027)]):
        furnish(database, region)
        put_plan(national, f"{region}-{year}")
        write_random_plan(national, f"{region}-{year}", seed, number=5)
    put_plan(national, "73-2026")
    write_random_plan(secretariat, PLAN, 9, number=5)

    def check_region(caller: TestClient, region: str, plans: list[str]) -> None:
        summary = caller.get(f"/v1/summaries?region={region}&period=2026-Q3").json()
        assert [part["key"] for part in summary["by_plan"]] == plans
        facts = Facts(national, plans, 3)
        with_lines = (
            {"by_strategy": "strategy"}
            if "73-2026" in plans
            else {"by_strategy": "strategy", "by_plan": "plan"}
        )
        check_summary(summary, facts, with_lines)

    check_region(national, "63", ["63-2026", "63.02-2026", "63.03-2026"])
    check_region(national, "0", ["63-2026", "63.02-2026", "63.03-2026", "73-2026", "73.22-2026"])
    check_region(national, "63.02", [PLAN])
    check_region(connect(("reviewer", "63")), "0", ["63-2026", "63.02-2026", "63.03-2026"])
    check_region(secretariat, "63", [PLAN])
    empty = national.get("/v1/summaries?region=73&period=2026").json()["by_plan"][0]
    assert (empty["key"], empty["name"], empty["actions"], empty["absorption_percent"]) == (
        "73-2026",
        "Sulawesi Selatan",
        0,
        None,
    )
    for caller, query in (
        (secretariat, "region=73&period=2026"),
        (secretariat, "region=63.02&period=2031"),
        (national, "region=99&period=2026"),
        (connect(), "region=0&period=2026"),
    ):
        assert caller.get(f"/v1/summaries?{query}").status_code == 404


def test_other_periods_are_refused_and_an_empty_plan_has_a_summary(secretariat: TestClient) -> None:
    assert secretariat.get(f"{AT}/summary?period=2027").status_code == 404
    for wrong in ("2026-S3", "2026-Q5", "2026-01", ""):
        assert secretariat.get(f"{AT}/summary?period={wrong}").status_code == 400
    empty = secretariat.get(f"{AT}/summary?period=2026").json()
    assert (empty["actions"], empty["allocated"], empty["physical_percent"], empty["by_strategy"]) == (
        0,
        0,
        None,
        [],
    )


def test_the_tag_of_a_summary_changes_with_each_write(secretariat: TestClient) -> None:
    path = f"{AT}/summary?period=2026-Q1"
    put(secretariat, "A-1")
    tag = secretariat.get(path).headers["ETag"]
    assert secretariat.get(path, headers={"If-None-Match": tag}).status_code == 304
    report(secretariat, "A-1", 4, spent=1)
    assert secretariat.get(path, headers={"If-None-Match": tag}).status_code == 200
    tag = secretariat.get(path).headers["ETag"]
    secretariat.patch("/v1/regions/63.02/agencies/" + SOCIAL, json={"name": "Dinsos"}, headers=ANY)
    reply = secretariat.get(path, headers={"If-None-Match": tag})
    assert (reply.status_code, reply.json()["by_agency"][0]["name"]) == (200, "Dinsos")
