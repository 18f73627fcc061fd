"""Rules of actions, and the JSON of their contents: of each shape the keys that rules read. Pure."""

from collections.abc import Iterator
from typing import TypedDict

from app.kit.batch import BatchItem
from app.kit.http.validation import unknown_value
from app.kit.periods import Period
from app.kit.problems import FieldError, Kind
from app.plans.actions.models import ActionIn
from app.plans.core.models import Plan

of_an_amendment = Kind(
    "of_an_amendment",
    id="hanya perubahan rencana yang dapat mengisinya, setelah rencana ditetapkan",
    en="only an amendment can set it, after the adoption of the plan",
)
ends_before_it_starts = Kind(
    "ends_before_it_starts",
    id="baris diakhiri ({value}) sebelum mulai berlaku ({first})",
    en="the line ends ({value}) before it starts ({first})",
)

RemovedItems = dict[str, set[tuple[int, str]]]
"""Name of a part, or `QUARTERS` → (action id, item's key) of the items."""
QUARTERS = "quarters"


class ComponentContent(TypedDict):
    component_class: str
    amount: int | None
    is_travel: bool


class BudgetLineContent(TypedDict):
    funding_source: str
    amount: int | None


class RecipientContent(TypedDict):
    code: str
    kind: str
    count: int | None
    decile_from: int | None
    decile_to: int | None
    vulnerable_groups: list[str]
    source_period: str | None


class LocationContent(TypedDict):
    region_code: str
    recipients: int | None


class MilestoneContent(TypedDict):
    code: str
    due: str | None


class CostContent(TypedDict):
    """The cost of an action, and its recipients."""

    subactivity_code: str | None
    allocation: int
    recipients: list[RecipientContent]


class QuartersContent(TypedDict):
    """The quarters of an action in which a report is due."""

    starts_in: str | None
    ends_after: str | None


class ActionContent(CostContent, QuartersContent):
    """The content of an action (`ActionIn`)."""

    title: str
    strategy: str
    lead_agency: str
    supporting_agencies: list[str]
    nomenclature_edition: str | None
    subactivity: str | None
    activity: str | None
    program: str | None
    benefit_forms: list[str]
    first_month: int | None
    last_month: int | None
    components: list[ComponentContent]
    budget_lines: list[BudgetLineContent]
    locations: list[LocationContent]
    milestones: list[MilestoneContent]
    tags: list[str]


class ActionRecord(ActionContent):
    """An action with its key and its reported figures (`ActionOut`)."""

    code: str
    version: int
    progress_period: str | None
    spent: int


def is_expected(line: QuartersContent, period: str) -> bool:
    """Return whether a report on the line is due in a quarter; the months of its schedule play no part."""
    first, last = line["starts_in"], line["ends_after"]
    return (first is None or first <= period) and (last is None or last >= period)


def format_no_quarter(year: int) -> str:
    """Return the `ends_after` of a line on which no report is due in its year."""
    return f"{year - 1}-Q4"


def list_quarters(line: QuartersContent, year: int) -> set[str]:
    """Return the quarters of the year in which a report on the line is due."""
    return {quarter for quarter in Period(year, "").quarters if is_expected(line, quarter)}


def check_quarters(line: QuartersContent, plan: Plan, pointer: str) -> Iterator[FieldError]:
    """Yield the errors of the first and the last quarter of a line; before the first adoption it has neither."""
    first, last, quarters = line["starts_in"], line["ends_after"], Period(plan.year, "").quarters
    none = format_no_quarter(plan.year)
    for name, value, allowed in (("starts_in", first, quarters), ("ends_after", last, [none, *quarters])):
        if value is not None and plan.revision is None:
            yield FieldError(of_an_amendment, f"{pointer}/{name}", value=value)
        elif value is not None and value not in allowed:
            yield FieldError(unknown_value, f"{pointer}/{name}", value=value, allowed=allowed)
    if plan.revision is not None and first is not None and last is not None and none < last < first:
        yield FieldError(ends_before_it_starts, f"{pointer}/ends_after", value=last, values={"first": first})


def absorption_percent(spent: int, allocation: int) -> float | None:
    """Return spending in percent of the allocation, two decimals like the database; None without allocation."""
    return round(spent * 100 / allocation, 2) if allocation else None


class Draft(BatchItem[ActionIn]):
    """A client's new content of an action."""
