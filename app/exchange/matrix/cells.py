"""Reader and writer of a line's cells, and the conversion of an action to a line.

Each `Holds` has a pair of functions: `write_cell(read(cell))` gives the cell again; where a reader does not understand
a cell, the line keeps its text and the writer returns that.

The matrix has fewer columns than an action has fields. An import never changes a field without a column (see
`imports/rules.py`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from app.exchange.matrix.amounts import (
    describe_unusable,
    read_change,
    read_components,
    read_rupiah,
    read_sources,
    read_usable_text,
    write_components,
    write_sources,
)
from app.exchange.matrix.codes import normalise, read_code, read_named, write_named
from app.exchange.matrix.columns import PLANNING, Holds, MatrixColumn
from app.exchange.matrix.models import (
    Code,
    CodeKind,
    Content,
    MatrixLine,
    Named,
    Reading,
    RecipientCount,
    Share,
)
from app.exchange.matrix.quantities import read_recipients, write_recipients
from app.exchange.matrix.words import (
    REGULARITY_NAMES,
    STRATEGY_NAMES,
    read_benefit_amount,
    read_benefit_form,
    read_months,
    read_regularity,
    read_strategy,
    write_benefit_form,
    write_months,
)
from app.kit.files.books import Value
from app.kit.files.cells import clean_text, render_text
from app.kit.problems import Cell, FieldError
from app.reference.rules import format_region

# Means "none" in a column whose blank cells mean "as above" (see `rules.py`).
NONE = "-"


def read_ordinal(value: Value) -> Reading[int | None]:
    """Read the running number of a row (`7`, `7.`, `(7)`). Nothing depends on it, so it never gives a remark."""
    if describe_unusable(value) is not None or isinstance(value, bool):
        return Reading(None)
    match = re.fullmatch(r"\(?(\d{1,6})(?:\.0+)?[.)]*", render_text(value))
    return Reading(int(match[1]) if match else None)


def read_places(value: Value) -> Reading[tuple[str, ...]]:
    """Read the words of a location; the import finds their regions."""
    text = read_usable_text(value, ())
    return text if isinstance(text, Reading) else Reading((text,), text)


def read_unit(value: Value) -> Reading[str | None]:
    """Read the unit of a column of counts."""
    text = read_usable_text(value, None)
    return text if isinstance(text, Reading) else Reading(text)


class CellFormat(NamedTuple):
    """Reader and writer for the cells of one meaning."""

    read_value: Callable[[Value], Reading[Any]]
    write_value: Callable[[Any], str | int | None] = lambda value: value


FORMS: Mapping[Holds, CellFormat] = {
    Holds.ORDINAL: CellFormat(read_ordinal),
    Holds.STRATEGY: CellFormat(read_strategy, STRATEGY_NAMES.__getitem__),
    Holds.AGENCY: CellFormat(partial(read_named, level=CodeKind.AGENCY), write_named),
    Holds.CODE: CellFormat(read_code),
    Holds.PROGRAM: CellFormat(partial(read_named, level=CodeKind.PROGRAM), write_named),
    Holds.ACTIVITY: CellFormat(partial(read_named, level=CodeKind.ACTIVITY), write_named),
    Holds.SUBACTIVITY: CellFormat(partial(read_named, level=CodeKind.SUBACTIVITY), write_named),
    Holds.COMPONENTS: CellFormat(read_components, write_components),
    Holds.RUPIAH: CellFormat(read_rupiah),
    Holds.CHANGE: CellFormat(read_change),
    Holds.SOURCES: CellFormat(read_sources, write_sources),
    Holds.REGULARITY: CellFormat(read_regularity, REGULARITY_NAMES.__getitem__),
    Holds.PLACES: CellFormat(read_places, lambda places: "; ".join(places) or None),
    Holds.RECIPIENTS: CellFormat(read_recipients, write_recipients),
    Holds.UNIT: CellFormat(read_unit),
    Holds.BENEFIT_AMOUNT: CellFormat(read_benefit_amount),
    Holds.BENEFIT_FORM: CellFormat(read_benefit_form, write_benefit_form),
    Holds.MONTHS: CellFormat(read_months, write_months),
}


_SCALED: Mapping[Holds, Callable[[Value, int], Reading[Any]]] = {
    Holds.RUPIAH: read_rupiah,
    Holds.CHANGE: read_change,
    Holds.COMPONENTS: read_components,
    Holds.BENEFIT_AMOUNT: read_benefit_amount,
}


def read_cell(
    column: MatrixColumn, value: Value, known_sources: Collection[str] = (), times: int = 1
) -> Reading[Any]:
    """Read a cell of this column, whose numbers are in units of `times` rupiah."""
    if column.holds is Holds.SOURCES:
        return read_sources(value, known_sources, times)
    if column.holds in _SCALED:
        return _SCALED[column.holds](value, times)
    return FORMS[column.holds].read_value(value)


def split_remarks(
    reading: Reading[object], cell: Cell, value: Value
) -> tuple[list[FieldError], list[FieldError]]:
    """Return (errors, warnings) of a reading, each with its cell and the value there."""
    errors = [remark.build_error(cell, value) for remark in reading.remarks if remark.blocking]
    warnings = [remark.build_error(cell, value) for remark in reading.remarks if not remark.blocking]
    return errors, warnings


def write_cell(column: MatrixColumn, line: MatrixLine) -> str | int | None:
    """Return a line's cell of this column: its kept text, else its value as text or a number.

    Where blank means "as above", a line without a value has a dash. The agency's code is in the column of codes, as
    offices write it, unless that column holds another code.
    """
    if column.key in line.texts:
        return clean_text(line.texts[column.key])
    value = line[column.key]
    if column.holds is Holds.CODE:
        value = _format_code(line)
    elif (
        column.holds is Holds.AGENCY
        and value is not None
        and line["code"] is None
        and "code" not in line.texts
    ):
        value = Named(None, value.name) if value.name else None
    text = None if value is None else FORMS[column.holds].write_value(value)
    if text is None and column.inherits:
        return NONE
    return clean_text(text) if isinstance(text, str) else text


def _format_code(line: MatrixLine) -> str | None:
    code: Code | None = line["code"]
    agency: Named | None = line["agency"]
    if code is not None:
        return code.text
    return agency.code if agency is not None else None


# An action as a line of the matrix


CLASS_LETTERS: Mapping[str, str] = {"direct": "D", "indirect": "I", "supporting": "S"}
"""Component class, also the key of its column → first letter of its components' codes."""

