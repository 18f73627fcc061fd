"""Contents of the columns below a header, where these decide what a column is: numbers, or parts of a code."""

import re
from collections.abc import Sequence
from functools import cached_property

from app.kit.files.books import Sheet
from app.kit.files.cells import render_text
from app.kit.tables.choices import Headings
from app.kit.tables.layouts import TableField, TableLayout, fold_heading
from app.kit.tables.sums import is_sum

_NUMBER = re.compile(r"\d[\d.,]*|-")
_DOTTED = re.compile(r"[\dX]+(?:\.[\dX]+)*", re.IGNORECASE)


def read_label(sheet: Sheet, r: int, c: int) -> str:
    """Return the text of a cell; "" for one without text."""
    value = sheet.value(r, c)
    return render_text(value) if isinstance(value, str) else ""


def list_labels(sheet: Sheet, r: int) -> dict[int, str]:
    """Return the texts of a row by column."""
    return {c: text for c in range(len(sheet.rows[r])) if (text := read_label(sheet, r, c))}


class ColumnContents:
    """The cells below a header up to the first gap, without totals, the header again and what spans columns."""

    def __init__(self, sheet: Sheet, data_row: int, headings: Headings) -> None:
        self._sheet, self._data_row = sheet, data_row
        self._labels = {c: {text for _, text in rows} for c, rows in headings.items()}

    def is_filled(self, c: int) -> bool:
        """Return whether any cell below the header has a value."""
        rows = range(self._data_row, len(self._sheet.rows))
        return any(self._sheet.value(r, c) is not None and render_text(self._sheet.value(r, c)) for r in rows)

    def has_rows(self, c: int) -> bool:
        """Return whether a row of the table has content in a column."""
        return any(self._render(r, c) for r in self._rows)

    def holds_numbers(self, c: int) -> bool:
        """Return whether a column holds plain numbers alone."""
        return bool(self._list_texts(c, _NUMBER))

    def find_parts(self, item: TableField, layout: TableLayout, headings: Headings) -> list[int]:
        """Return the columns whose cells are parts of one value, in their order; none if a column holds it whole."""
        labelled = {
            c for c, rows in headings.items() if layout.match([fold_heading(t) for _, t in rows]) is item
        }
        words = {fold_heading(part) for part in item.parts}
        columns = labelled | {c for c, rows in headings.items() if rows and fold_heading(rows[0][1]) in words}
        for c in labelled:
            columns |= self._list_unnamed(c + 1, headings)
        parts = {c: texts for c in sorted(columns) if (texts := self._list_texts(c, _DOTTED))}
        longest = sum(max(text.count(".") + 1 for text in texts) for texts in parts.values())
        if len(parts) < 2 or not labelled <= parts.keys() or longest != item.most_parts:
            return []
        return [] if self._repeats_parts(list(parts)) else list(parts)

    def _list_unnamed(self, first: int, headings: Headings) -> set[int]:
        """Return the columns of parts from `first` on without a heading: those below the words of a group."""
        columns: set[int] = set()
        while first in headings and not headings[first] and self._list_texts(first, _DOTTED):
            columns.add(first)
            first += 1
        return columns

    def _repeats_parts(self, columns: Sequence[int]) -> bool:
        """Return whether a cell repeats the parts to its left: `2.17` behind `2`."""
        return any(
            right.startswith(f"{left}.")
            for r in self._rows
            for left, right in zip(
                (self._render(r, c) for c in columns), (self._render(r, c) for c in columns[1:]), strict=False
            )
            if left
        )

    def _list_texts(self, c: int, pattern: re.Pattern[str]) -> list[str]:
        """Return the texts of a column; none if one of them does not fit the pattern."""
        texts: list[str] = []
        for r in self._rows:
            text = self._render(r, c)
            if text and text not in self._labels.get(c, ()):
                if not pattern.fullmatch(text):
                    return []
                texts.append(text)
        return texts

    def _render(self, r: int, c: int) -> str:
        """Return the text of a cell; "" below the left edge of a range that spans columns."""
        is_own = self._sheet.merged.get((r, c), (r, c))[1] == c
        return render_text(self._sheet.value(r, c)) if is_own else ""

    @cached_property
    def _rows(self) -> Sequence[int]:
        rows: list[int] = []
        for r in range(self._data_row, len(self._sheet.rows)):
            first = next((value for value in self._sheet.rows[r] if value is not None), None)
            if first is not None:
                rows += [] if is_sum(render_text(first)) else [r]
            elif rows:
                break
        return rows
