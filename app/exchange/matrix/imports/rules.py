"""What a line of the file makes of an action, and which line of the plan it is. Pure.

A column changes an action only where its cell says something else than the action would write there,
and then only what the column shows: a count that changes keeps its deciles, a place its amount. What no
column shows, and what a file has no column for, is never touched.

A line is known by strategy, lead agency and sub-activity: by its code, else by its names, else by the
words that an earlier file had for it. Lines that are alike are matched with the one that already says
the same, then in their order; so rows may be moved, added and taken out without any line changing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.exchange.matrix.cells import CLASSES, OF_WORDS, Names, cells_of, in_order, line_of, written
from app.exchange.matrix.codes import write_named
from app.exchange.matrix.models import BY_KEY, Content, MatrixRow, Named, Share
from app.kit.fields import folded


@dataclass(frozen=True)
class Subactivity:
    """What a row's sub-activity was resolved to; without a code it is known by its names alone."""

    code: str | None
    name: str
    activity: str | None
    program: str | None
    edition: str | None
    successors: tuple[str, ...] | None = None
    """Of a code that was retired; None: it is in force."""


@dataclass(frozen=True)
class Resolved:
    """A line of the file with everything in it looked up."""

    line: MatrixRow
    agency: str
    subactivity: Subactivity
    sources: tuple[tuple[str, int | None], ...] = ()
    """(funding source, amount)."""
    places: tuple[str, ...] = field(default=())
    """Region codes; empty where not every place of the cell was found."""


# The action that a line makes


def content_of(found: Resolved, stored: Content | None, names: Names) -> Content:
    """The action that a line of the file makes of what is stored (None: a new one)."""
    line = found.line
    content = dict(stored) if stored else _blank(found)
    before = cells_of(line_of(stored, names)) if stored else {}
    says = {
        key
        for key in line.columns
        if key in BY_KEY and written(BY_KEY[key], line) not in before.get(key, {None})
    }
    content |= {
        "strategy": line["strategy"],
        "lead_agency": found.agency,
        "allocation": line["allocation"],
        **_nomenclature(found, stored, says),
    }
    if stored and "funding_sources" not in says:
        content["budget_lines"] = _following(stored, line["allocation"])
    texts = dict(content["matrix_texts"]) | _own_words(found)
    for key, setter in _SETTERS.items():
        if key not in says:
            continue
        content |= setter(found, content)
        texts.pop(key, None)
        if key in line.texts and _keeps_words(key, found):
            texts[key] = line.texts[key]
    content["matrix_texts"] = texts
    return content


def _blank(found: Resolved) -> Content:
    lists = (
        "supporting_agencies",
        "components",
        "budget_lines",
        "outputs",
        "recipients",
        "locations",
        "milestones",
        "tags",
        "benefit_forms",
    )
    return {
        **{name: [] for name in lists},
        "matrix_texts": {},
        "title": found.subactivity.name,
        "benefit_amount": None,
        "benefit_description": "",
    }


def _keeps_words(key: str, found: Resolved) -> bool:
    """Whether a cell's words are kept because no field of the action carries them all."""
    if key == "benefit_amount":
        return found.line[key] is not None
    return key in OF_WORDS and not (found.places if key == "location" else found.line[key])


def _nomenclature(found: Resolved, stored: Content | None, says: set[str]) -> Content:
    """Code and names; a line whose code stays keeps its edition and its names as they are."""
    sub = found.subactivity
    if stored and stored["subactivity_code"] == sub.code:
        if sub.code is not None:
            return {}
        # Known by its names alone: each is a cell of its own.
        named = {"subactivity": sub.name, "activity": sub.activity, "program": sub.program}
        changes: Content = {key: name for key, name in named.items() if key in says}
    else:
        changes = {
            "nomenclature_edition": sub.edition,
            "subactivity_code": sub.code,
            "subactivity": sub.name,
            "activity": sub.activity,
            "program": sub.program,
        }
    if stored and stored["title"] == stored["subactivity"] and "subactivity" in changes:
        changes["title"] = sub.name
    return changes


def _own_words(found: Resolved) -> dict[str, str]:
    """The file's names where a code was found that has others: by them it is known in the next file."""
    sub, line = found.subactivity, found.line
    named: Named | None = line["subactivity"]
    if sub.code is None or named is None or named.code == sub.code:
        return {}
    pairs = {"subactivity": (named, sub.name), "activity": (line["activity"], sub.activity)}
    return {
        key: words
        for key, (cell, official) in pairs.items()
        if (words := write_named(cell)) and folded(words) != folded(official or "")
    }


