"""Choices of columns: the caller names the field of a heading that no label names, or that a label misleads.

A choice beats the labels. It names a column by any of its headings, or by all of them from top to bottom, joined by
` / `, where the lowest alone occurs in several columns.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from app.kit.fields import Prose, Shape, show_example
from app.kit.http.validation import duplicate_key, find_nearest, list_body_errors, unknown_value
from app.kit.problems import FieldError, Invalid, Kind
from app.kit.tables.layouts import TableLayout

NO_SUCH_HEADING = Kind(
    "no_such_heading",
    "Tidak ada kolom berjudul “{value}”. Terdekat: {nearest}.",
    "No column has the heading “{value}”. Nearest: {nearest}.",
)
SHARED_HEADING = Kind(
    "shared_heading",
    "Beberapa kolom berjudul “{value}”. Tulis semua judulnya dari atas ke bawah, misalnya “{first}”, atau sebutkan "
    "barisnya.",
    "Several columns have the heading “{value}”. Write all their headings from top to bottom, such as “{first}”, or "
    "name the row.",
)
FIELD_CHOSEN_TWICE = Kind(
    "field_chosen_twice",
    "Anda memilih “{value}” untuk lebih dari satu kolom. Pilih satu kolom saja.",
    "You chose “{value}” for more than one column. Choose one column only.",
)

FIELD_ALONE = Kind(
    "field_alone",
    "“{value}” hanya dibaca bersama kolom “{beside}”. Pilih juga kolom itu.",
    "The import reads “{value}” only with the column “{beside}”. Choose that column too.",
)

JOINT = " / "
COLUMNS_PART = (
    "JSON list of choices: the field of a column by its heading, `[{heading, row?, field}]`. A refusal proposes it.",
    "[]",
)
"""Description and default of the part `columns` of a form."""

Headings = Mapping[int, Sequence[tuple[int, str]]]
"""(row from 0, text) of the headings by column, the lowest first."""


class ColumnChoice(Shape):
    """The field for one column of a table."""

    heading: Prose = Field(
        min_length=1,
        description="Text of a heading as the file has it, or all headings of the column from top to bottom, joined "
        "by ` / `.",
    )
    row: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Row of the heading; null: the only one with this text."
    )
    field: str | None = Field(
        default=None, max_length=40, description="Key of a field; null: the import skips the column."
    )

    model_config = show_example(heading="Pagu Indikatif", row=None, field="allocation")

    def has_part(self, r: int, text: str) -> bool:
        """Return whether a text in a row (from 0) is the chosen heading or one of those that it joins."""
        folded = _fold(self.heading)
        return self.row in (None, r + 1) and _fold(text) in (folded, *folded.split(JOINT))


class HeadingIndex:
    """The columns of a table by their headings."""

    def __init__(self, headings: Headings) -> None:
        self.headings = headings
        self.paths = {c: join_headings(rows) for c, rows in headings.items()}
        self._by_path: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._by_lowest: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._by_upper: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for c, rows in headings.items():
            for n, (r, text) in enumerate(rows):
                self._by_path[_fold(self.paths[c])].append((r, c))
                (self._by_upper if n else self._by_lowest)[_fold(text)].append((r, c))

    def find(self, choice: ColumnChoice) -> list[int]:
        """Return the columns whose headings together are the chosen text, else those that end with it, else have it."""
        wanted = _fold(choice.heading)
        for index in (self._by_path, self._by_lowest, self._by_upper):
            columns = [c for r, c in index.get(wanted, ()) if choice.row in (None, r + 1)]
            if columns:
                return list(dict.fromkeys(columns))
        return []

    def has_equal_paths(self, columns: Iterable[int]) -> bool:
        """Return whether columns have equal headings in all rows."""
        return len({_fold(self.paths[c]) for c in columns}) == 1


@dataclass
class ChosenColumns:
    """The field of each chosen column, None for a column to skip, with the valid choices and the errors of others."""

    fields: dict[int, str | None] = field(default_factory=dict)
    valid: list[ColumnChoice] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)


_COLUMNS = TypeAdapter(Annotated[list[ColumnChoice], Field(max_length=500)])


def parse_columns(text: str | bytes) -> list[ColumnChoice]:
    """Parse a JSON list of choices. Raises Invalid if it is malformed."""
    try:
        return _COLUMNS.validate_json(text)
    except ValidationError as error:
        raise Invalid(errors=list_body_errors(error, prefix=("columns",))) from None


def match_choices(choices: Sequence[ColumnChoice], layout: TableLayout, index: HeadingIndex) -> ChosenColumns:
    """Find the column of each choice among the headings of a table."""
    chosen = ChosenColumns()
    for n, choice in enumerate(choices):
        columns = index.find(choice)
        if error := _find_error(n, choice, columns, chosen.fields, layout, index):
            chosen.errors.append(error)
        else:
            chosen.fields |= dict.fromkeys(columns, choice.field)
            chosen.valid.append(choice)
    return chosen


def _find_error(
    n: int,
    choice: ColumnChoice,
    columns: Sequence[int],
    fields: Mapping[int, str | None],
    layout: TableLayout,
    index: HeadingIndex,
) -> FieldError | None:
    """Return why a choice fits no column, or not these columns."""
    key, items = choice.field, {item.key: item for item in layout.fields}
    at_heading, at_field = f"/columns/{n}/heading", f"/columns/{n}/field"
    if key is not None and key not in items:
        near = find_nearest(key, items)
        return FieldError(unknown_value, pointer=at_field, value=key, allowed=list(items), nearest=near)
    paths = [index.paths[c] for c in columns]
    if not columns:
        texts = {text for rows in index.headings.values() for _, text in rows}
        near = find_nearest(choice.heading, sorted(texts.union(index.paths.values())))
        return FieldError(NO_SUCH_HEADING, pointer=at_heading, value=choice.heading, nearest=near)
    may_have_several = key is not None and items[key].most_parts > 0
    # Columns with equal headings have no names of their own: the call can only skip all of them.
    if len(columns) > 1 and not may_have_several and (key is not None or not index.has_equal_paths(columns)):
        values = {"first": paths[0]}
        return FieldError(
            SHARED_HEADING, pointer=at_heading, value=choice.heading, allowed=paths, values=values
        )
    if not fields.keys().isdisjoint(columns):
        return FieldError(duplicate_key, pointer=at_heading, value=choice.heading)
    if key is not None and key in fields.values() and not may_have_several:
        return FieldError(FIELD_CHOSEN_TWICE, pointer=at_field, value=key)
    return None


def check_alone(
    choices: Sequence[ColumnChoice], layout: TableLayout, columns: Collection[str]
) -> list[FieldError]:
    """Return an error for each choice of a field that completes another one, which the table does not have."""
    labels = {item.key: item.labels[0] for item in layout.fields}
    beside = {item.key: item.beside for item in layout.fields if item.beside not in (None, *columns)}
    return [
        FieldError(
            FIELD_ALONE,
            pointer=f"/columns/{n}/field",
            value=choice.field,
            values={"beside": labels[beside[choice.field] or ""]},
        )
        for n, choice in enumerate(choices)
        if choice.field in beside
    ]


def join_headings(rows: Sequence[tuple[int, str]]) -> str:
    """Return the headings of a column from top to bottom in one text."""
    return JOINT.join(text for _, text in reversed(rows))


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
