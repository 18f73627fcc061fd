"""An opened file: its sheets by name, their cells as typed values, and the bounds of both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property

from app.kit.files.unreadable import UNKNOWN_SHEET, refuse_file
from app.kit.problems import Cell

# A matrix has some hundred rows, a table of every regency by year some thousand.
LARGEST_ROW = 20_000
LARGEST_COLUMN = 100
LONGEST_CELL = 32_767
"""Most characters of a cell in Excel."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""Media type of a workbook."""
CREATION_DATE = datetime(2025, 1, 1)  # noqa: DTZ001 - xlsxwriter takes naive ones
"""The creation date in every workbook that the service writes, so equal content gives equal bytes."""


# The values that a person can type into a cell. A `datetime` is a `date` too.
Plain = str | int | float | bool | date | time | timedelta


@dataclass(frozen=True)
class Formula:
    """A cell with a formula, and the result that the file stores.

    `result` is "" for a result that shows nothing; None without a usable one, and in a workbook that asks its reader
    to recalculate.
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


def name_column(c: int) -> str:
    """Return the letters of a column, counted from 0: 0 → A, 26 → AA."""
    letters = ""
    c += 1
    while c:
        c, digit = divmod(c - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


@dataclass(frozen=True)
class Sheet:
    """A sheet's cells from A1 on, row by row.

    Every cell of a merged range has the range's value; `merged` maps each of them but the first to the
    first, as (row, column) from 0. Blank cells are None. Numbers without a fraction are int, and
    0.12 shown as a percentage is the text `12%`. A row ends with its last cell in use. `formulas` are the cells that
    `take_results` has filled.
    `hidden_rows`, `hidden_columns` and `struck` cells (row, column) are those of the spreadsheet, also by a filter.
    """

    name: str
    rows: Sequence[Sequence[Value]]
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    formulas: frozenset[tuple[int, int]] = frozenset()
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    struck: frozenset[tuple[int, int]] = frozenset()

    @cached_property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    def value(self, r: int, c: int) -> Value:
        """Return the value of a cell; rows and columns count from 0."""
        row = self.rows[r]
        return row[c] if c < len(row) else None

    def cell(self, r: int, c: int) -> Cell:
        """Return the address of a cell; rows and columns count from 0."""
        return Cell(self.name, r + 1, name_column(c))


@dataclass(frozen=True)
class Book:
    """The sheets of a file; `read` parses one on demand. `visible` leaves out hidden ones."""

    filename: str
    names: tuple[str, ...]
    visible: tuple[str, ...]
    read: Callable[[str], Sheet]

    def sheet(self, name: str) -> Sheet:
        """Return the sheet of a name. Raises `UnreadableFile` (`unknown_sheet`) if there is none."""
        if name not in self.names:
            raise refuse_file(UNKNOWN_SHEET, self.filename, name, allowed=list(self.names))
        return self.read(name)
