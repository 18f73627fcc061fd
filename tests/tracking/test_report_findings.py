"""Findings on reports at their limits: money beyond the budget, outputs above the target, money far from work."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.plans.actions.models import ComponentClass
from app.plans.actions.rules import QuartersContent
from app.plans.findings.spending.rules import check_budget, check_spending, find_limits
from app.plans.findings.thresholds import choose_thresholds
from app.tracking.progress.models import ReportableLine
from app.tracking.progress.rules import check_report
from tests.plans.world import LEAN, put, report

pytestmark = pytest.mark.one_engine

CLASSES = [str(name) for name in ComponentClass]
SOURCES = ["APBD", "APBN", "DAU"]
AMOUNTS = st.integers(0, 20)
PERCENTS = st.decimals(0, 120, places=2).map(float)
QUANTITIES = st.decimals(0, 1000, places=4).map(float)

budgets = st.fixed_dictionaries(
    {
        "allocation": AMOUNTS,
        "budget_lines": st.dictionaries(st.sampled_from(SOURCES), AMOUNTS | st.none()).map(
            lambda amounts: [{"funding_source": key, "amount": amount} for key, amount in amounts.items()]
        ),
        "components": st.lists(
            st.fixed_dictionaries(
                {"component_class": st.sampled_from(CLASSES), "amount": AMOUNTS | st.none()}
            ),
            max_size=4,
        ),
    }
)
reports = st.fixed_dictionaries(
    {
        "spent": AMOUNTS,
        "spending": st.dictionaries(st.sampled_from(SOURCES), AMOUNTS).map(
            lambda amounts: [{"funding_source": key, "amount": amount} for key, amount in amounts.items()]
        ),
        "components": st.dictionaries(st.sampled_from(CLASSES), AMOUNTS).map(
            lambda amounts: [{"component_class": key, "amount": amount} for key, amount in amounts.items()]
        ),
    }
)


def make_line(budget: Any, **targets: float) -> ReportableLine:
    known: dict[str, dict[str, float | None]] = {"recipients": {}, "outputs": {**targets}}
    quarters: QuartersContent = {"starts_in": None, "ends_after": None}
    return ReportableLine(1, "x", "x", find_limits(budget), quarters, known, choose_thresholds(2026))


def list_findings(
    line: ReportableLine, *codes: str, physical: float | None = None, **content: Any
) -> list[tuple[str, Mapping[str, object]]]:
    """Return (pointer, values) of the findings of some codes in a report."""
    figures = {"spent": 0, "spending": [], "components": [], "outputs": [], "recipients": [], **content}
    findings = check_report(figures, None, line, physical)
    return [(finding.pointer, finding.values) for finding in findings if finding.code in codes]


def find_budget(budget: Any, part: str, key: str) -> int | None:
    """Return the budget of a source or a class; None: no limit."""
    if part == "spending":
        return {item["funding_source"]: item["amount"] for item in budget["budget_lines"]}.get(key)
    amounts = [item["amount"] for item in budget["components"]]
    if not amounts or None in amounts:
        return None
    return sum(item["amount"] for item in budget["components"] if item["component_class"] == key)


@given(budget=budgets, content=reports)
def test_each_total_source_and_class_beyond_its_budget_is_an_error(budget: Any, content: Any) -> None:
    expected = {"/spent"} if content["spent"] > budget["allocation"] else set()
    for part, key in (("spending", "funding_source"), ("components", "component_class")):
        for n, item in enumerate(content[part]):
            limit = find_budget(budget, part, item[key])
            if limit is not None and item["amount"] > limit:
                expected.add(f"/{part}/{n}/amount")
    findings = list_findings(make_line(budget), "E07", **content)
    assert sorted(pointer for pointer, _ in findings) == sorted(expected)
    assert all(values["value"] > values["allocation"] for _, values in findings)


@given(budget=budgets, content=reports)
def test_a_draft_below_what_was_spent_has_the_errors_of_the_report(budget: Any, content: Any) -> None:
    of_report = [finding.values for finding in check_spending(content, find_limits(budget))]
    of_draft = list(check_budget(budget, content))
    pairs = [(values["what"], values["value"], values["allocation"]) for values in of_report]
    assert [(f.values["what"], f.values["spent"], f.values["value"]) for f in of_draft] == pairs
    for finding in of_draft:
        first, *path = finding.pointer[1:].split("/")
        if path:
            assert budget[first][int(path[0])][path[1]] == finding.values["value"]
        else:
            assert first in ("allocation", "components")


@given(target=QUANTITIES, achieved=QUANTITIES)
def test_an_output_above_110_percent_of_its_target_is_a_warning(target: float, achieved: float) -> None:
    line = make_line({"allocation": 0, "budget_lines": [], "components": []}, O1=target)
    findings = list_findings(line, "W11", outputs=[{"code": "O1", "achieved": achieved}])
    is_above = Decimal(str(achieved)) > Decimal(str(target)) * Decimal("1.1")
    assert [pointer for pointer, _ in findings] == (
        ["/outputs/0/achieved"] if target > 0 and is_above else []
    )


@given(allocation=st.integers(0, 1000), spent=st.integers(0, 1200), physical=PERCENTS | st.none())
def test_money_far_from_work_is_a_warning(allocation: int, spent: int, physical: float | None) -> None:
    line = make_line({"allocation": allocation, "budget_lines": [], "components": []})
    findings = list_findings(line, "W12", spent=spent, physical=physical)
    is_far = (
        physical is not None
        and allocation > 0
        and (
            (spent * 100 >= 90 * allocation and physical < 60)
            or (physical >= 90 and spent * 100 < 60 * allocation)
        )
    )
    assert [pointer for pointer, _ in findings] == (["/spent"] if is_far else [])


TWO_SOURCES: dict[str, Any] = {
    **LEAN,
    "components": [
        {"code": "C1", "component_class": "direct", "amount": 70},
        {"code": "C2", "component_class": "supporting", "amount": 30},
    ],
    "budget_lines": [{"funding_source": "APBD", "amount": 60}, {"funding_source": "DAU", "amount": 40}],
    "outputs": [{"code": "O1", "indicator": "Bibit", "unit": "Paket", "target": 100}],
}


def test_a_fitting_total_does_not_hide_an_overspent_source_or_class(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=TWO_SOURCES)
    reply = report(
        secretariat,
        "A-1",
        2,
        spending=[{"funding_source": "DAU", "amount": 41}, {"funding_source": "APBD", "amount": 20}],
        components=[{"component_class": "supporting", "amount": 61}],
        outputs=[{"code": "O1", "achieved": 700}],
    )
    assert [(f["code"], f["severity"], f["pointer"]) for f in reply["findings"]] == [
        ("E07", "error", "/spending/0/amount"),
        ("E07", "error", "/components/0/amount"),
        ("W11", "warning", "/outputs/0/achieved"),
    ]
    assert [f["message"] for f in reply["findings"]] == [
        "Realisasi dari “DAU” Rp 41 melebihi anggarannya Rp 40",
        "Realisasi aktivitas penunjang Rp 61 melebihi anggarannya Rp 30",
        "Capaian keluaran “O1” sebesar 700 adalah 700 % dari target 100; seharusnya paling banyak 110 %",
    ]


def test_the_physical_figure_of_the_written_report_counts(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=TWO_SOURCES)
    for quarter, (spent, achieved, expected) in enumerate(
        [(10, 95, ["W12"]), (95, 95, []), (95, 59, ["E06", "W12"])], start=1
    ):
        content = {"spent": spent, "outputs": [{"code": "O1", "achieved": achieved}]}
        reply = report(secretariat, "A-1", quarter, **content)
        assert [finding["code"] for finding in reply["findings"]] == expected
        # again, without a difference
        reply = report(secretariat, "A-1", quarter, **content)
        assert [finding["code"] for finding in reply["findings"]] == expected