def paired(
    old: Sequence[Content], new: Sequence[Content], *alike: Callable[[Content], object]
) -> list[Content]:
    """Each new item on top of the old one that it is: the first that is alike in the first respect, else
    in the second, …; an item that is like none stays as it is."""
    left, result = list(old), list(new)
    open_places = set(range(len(result)))
    for respect in alike:
        for place in sorted(open_places):
            match = next((item for item in left if respect(item) == respect(result[place])), None)
            if match is not None:
                left.remove(match)
                open_places.discard(place)
                result[place] = match | result[place]
    return result


def _coded(items: Sequence[Content], prefix: str, taken: set[str]) -> list[Content]:
    """Items with a code each: `D1`, `D2`, … for new ones, never that of one that went."""
    fresh: Iterator[str] = (code for n in range(1, 10_000) if (code := f"{prefix}{n}") not in taken)
    return [item if "code" in item else {"code": next(fresh), **item} for item in items]


def _set_components(component_class: str, prefix: str) -> Callable[[Resolved, Content], Content]:
    def setter(found: Resolved, content: Content) -> Content:
        is_own = [item["component_class"] == component_class for item in content["components"]]
        own = [item for item, mine in zip(content["components"], is_own, strict=True) if mine]
        others = [item for item, mine in zip(content["components"], is_own, strict=True) if not mine]
        shares: tuple[Share, ...] = found.line[component_class] or ()
        said = [
            {"component_class": component_class, "description": share.name, "amount": share.amount}
            for share in shares
        ]
        made = paired(own, said, lambda item: folded(item["description"]))
        if len(own) == len(said):
            made = paired(own, said, lambda item: folded(item["description"]), lambda item: None)
        made = _coded(made, prefix, {item["code"] for item in content["components"]})
        order = list(CLASSES)
        return {"components": sorted([*others, *made], key=lambda item: order.index(item["component_class"]))}

    return setter


def _set_sources(found: Resolved, content: Content) -> Content:
    amounts: dict[str, int | None] = {}
    for code, amount in found.sources:
        before = amounts.get(code)
        amounts[code] = amount if before is None else before + (amount or 0)
    if len(amounts) == 1 and None in amounts.values():
        amounts = dict.fromkeys(amounts, found.line["allocation"])
    said = [{"funding_source": code, "amount": amount} for code, amount in amounts.items()]
    return {"budget_lines": paired(content["budget_lines"], said, lambda item: item["funding_source"])}


def _following(stored: Content, allocation: int) -> list[Content]:
    """The budget lines of a cell that says what it said: a source that gives all of it still does."""
    lines: list[Content] = stored["budget_lines"]
    is_whole = len(lines) == 1 and lines[0]["amount"] == stored["allocation"]
    return [{**lines[0], "amount": allocation}] if is_whole else lines


def _set_places(found: Resolved, content: Content) -> Content:
    said = [{"region_code": code} for code in dict.fromkeys(found.places)]
    return {"locations": paired(content["locations"], said, lambda item: item["region_code"])}


def _set_recipients(found: Resolved, content: Content) -> Content:
    """Recipients without a count are not shown, so they stay."""
    unseen = [item for item in content["recipients"] if item["count"] is None]
    shown = [item for item in content["recipients"] if item["count"] is not None]
    said = [
        {"kind": item.kind or "units", "unit": item.unit or None, "count": item.count}
        for item in found.line["recipients"] or ()
    ]
    made = paired(
        shown,
        said,
        lambda item: (item["kind"], item["unit"], item["count"]),
        lambda item: (item["kind"], item["unit"]),
        lambda item: item["kind"],
    )
    return {"recipients": [*_coded(made, "R", {item["code"] for item in content["recipients"]}), *unseen]}


def _set_benefit(found: Resolved, content: Content) -> Content:
    """An amount, or words in its place; with an amount the description is not shown, so it stays."""
    amount, words = found.line["benefit_amount"], found.line.texts.get("benefit_amount", "")
    if amount is None or content["benefit_amount"] is None:
        return {"benefit_amount": amount, "benefit_description": words if amount is None else ""}
    return {"benefit_amount": amount}


_SETTERS: Mapping[str, Callable[[Resolved, Content], Content]] = {
    **{name: _set_components(name, prefix) for name, prefix in CLASSES.items()},
    "funding_sources": _set_sources,
    "regularity": lambda found, _: {"benefit_regularity": found.line["regularity"]},
    "location": _set_places,
    "recipients": _set_recipients,
    "benefit_amount": _set_benefit,
    "benefit_form": lambda found, _: {"benefit_forms": list(found.line["benefit_form"] or ())},
    "duration": lambda found, _: {"benefit_months": found.line["duration"]},
}


