"""Writer of workbooks: sheets with a header, in constant memory. Equal content gives equal bytes.

Only `write_string` writes texts, so none becomes a formula, a link or a number.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from io import RawIOBase
from math import ceil
from typing import IO, Any

from app.kit.files.books import CREATION_DATE, LONGEST_CELL
from app.kit.problems import Problem
from app.kit.wording import Text

MOST_ROWS = 1_048_576
"""Rows of a sheet in Excel."""
MOST_TABLE_ROWS = 100_000
"""Rows of a table, which takes some ten seconds to write."""


_LINE_HEIGHT, _MOST_LINES = 15, 27
"""Points of a line, and most lines of a row in Excel."""


class SheetFull(Problem):
    status = 406
    code = "sheet_full"
    title = Text("Terlalu banyak baris untuk satu lembar", "Too many rows for a sheet")
    detail = Text(
        "Satu lembar Excel di alamat ini memuat paling banyak {most} baris, dan isinya lebih banyak. Ambil dalam "
        "format lain, atau untuk wilayah yang lebih kecil.",
        "A sheet of Excel at this address holds at most {most} rows, and there are more. Take another format, or a "
        "smaller region.",
    )


SheetCell = str | int | float | date | datetime | None

TEXT, AMOUNT, SHARE, DAY, INSTANT = "@", "#,##0", "#,##0.00", "dd/mm/yyyy", "dd/mm/yyyy hh:mm"
"""Number formats of texts, whole numbers, percents, days and instants."""


@contextmanager
def create_workbook(file: IO[bytes] | RawIOBase, title: str) -> Iterator[Any]:
    """Yield a workbook, whose rows are written from top to bottom, and write it into the file at the end."""
    import xlsxwriter

    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        book.set_properties({"title": title, "created": CREATION_DATE})
        yield book


def write_cells(sheet: Any, r: int, cells: Sequence[object], formats: Sequence[object] = ()) -> None:
    """Write the cells of a row, each with the format of its column if there are `formats`.

    A text beyond a cell of Excel is replaced by its length and the formats that hold it.
    """
    for c, value in enumerate(cells):
        shown = formats[c] if formats else None
        if isinstance(value, str):
            if len(value) > LONGEST_CELL:
                value = f"… ({len(value)} > {LONGEST_CELL}: NDJSON, CSV, Parquet)"
            sheet.write_string(r, c, value, shown)
        elif isinstance(value, date):
            sheet.write_datetime(r, c, value, shown)
        elif value is not None:
            sheet.write_number(r, c, value, shown)


def fit_row(sheet: Any, r: int, cells: Sequence[object], widths: Sequence[float]) -> None:
    """Make a row as high as its wrapped texts need: not every spreadsheet does so when it opens a file."""
    lines = max(
        (
            sum(max(1, ceil(len(line) / width / 1.1)) for line in cell.split("\n"))
            for cell, width in zip(cells, widths, strict=False)
            if isinstance(cell, str)
        ),
        default=1,
    )
    if lines > 1:
        sheet.set_row(r, _LINE_HEIGHT * min(lines, _MOST_LINES))


@dataclass(frozen=True)
class SheetColumn:
    """Heading, width in characters and number format of a column; "" is the general format."""

    heading: str
    width: float
    number_format: str = ""


def write_table(
    book: Any,
    name: str,
    titles: Sequence[str],
    columns: Sequence[SheetColumn],
    rows: Iterable[Sequence[SheetCell]],
) -> tuple[Any, int]:
    """Write a sheet: the titles, a blank row, a header that stays in view, and the rows with a filter.

    Return the sheet and its first row below the header. Raises SheetFull if there are more than `MOST_TABLE_ROWS`.
    """
    sheet = book.add_worksheet(name)
    bold = book.add_format({"bold": True})
    head = book.add_format(
        {
            "bold": True,
            "border": 1,
            "bg_color": "#D9E1F2",
            "text_wrap": True,
            "align": "center",
            "valign": "vcenter",
        }
    )
    formats = [
        book.add_format({"valign": "top", "text_wrap": True, "num_format": column.number_format})
        for column in columns
    ]
    for c, column in enumerate(columns):
        sheet.set_column(c, c, column.width, formats[c])
    for r, title in enumerate(titles):
        write_cells(sheet, r, [title], [bold])
    top, widths = len(titles) + 1, [column.width for column in columns]
    headings = [column.heading for column in columns]
    # The button of the filter takes some of the width.
    fit_row(sheet, top, headings, [width - 3 for width in widths])
    write_cells(sheet, top, headings, [head] * len(columns))
    r = top
    for r, row in enumerate(rows, top + 1):
        if r - top > MOST_TABLE_ROWS:
            raise SheetFull(most=MOST_TABLE_ROWS)
        fit_row(sheet, r, row, widths)
        write_cells(sheet, r, row, formats)
    sheet.freeze_panes(top + 1, 0)
    sheet.autofilter(top, 0, r, len(columns) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(top)
    return sheet, top + 1
