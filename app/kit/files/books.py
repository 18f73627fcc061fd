"""An opened file: its sheets by name, their cells as typed values, and how large one may be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from app.kit.files.unreadable import UNKNOWN_SHEET, unreadable
from app.kit.problems import Cell

# A matrix has some hundred rows, a table of every regency by year some thousand: both stay far below.
LARGEST_ROW = 20_000
LARGEST_COLUMN = 100
HEADER_WITHIN = 30
"""Rows in which the header of a table is looked for."""
LONGEST_CELL = 32_767
"""Characters that Excel lets a cell hold."""
MADE = datetime(2025, 1, 1)  # noqa: DTZ001 - xlsxwriter takes naive ones
"""When every workbook that we write says it was made: a moment of its own would change its bytes every time."""


# What a cell can hold that a person typed. A `datetime` is a `date` too.
Plain = str | int | float | bool | date | time | timedelta


@dataclass(frozen=True)
class Formula:
    """A cell that holds a formula, with the result that the file stores. The formula is never evaluated.

    `result` is None where the file stores none, an error or an empty text, and in a workbook that
    asks to be calculated when it is opened.
    """

    text: str
    result: Plain | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ErrorValue:
    """A cell that shows an error of the spreadsheet, such as `#REF!`."""

    text: str

    def __str__(self) -> str:
        return self.text


Value = None | Plain | Formula | ErrorValue


def column_letter(c: int) -> str:
    """The letters of a column counted from 0: 0 → A, 26 → AA."""
    letters = ""
    c += 1
    while c:
        c, rest = divmod(c - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


@dataclass(frozen=True)
class Sheet:
    """A sheet's cells from A1 on, row by row.

    Every cell of a merged range shows the range's value; `merged` tells, for each of them but the
    first, the (row, column) of the first, from 0. Blank cells are None. Numbers without a fraction
    are int. A cell with a formula holds a `Formula`. A row ends with its last cell in use.
    """

    name: str
    rows: Sequence[Sequence[Value]]
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    def value(self, r: int, c: int) -> Value:
        """Return what a cell that is counted from 0 holds."""
        row = self.rows[r]
        return row[c] if c < len(row) else None

    def cell(self, r: int, c: int) -> Cell:
        """The address of a cell that is counted from 0."""
        return Cell(self.name, r + 1, column_letter(c))


@dataclass(frozen=True)
class Book:
    """The sheets of a file, each read when asked for. `visible` leaves out hidden ones."""

    filename: str
    names: tuple[str, ...]
    visible: tuple[str, ...]
    read: Callable[[str], Sheet]

    def sheet(self, name: str) -> Sheet:
        """A sheet by its name; raises `UnreadableFile` (`unknown_sheet`) if there is none."""
        if name not in self.names:
            raise unreadable(UNKNOWN_SHEET, self.filename, name, allowed=list(self.names))
        return self.read(name)

    def find_header(self, name: str | None, is_heading: Callable[[str], bool]) -> tuple[Sheet, int] | None:
        """Return the first row that has such a heading, of the sheet of this name or of the first that has one."""
        for one in (name,) if name is not None else self.visible or self.names:
            sheet = self.sheet(one)
            for r, row in enumerate(sheet.rows[:HEADER_WITHIN]):
                if any(is_heading(cell) for cell in row if isinstance(cell, str)):
                    return sheet, r
        return None