# Where in the file a field of an action came from


_COLUMN_OF = {
    "lead_agency": "agency",
    "strategy": "strategy",
    "allocation": "allocation",
    "budget_lines": "funding_sources",
    "activity": "activity",
    "program": "program",
    "locations": "location",
    "recipients": "recipients",
    "benefit_amount": "benefit_amount",
    "benefit_description": "benefit_amount",
    "benefit_forms": "benefit_form",
    "benefit_months": "duration",
    "benefit_regularity": "regularity",
}


def column_of(pointer: str, content: Content) -> str:
    """The column that shows what a JSON Pointer into an action points at; else the sub-activity's."""
    parts = [*pointer.split("/"), "", "", ""]
    match parts[1], parts[2]:
        case "matrix_texts", key if key in BY_KEY:
            return key
        case "components", place if place.isdecimal() and int(place) < len(content["components"]):
            return str(content["components"][int(place)]["component_class"])
        case "components", _:
            return "direct"
        case name, _:
            return _COLUMN_OF.get(name, "subactivity")


def new_codes(taken: Sequence[str]) -> Iterator[str]:
    """Codes for new lines: A-001, A-002, … behind the highest there is."""
    numbers = [int(code[2:]) for code in taken if code.startswith("A-") and code[2:].isdecimal()]
    last = max(numbers, default=0)
    while True:
        last += 1
        yield f"A-{last:03d}"


# Which line of the plan a line of the file is


Key = tuple[str, ...]


def words_key(strategy: str, agency: str, activity: str | None, name: str | None) -> Key:
    """What identifies a line by names."""
    return strategy, agency, folded(activity or ""), folded(name or "")


_BY_NAME_ALONE = 3


def keys_of(content: Content) -> tuple[Key | None, Key, Key, Key | None]:
    """By code, by names, by the words of an earlier file, by name alone: what identifies a line of the plan."""
    strategy, agency, code = content["strategy"], content["lead_agency"], content["subactivity_code"]
    activity, name = content["activity"], content["subactivity"] or content["title"]
    kept = content["matrix_texts"]
    return (
        (strategy, agency, code) if code else None,
        words_key(strategy, agency, activity, name),
        words_key(strategy, agency, kept.get("activity") or activity, kept.get("subactivity") or name),
        None if code else (strategy, agency, folded(name)),
    )


def _keys_of_line(found: Resolved) -> tuple[Key | None, Key, Key, Key | None]:
    strategy, agency, sub = found.line["strategy"], found.agency, found.subactivity
    named: Named = found.line["subactivity"]
    return (
        (strategy, agency, sub.code) if sub.code else None,
        words_key(strategy, agency, sub.activity, sub.name),
        words_key(
            strategy, agency, write_named(found.line["activity"]), named.name if sub.code else sub.name
        ),
        (strategy, agency, folded((named.name if sub.code else sub.name) or "")),
    )


def matched(
    stored: Mapping[str, Content], lines: Sequence[Resolved], says_the_same: Callable[[str, Resolved], bool]
) -> list[str | None]:
    """For each line of the file the code of the plan's line that it is; None: a new one."""
    keys = {code: keys_of(stored[code]) for code in in_order(stored)}
    of_lines = [_keys_of_line(line) for line in lines]
    result: list[str | None] = [None] * len(lines)
    waiting = list(keys)
    for respect in range(_BY_NAME_ALONE + 1):
        groups: dict[object, list[str]] = {}
        for code in waiting:
            groups.setdefault(keys[code][respect], []).append(code)
        claims: dict[Any, list[int]] = {}
        for place, line_keys in enumerate(of_lines):
            if result[place] is None and (key := line_keys[respect]) is not None and key in groups:
                claims.setdefault(key, []).append(place)
        for key, places in claims.items():
            if respect == _BY_NAME_ALONE and len(groups[key]) + len(places) > 2:
                continue
            _share_out(groups[key], places, lines, result, says_the_same)
        waiting = [code for code in waiting if code not in set(result)]
    return result


def _share_out(
    codes: list[str],
    places: list[int],
    lines: Sequence[Resolved],
    result: list[str | None],
    says_the_same: Callable[[str, Resolved], bool],
) -> None:
    """Give the lines at `places` the codes of lines that are alike."""
    if len(codes) > 1 or len(places) > 1:
        for place in places:
            code = next((code for code in codes if says_the_same(code, lines[place])), None)
            if code is not None:
                result[place] = code
                codes.remove(code)
    rest = [place for place in places if result[place] is None]
    for place, code in zip(rest, codes, strict=False):
        result[place] = code
