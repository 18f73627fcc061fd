"""The money that a line may spend, in all, by funding source and by component class. Pure."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypedDict

from app.plans.actions.models import ComponentClass
from app.plans.actions.rules import BudgetLineContent, ComponentContent
from app.plans.findings.kinds import E07, Finding


class SpendingContent(TypedDict):
    funding_source: str
    amount: int


class ComponentSpendingContent(TypedDict):
    component_class: str
    amount: int


class SpentContent(TypedDict):
    """The money of a report."""

    spent: int
    spending: list[SpendingContent]
    components: list[ComponentSpendingContent]


class BudgetContent(TypedDict):
    """The budget of a line (`ActionIn`)."""

    allocation: int
    components: list[ComponentContent]
    budget_lines: list[BudgetLineContent]


class Limits(NamedTuple):
    """The budget of a line. A source or class without an amount has no limit of its own."""

    allocation: int
    sources: Mapping[str, int | None]
    classes: Mapping[str, int]


def find_limits(line: BudgetContent) -> Limits:
    """Return the budget of a line."""
    sources = {item["funding_source"]: item["amount"] for item in line["budget_lines"]}
    return Limits(line["allocation"], sources, _sum_classes(line["components"]))


def _sum_classes(components: list[ComponentContent]) -> dict[str, int]:
    """Return the budget of each class; empty unless every component has an amount."""
    sums = dict.fromkeys(map(str, ComponentClass), 0) if components else {}
    for component in components:
        if component["amount"] is None:
            return {}
        sums[component["component_class"]] += component["amount"]
    return sums


class Overspending(NamedTuple):
    """Money beyond a limit, with its place in the report."""

    part: Literal["", "spending", "components"]
    """List of the report; empty for the total."""
    position: int
    key: str
    """Funding source or component class."""
    spent: int
    limit: int


def find_overspending(money: SpentContent, limits: Limits) -> Iterator[Overspending]:
    """Yield the total, sources and classes that spent more than their budget."""
    if money["spent"] > limits.allocation:
        yield Overspending("", 0, "spent", money["spent"], limits.allocation)
    for n, source in enumerate(money["spending"]):
        limit = limits.sources.get(source["funding_source"])
        if limit is not None and source["amount"] > limit:
            yield Overspending("spending", n, source["funding_source"], source["amount"], limit)
    for n, item in enumerate(money["components"]):
        limit = limits.classes.get(item["component_class"])
        if limit is not None and item["amount"] > limit:
            yield Overspending("components", n, item["component_class"], item["amount"], limit)


_DRAFTED = {
    "": ("drafted", "/allocation"),
    "spending": ("drafted_spending", "/budget_lines/{}/amount"),
    "components": ("drafted_components", "/components"),
}
"""Part of a report → sentence, and pointer into the line."""


def check_budget(line: BudgetContent, money: SpentContent) -> Iterator[Finding]:
    """Yield the findings E07 of a line of an amendment whose budget covers less than was spent."""
    positions = {item["funding_source"]: n for n, item in enumerate(line["budget_lines"])}
    for over in find_overspending(money, find_limits(line)):
        about, place = _DRAFTED[over.part]
        pointer = place.format(positions.get(over.key))
        yield E07.find_at(pointer, about=about, what=over.key, value=over.limit, spent=over.spent)


def check_spending(money: SpentContent, limits: Limits) -> Iterator[Finding]:
    """Yield the findings E07 of a report."""
    for over in find_overspending(money, limits):
        pointer = f"/{over.part}/{over.position}/amount" if over.part else "/spent"
        yield E07.find_at(pointer, about=over.part, what=over.key, value=over.spent, allocation=over.limit)
