"""The glossary: its words exist in the OpenAPI document, and its drawings show the transitions of the code."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from app.access.models import Role
from app.access.rules import RIGHTS, ROLES_BELOW
from app.kit.openapi.document import COMMITTED
from app.plans.core.models import PlanState
from app.plans.workflow.rules import TRANSITIONS
from app.reference.models import RegionLevel
from app.tracking.quarters.models import QuarterState
from app.tracking.quarters.rules import QUARTER_STEPS, find_next_state
from tests.docs.pages import ROOT, blocks_of

WORDS = ROOT / "docs" / "words.md"

SECTIONS = {
    "People, agencies and regions": ("RegionLevel", "Role", "TokenScope", "AgencyKind", "AgencyState"),
    "Plan": (
        "PlanState",
        "Instrument",
        "NoteState",
        "ReasonCategory",
        "FindingShape/severity",
        "OverlapOut/state",
        "Verdict",
    ),
    "Line of the plan": (
        "Strategy",
        "ComponentClass",
        "BudgetStage",
        "RecipientKind",
        "BenefitForm",
        "Regularity",
        "MilestoneState",
    ),
    "Figures": ("PhysicalBasis",),
    "Quarter": ("QuarterState", "PartState", "MeetingState", "CommitmentState", "QuarterReply/allowed"),
    "Villages and targeting": ("VillageStatus",),
    "Convergence": ("StepState", "Grade", "IndexComponent", "EditionStatus"),
}
"""Section of the page → the enums that it explains: a schema, or a field of a schema."""

OF_MACHINES = {"WebhookState", "DeliveryState"}
"""States that the page of webhooks explains."""

Move = tuple[str, str, str, frozenset[str]]
"""State before, state after, verb, roles."""


def _load_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(COMMITTED.read_bytes())
    return document


def _read_words(section: str) -> set[str]:
    """Return the words of the column JSON of a section."""
    (text,) = re.findall(
        rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", WORDS.read_text(), re.MULTILINE | re.DOTALL
    )
    cells = [line.split("|")[2] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def _read_values(name: str) -> set[str]:
    """Return the values of an enum: of a schema, or of the field of a schema."""
    schema, _, field = name.partition("/")
    definition = _load_document()["components"]["schemas"][schema]
    return set(next(_find_enums(definition["properties"][field] if field else definition)))


def _find_enums(node: Any) -> Iterator[list[str]]:
    if isinstance(node, dict):
        if isinstance(node.get("enum"), list):
            yield node["enum"]
        for value in node.values():
            yield from _find_enums(value)
    elif isinstance(node, list):
        for value in node:
            yield from _find_enums(value)


@pytest.mark.parametrize("section", SECTIONS)
def test_section_explains_every_value_of_its_enums(section: str) -> None:
    words = _read_words(section)
    missing = {name: _read_values(name) - words for name in SECTIONS[section]}
    assert not any(missing.values()), f"docs/words.md, {section}: {missing}"


def test_every_state_belongs_to_a_section() -> None:
    """The glossary explains a new enum of states, or lists it as one for machines."""
    schemas = _load_document()["components"]["schemas"]
    states = {name for name, schema in schemas.items() if name.endswith("State") and "enum" in schema}
    explained = {name for names in SECTIONS.values() for name in names if name.endswith("State")}
    assert states == explained | OF_MACHINES


def test_every_word_of_json_is_in_the_openapi_document() -> None:
    """A word is the name of a field, a value of an enum, or a part of an address."""
    document = _load_document()
    schemas = document["components"]["schemas"]
    known = {field for schema in schemas.values() for field in schema.get("properties", ())}
    known |= {value for enum in _find_enums(document) for value in enum}
    known |= {part for path in document["paths"] for part in path.split("/")}
    unknown = {section: _read_words(section) - known for section in SECTIONS}
    assert not any(unknown.values()), f"docs/words.md: {unknown}"


# Drawings


def _read_drawing(first_state: str) -> tuple[set[str], set[Move]]:
    """Return the states and the moves of the drawing that begins with a state."""
    beginning = f"stateDiagram-v2\n  [*] --> {first_state}\n"
    (drawing,) = [block.text for block in blocks_of(WORDS) if block.text.startswith(beginning)]
    states: set[str] = set()
    moves: set[Move] = set()
    for line in drawing.splitlines()[1:]:
        match = re.fullmatch(r"  (\S+) --> (\w+)(?:: (\w+) \(([\w, ]+)\))?", line)
        assert match, f"docs/words.md: cannot read {line!r}"
        before, after, verb, roles = match.groups()
        states |= {before, after} - {"[*]"}
        if verb:
            moves.add((before, after, verb, frozenset(roles.split(", "))))
    return states, moves


def _find_roles(right: str) -> frozenset[str]:
    return frozenset(map(str, RIGHTS[right].roles))


def test_drawing_of_a_plan_shows_the_transitions() -> None:
    states, moves = _read_drawing(PlanState.draft)
    assert states == set(map(str, PlanState))
    assert moves == {
        (str(before), str(transition.to_state), transition.verb, _find_roles(transition.verb))
        for transition in TRANSITIONS
        for before in transition.from_states
    }


def test_drawing_of_a_quarter_shows_the_steps() -> None:
    """A return leads to two states: without a snapshot to `open`, with one to `correcting`."""
    states, moves = _read_drawing(QuarterState.not_yet_open)
    assert states == set(map(str, QuarterState))
    assert moves == {
        (str(before), str(find_next_state(step, amendment)), str(step.verb), _find_roles(step.right))
        for step in QUARTER_STEPS
        for before in step.from_states
        for amendment in (None, 0)
    }


def test_drawing_of_regions_shows_levels_and_roles() -> None:
    (drawing,) = [block.text for block in blocks_of(WORDS) if block.text.startswith("flowchart")]
    below = re.findall(r'^  (\w+) -- "([\w, ]+)" --> (\w+)', drawing, re.MULTILINE)
    levels = list(map(str, RegionLevel))
    assert [(upper, lower) for upper, _, lower in below] == list(pairwise(levels))
    assert {frozenset(roles.split(", ")) for _, roles, _ in below} == {frozenset(map(str, ROLES_BELOW))}
    own = dict(re.findall(r'^  (\w+)\["[^:"]+: ([\w, ]+)"\]', drawing, re.MULTILINE))
    assert _split(own["nation"]) == set(map(str, ROLES_BELOW))
    assert _split(own["province"]) == _split(own["regency"]) == set(map(str, Role))


def _split(roles: str) -> set[str]:
    return set(roles.split(", "))
