"""Reader of a matrix: from a sheet to rows, with errors and warnings at their cells.

Blank cells: strategy, agency, code, programme, activity and sub-activity are levels, in this order. A blank cell
inherits the value above it in the same strategy block, unless the row gives a level before it a new value: a row
with another agency and a blank programme has no programme. A new block (a section row, or another strategy in its
own column) inherits nothing. `-` means "none" where blank would mean "as above". A row inherits the sub-activity
only if it has content of its own; without a running number it continues the line above and is not a line itself.
Rows never inherit amounts and recipients, and a cell merged over several rows gives its amount to the first row.

Rows that are not lines: a repeated header on a new page, blank rows, headings (rows that only name levels), totals
(the reader compares each amount with its lines; formulas are fine), and everything after "Keterangan", or after a
gap below the last number.
"""

from collections.abc import Collection, Sequence
from typing import Any

from app.exchange.matrix.amounts import read_change
from app.exchange.matrix.columns import BY_KEY, SPENT
from app.exchange.matrix.doubtful_rows import find_repeated
from app.exchange.matrix.headers import LAYOUT
from app.exchange.matrix.lines import NO_STRATEGY, LineReader
from app.exchange.matrix.models import Matrix, MatrixRow, Named
from app.exchange.matrix.rows import AMOUNTS, LEVELS, Block, MatrixTable, RowKind
from app.exchange.matrix.words import STRATEGY_NAMES, parse_strategy
from app.kit.fields import fold_name
from app.kit.files.books import Sheet
from app.kit.files.reader import open_book
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.factors import UNCLEAR_UNIT
from app.kit.tables.headers import MISSING_COLUMN, TableHeader, find_table, propose_table
from app.kit.tables.options import LineOptions
from app.kit.tables.rows import (
    LINES_AFTER_END,
    NO_LINES,
    TEXT_AFTER_TABLE,
    describe_hidden_columns,
    describe_left_out,
    describe_results,
    is_footer,
    list_skipped,
)
from app.kit.tables.sheets import choose_table
from app.kit.tables.units import find_title_scales

NO_HEADER = Kind(
    "no_header",
    "Tidak ada lembar dengan judul kolom matriks (“No”, “Strategi”, “Perangkat Daerah”, “Kode”, "
    "“Program”, …) atau baris nomor kolom 1–18 atau 1–21.",
    "No sheet has the header of the matrix (“No”, “Strategi”, “Perangkat Daerah”, “Kode”, “Program”, "
    "…) or a row that numbers the columns 1–18 or 1–21.",
)
UNKNOWN_SECTION = Kind(
    "unknown_section",
    "Baris bagian “{value}” bukan nama strategi. Yang dikenal: {allowed}.",
    "The section row “{value}” does not name a strategy. Known: {allowed}.",
)
HEADING_ALONE = Kind(
    "heading_alone",
    "Di bawah “{value}” tidak ada baris yang memakainya. Isi sel ini tidak dibaca.",
    "No line below takes “{value}”. The import did not read this cell.",
)

DEFAULTS = LineOptions()


def read_matrix(
    data: bytes,
    filename: str,
    *,
    options: LineOptions = DEFAULTS,
    known_sources: Collection[str] = (),
    choices: Sequence[ColumnChoice] = (),
) -> Matrix:
    """Read the matrix of a file, from the named sheet, else from the first visible sheet with the header.

    `known_sources` are names of funding sources that the reader never splits at "dan" or a comma. `choices` give
    columns their fields.
    Raises UnreadableFile if the file is not readable, the sheet is unknown or there is no header, and TooLarge;
    problems inside the table are the matrix's `errors` and `warnings`.
    """
    book = open_book(data, filename)
    sheet, header, others = choose_table(
        book,
        options.sheet,
        lambda sheet: find_table(sheet, LAYOUT, choices),
        NO_HEADER,
        propose=lambda sheet: propose_table(sheet, LAYOUT, choices),
        has_choices=bool(choices),
    )
    return read_table(sheet, header, options, known_sources, others)


def read_table(
    sheet: Sheet,
    header: TableHeader,
    options: LineOptions,
    known_sources: Collection[str] = (),
    also: Sequence[FieldError] = (),
) -> Matrix:
    """Read the rows below a header. `also` are further warnings for the result."""
    reader = _TableReader(sheet, header, options, known_sources)
    reader.warnings += also
    if not header.errors:
        reader.read()
    return Matrix(
        sheet=sheet.name,
        titles=header.titles,
        skipped=tuple(list_skipped(reader.skipped)),
        factors=tuple(factor for factor, _ in header.factors.values()),
        rows=tuple(reader.rows),
        spent=tuple(column.key for column in SPENT if column.key in header.columns),
        columns=header.proposal if header.is_unclear or reader.lacks_column else (),
        errors=tuple(reader.errors),
        warnings=tuple(reader.warnings),
    )


