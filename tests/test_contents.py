"""The `TypedDict`s of stored JSON agree with the request and response models."""

import ast
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest
from pydantic import BaseModel, TypeAdapter, create_model

from app.agencies.models import AgencyRow
from app.agencies.queries import StoredAgency
from app.plans.actions import rules as actions
from app.plans.actions.models import (
    ActionIn,
    ActionOut,
    ActionRow,
    BudgetLine,
    Component,
    Location,
    Milestone,
    Recipient,
)
from app.plans.amendments.models import AmendedAction
from app.plans.amendments.rules import AmendedRecord
from app.plans.core.models import (
    Plan,
    PlanContent,
    PlanIn,
    PlanRow,
    PriorityContent,
    PriorityLocation,
    Reason,
    ReasonContent,
)
from app.plans.findings.spending import rules as spending
from app.plans.overlaps.models import Coincidence, CommonRecipients, OverlapExplanationRow
from app.plans.overlaps.queries import Explanation
from app.plans.overlaps.rules import CoincidenceContent, CommonRecipientsContent
from app.plans.revisions.differences.models import RevisionReason
from app.plans.revisions.differences.rules import RevisionReasonContent
from app.plans.revisions.queries import ReportedFigures
from app.tracking.meetings import rules as meetings
from app.tracking.meetings.models import CommitmentIn, LinkedAction, MeetingIn
from app.tracking.progress.models import (
    AchievedContent,
    ComponentSpending,
    OutputProgress,
    ProgressOut,
    ReachedContent,
    RecipientProgress,
    ReportContent,
    Spending,
)

pytestmark = pytest.mark.one_engine

CONTENTS: dict[type, type[BaseModel]] = {
    actions.ComponentContent: Component,
    actions.BudgetLineContent: BudgetLine,
    actions.RecipientContent: Recipient,
    actions.LocationContent: Location,
    actions.MilestoneContent: Milestone,
    actions.CostContent: ActionIn,
    actions.QuartersContent: ActionIn,
    actions.ActionContent: ActionIn,
    actions.ActionRecord: ActionOut,
    AmendedRecord: AmendedAction,
    PriorityContent: PriorityLocation,
    PlanContent: PlanIn,
    ReasonContent: Reason,
    RevisionReasonContent: RevisionReason,
    CommonRecipientsContent: CommonRecipients,
    CoincidenceContent: Coincidence,
    AchievedContent: OutputProgress,
    ReachedContent: RecipientProgress,
    spending.BudgetContent: ActionIn,
    spending.SpendingContent: Spending,
    spending.ComponentSpendingContent: ComponentSpending,
    spending.SpentContent: ProgressOut,
    ReportContent: ProgressOut,
    meetings.MeetingContent: MeetingIn,
    meetings.LinkContent: LinkedAction,
    meetings.CommitmentContent: CommitmentIn,
}
"""Each `TypedDict` of these areas → the model whose keys it reads."""

RECORDS: dict[type, type[BaseModel]] = {
    StoredAgency: AgencyRow,
    Explanation: OverlapExplanationRow,
    Plan: PlanRow,
    ReportedFigures: ActionRow,
}
"""Records whose fields are columns."""

AREAS = ("agencies", "plans", "tracking")


def read_schema(schema: dict[str, Any], whole: dict[str, Any]) -> frozenset[Any]:
    """Return the JSON types of a schema, including those of its items or keys."""
    if "$ref" in schema:
        return read_schema(whole["$defs"][schema["$ref"].rsplit("/", 1)[1]], whole)
    if "anyOf" in schema:
        return frozenset().union(*[read_schema(option, whole) for option in schema["anyOf"]])
    if schema.get("type") == "array":
        return frozenset({("array", read_schema(schema["items"], whole))})
    if "properties" in schema:
        return frozenset((name, read_schema(of, whole)) for name, of in schema["properties"].items())
    return frozenset({schema["type"]})


def list_keys(declared: type) -> dict[str, object]:
    """Return the JSON types of the keys of a `TypedDict` or a model."""
    if is_typeddict(declared):
        return {name: read_hint(hint) for name, hint in get_type_hints(declared).items()}
    schema = TypeAdapter(declared).json_schema(mode="serialization")
    properties = schema.get("properties") or schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]["properties"]
    return {name: read_schema(of, schema) for name, of in properties.items()}


def read_hint(hint: Any) -> object:
    (item, *_) = get_args(hint) or (None,)
    if is_typeddict(item):
        return frozenset({("array", frozenset(list_keys(item).items()))})
    schema = TypeAdapter(hint).json_schema()
    return read_schema(schema, schema)


def find_differences(read: dict[str, Any], offered: dict[str, Any], at: str) -> list[str]:
    """Return the keys that `offered` lacks or declares with another type."""
    places = []
    for name, kinds in read.items():
        place, other = f"{at}.{name}", offered.get(name)
        # for a list of objects, the keys of its items
        items = [
            [items for kind, items in pairs if kind == "array"]
            for pairs in map(list_pairs, (kinds, other or ()))
        ]
        if all(items) and isinstance(next(iter(items[0][0])), tuple):
            places += find_differences(dict(items[0][0]), dict(items[1][0]), place)
        elif kinds != other:
            places.append(place)
    return places


def list_pairs(kinds: Any) -> list[tuple[str, Any]]:
    return [kind for kind in kinds if isinstance(kind, tuple)]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.__name__)
def test_a_content_has_the_keys_and_types_of_its_model(content: type) -> None:
    assert find_differences(list_keys(content), list_keys(CONTENTS[content]), content.__name__) == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_has_the_columns_of_its_table(record: Any) -> None:
    assert {*record._fields} - {"stamp"} <= RECORDS[record].model_fields.keys()


def test_every_content_has_a_model() -> None:
    root = Path(__file__).parents[1] / "app"
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for area in AREAS
        for file in (root / area).rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    declared = {"TypedDict"}
    while more := {name for name, of in bases.items() if of & declared} - declared:
        declared |= more
    assert declared - {"TypedDict"} == {content.__name__ for content in CONTENTS}


def test_a_field_of_another_name_or_type_is_found() -> None:
    renamed = create_model("Renamed", sources=(str, ...), amount=(int | None, None))
    retyped = create_model("Retyped", funding_source=(int, ...), amount=(int | None, None))
    expected = list_keys(actions.BudgetLineContent)
    assert find_differences(expected, list_keys(renamed), "line") == ["line.funding_source"]
    assert find_differences(expected, list_keys(retyped), "line") == ["line.funding_source"]
