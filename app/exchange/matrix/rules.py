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

from app.exchange.matrix.amounts import (
    AMBIGUOUS_NUMBER,
    OTHER_UNIT,
    describe_unusable,
    names_currency,
    read_change,
)
from app.exchange.matrix.cells import NONE, read_cell, split_remarks
from app.exchange.matrix.codes import CODE_CONFLICT, normalise, place_code
from app.exchange.matrix.columns import BY_KEY, SPENT, Holds
from app.exchange.matrix.doubtful_rows import CONTINUES_LEFT_OUT, find_repeated
from app.exchange.matrix.headers import LAYOUT, find_stage
from app.exchange.matrix.models import Matrix, MatrixRow, Named, Reading, Remark
from app.exchange.matrix.rows import (
    AMOUNTS,
    LEVELS,
    Block,
    MatrixTable,
    RowKind,
    check_row,
    inherit,
)
from app.exchange.matrix.words import STRATEGY_NAMES, parse_strategy
from app.kit.files.books import Sheet, Value, name_column
from app.kit.files.reader import open_book
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.headers import UNCLEAR_UNIT, TableHeader, find_table
from app.kit.tables.numbers import find_decimal_marks, find_lone_mark
from app.kit.tables.options import Doubt, LineOptions
from app.kit.tables.rows import (
    LINES_AFTER_END,
    STRUCK_CELL,
    TEXT_AFTER_TABLE,
    describe_hidden_columns,
    describe_left_out,
    describe_results,
    list_skipped,
)
from app.kit.tables.sheets import choose_table
from app.kit.tables.sums import SumCheck
from app.kit.tables.units import find_title_scales

NO_HEADER = Kind(
    "no_header",
    "Tidak ada lembar dengan judul kolom matriks (“No”, “Strategi”, “Perangkat Daerah”, “Kode”, "
    "“Program”, …) atau baris nomor kolom 1–18 atau 1–21.",
    "No sheet has the header of the matrix (“No”, “Strategi”, “Perangkat Daerah”, “Kode”, “Program”, "
    "…) or a row that numbers the columns 1–18 or 1–21.",
)
NO_LINES = Kind("no_lines", "Matriks ini tidak memuat satu baris pun.", "This matrix has no lines.")
NO_STRATEGY = Kind(
    "no_strategy",
    "Baris ini tidak memiliki strategi. Isi kolomnya dengan salah satu dari: {allowed}.",
    "This line has no strategy. Fill its column with one of: {allowed}.",
)
UNKNOWN_SECTION = Kind(
    "unknown_section",
    "Baris bagian “{value}” bukan nama strategi. Yang dikenal: {allowed}.",
    "The section row “{value}” does not name a strategy. Known: {allowed}.",
)
STRATEGY_CONFLICT = Kind(
    "strategy_conflict",
    "Strategi “{value}” bertentangan dengan baris bagian di atasnya ({section}).",
    "The strategy “{value}” contradicts the section row above it ({section}).",
)
MERGED_AMOUNT = Kind(
    "merged_amount",
    "Sel ini digabung dengan baris {first}. Nilainya dihitung satu kali, di baris itu.",
    "This cell is merged with row {first}. Its value counts once, in that row.",
)


DEFAULTS = LineOptions()