class _TableReader(LineReader):
    """The reading of a table row by row: its lines, sections and totals, and what is below it."""

    lacks_column = False
    """Whether lines have no strategy or no sub-activity, since the table has no column of it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting: dict[str, tuple[int, Named]] = {}
        """Level → row and value of the heading that no line has taken yet."""

    def read(self) -> None:
        table = self.table = MatrixTable(self.sheet, self.header)
        for r in range(table.first, table.end):
            kind = table.kind(r)
            if kind is RowKind.SECTION:
                self._read_section(r)
            elif kind is RowKind.TOTAL:
                self._read_total(r)
            elif kind is RowKind.HEADING:
                self._read_heading(r)
            elif kind is RowKind.LINE and self._is_left_out(r):
                self.waiting.clear()
            elif kind is RowKind.LINE:
                self.read_line(r)
                self._settle_headings(self.rows[-1])
        self._close_block()
        self.warnings += self.sums.find_differences()
        self.warnings += describe_results(self.sheet, self.at, self.calculated)
        self.errors += describe_left_out(self.sheet, table.keys, self.asked)
        self.warnings += describe_hidden_columns(self.sheet, table.keys, table.first - 1, LAYOUT)
        self._settle_repeated()
        self._report_rest(table.end)
        self.lacks_column = "strategy" not in self.at and any(e.kind is NO_STRATEGY for e in self.errors)
        if "subactivity" not in self.at and self.rows and not any(row["subactivity"] for row in self.rows):
            self.lacks_column = True
            cell, label = self.sheet.cell(table.first - 1, 0), BY_KEY["subactivity"].labels[0]
            self.errors = [FieldError(MISSING_COLUMN, cell=cell, allowed=label)]
        if not self.rows and not any(self.asked.values()):
            self.errors.append(FieldError(NO_LINES, cell=self.sheet.cell(table.first, 0)))

    def _is_left_out(self, r: int) -> bool:
        """Return whether the options leave out a line that is hidden or struck out; a line to ask about is noted."""
        doubt = self.table.find_doubt(r)
        if doubt is None:
            return False
        choice = self.options.hidden_rows if doubt == "hidden" else self.options.struck_rows
        if choice == "take":
            return False
        (self.asked if choice == "ask" else self.skipped)[doubt].append(r)
        # Rows below may inherit from it, but its own cells are of no interest.
        errors, warnings = list(self.errors), list(self.warnings)
        self.read_levels(r, {}, {}, heading=True)
        self.errors, self.warnings, self.block.last_line, self.block.left_out = errors, warnings, None, r + 1
        return True

    def _settle_repeated(self) -> None:
        """Name each line that equals an earlier one, and leave it out if the options say so."""
        repeated = dict(find_repeated(self.rows))
        (self.errors if self.options.repeated_rows == "refuse" else self.warnings).extend(repeated.values())
        if self.options.repeated_rows == "skip":
            dropped = {row.row for row in self.rows if (row.continues or row.row) in repeated}
            self.skipped["repeated"] += [number - 1 for number in sorted(dropped)]
            self.rows = [row for row in self.rows if row.row not in dropped]

    def _report_rest(self, end: int) -> None:
        """Warn about rows below the table unless they are a footer; report those that look like lines or name units."""
        below = [r for r in range(end, len(self.sheet.rows)) if self.table.list_filled(r)]
        if below and not is_footer(self.table.first_text(below[0])):
            cell = self.sheet.cell(below[0], self.table.list_filled(below[0])[0])
            self.warnings.append(
                FieldError(TEXT_AFTER_TABLE, cell=cell, value=self.table.first_text(below[0]))
            )
        for r in below:
            scales = find_title_scales(self.table.first_text(r))
            if scales and scales != {factor.times for factor, _ in self.factors.values()}:
                cell = self.sheet.cell(r, self.table.list_filled(r)[0])
                self.errors.append(FieldError(UNCLEAR_UNIT, cell=cell, value=self.table.first_text(r)))
            if self.table.is_lost_line(r):
                cell = self.sheet.cell(r, self.at[self.table.name_key])
                self.errors.append(
                    FieldError(LINES_AFTER_END, cell=cell, value=self.table.text(r, self.table.name_key))
                )

    def _read_heading(self, r: int) -> None:
        before = dict(self.block.above)
        self.read_levels(r, {}, {}, heading=True)
        for key in LEVELS:
            value = self.block.above.get(key)
            if self.table.text(r, key) and value is not None and value != before.get(key):
                self._report_heading(key)
                self.waiting[key] = r, value

    def _settle_headings(self, line: MatrixRow) -> None:
        """Take the headings whose value a line has, and report those in whose place it has another one."""
        for key, (_, value) in list(self.waiting.items()):
            own: Named = line[key] or Named(None, None)
            if own == value or (own.name and fold_name(own.name) == fold_name(value.name or "")):
                del self.waiting[key]
            else:
                self._report_heading(key)

    def _report_heading(self, key: str) -> None:
        """Warn about the heading of a level, if any, that no line has taken."""
        if (heading := self.waiting.pop(key, None)) is not None:
            r, _ = heading
            cell, text = self.sheet.cell(r, self.at[key]), self.table.text(r, key)
            self.warnings.append(FieldError(HEADING_ALONE, cell=cell, value=text))

    def _read_section(self, r: int) -> None:
        first, text = self.table.list_filled(r)[0], self.table.first_text(r)
        if self.sheet.merged.get((r, first), (r, first))[0] < r:
            return  # a lower row of a merged section
        self._close_block()
        self.open_block(Block(parse_strategy(text), section=True))
        if self.block.strategy is None:
            cell = self.sheet.cell(r, first)
            self.block.unknown = FieldError(
                UNKNOWN_SECTION, cell=cell, value=text, allowed=list(STRATEGY_NAMES.values())
            )

    def _close_block(self) -> None:
        """End the block. A section that names no strategy is only a warning if all its rows name theirs."""
        for key in list(self.waiting):
            self._report_heading(key)
        if self.block.unknown is not None:
            self.warnings.append(self.block.unknown)
            self.block.unknown = None

    def _read_total(self, r: int) -> None:
        """Keep the figures of a total row for the check; what is no figure there is no error."""
        stated: dict[str, tuple[int, Cell]] = {}
        for key in AMOUNTS:
            value = self.table.value(r, key)
            times, refusal = self.find_times(key, value)
            amount = None if refusal else read_change(value, times).value
            if amount is not None and (r, self.at[key]) not in self.sheet.merged:
                stated[key] = amount, self.sheet.cell(r, self.at[key])
        self.sums.add_sum(stated)
