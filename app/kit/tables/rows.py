"""Rows below the header of a table: where they end, and which of them a person may not have meant."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from app.kit.files.books import Sheet, Value
from app.kit.files.cells import STORED_RESULT, find_refusal, render_text
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.headers import TableHeader, is_header_again
from app.kit.tables.layouts import LONGEST_LABEL, TableLayout
from app.kit.tables.numbers import is_number
from app.kit.tables.options import Doubt, SkippedRows, TableOptions
from app.kit.tables.sums import is_sum

HIDDEN_ROW = Kind(
    "hidden_row",
    "Baris {rows} tersembunyi atau tersaring, tetapi berisi. Tampilkan barisnya, atau pilih saat mengimpor: "
    "dibaca atau dilewati.",
    "Row {rows} is hidden or filtered out, and has content. Show it, or choose in the import: take it or skip it.",
)
STRUCK_ROW = Kind(
    "struck_row",
    "Baris {rows} dicoret, tetapi berisi. Hapus barisnya, atau pilih saat mengimpor: dibaca atau dilewati.",
    "Row {rows} is struck out, and has content. Delete it, or choose in the import: take it or skip it.",
)
STRUCK_CELL = Kind(
    "struck_cell",
    "“{value}” dicoret. Hapus isi selnya, atau hilangkan coretannya.",
    "“{value}” is struck out. Clear the cell, or remove the line through it.",
)
HIDDEN_COLUMN = Kind(
    "hidden_column",
    "Kolom “{value}” tersembunyi. Isinya tetap dibaca.",
    "The column “{value}” is hidden. The import reads it all the same.",
)
NO_LINES = Kind("no_lines", "Tabel ini tidak memuat satu baris pun.", "This table has no lines.")
BLANK_CELL = Kind("blank_cell", "Sel ini wajib diisi.", "This cell must not be blank.")
TEXT_AFTER_TABLE = Kind(
    "text_after_table",
    "Tabel berakhir di atas baris ini (“{value}”). Isi mulai dari sini tidak dibaca.",
    "The table ends above this row (“{value}”). The import read nothing from here on.",
)
LINES_AFTER_END = Kind(
    "lines_after_end",
    "Di bawah akhir tabel ada baris dengan angka (“{value}”). Pindahkan ke tabel atau hapus.",
    "Below the end of the table is a row with a figure (“{value}”). Move it up or remove it.",
)

# "Catatan Sipil" (civil registration) is a name, not a note below the table.
_FOOTER = re.compile(
    r"(keterangan|catatan(?!\s+sipil)|ket\s*[.:]|mengetahui|sumber\s*(data|:)|nb\s*[.:]|nip\b|terbilang\b"
    r"|(ditetapkan|dibuat|disusun|disahkan|dicetak)\s+(di|oleh|pada|tanggal)\b|tanggal\s+cetak)",
    re.IGNORECASE,
)
# The place and day above a signature: "Liwa, 5 Januari 2026", "Liwa, ..... 2026".
_SIGNATURE = re.compile(
    r"[a-z][a-z .'-]{2,40},\s*(tanggal|tgl\.?)?\s*([\d.…_-]+\s*|(?=[a-z]))"
    r"((jan|feb|mar|apr|mei|jun|jul|agu|ags|sep|okt|nov|des)[a-z]*\.?|[.…_-]{2,})?\s*20[\d.…_]{2,}",
    re.IGNORECASE,
)


def is_footer(text: str) -> bool:
    """Return whether a row that begins with a text begins the notes below a table."""
    return bool(_FOOTER.match(text))


def is_below_table(text: str) -> bool:
    """Return whether a row that begins with a text begins the notes or the signatures below a table."""
    return is_footer(text) or (len(text) <= LONGEST_LABEL and bool(_SIGNATURE.fullmatch(text)))


def find_end(
    sheet: Sheet, first: int, is_line: Callable[[int], bool], ends_table: Callable[[int], bool]
) -> int:
    """Return the row that ends a table: a footer, or the gap below the last row that is a line."""
    last, is_gap = first - 1, False
    for r in range(first, len(sheet.rows)):
        if not list_filled(sheet, r):
            is_gap = True
        elif ends_table(r):
            break
        elif not is_gap or is_line(r):
            last, is_gap = r, False
    return last + 1


def list_filled(sheet: Sheet, r: int) -> list[int]:
    """Return the columns of a row with a value."""
    return [c for c, value in enumerate(sheet.rows[r]) if _has_content(value)]


def _has_content(value: Value) -> bool:
    return value is not None and (not isinstance(value, str) or bool(render_text(value)))


def find_first_text(sheet: Sheet, r: int) -> str:
    """Return the leftmost text of a row, or ""."""
    texts = (render_text(value) for value in sheet.rows[r] if isinstance(value, str))
    return next((text for text in texts if text), "")


def describe_left_out(
    sheet: Sheet, columns: Collection[int], asked: Mapping[Doubt, Sequence[int]]
) -> Iterator[FieldError]:
    """Yield an error for each run of neighbouring rows that the caller has to settle."""
    for doubt, listed in asked.items():
        rows = set(listed)
        for first in (r for r in listed if r - 1 not in rows):
            last = next(r for r in range(first, len(sheet.rows) + 1) if r + 1 not in rows)
            filled = list_filled(sheet, first)
            c = min((c for c in filled if c in columns), default=filled[0])
            text = str(first + 1) if first == last else f"{first + 1}–{last + 1}"
            kind = HIDDEN_ROW if doubt == "hidden" else STRUCK_ROW
            yield FieldError(kind, cell=sheet.cell(first, c), values={"rows": text})


def describe_hidden_columns(
    sheet: Sheet, keys: Mapping[int, str], r: int, layout: TableLayout
) -> Iterator[FieldError]:
    """Yield a warning for each column that is read (`keys`) and hidden, at its cell in a row of the header."""
    labels = {item.key: item.labels[0] for item in layout.fields}
    for c, key in keys.items():
        if c in sheet.hidden_columns:
            text = labels.get(key) or render_text(sheet.value(r, c))
            yield FieldError(HIDDEN_COLUMN, cell=sheet.cell(r, c), value=text)


def describe_results(
    sheet: Sheet, at: Mapping[str, int], rows: Mapping[str, Sequence[int]]
) -> Iterator[FieldError]:
    """Yield a warning for each column, by key, with the stored results of formulas in some rows."""
    for key, (first, *more) in rows.items():
        cell, value = sheet.cell(first, at[key]), sheet.value(first, at[key])
        yield FieldError(STORED_RESULT, cell=cell, value=str(value), values={"count": 1 + len(more)})


def list_skipped(rows: Mapping[Doubt, Sequence[int]]) -> list[SkippedRows]:
    """Return the rows that the options leave out, by reason."""
    return [SkippedRows(reason=reason, rows=[r + 1 for r in some]) for reason, some in rows.items() if some]


class TableRow(NamedTuple):
    """A row below a header; its cells go by the keys of the layout."""

    sheet: Sheet
    at: Mapping[str, int]
    r: int

    @property
    def is_lone(self) -> bool:
        """Return whether one cell or one merged range has all the content."""
        cells = [(self.r, c) for c in list_filled(self.sheet, self.r)]
        return len({self.sheet.merged.get(cell, cell) for cell in cells}) == 1

    def value(self, key: str) -> Value:
        """Return the value of a cell. Returns None if the table has no such column."""
        c = self.at.get(key)
        return self.sheet.value(self.r, c) if c is not None else None

    def text(self, key: str) -> str:
        """Return the text of a cell; "" for a blank cell, a formula, an error or a date."""
        value = self.value(key)
        return "" if find_refusal(value) else render_text(value)

    def cell(self, *keys: str) -> Cell:
        """Return the address of a cell in the first of the columns that the table has, else in its first column."""
        c = next((self.at[key] for key in keys if key in self.at), min(self.at.values(), default=0))
        return self.sheet.cell(self.r, c)

    def list_given(self, keys: Collection[str]) -> list[str]:
        """Return those of the keys whose cell has a value."""
        return [key for key in keys if _has_content(self.value(key))]


class PlainTable:
    """The rows of a table with one line a row.

    `names` are the columns that say what a line is about, `figures` those that measure it, with a value that
    `is_figure`. `errors` and `warnings` name cells; they are complete after `close`.
    """

    def __init__(
        self,
        sheet: Sheet,
        header: TableHeader,
        layout: TableLayout,
        options: TableOptions,
        *,
        names: Sequence[str],
        figures: Collection[str],
        is_figure: Callable[[Value], bool] = is_number,
    ) -> None:
        self.sheet, self.header, self.layout, self.options = sheet, header, layout, options
        self._is_figure = is_figure
        self.at = header.columns
        self.names = [key for key in names if key in self.at]
        self.figures = [key for key in figures if key in self.at]
        self.errors: list[FieldError] = list(header.errors)
        self.warnings: list[FieldError] = list(header.warnings)
        self._skipped: dict[Doubt, list[int]] = {"hidden": [], "struck": []}
        self._asked: dict[Doubt, list[int]] = {"hidden": [], "struck": []}
        self._calculated: dict[str, list[int]] = {}
        self._has_lines = False
        self._end = find_end(sheet, header.data_row, self._is_line, self._ends_table)

    @property
    def skipped(self) -> list[SkippedRows]:
        return list_skipped(self._skipped)

    def list_rows(self) -> Iterator[TableRow]:
        """Yield the rows of the table that have something to read, without those that repeat the header."""
        for r in range(self.header.data_row, self._end):
            row = TableRow(self.sheet, self.at, r)
            if row.list_given(self.at) and not is_header_again(self.sheet, r, self.header, self.layout):
                yield row

    def is_sum(self, row: TableRow) -> bool:
        """Return whether a row is a sum: its first text or a name says so."""
        return any(map(is_sum, [find_first_text(self.sheet, row.r), *map(row.text, self.names)]))

    def is_left_out(self, row: TableRow) -> bool:
        """Return whether the options leave out a line that is hidden or struck out; a line to ask about is noted."""
        doubt = self._find_doubt(row)
        choice = self.options.hidden_rows if doubt == "hidden" else self.options.struck_rows
        if doubt is not None and choice != "take":
            (self._asked if choice == "ask" else self._skipped)[doubt].append(row.r)
            return True
        self._has_lines = True
        for key, c in self.at.items():
            if (row.r, c) in self.sheet.formulas:
                self._calculated.setdefault(key, []).append(row.r)
        return False

    def find_refusal(self, row: TableRow, key: str) -> Kind | None:
        """Return why the import does not take a cell: it is struck out, a formula, an error or a date, or None."""
        if self.options.struck_rows != "take" and (row.r, self.at.get(key)) in self.sheet.struck:
            return STRUCK_CELL
        return find_refusal(row.value(key))

    def close(self) -> None:
        """Add the errors and warnings about the table as a whole."""
        if not (self._has_lines or any(self._asked.values()) or any(self._skipped.values()) or self.errors):
            self.errors.append(FieldError(NO_LINES, cell=self.sheet.cell(self.header.data_row, 0)))
        self.errors += describe_left_out(self.sheet, self.at.values(), self._asked)
        keys = {c: key for key, c in self.at.items()}
        self.warnings += describe_hidden_columns(self.sheet, keys, self.header.data_row - 1, self.layout)
        self.warnings += describe_results(self.sheet, self.at, self._calculated)
        below = [r for r in range(self._end, len(self.sheet.rows)) if list_filled(self.sheet, r)]
        if below and not is_footer(find_first_text(self.sheet, below[0])):
            cell = self.sheet.cell(below[0], list_filled(self.sheet, below[0])[0])
            text = find_first_text(self.sheet, below[0])
            self.warnings.append(FieldError(TEXT_AFTER_TABLE, cell=cell, value=text))
        for row in (TableRow(self.sheet, self.at, r) for r in below):
            if self._is_line(row.r) and row.list_given(self.names) and not self.is_sum(row):
                text = find_first_text(self.sheet, row.r)
                self.errors.append(FieldError(LINES_AFTER_END, cell=row.cell(*self.names), value=text))

    def _find_doubt(self, row: TableRow) -> Doubt | None:
        if row.r in self.sheet.hidden_rows:
            return "hidden"
        cells = [(row.r, self.at[key]) for key in row.list_given([*self.names, *self.figures])]
        own = [cell for cell in cells if cell not in self.sheet.merged]
        return "struck" if own and self.sheet.struck.issuperset(own) else None

    def _is_line(self, r: int) -> bool:
        """Return whether a row has a number."""
        row = TableRow(self.sheet, self.at, r)
        return any(self._is_figure(row.value(key)) for key in self.figures)

    def _ends_table(self, r: int) -> bool:
        return is_below_table(find_first_text(self.sheet, r)) and not self._is_line(r)