TEXT_FIELDS: Mapping[str, str] = {
    "location": "locations",
    "recipients": "recipients",
    "regularity": "benefit_regularity",
    "benefit_form": "benefit_forms",
    "duration": "benefit_months",
}
"""Column → the field that fills it. If the field is empty, the column shows the kept text of a cell."""


@dataclass(frozen=True)
class CodeNames:
    """Names that the matrix shows for codes."""

    agencies: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    find_source: Callable[[str], str | None] = lambda text: None
    """Returns the code of the funding source that a text names."""


def make_line(
    content: Content, names: CodeNames, spent: Mapping[str, int | None] | None = None
) -> MatrixLine:
    """Convert an action to a line of the matrix; `spent` are its realisation columns."""
    agency = content["lead_agency"]
    values: dict[str, object] = {
        "strategy": content["strategy"],
        "agency": Named(agency if _is_official(agency) else None, names.agencies.get(agency, agency)),
        "program": _make_named(None, content["program"]),
        "activity": _make_named(None, content["activity"]),
        "subactivity": _make_named(content["subactivity_code"], content["subactivity"] or content["title"]),
        "allocation": content["allocation"],
        "funding_sources": _list_sources(content, names),
        "regularity": content["benefit_regularity"],
        "location": tuple(_format_place(item["region_code"], names) for item in content["locations"]),
        "recipients": tuple(
            RecipientCount(item["count"], item["unit"] or "", item["kind"])
            for item in content["recipients"]
            if item["count"] is not None
        ),
        "benefit_amount": content["benefit_amount"],
        "benefit_form": tuple(content["benefit_forms"]),
        "duration": content["benefit_months"],
        **{key: _list_components(content, key) for key in CLASS_LETTERS},
        **(spent or {}),
    }
    return MatrixLine(values, _select_texts(content, values, names))


