"""Writer of the matrix in the offices' layout, as .xlsx and as CSV.

Two title rows, a blank one, a header of two rows with merged cells, the row that numbers the columns, and for each
strategy a full-width section row, its lines numbered from 1 and their sum; at the end the sum of all lines.
`rules.read_matrix` reads an export without loss. Equal lines give equal bytes, so that an export can have an ETag.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.exchange.matrix.cells import write_cell
from app.exchange.matrix.columns import COLUMNS, PLANNING, Holds, MatrixColumn
from app.exchange.matrix.models import MatrixLine, Strategy
from app.exchange.matrix.words import STRATEGY_NAMES
from app.kit.files.books import CREATION_DATE, LONGEST_CELL, name_column
from app.kit.files.delimited import SPREADSHEET, Dialect, write_delimited
from app.kit.files.new_workbooks import fit_row
from app.kit.problems import Cell, FieldError, Kind, Problem
from app.kit.wording import Text

CELL_TOO_LONG = Kind(
    "cell_too_long",
    "Teks {length} karakter melebihi batas sel Excel, 32.767 karakter. Ekspor sebagai CSV.",
    "A text of {length} characters exceeds Excel's limit of 32,767 in a cell. Export as CSV.",
)

SHEET_NAME = "Matriks OPPKPKE"
PLAN_TITLE = "RENCANA AKSI TAHUNAN (RAT) PENANGGULANGAN KEMISKINAN"
REPORT_TITLE = "LAPORAN REALISASI RENCANA AKSI TAHUNAN (RAT)"
HEADER_ROW = 3  # from 0: two titles and a blank row above
FIRST_DATA_ROW = HEADER_ROW + 3


class UnwritableMatrix(Problem):
    status = 422
    code = "unwritable_matrix"
    title = Text("Matriks tidak dapat ditulis", "The matrix cannot be written")
    detail = Text(
        "Ada isi yang tidak muat dalam format ini; rinciannya di bawah.",
        "Some content does not fit this format; details below.",
    )


def group_by_strategy(lines: Iterable[MatrixLine]) -> list[tuple[Strategy | None, list[MatrixLine]]]:
    """Group lines by strategy, in the order of the strategies; lines without a strategy come first."""
    blocks: dict[Strategy | None, list[MatrixLine]] = {key: [] for key in (None, *STRATEGY_NAMES)}
    for line in lines:
        blocks[line["strategy"]].append(line)
    return [(strategy, block) for strategy, block in blocks.items() if block]


def make_matrix_xlsx(
    lines: Iterable[MatrixLine],
    titles: Sequence[str],
    *,
    realisation: bool,
    add_more: Callable[[Any, Any], None] = lambda book, sheet: None,
) -> bytes:
    """Return a workbook, with at most two `titles`; amounts are numbers, all else is text.

    `add_more` takes the workbook and the sheet of the matrix. Raises UnwritableMatrix if a text is longer than a cell
    of Excel can hold.
    """
    import xlsxwriter

    columns = COLUMNS if realisation else PLANNING
    out = io.BytesIO()
    # Only write_string writes texts, so none becomes a formula, a link or a number.
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"title": titles[0] if titles else SHEET_NAME, "created": CREATION_DATE})
        sheet = book.add_worksheet(SHEET_NAME)
        _Layout(book, sheet, columns).write(lines, titles)
        add_more(book, sheet)
    return out.getvalue()


def make_matrix_csv(
    lines: Iterable[MatrixLine], titles: Sequence[str], *, realisation: bool, signs: Dialect = SPREADSHEET
) -> bytes:
    """Return the rows of `make_matrix_xlsx` as CSV, a merged cell's text in its first cell."""
    columns = COLUMNS if realisation else PLANNING
    blank: list[SheetCell] = [None] * len(columns)
    rows: list[list[SheetCell]] = [[title, *blank[1:]] for title in _pad_titles(titles)]
    rows.append(blank)
    rows.append([_find_upper_label(columns, i) for i in range(len(columns))])
    rows.append([column.labels[0] if column.group else None for column in columns])
    rows.append([column.number for column in columns])
    rows += [
        [row.label, *blank[1 : row.span], *row.cells] if row.label else [*row.cells]
        for row in _list_rows(columns, lines)
    ]
    return write_delimited(rows, signs)


SheetCell = str | int | None


@dataclass(frozen=True)
class _SheetRow:
    """A row below the header: a label over the first `span` columns of a section or a sum, and the cells after it."""

    cells: Sequence[SheetCell]
    label: str = ""
    span: int = 0


def _list_rows(columns: Sequence[MatrixColumn], lines: Iterable[MatrixLine]) -> Iterator[_SheetRow]:
    written: list[MatrixLine] = []
    for strategy, block in group_by_strategy(lines):
        if strategy is not None:
            yield _SheetRow([], STRATEGY_NAMES[strategy].upper(), len(columns))
        for number, line in enumerate(block, 1):
            yield _SheetRow(_list_cells(columns, line, number))
        yield _sum_lines(columns, block, "JUMLAH")
        written += block
    if written:
        yield _sum_lines(columns, written, "JUMLAH TOTAL")