def read_matrix(
    data: bytes, filename: str, *, options: LineOptions = DEFAULTS, known_sources: Collection[str] = ()
) -> Matrix:
    """Read the matrix of a file, from the named sheet, else from the first visible sheet with the header.

    `known_sources` are names of funding sources that the reader never splits at "dan" or a comma.
    Raises UnreadableFile if the file is not readable, the sheet is unknown or there is no header, and TooLarge;
    problems inside the table are the matrix's `errors` and `warnings`.
    """
    book = open_book(data, filename)
    sheet, header, others = choose_table(
        book, options.sheet, lambda sheet: find_table(sheet, LAYOUT), NO_HEADER
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
        reader.read(MatrixTable(sheet, header))
    return Matrix(
        sheet=sheet.name,
        titles=header.titles,
        skipped=tuple(list_skipped(reader.skipped)),
        factors=tuple(factor for factor, _ in header.factors.values()),
        rows=tuple(reader.rows),
        spent=tuple(column.key for column in SPENT if column.key in header.columns),
        errors=tuple(reader.errors),
        warnings=tuple(reader.warnings),
    )


class _TableReader:
    def __init__(
        self, sheet: Sheet, header: TableHeader, options: LineOptions, known_sources: Collection[str]
    ) -> None:
        self.sheet, self.at, self.known_sources = sheet, header.columns, known_sources
        self.stage = find_stage(header.headings.get("allocation", ()))
        self.factors, self.options = header.factors, options
        self.skipped: dict[Doubt, list[int]] = {"hidden": [], "struck": [], "repeated": []}
        self.asked: dict[Doubt, list[int]] = {"hidden": [], "struck": []}
        self.decimal_marks: dict[str, set[str]] = {}
        self.letters = {key: name_column(c) for key, c in header.columns.items()}
        self.rows: list[MatrixRow] = []
        self.errors: list[FieldError] = list(header.errors)
        self.warnings: list[FieldError] = list(header.warnings)
        self.block = Block()
        self.sums = SumCheck()
        # The rows of each column whose value is the stored result of a formula.
        self.calculated: dict[str, list[int]] = {}

    def read(self, table: MatrixTable) -> None:
        self.table = table
        for r in range(table.first, table.end):
            kind = table.kind(r)
            if kind is RowKind.SECTION:
                self._read_section(r)
            elif kind is RowKind.TOTAL:
                self._read_total(r)
            elif kind is RowKind.HEADING:
                self._read_levels(r, {}, {}, heading=True)
            elif kind is RowKind.LINE and not self._is_left_out(r):
                self._read_line(r)
        self._close_block()
        self.warnings += self.sums.find_differences()
        self.warnings += describe_results(self.sheet, self.at, self.calculated)
        self.errors += describe_left_out(self.sheet, self.at, self.asked)
        self.warnings += describe_hidden_columns(self.sheet, self.at, table.first - 1, LAYOUT)
        self._settle_repeated()
        self._report_rest(table.end)
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
        self._read_levels(r, {}, {}, heading=True)
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
        if below and not self.table.is_footer(below[0]):
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
                cell = self.sheet.cell(r, self.at["subactivity"])
                self.errors.append(
                    FieldError(LINES_AFTER_END, cell=cell, value=self.table.text(r, "subactivity"))
                )

    def _read_section(self, r: int) -> None:
        first, text = self.table.list_filled(r)[0], self.table.first_text(r)
        if self.sheet.merged.get((r, first), (r, first))[0] < r:
            return  # a lower row of a merged section
        self._close_block()
        self._open_block(Block(parse_strategy(text), section=True))
        if self.block.strategy is None:
            cell = self.sheet.cell(r, first)
            self.block.unknown = FieldError(
                UNKNOWN_SECTION, cell=cell, value=text, allowed=list(STRATEGY_NAMES.values())
            )

    def _open_block(self, block: Block) -> None:
        self.block = block
        self.sums.open_block()

    def _close_block(self) -> None:
        """End the block. A section that names no strategy is only a warning if all its rows name theirs."""
        if self.block.unknown is not None:
            self.warnings.append(self.block.unknown)
            self.block.unknown = None

    def _read_total(self, r: int) -> None:
        """Keep the figures of a total row for the check; what is no figure there is no error."""
        stated: dict[str, tuple[int, Cell]] = {}
        for key in AMOUNTS:
            value = self.table.value(r, key)
            times, refusal = self._find_times(key, value)
            amount = None if refusal else read_change(value, times).value
            if amount is not None and (r, self.at[key]) not in self.sheet.merged:
                stated[key] = amount, self.sheet.cell(r, self.at[key])
        self.sums.add_sum(stated)

    def _read_line(self, r: int) -> None:
        values: dict[str, object] = {"stage": self.stage}
        texts: dict[str, str] = {}
        rounded: set[str] = set()
        for column in BY_KEY.values():
            if column.key not in ("strategy", "code", *LEVELS):
                self._read_cell(r, column.key, values, texts, rounded)
        own_number = values["number"] is not None and not self.table.is_from_above(r, "number")
        inherited = self._read_levels(r, values, texts)
        continues = self.block.last_line if "subactivity" in inherited and not own_number else None
        if "subactivity" in inherited and not own_number and self.block.left_out:
            cell, first = self.sheet.cell(r, self.at["subactivity"]), self.block.left_out
            self.errors.append(FieldError(CONTINUES_LEFT_OUT, cell=cell, values={"first": first}))
        if continues is None:
            self.block.last_line, self.block.left_out = r + 1, None
        row = MatrixRow(
            values,
            texts,
            self.sheet.name,
            r + 1,
            self.letters,
            frozenset(inherited),
            frozenset(rounded),
            continues,
        )
        self.errors += check_row(row)
        self.rows.append(row)
        self.sums.add_line({key: row[key] for key in AMOUNTS})

    def _read_cell(
        self, r: int, key: str, values: dict[str, object], texts: dict[str, str], rounded: set[str]
    ) -> None:
        column, value = BY_KEY[key], self.table.value(r, key)
        if column.counts_once and self.table.is_from_above(r, key):
            if value is not None:
                first_row = self.sheet.merged[r, self.at[key]][0] + 1
                cell = self.sheet.cell(r, self.at[key])
                self.warnings.append(
                    FieldError(MERGED_AMOUNT, cell=cell, value=str(value), values={"first": first_row})
                )
            value = None
        reading = self._read_value(r, key, value, texts)
        values[key] = reading.value
        if column.holds in (Holds.RUPIAH, Holds.CHANGE) and reading.remarks and reading.value is not None:
            rounded.add(key)

    def _read_value(self, r: int, key: str, value: Value, texts: dict[str, str]) -> Reading[Any]:
        if key != "number" and value is not None and (r, self.at[key]) in self.sheet.formulas:
            self.calculated.setdefault(key, []).append(r)
        times, refusal = self._find_times(key, value)
        if self.options.struck_rows != "take" and (r, self.at.get(key)) in self.sheet.struck:
            refusal = Reading(None, str(value), (Remark(STRUCK_CELL, blocking=True),))
        if self._is_unclear(key, value):
            refusal = Reading(None, str(value), (Remark(AMBIGUOUS_NUMBER, blocking=True),))
        reading = refusal or read_cell(BY_KEY[key], value, self.known_sources, times)
        errors, warnings = split_remarks(reading, self.sheet.cell(r, self.at.get(key, 0)), value)
        self.errors += errors
        self.warnings += warnings
        if reading.text:
            texts[key] = reading.text
        return reading

    def _is_unclear(self, key: str, value: Value) -> bool:
        """Return whether the mark of a lone group of three digits is the decimal mark elsewhere in its column."""
        if BY_KEY[key].holds not in (Holds.RUPIAH, Holds.CHANGE) or not (mark := find_lone_mark(value)):
            return False
        if key not in self.decimal_marks:
            rows = range(self.table.first, self.table.end)
            self.decimal_marks[key] = find_decimal_marks(self.table.value(r, key) for r in rows)
        return mark in self.decimal_marks[key]

    def _find_times(self, key: str, value: Value) -> tuple[int, Reading[None] | None]:
        """Return the factor of a cell's numbers, or the reading of a cell that names another unit than its column.

        Words with their own "Rp", such as components, keep it below a title that gives the unit of the columns.
        """
        factor, is_of_title = self.factors.get(key, (None, False))
        if factor is None:
            return 1, None
        if not names_currency(value):
            return factor.times, None
        if is_of_title and BY_KEY[key].holds not in (Holds.RUPIAH, Holds.CHANGE):
            return 1, None
        remark = Remark(OTHER_UNIT, blocking=True, values={"unit": factor.unit})
        return 1, Reading(None, str(value), (remark,))

    def _read_levels(
        self, r: int, values: dict[str, object], texts: dict[str, str], *, heading: bool = False
    ) -> set[str]:
        """Read strategy, agency and nomenclature of a row, its own or from above. Return the inherited keys.

        A heading only sets the values that the rows below it inherit.
        """
        inherited = self._read_strategy(r, values, texts, heading)
        own: dict[str, Any] = {}
        for key in (*LEVELS, "code"):
            value = self.table.value(r, key)
            if self.table.text(r, key) == NONE:
                own[key] = None
            elif describe_unusable(value) or self.table.text(r, key):
                own[key] = self._read_value(r, key, value, texts).value
                if self.table.is_from_above(r, key):
                    inherited.add(key)
        has_code_cell = "code" in own
        given: Named | None = own.pop("code", None)
        by_code = None
        if given is not None:
            by_code = self._give_code(r, own, given)
        values["code"] = own.pop("code", None)
        return inherited | inherit(self.block, values, own, by_code, has_code_cell)

    def _give_code(self, r: int, own: dict[str, Any], given: Named) -> str | None:
        """Move the code of the fourth column to its level. Return that level if it has no other value."""
        code = normalise(given.code or "")
        by_code = code.kind.value if code is not None and code.kind.value not in own else None
        if (other := place_code(own, given)) is not None:
            cell = self.sheet.cell(r, self.at["code"])
            self.errors.append(
                FieldError(CODE_CONFLICT, cell=cell, value=given.code, values={"other": other})
            )
        return by_code

    def _read_strategy(
        self, r: int, values: dict[str, object], texts: dict[str, str], heading: bool
    ) -> set[str]:
        value, block = self.table.value(r, "strategy"), self.block
        if value is None or self.table.text(r, "strategy") == NONE:
            values["strategy"] = block.strategy
            if block.strategy is None and not heading:
                self._report_missing_strategy(r)
            return {"strategy"} if block.strategy is not None else set()
        reading = read_cell(BY_KEY["strategy"], value)
        cell = self.sheet.cell(r, self.at["strategy"])
        self.errors += split_remarks(reading, cell, value)[0]
        if reading.text:
            texts["strategy"] = reading.text
        values["strategy"] = mine = reading.value
        if mine is None or mine == block.strategy:
            return set()
        if block.strategy is None:
            block.strategy, block.section = mine, False  # keeps the values that headings above have set
        elif block.section:
            conflict = {"section": STRATEGY_NAMES[block.strategy]}
            self.errors.append(FieldError(STRATEGY_CONFLICT, cell=cell, value=str(value), values=conflict))
        else:
            self._open_block(Block(mine, block.unknown))
        return set()

    def _report_missing_strategy(self, r: int) -> None:
        """Report a missing strategy: once for a section that names none, else for each line."""
        if self.block.unknown is not None:
            self.errors.append(self.block.unknown)
            self.block.unknown = None
        elif not self.block.section:
            cell = self.sheet.cell(r, self.at.get("strategy", self.at["subactivity"]))
            self.errors.append(FieldError(NO_STRATEGY, cell=cell, allowed=list(STRATEGY_NAMES.values())))