def list_cells(line: MatrixLine) -> dict[str, set[str | int | None]]:
    """Return column → the text of its cell, before and after a round trip through the reader.

    The two differ where the reader takes a text of an action for something else (a lone dash).
    """
    cells: dict[str, set[str | int | None]] = {}
    for column in PLANNING:
        if column.holds in (Holds.ORDINAL, Holds.CODE):
            continue
        cell = write_cell(column, line)
        reading = read_cell(column, cell, tuple(share.name for share in line["funding_sources"] or ()))
        reread = MatrixLine({column.key: reading.value}, {column.key: reading.text} if reading.text else {})
        cells[column.key] = {cell, write_cell(column, reread)}
    return cells


def sort_codes(codes: Iterable[str]) -> list[str]:
    """Sort codes of lines with numbers by value: A-999 before A-1000."""
    return sorted(
        codes, key=lambda code: [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", code)]
    )


def _select_texts(content: Content, values: Mapping[str, object], names: CodeNames) -> dict[str, str]:
    """Return the kept texts of cells by column, without those for which the action has a value."""
    kept = content["matrix_texts"]
    texts = {key: kept[key] for key in TEXT_FIELDS if kept.get(key) and not values[key]}
    amount = content["benefit_amount"]
    if amount is None:
        texts |= {"benefit_amount": content["benefit_description"]} if content["benefit_description"] else {}
    elif (words := kept.get("benefit_amount")) and read_benefit_amount(words).value == amount:
        texts["benefit_amount"] = words
    if (words := kept.get("funding_sources")) and _is_of_sources(words, content, names):
        texts["funding_sources"] = words
    return texts


def _is_of_sources(words: str, content: Content, names: CodeNames) -> bool:
    """Return whether the words of a cell still name the funding sources of the action, with their amounts."""
    shares: tuple[Share, ...] = read_sources(words).value
    named = ((names.find_source(share.name) or "", share.amount) for share in shares)
    stored = {line["funding_source"]: line["amount"] for line in content["budget_lines"]}
    return add_sources(named, content["allocation"]) == stored


def add_sources(sources: Iterable[tuple[str, int | None]], allocation: int | None) -> dict[str, int | None]:
    """Return funding source → its amount. A single source without one has the whole allocation."""
    amounts: dict[str, int | None] = {}
    for code, amount in sources:
        before = amounts.get(code)
        amounts[code] = amount if before is None else before + (amount or 0)
    return dict.fromkeys(amounts, allocation) if len(amounts) == 1 and None in amounts.values() else amounts


def _is_official(code: str) -> bool:
    parsed = normalise(code)
    return parsed is not None and parsed.kind is CodeKind.AGENCY and parsed.text == code


def _make_named(code: str | None, name: str | None) -> Named | None:
    return Named(code, name) if code or name else None


def _list_sources(content: Content, names: CodeNames) -> tuple[Share, ...]:
    """Return the funding sources; a single source of the whole allocation has no amount, as offices write it."""
    lines = content["budget_lines"]
    is_whole = len(lines) == 1 and lines[0]["amount"] == content["allocation"]
    return tuple(
        Share(
            names.sources.get(line["funding_source"], line["funding_source"]),
            None if is_whole else line["amount"],
        )
        for line in lines
    )


def _list_components(content: Content, component_class: str) -> tuple[Share, ...]:
    return tuple(
        Share(item["description"], item["amount"])
        for item in content["components"]
        if item["component_class"] == component_class
    )


def _format_place(code: str, names: CodeNames) -> str:
    """Format a region as `63.02.07.2001 Desa A`."""
    name = names.regions.get(code)
    return f"{code} {format_region(code, name)}" if name else code