def _sum_lines(columns: Sequence[MatrixColumn], lines: Sequence[MatrixLine], label: str) -> _SheetRow:
    """Return the sums of lines in the columns of money; a column without any amount has none."""
    span = next(i for i, column in enumerate(columns) if column.holds in _SUMMED)
    sums: list[SheetCell] = []
    for column in columns[span:]:
        amounts = [line[column.key] for line in lines] if column.holds in _SUMMED else []
        stated = [amount for amount in amounts if amount is not None]
        sums.append(sum(stated) if stated else None)
    return _SheetRow(sums, label, span)


_SUMMED = (Holds.RUPIAH, Holds.CHANGE)


def _pad_titles(titles: Sequence[str]) -> list[str]:
    return [*titles, "", ""][: HEADER_ROW - 1]


def _find_upper_label(columns: Sequence[MatrixColumn], i: int) -> str | None:
    group = columns[i].group
    if group is None:
        return columns[i].labels[0]
    return group if columns[i - 1].group != group else None


def _list_cells(columns: Sequence[MatrixColumn], line: MatrixLine, number: int) -> list[SheetCell]:
    return [number if column.holds is Holds.ORDINAL else write_cell(column, line) for column in columns]


class _Layout:
    def __init__(self, book: Any, sheet: Any, columns: tuple[MatrixColumn, ...]) -> None:
        self.sheet, self.columns, self.last = sheet, columns, len(columns) - 1
        box = {"border": 1, "valign": "top", "text_wrap": True}
        self.title = book.add_format({"bold": True, "align": "center", "font_size": 12})
        self.head = book.add_format(
            box | {"bold": True, "align": "center", "valign": "vcenter", "bg_color": "#D9E1F2"}
        )
        self.count = book.add_format(box | {"italic": True, "align": "center"})
        self.section = book.add_format(box | {"bold": True, "bg_color": "#F2F2F2", "text_wrap": False})
        self.sum = book.add_format(box | {"bold": True, "bg_color": "#F2F2F2", "num_format": "#,##0"})
        self.words = book.add_format(box)
        self.amount = book.add_format(box | {"num_format": "#,##0"})

    def write(self, lines: Iterable[MatrixLine], titles: Sequence[str]) -> None:
        for i, column in enumerate(self.columns):
            self.sheet.set_column(i, i, column.width)
        for r, title in enumerate(_pad_titles(titles)):
            if title:
                self._write_merged(r, 0, r, self.last, title, self.title)
        self._write_header()
        for r, row in enumerate(_list_rows(self.columns, lines), FIRST_DATA_ROW):
            if row.label:
                self._write_merged(r, 0, r, row.span - 1, row.label, self.section)
                self._write_row(r, row.cells, row.span, self.section, self.sum)
            else:
                fit_row(self.sheet, r, row.cells, [column.width for column in self.columns])
                self._write_row(r, row.cells, 0, self.words, self.amount)
        self.sheet.freeze_panes(FIRST_DATA_ROW, 0)
        self.sheet.set_landscape()
        self.sheet.set_paper(8)  # A3
        self.sheet.fit_to_pages(1, 0)
        self.sheet.repeat_rows(HEADER_ROW, FIRST_DATA_ROW - 1)

    def _write_header(self) -> None:
        groups: dict[str, list[int]] = {}
        for i, column in enumerate(self.columns):
            if column.group is None:
                self._write_merged(HEADER_ROW, i, HEADER_ROW + 1, i, column.labels[0], self.head)
            else:
                groups.setdefault(column.group, []).append(i)
                self.sheet.write_string(HEADER_ROW + 1, i, column.labels[0], self.head)
            self.sheet.write_number(HEADER_ROW + 2, i, column.number, self.count)
        for group, members in groups.items():
            self._write_merged(HEADER_ROW, members[0], HEADER_ROW, members[-1], group, self.head)

    def _write_merged(self, top: int, left: int, bottom: int, right: int, text: str, how: object) -> None:
        self.sheet.merge_range(top, left, bottom, right, "", how)
        self._write_text(top, left, text, how)

    def _write_row(
        self, r: int, cells: Sequence[SheetCell], first: int, words: object, amount: object
    ) -> None:
        for c, cell in enumerate(cells, first):
            if cell is None:
                self.sheet.write_blank(r, c, None, words)
            elif isinstance(cell, int):
                self.sheet.write_number(r, c, cell, amount)
            else:
                self._write_text(r, c, cell, words)

    def _write_text(self, r: int, c: int, text: str, how: object) -> None:
        if len(text) > LONGEST_CELL:
            where = Cell(SHEET_NAME, r + 1, name_column(c))
            raise UnwritableMatrix(
                errors=[FieldError(CELL_TOO_LONG, cell=where, values={"length": len(text)})]
            )
        self.sheet.write_string(r, c, text, how)
