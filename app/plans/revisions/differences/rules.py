"""Rules of differences between two editions of a plan, by line, field and sum. Pure, in linear time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, overload

from pydantic import BaseModel

from app.kit.http.validation import make_pointer
from app.plans.actions.models import PARTS, ActionIn
from app.plans.actions.rules import ActionContent
from app.plans.core.models import PlanContent, PlanIn, PriorityLocation, ReasonContent
from app.plans.revisions.differences.models import LineChange, compare_amounts

Content = Mapping[str, Any]
"""The JSON of an action or of a plan's own fields."""

KEYS: dict[str, str | None] = {
    **{part.name: part.key if part.shape else None for part in PARTS},
    "priority_locations": "region_code",
}
"""List → the field that identifies an item; None if the items are plain keys."""


class ChangedField(NamedTuple):
    """A changed field with both values; an address into a list has the item's own key."""

    field: str
    before: object
    after: object


class PlanEdition(NamedTuple):
    """A plan with its lines, as adopted or as drafted."""

    plan: Content
    actions: dict[str, ActionContent]
    """By code."""


NOTHING = PlanEdition({}, {})


class LineDifference(NamedTuple):
    """A changed, new or removed line."""

    code: str
    change: LineChange
    content: ActionContent
    """The new content, or the old content of a removed line."""
    changes: list[ChangedField]


def _read_defaults(shape: type[BaseModel]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in shape.model_fields.items()}


_DEFAULTS = {"plan": _read_defaults(PlanIn), "action": _read_defaults(ActionIn)}
_ITEMS = {
    **{part.name: _read_defaults(part.shape) for part in PARTS if part.shape},
    "priority_locations": _read_defaults(PriorityLocation),
}


@overload
def fill_defaults(kind: Literal["plan"], content: Content) -> PlanContent: ...
@overload
def fill_defaults(kind: Literal["action"], content: Content) -> ActionContent: ...
def fill_defaults(kind: Literal["plan", "action"], content: Content) -> object:
    """Return the declared fields of a content, in their order; a missing field gets its default."""
    fields = {name: content.get(name, default) for name, default in _DEFAULTS[kind].items()}
    for name in _ITEMS.keys() & fields.keys():
        fields[name] = [
            {field: item.get(field, default) for field, default in _ITEMS[name].items()}
            for item in fields[name]
        ]
    return fields


def compare_contents(before: Content, after: Content) -> list[ChangedField]:
    """Return the changes between two contents of one kind, in the order of their fields."""
    changes: list[ChangedField] = []
    for name, new in after.items():
        old = before[name]
        if old == new:
            continue
        if name in KEYS:
            changes += _compare_items(name, KEYS[name], old, new)
        elif isinstance(new, dict):
            changes += [
                ChangedField(make_pointer([name, key]), old.get(key), new.get(key))
                for key in sorted({*old, *new})
                if old.get(key) != new.get(key)
            ]
        else:
            changes.append(ChangedField(make_pointer([name]), old, new))
    return changes


def _compare_items(name: str, key: str | None, old: list[Any], new: list[Any]) -> Iterator[ChangedField]:
    old_items, new_items = (
        {item if key is None else item[key]: item for item in items} for items in (old, new)
    )
    for item_key in dict.fromkeys([*old_items, *new_items]):
        before, after = old_items.get(item_key), new_items.get(item_key)
        address = make_pointer([name, item_key])
        if before is None or after is None:
            yield ChangedField(address, before, after)
        elif before != after:
            fields = dict.fromkeys([*before, *after])
            yield from (
                ChangedField(f"{address}/{field}", before.get(field), after.get(field))
                for field in fields
                if before.get(field) != after.get(field)
            )
    if [item for item in old_items if item in new_items] != [item for item in new_items if item in old_items]:
        yield ChangedField(
            make_pointer([name]), list(old_items), list(new_items)
        )  # the same items, in another order


def compare_lines(before: ActionContent | None, after: ActionContent | None) -> list[ChangedField]:
    """Return the changes between two versions of a line; a new or removed line is one change of the whole."""
    if before is None or after is None:
        return [ChangedField("", before, after)]
    return compare_contents(before, after)


def compare_editions(before: PlanEdition, after: PlanEdition) -> list[LineDifference]:
    """Return the changed, new and removed lines, by code."""
    differences = []
    for code in sorted(before.actions.keys() | after.actions.keys()):
        old, new = before.actions.get(code), after.actions.get(code)
        content = old if new is None else new
        if content is not None and (changes := compare_lines(old, new)):
            change: LineChange = "created" if old is None else "removed" if new is None else "changed"
            differences.append(LineDifference(code, change, content, changes))
    return differences


# Sums


def compare_sums(before: PlanEdition, after: PlanEdition) -> dict[str, object]:
    """Return the sums over all lines, before and after (`Sums`)."""
    old, new = list(before.actions.values()), list(after.actions.values())

    def compare(field: str, count: Callable[[Iterable[ActionContent]], Mapping[str, int]]) -> list[object]:
        was, now = count(old), count(new)
        return [
            {field: name, **compare_amounts(was.get(name, 0), now.get(name, 0))}
            for name in sorted({*was, *now})
        ]

    return {
        "actions": compare_amounts(len(old), len(new)),
        "allocation": compare_amounts(_sum_allocation(old), _sum_allocation(new)),
        "locations": compare_amounts(_count_places(old), _count_places(new)),
        "recipients": compare("kind", _count_recipients),
        "strategies": compare("strategy", lambda lines: _sum_by(lines, "strategy")),
        "agencies": compare("agency", lambda lines: _sum_by(lines, "lead_agency")),
    }


def _sum_allocation(lines: Iterable[ActionContent]) -> int:
    return sum(line["allocation"] for line in lines)


def _count_places(lines: Iterable[ActionContent]) -> int:
    return len({location["region_code"] for line in lines for location in line["locations"]})


def _sum_by(lines: Iterable[ActionContent], field: Literal["strategy", "lead_agency"]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for line in lines:
        totals[line[field]] += line["allocation"]
    return totals


def _count_recipients(lines: Iterable[ActionContent]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        for recipient in line["recipients"]:
            counts[recipient["kind"]] += recipient["count"] or 0
    return counts


Reasons = Sequence[ReasonContent]
Given = TypeVar("Given", bound=ReasonContent)


class RevisionReasonContent(ReasonContent):
    """A reason with the revision that keeps it, null in a draft (`RevisionReason`)."""

    revision: int | None


def covers(above: str, field: str) -> bool:
    """Return whether a reason for `above` covers `field` too."""
    return above == field or field.startswith(f"{above}/") or above == ""


def select_relevant_reasons(changes: Sequence[ChangedField], reasons: Sequence[Given]) -> list[Given]:
    """Return the reasons for something that changed; an adopted revision keeps these.

    A reason may name a part of a change, such as the budget of a new line.
    """
    return [
        reason
        for reason in reasons
        if any(
            covers(reason["field"], change.field) or covers(change.field, reason["field"])
            for change in changes
        )
    ]
