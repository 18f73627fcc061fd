"""Between an action and a line of the matrix, both ways. Pure.

The matrix has fewer columns than an action has fields. So a column changes an action only where its
cell says something else than the action would write there; what no column shows is never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.exchange.matrix.cells import written
from app.exchange.matrix.codes import normalise
from app.exchange.matrix.models import BY_KEY, CodeKind, Line, MatrixRow, Named, Recipient, Share
from app.exchange.matrix.places import place_of, place_text
from app.exchange.models import Content
from app.reference.rules import folded

_CLASSES = (("direct", "D"), ("indirect", "I"), ("supporting", "S"))


@dataclass(frozen=True)
class Names:
    """Names that a matrix shows for codes."""

    agencies: Mapping[str, str]
    regions: Mapping[str, tuple[str, Any]]
    """Code → (name, level)."""
    sources: Mapping[str, str]


def line_of(content: Content, names: Names, spent: Mapping[str, int | None] | None = None) -> Line:
    """An action as a line of the matrix; `spent` are its realisation columns."""
    texts = {
        key: text for key, text in content["matrix_texts"].items() if key in BY_KEY and key not in _shown_by(content)
    }
    if content["benefit_description"] and not content["benefit_amount"]:
        texts["benefit_amount"] = content["benefit_description"]
    agency = content["lead_agency"]
    values: dict[str, Any] = {
        "strategy": content["strategy"],
        "agency": Named(agency if _is_official(agency) else None, names.agencies.get(agency, agency)),
        "program": _named(None, content["program"]),
        "activity": _named(None, content["activity"]),
        "subactivity": _named(content["subactivity_code"], content["subactivity"] or content["title"]),
        "allocation": content["allocation"],
        "funding_sources": _source_shares(content, names),
        "regularity": content["benefit_regularity"],
        "location": tuple(_place(item["region_code"], names) for item in content["locations"]),
        "recipients": tuple(
            Recipient(item["count"], item["unit"] or "", item["kind"])
            for item in content["recipients"]
            if item["count"] is not None
        ),
        "benefit_amount": content["benefit_amount"],
        "benefit_form": tuple(content["benefit_forms"]),
        "duration": content["benefit_months"],
        **{key: _component_shares(content, key) for key, _ in _CLASSES},
        **(spent or {}),
    }
    return Line(values, texts)


def _shown_by(content: Content) -> set[str]:
    """Columns that the action's own fields fill, so that words kept from an earlier import are over."""
    fields = {
        "location": "locations", "recipients": "recipients", "regularity": "benefit_regularity",
        "benefit_form": "benefit_forms", "duration": "benefit_months", "benefit_amount": "benefit_amount",
    }
    return {column for column, name in fields.items() if content[name]}


def _is_official(code: str) -> bool:
    found = normalise(code)
    return found is not None and found.kind is CodeKind.AGENCY and found.text == code


def _named(code: str | None, name: str | None) -> Named | None:
    return Named(code, name) if code or name else None


def _source_shares(content: Content, names: Names) -> tuple[Share, ...]:
    """One source with the whole allocation is shown by its name alone, as offices write it."""
    lines = content["budget_lines"]
    if len(lines) == 1 and lines[0]["amount"] == content["allocation"]:
        return (Share(names.sources.get(lines[0]["funding_source"], lines[0]["funding_source"])),)
    return tuple(Share(names.sources.get(line["funding_source"], line["funding_source"]), line["amount"]) for line in lines)


def _component_shares(content: Content, component_class: str) -> tuple[Share, ...]:
    return tuple(
        Share(item["description"], item["amount"])
        for item in content["components"]
        if item["component_class"] == component_class
    )


def _place(code: str, names: Names) -> Any:
    name, level = names.regions.get(code, (code, None))
    return place_of(place_text(name, level, code))


# From the matrix


@dataclass(frozen=True)
class Subactivity:
    """What a row's sub-activity was resolved to; without a code it is known by its names alone."""

    code: str | None
    name: str
    activity: str | None
    program: str | None
    edition: str | None


@dataclass(frozen=True)
class Resolved:
    """A line of the file with everything in it looked up. `rows` are the rows that it spans."""

    line: MatrixRow
    rows: tuple[MatrixRow, ...]
    agency: str
    subactivity: Subactivity
    sources: tuple[tuple[str, int | None], ...]
    """(funding source, amount)."""
    places: tuple[str, ...] = field(default=())
    """Region codes; empty where not every place of the cell was found."""


def joined(first: MatrixRow, more: Sequence[MatrixRow]) -> MatrixRow:
    """A line with the rows that continue it: parts are put together, amounts added up.

    A row with an allocation of its own gives it to its only funding source.
    """
    if not more:
        return first
    values = dict(first.values)
    rows = [first, *more]
    for key in ("direct", "indirect", "supporting", "location", "recipients"):
        values[key] = tuple(part for row in rows for part in row[key] or ())
    values["funding_sources"] = tuple(share for row in rows for share in _own_shares(row))
    for key in ("allocation", "spent_s1", "spent_s2", "spent_total"):
        amounts = [row[key] for row in rows if row[key] is not None]
        values[key] = sum(amounts) if amounts else None
    return replace(first, values=values)


def _own_shares(row: MatrixRow) -> tuple[Share, ...]:
    shares: tuple[Share, ...] = row["funding_sources"] or ()
    if len(shares) == 1 and shares[0].amount is None and row["allocation"] is not None:
        return (replace(shares[0], amount=row["allocation"]),)
    return shares


