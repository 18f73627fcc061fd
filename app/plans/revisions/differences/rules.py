"""Rules of differences between two editions of a plan, by line, field and sum. Pure, in linear time."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    """A changed, new, ended or removed line."""

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
        yield ChangedField(make_pointer([name]), list(old_items), list(new_items))  # another order


def compare_lines(before: ActionContent | None, after: ActionContent | None) -> list[ChangedField]:
    """Return the changes between two versions of a line; a new or removed line is one change of the whole."""
    if before is None or after is None:
        return [ChangedField("", before, after)]
    return compare_contents(before, after)


def describe_change(before: ActionContent | None, after: ActionContent | None) -> LineChange:
    """Return the kind of change between two different versions of a line."""
    if before is None:
        return "created"
    if after is None:
        return "removed"
    return "ended" if before["ends_after"] is None and after["ends_after"] is not None else "changed"


def compare_editions(before: PlanEdition, after: PlanEdition) -> list[LineDifference]:
    """Return the changed, new, ended and removed lines, by code."""
    differences = []
    for code in sorted(before.actions.keys() | after.actions.keys()):
        old, new = before.actions.get(code), after.actions.get(code)
        content = old if new is None else new
        if content is not None and (changes := compare_lines(old, new)):
            differences.append(LineDifference(code, describe_change(old, new), content, changes))
    return differences


# Sums


def compare_sums(before: PlanEdition, after: PlanEdition) -> dict[str, object]:
    """Return the sums over all lines, before and after (`Sums`)."""
    old, new = _sum_up([*before.actions.values()]), _sum_up([*after.actions.values()])
    totals = ("actions", "allocation", "locations")
    sums: dict[str, object] = {name: compare_amounts(old[name][""], new[name][""]) for name in totals}
    for name, field in (("recipients", "kind"), ("strategies", "strategy"), ("agencies", "agency")):
        was, now = old[name], new[name]
        sums[name] = [{field: key, **compare_amounts(was[key], now[key])} for key in sorted({*was, *now})]
    return sums


def _sum_up(lines: Sequence[ActionContent]) -> dict[str, Counter[str]]:
    """Return name of a sum → its amounts by key; a total has the key `""`."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    sums["actions"][""] = len(lines)
    sums["locations"][""] = len({place["region_code"] for line in lines for place in line["locations"]})
    for line in lines:
        sums["allocation"][""] += line["allocation"]
        sums["strategies"][line["strategy"]] += line["allocation"]
        sums["agencies"][line["lead_agency"]] += line["allocation"]
        for recipient in line["recipients"]:
            sums["recipients"][recipient["kind"]] += recipient["count"] or 0
    return sums


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
