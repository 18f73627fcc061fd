"""An action as a line of the matrix. Pure.

The matrix has fewer columns than an action has fields: what no column shows is not here, and an import
never touches it (see `imports/rules.py`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from app.exchange.matrix.cells import read, written
from app.exchange.matrix.codes import normalise
from app.exchange.matrix.models import (
    PLANNING,
    CodeKind,
    Content,
    Holds,
    Line,
    Named,
    Place,
    PlaceLevel,
    Recipient,
    Share,
)
from app.exchange.matrix.places import place_of, place_text
from app.exchange.matrix.recipients import read_benefit_amount

CLASSES: Mapping[str, str] = {"direct": "D", "indirect": "I", "supporting": "S"}
"""Component class, which is its column too → the letter that its components' codes begin with."""

OF_WORDS: Mapping[str, str] = {
    "location": "locations",
    "recipients": "recipients",
    "regularity": "benefit_regularity",
    "benefit_form": "benefit_forms",
    "duration": "benefit_months",
}
"""Column → the field that fills it. Where the field is empty, the column shows the words kept of a cell."""


@dataclass(frozen=True)
class Names:
    """Names that a matrix shows for codes."""

    agencies: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Code → (name, level)."""
    sources: Mapping[str, str] = field(default_factory=dict)


def line_of(content: Content, names: Names, spent: Mapping[str, int | None] | None = None) -> Line:
    """An action as a line of the matrix; `spent` are its realisation columns."""
    agency = content["lead_agency"]
    values: dict[str, object] = {
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
        **{key: _component_shares(content, key) for key in CLASSES},
        **(spent or {}),
    }
    return Line(values, _texts(content, values))


def cells_of(line: Line) -> dict[str, set[str | int | None]]:
    """Column → what its cell says: as it is written, and as it is written once it was read back.

    The two differ where a text of an action looks like something else to a reader (a lone dash).
    """
    cells: dict[str, set[str | int | None]] = {}
    for column in PLANNING:
        if column.holds in (Holds.ORDINAL, Holds.CODE):
            continue
        cell = written(column, line)
        reading = read(column, cell, tuple(share.name for share in line["funding_sources"] or ()))
        again = Line({column.key: reading.value}, {column.key: reading.text} if reading.text else {})
        cells[column.key] = {cell, written(column, again)}
    return cells


def in_order(codes: Iterable[str]) -> list[str]:
    """Codes of lines as a person counts: A-999 before A-1000."""
    return sorted(
        codes, key=lambda code: [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", code)]
    )


def _texts(content: Content, values: Mapping[str, object]) -> dict[str, str]:
    """Words kept of cells, by column, as long as the action has no value of its own for them."""
    kept = content["matrix_texts"]
    texts = {key: kept[key] for key in OF_WORDS if kept.get(key) and not values[key]}
    amount = content["benefit_amount"]
    if amount is None:
        texts |= {"benefit_amount": content["benefit_description"]} if content["benefit_description"] else {}
    elif (words := kept.get("benefit_amount")) and read_benefit_amount(words).value == amount:
        texts["benefit_amount"] = words
    return texts


def _is_official(code: str) -> bool:
    found = normalise(code)
    return found is not None and found.kind is CodeKind.AGENCY and found.text == code


def _named(code: str | None, name: str | None) -> Named | None:
    return Named(code, name) if code or name else None


def _source_shares(content: Content, names: Names) -> tuple[Share, ...]:
    """One source with the whole allocation is shown by its name alone, as offices write it."""
    lines = content["budget_lines"]
    is_whole = len(lines) == 1 and lines[0]["amount"] == content["allocation"]
    return tuple(
        Share(
            names.sources.get(line["funding_source"], line["funding_source"]),
            None if is_whole else line["amount"],
        )
        for line in lines
    )


def _component_shares(content: Content, component_class: str) -> tuple[Share, ...]:
    return tuple(
        Share(item["description"], item["amount"])
        for item in content["components"]
        if item["component_class"] == component_class
    )


def _place(code: str, names: Names) -> Place:
    name, level = names.regions.get(code, (code, None))
    return place_of(place_text(name, cast("PlaceLevel | None", level), code))
