"""Choices of columns: the caller names the field of a heading that no label names, or that a label misleads.

A choice beats the labels. It names a column by any of its headings, or by all of them from top to bottom, joined by
` / `, where the lowest alone occurs in several columns.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

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
    field: str | None = Field(max_length=40, description="Key of a field; null: the import skips the column.")

    model_config = show_example(heading="Pagu Indikatif", row=None, field="allocation")

    def has_part(self, r: int, text: str) -> bool:
        """Return whether a text in a row (from 0) is the chosen heading or one of those that it joins."""
        folded = _fold(self.heading)
        return self.row in (None, r + 1) and _fold(text) in (folded, *folded.split(JOINT))


class ChosenColumns(NamedTuple):
    """The field of each chosen column, None for a column to skip, with the errors of the other choices."""

    fields: Mapping[int, str | None]
    errors: Sequence[FieldError]


_COLUMNS = TypeAdapter(Annotated[list[ColumnChoice], Field(max_length=500)])


def parse_columns(text: str | bytes) -> list[ColumnChoice]:
    """Parse a JSON list of choices. Raises Invalid if it is malformed."""
    try:
        return _COLUMNS.validate_json(text)
    except ValidationError as error:
        raise Invalid(errors=list_body_errors(error, prefix=("columns",))) from None


def match_choices(choices: Sequence[ColumnChoice], layout: TableLayout, headings: Headings) -> ChosenColumns:
    """Find the column of each choice among the headings of a table."""
    fields: dict[int, str | None] = {}
    errors: list[FieldError] = []
    keys = [item.key for item in layout.fields]
    paths = {c: join_headings(rows) for c, rows in headings.items()}
    for n, choice in enumerate(choices):
        heading, key = f"/columns/{n}/heading", choice.field
        columns = _find_columns(choice, headings)
        if key is not None and key not in keys:
            near = find_nearest(key, keys)
            errors.append(
                FieldError(
                    unknown_value, pointer=f"/columns/{n}/field", value=key, allowed=keys, nearest=near
                )
            )
        elif not columns:
            texts = {text for rows in headings.values() for _, text in rows}
            near = find_nearest(choice.heading, sorted(texts | set(paths.values())))
            errors.append(FieldError(NO_SUCH_HEADING, pointer=heading, value=choice.heading, nearest=near))
        # Columns with equal headings have no names of their own: the call can only skip all of them.
        elif len(columns) > 1 and (key is not None or len({_fold(paths[c]) for c in columns}) > 1):
            allowed = [paths[c] for c in columns]
            errors.append(
                FieldError(
                    SHARED_HEADING,
                    pointer=heading,
                    value=choice.heading,
                    allowed=allowed,
                    values={"first": allowed[0]},
                )
            )
        elif not fields.keys().isdisjoint(columns):
            errors.append(FieldError(duplicate_key, pointer=heading, value=choice.heading))
        elif key is not None and key in fields.values():
            errors.append(FieldError(FIELD_CHOSEN_TWICE, pointer=f"/columns/{n}/field", value=key))
        else:
            fields |= dict.fromkeys(columns, key)
    return ChosenColumns(fields, errors)


def join_headings(rows: Sequence[tuple[int, str]]) -> str:
    """Return the headings of a column from top to bottom in one text."""
    return JOINT.join(text for _, text in reversed(rows))


def _find_columns(choice: ColumnChoice, headings: Headings) -> list[int]:
    """Return the columns with all the chosen headings, else those that have it as their lowest, else as any."""
    wanted = _fold(choice.heading)
    in_row = {
        c: rows
        for c, rows in headings.items()
        if rows and (choice.row is None or any(r + 1 == choice.row for r, _ in rows))
    }
    ways = (
        [c for c, rows in in_row.items() if _fold(join_headings(rows)) == wanted],
        [c for c, rows in in_row.items() if choice.has_part(*rows[0]) and _fold(rows[0][1]) == wanted],
        [
            c
            for c, rows in in_row.items()
            if any(choice.has_part(r, t) and _fold(t) == wanted for r, t in rows)
        ],
    )
    return next((columns for columns in ways if columns), [])


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
