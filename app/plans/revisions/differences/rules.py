"""What differs between two editions of a plan, by line and field, and in its sums. Pure and linear."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, overload

from pydantic import BaseModel

from app.kit.http.validation import pointer_of
from app.plans.actions.models import PARTS, ActionIn
from app.plans.actions.rules import ActionContent
from app.plans.core.models import PlanContent, PlanIn, PriorityLocation, ReasonContent
from app.plans.revisions.differences.models import LineChange, amounts

Content = Mapping[str, Any]
"""An action, or a plan's own fields, as JSON has them, to be compared field by field."""

KEYS: dict[str, str | None] = {
    **{part.name: part.key if part.shape else None for part in PARTS},
    "priority_locations": "region_code",
}
"""List → the field that its items are matched by; None: the items are the keys themselves."""


class Change(NamedTuple):
    """One field, from what to what; its address names a list's item by the item's own key."""

    field: str
    before: object
    after: object


class Edition(NamedTuple):
    """A plan as it was adopted, or as it shall be."""

    plan: Content
    actions: dict[str, ActionContent]
    """By code."""


NOTHING = Edition({}, {})


class LineDifference(NamedTuple):
    """A line that is not as it was."""

    code: str
    change: LineChange
    content: ActionContent
    """As it is; of a line that was removed, as it was."""
    changes: list[Change]


def _defaults(shape: type[BaseModel]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in shape.model_fields.items()}


_DEFAULTS = {"plan": _defaults(PlanIn), "action": _defaults(ActionIn)}
_ITEMS = {
    **{part.name: _defaults(part.shape) for part in PARTS if part.shape},
    "priority_locations": _defaults(PriorityLocation),
}


@overload
def whole(kind: Literal["plan"], content: Content) -> PlanContent: ...
@overload
def whole(kind: Literal["action"], content: Content) -> ActionContent: ...
def whole(kind: Literal["plan", "action"], content: Content) -> object:
    """Return the declared fields of a content, in their order; one that is younger than it has its default."""
    found = {name: content.get(name, default) for name, default in _DEFAULTS[kind].items()}
    for name in _ITEMS.keys() & found.keys():
        found[name] = [
            {field: item.get(field, default) for field, default in _ITEMS[name].items()}
            for item in found[name]
        ]
    return found


def changes_of(before: Content, after: Content) -> list[Change]:
    """What differs between two contents of the same kind, in the order of their fields."""
    found: list[Change] = []
    for name, new in after.items():
        old = before[name]
        if old == new:
            continue
        if name in KEYS:
            found += _items(name, KEYS[name], old, new)
        elif isinstance(new, dict):
            found += [
                Change(pointer_of([name, key]), old.get(key), new.get(key))
                for key in sorted({*old, *new})
                if old.get(key) != new.get(key)
            ]
        else:
            found.append(Change(pointer_of([name]), old, new))
    return found


def _items(name: str, key: str | None, old: list[Any], new: list[Any]) -> Iterator[Change]:
    was, now = ({item if key is None else item[key]: item for item in items} for items in (old, new))
    for one in dict.fromkeys([*was, *now]):
        before, after, at = was.get(one), now.get(one), pointer_of([name, one])
        if before is None or after is None:
            yield Change(at, before, after)
        elif before != after:
            fields = dict.fromkeys([*before, *after])
            yield from (
                Change(f"{at}/{field}", before.get(field), after.get(field))
                for field in fields
                if before.get(field) != after.get(field)
            )
    if [one for one in was if one in now] != [one for one in now if one in was]:
        yield Change(pointer_of([name]), list(was), list(now))  # the same items, in another order


def compare_lines(before: ActionContent | None, after: ActionContent | None) -> list[Change]:
    """Return what differs between two versions of a line; one that comes or goes is one change of the whole."""
    if before is None or after is None:
        return [Change("", before, after)]
    return changes_of(before, after)


def line_differences(before: Edition, after: Edition) -> list[LineDifference]:
    """The lines that are not as they were, by code."""
    found = []
    for code in sorted(before.actions.keys() | after.actions.keys()):
        old, new = before.actions.get(code), after.actions.get(code)
        content = old if new is None else new
        if content is not None and (changes := compare_lines(old, new)):
            change: LineChange = "created" if old is None else "removed" if new is None else "changed"
            found.append(LineDifference(code, change, content, changes))
    return found


# Sums


def sums(before: Edition, after: Edition) -> dict[str, object]:
    """What all lines sum up to, before and after (`Sums`)."""
    old, new = list(before.actions.values()), list(after.actions.values())

    def by(field: str, count: Callable[[Iterable[ActionContent]], Mapping[str, int]]) -> list[object]:
        was, now = count(old), count(new)
        return [{field: name, **amounts(was.get(name, 0), now.get(name, 0))} for name in sorted({*was, *now})]

    return {
        "actions": amounts(len(old), len(new)),
        "allocation": amounts(_total(old), _total(new)),
        "locations": amounts(_places(old), _places(new)),
        "recipients": by("kind", _recipients),
        "strategies": by("strategy", lambda lines: _money(lines, "strategy")),
        "agencies": by("agency", lambda lines: _money(lines, "lead_agency")),
    }


def _total(lines: Iterable[ActionContent]) -> int:
    return sum(line["allocation"] for line in lines)


def _places(lines: Iterable[ActionContent]) -> int:
    return len({location["region_code"] for line in lines for location in line["locations"]})


def _money(lines: Iterable[ActionContent], field: Literal["strategy", "lead_agency"]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        found[line[field]] += line["allocation"]
    return found


def _recipients(lines: Iterable[ActionContent]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        for recipient in line["recipients"]:
            found[recipient["kind"]] += recipient["count"] or 0
    return found


Reasons = Sequence[ReasonContent]
Given = TypeVar("Given", bound=ReasonContent)


class RevisionReasonContent(ReasonContent):
    """A reason with the revision that keeps it, null while it is drafted (`RevisionReason`)."""

    revision: int | None


def covers(above: str, field: str) -> bool:
    """Return whether a reason for `above` speaks of `field` too."""
    return above == field or field.startswith(f"{above}/") or above == ""


def telling(changes: Sequence[Change], reasons: Sequence[Given]) -> list[Given]:
    """The reasons that speak of something that changed: those that an adopted revision keeps.

    A reason may name a part of what changed: of a line that is new, its budget.
    """
    return [
        reason
        for reason in reasons
        if any(
            covers(reason["field"], change.field) or covers(change.field, reason["field"])
            for change in changes
        )
    ]