def content_of(found: Resolved, stored: Content | None, names: Names) -> Content:
    """The action that a line of the file makes of what is stored (None: a new one)."""
    line = found.line
    content = dict(stored) if stored else _blank()
    content |= {
        "title": content["title"] if stored and _is_same(stored, found) else found.subactivity.name,
        "strategy": line["strategy"],
        "lead_agency": found.agency,
        "nomenclature_edition": found.subactivity.edition,
        "subactivity_code": found.subactivity.code,
        "subactivity": found.subactivity.name,
        "activity": found.subactivity.activity,
        "program": found.subactivity.program,
        "allocation": line["allocation"],
    }
    before = line_of(stored, names) if stored else None
    says = {key for key in _SETTERS if before is None or written(BY_KEY[key], line) != written(BY_KEY[key], before)}
    if stored and stored["allocation"] != content["allocation"]:
        says.add("funding_sources")
    texts = dict(content["matrix_texts"])
    for key, setter in _SETTERS.items():
        if key in says:
            texts.pop(key, None)
            content |= setter(found, content)
            if key in line.texts and (not line[key] or (key == "location" and not found.places)):
                texts[key] = line.texts[key]
    content["matrix_texts"] = texts
    return content


def _is_same(stored: Content, found: Resolved) -> bool:
    return stored["subactivity_code"] == found.subactivity.code and stored["subactivity"] == found.subactivity.name


def _blank() -> Content:
    empty: dict[str, Any] = {
        name: []
        for name in (
            "supporting_agencies", "components", "budget_lines", "outputs", "recipients", "locations", "milestones",
            "tags", "benefit_forms",
        )
    }
    return {**empty, "matrix_texts": {}, "title": "", "benefit_description": ""}


def _set_components(component_class: str, prefix: str) -> Any:
    def setter(found: Resolved, content: Content) -> Content:
        others = [item for item in content["components"] if item["component_class"] != component_class]
        taken = {item["code"] for item in others}
        codes = (code for n in range(1, 200) if (code := f"{prefix}{n}") not in taken)
        own = [
            {"code": next(codes), "component_class": component_class, "description": share.name, "amount": share.amount}
            for share in found.line[component_class] or ()
        ]
        order = [name for name, _ in _CLASSES]
        return {"components": sorted([*others, *own], key=lambda item: order.index(item["component_class"]))}

    return setter


def _set_sources(found: Resolved, content: Content) -> Content:
    stages = {line["funding_source"]: line.get("stage") for line in content["budget_lines"]}
    amounts: dict[str, int | None] = {}
    for code, amount in found.sources:
        before = amounts.get(code)
        amounts[code] = amount if before is None else before + (amount or 0)
    if len(amounts) == 1 and None in amounts.values():
        amounts = dict.fromkeys(amounts, found.line["allocation"])
    return {
        "budget_lines": [
            {"funding_source": code, "amount": amount, "stage": stages.get(code)} for code, amount in amounts.items()
        ]
    }


def _set_places(found: Resolved, content: Content) -> Content:
    return {"locations": [{"region_code": code} for code in dict.fromkeys(found.places)]}


def _set_recipients(found: Resolved, content: Content) -> Content:
    return {
        "recipients": [
            {"code": f"R{n}", "kind": item.kind or "units", "unit": item.unit or None, "count": item.count}
            for n, item in enumerate(found.line["recipients"] or (), 1)
        ]
    }


def _set_benefit(found: Resolved, content: Content) -> Content:
    return {
        "benefit_amount": found.line["benefit_amount"],
        "benefit_description": found.line.texts.get("benefit_amount", ""),
    }


_SETTERS: dict[str, Any] = {
    **{name: _set_components(name, prefix) for name, prefix in _CLASSES},
    "funding_sources": _set_sources,
    "regularity": lambda found, _: {"benefit_regularity": found.line["regularity"]},
    "location": _set_places,
    "recipients": _set_recipients,
    "benefit_amount": _set_benefit,
    "benefit_form": lambda found, _: {"benefit_forms": list(found.line["benefit_form"] or ())},
    "duration": lambda found, _: {"benefit_months": found.line["duration"]},
}


# Which line of the plan a line of the file is

Key = tuple[str, ...]


def keys_of_content(content: Content) -> tuple[Key | None, Key]:
    """(by code, by names): what identifies a line of the plan in a file."""
    return _keys(content["strategy"], content["lead_agency"], content["subactivity_code"], content["activity"],
                 content["subactivity"] or content["title"])


def keys_of_resolved(found: Resolved) -> tuple[Key | None, Key]:
    sub = found.subactivity
    return _keys(found.line["strategy"], found.agency, sub.code, sub.activity, sub.name)


def _keys(strategy: str, agency: str, code: str | None, activity: str | None, name: str) -> tuple[Key | None, Key]:
    return (strategy, agency, code) if code else None, (strategy, agency, folded(activity or ""), folded(name))


def matched(stored: Mapping[str, Content], lines: Sequence[Resolved]) -> list[str | None]:
    """For each line of the file the plan's line that it is, by code and then by names, in their order;
    None: a new one. Lines that are alike are matched first with first, second with second."""
    waiting: dict[Key, list[str]] = {}
    for code, content in sorted(stored.items()):
        for key in filter(None, keys_of_content(content)):
            waiting.setdefault(key, []).append(code)
    taken: set[str] = set()
    result: list[str | None] = []
    for line in lines:
        candidates = (code for key in filter(None, keys_of_resolved(line)) for code in waiting.get(key, ()))
        code = next((code for code in candidates if code not in taken), None)
        if code is not None:
            taken.add(code)
        result.append(code)
    return result


def new_codes(taken: Sequence[str]) -> Any:
    """Codes for new lines: A-001, A-002, … behind the highest there is."""
    numbers = [int(code[2:]) for code in taken if code.startswith("A-") and code[2:].isdecimal()]
    last = max(numbers, default=0)
    while True:
        last += 1
        yield f"A-{last:03d}"
