"""How each kind of column is read and written: one pair of functions for each `Holds`.

`written(read(cell))` is the cell again for everything that could be read, and for everything else
the cell's own words are kept and written.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from app.exchange.matrix.codes import read_code, read_named, write_named
from app.exchange.matrix.models import Code, CodeKind, Column, Holds, Line, Named, Reading
from app.exchange.matrix.numbers import read_change, read_rupiah, unusable
from app.exchange.matrix.places import read_places, write_places
from app.exchange.matrix.recipients import read_benefit_amount, read_recipients, write_recipients
from app.exchange.matrix.shares import read_components, read_sources, write_components, write_sources
from app.exchange.matrix.words import (
    read_benefit_form,
    read_months,
    read_regularity,
    read_strategy,
    write_benefit_form,
    write_months,
    write_regularity,
    write_strategy,
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


def _read_agency(value: Value) -> Reading[Named | None]:
    return read_named(value, CodeKind.AGENCY)


def _read_program(value: Value) -> Reading[Named | None]:
    return read_named(value, CodeKind.PROGRAM)


def _read_activity(value: Value) -> Reading[Named | None]:
    return read_named(value, CodeKind.ACTIVITY)


def _read_subactivity(value: Value) -> Reading[Named | None]:
    return read_named(value, CodeKind.SUBACTIVITY)


READERS: Mapping[Holds, Callable[[Value], Reading[Any]]] = {
    Holds.ORDINAL: read_ordinal,
    Holds.STRATEGY: read_strategy,
    Holds.AGENCY: _read_agency,
    Holds.CODE: read_code,
    Holds.PROGRAM: _read_program,
    Holds.ACTIVITY: _read_activity,
    Holds.SUBACTIVITY: _read_subactivity,
    Holds.COMPONENTS: read_components,
    Holds.RUPIAH: read_rupiah,
    Holds.CHANGE: read_change,
    Holds.SOURCES: read_sources,
    Holds.REGULARITY: read_regularity,
    Holds.PLACES: read_places,
    Holds.RECIPIENTS: read_recipients,
    Holds.BENEFIT_AMOUNT: read_benefit_amount,
    Holds.BENEFIT_FORM: read_benefit_form,
    Holds.MONTHS: read_months,
}


def _as_it_is(value: object) -> Any:
    return value


WRITERS: Mapping[Holds, Callable[[Any], str | int | None]] = {
    Holds.ORDINAL: _as_it_is,
    Holds.STRATEGY: write_strategy,
    Holds.AGENCY: write_named,
    Holds.CODE: _as_it_is,
    Holds.PROGRAM: write_named,
    Holds.ACTIVITY: write_named,
    Holds.SUBACTIVITY: write_named,
    Holds.COMPONENTS: write_components,
    Holds.RUPIAH: _as_it_is,
    Holds.CHANGE: _as_it_is,
    Holds.SOURCES: write_sources,
    Holds.REGULARITY: write_regularity,
    Holds.PLACES: write_places,
    Holds.RECIPIENTS: write_recipients,
    Holds.BENEFIT_AMOUNT: _as_it_is,
    Holds.BENEFIT_FORM: write_benefit_form,
    Holds.MONTHS: write_months,
}


def read(column: Column, value: Value, known_sources: Collection[str] = ()) -> Reading[Any]:
    """What a cell of this column says."""
    if column.holds is Holds.SOURCES:
        return read_sources(value, known_sources)
    return READERS[column.holds](value)


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
    text = None if value is None else WRITERS[column.holds](value)
    if text is None and column.inherits:
        return NONE
    return clean(text) if isinstance(text, str) else text


def _code_column(line: Line) -> str | None:
    code: Code | None = line["code"]
    agency: Named | None = line["agency"]
    if code is not None:
        return code.text
    return agency.code if agency is not None else None
