"""The cells of a line: how each kind of column is read and written, and what an action says in them.

One pair of functions for each `Holds`: `written(read(cell))` is the cell again for everything that could be
read, and for everything else the cell's own words are kept and written.

The matrix has fewer columns than an action has fields: what no column shows is not here, and an import
never touches it (see `imports/rules.py`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

from app.exchange.matrix.amounts import (
    read_change,
    read_components,
    read_rupiah,
    read_sources,
    unusable,
    write_components,
    write_sources,
)
from app.exchange.matrix.codes import normalise, read_code, read_named, write_named
from app.exchange.matrix.models import (
    PLANNING,
    Code,
    CodeKind,
    Column,
    Content,
    Holds,
    Line,
    Named,
    Place,
    PlaceLevel,
    Reading,
    Recipient,
    Share,
)
from app.exchange.matrix.places import place_of, place_text, read_places, write_places
from app.exchange.matrix.words import (
    REGULARITY_NAMES,
    STRATEGY_NAMES,
    read_benefit_amount,
    read_benefit_form,
    read_months,
    read_recipients,
    read_regularity,
    read_strategy,
    write_benefit_form,
    write_months,
    write_recipients,
)
from app.kit.files.books import Value
from app.kit.files.cells import as_text, clean
from app.kit.problems import Cell, FieldError

# In a column whose blank cells mean "as above", this says "none" (see `rules.py`).
NONE = "-"


def read_ordinal(value: Value) -> Reading[int | None]:
    """The running number of a row (`7`, `7.`, `(7)`); nothing depends on it, so nothing is wrong with it."""
    if unusable(value) is not None or isinstance(value, bool):
        return Reading(None)
    found = re.fullmatch(r"\(?(\d{1,6})(?:\.0+)?[.)]*", as_text(value))
    return Reading(int(found[1]) if found else None)


class Form(NamedTuple):
    """How cells of one meaning are read and written."""

    read: Callable[[Value], Reading[Any]]
    write: Callable[[Any], str | int | None] = lambda value: value


FORMS: Mapping[Holds, Form] = {
    Holds.ORDINAL: Form(read_ordinal),
    Holds.STRATEGY: Form(read_strategy, STRATEGY_NAMES.__getitem__),
    Holds.AGENCY: Form(partial(read_named, level=CodeKind.AGENCY), write_named),
    Holds.CODE: Form(read_code),
    Holds.PROGRAM: Form(partial(read_named, level=CodeKind.PROGRAM), write_named),
    Holds.ACTIVITY: Form(partial(read_named, level=CodeKind.ACTIVITY), write_named),
    Holds.SUBACTIVITY: Form(partial(read_named, level=CodeKind.SUBACTIVITY), write_named),
    Holds.COMPONENTS: Form(read_components, write_components),
    Holds.RUPIAH: Form(read_rupiah),
    Holds.CHANGE: Form(read_change),
    Holds.SOURCES: Form(read_sources, write_sources),
    Holds.REGULARITY: Form(read_regularity, REGULARITY_NAMES.__getitem__),
    Holds.PLACES: Form(read_places, write_places),
    Holds.RECIPIENTS: Form(read_recipients, write_recipients),
    Holds.BENEFIT_AMOUNT: Form(read_benefit_amount),
    Holds.BENEFIT_FORM: Form(read_benefit_form, write_benefit_form),
    Holds.MONTHS: Form(read_months, write_months),
}


def read(column: Column, value: Value, known_sources: Collection[str] = ()) -> Reading[Any]:
    """What a cell of this column says."""
    if column.holds is Holds.SOURCES:
        return read_sources(value, known_sources)
    return FORMS[column.holds].read(value)


def remarks_at(
    reading: Reading[object], cell: Cell, value: Value
) -> tuple[list[FieldError], list[FieldError]]:
    """(errors, warnings) of a reading, each naming its cell and the value seen."""
    errors = [remark.at(cell, value) for remark in reading.remarks if remark.blocking]
    warnings = [remark.at(cell, value) for remark in reading.remarks if not remark.blocking]
    return errors, warnings


def written(column: Column, line: Line) -> str | int | None:
    """A line's cell of this column: its own words where they are kept, else its value in words.

    Where blank means "as above", a line that has nothing says so with a dash. The agency's code
    stands in the column of codes, as offices write it, unless that column holds another one.
    """
    if column.key in line.texts:
        return clean(line.texts[column.key])
    value = line[column.key]
    if column.holds is Holds.CODE:
        value = _code_column(line)
    elif (
        column.holds is Holds.AGENCY
        and value is not None
        and line["code"] is None
        and "code" not in line.texts
    ):
        value = Named(None, value.name) if value.name else None
    text = None if value is None else FORMS[column.holds].write(value)
    if text is None and column.inherits:
        return NONE
    return clean(text) if isinstance(text, str) else text


def _code_column(line: Line) -> str | None:
    code: Code | None = line["code"]
    agency: Named | None = line["agency"]
    if code is not None:
        return code.text
    return agency.code if agency is not None else None


# An action as a line of the matrix


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
