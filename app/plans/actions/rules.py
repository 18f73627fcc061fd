"""Rules of actions, and the JSON of their contents: of each shape the keys that rules read. Pure."""

from dataclasses import dataclass
from typing import TypedDict

from app.plans.actions.models import ActionIn

RemovedItems = dict[str, set[tuple[int, str]]]
"""Name of a part → (action id, item's key) of the items."""


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


class ActionContent(CostContent):
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


def absorption_percent(spent: int, allocation: int) -> float | None:
    """Return spending in percent of the allocation, two decimals like the database; None without allocation."""
    return round(spent * 100 / allocation, 2) if allocation else None


@dataclass(frozen=True)
class Draft:
    """A client's new content of an action, with its JSON Pointer in the request."""

    code: str
    content: ActionIn
    pointer: str = ""
