"""Reader of one line: its cells, the levels that it inherits, and its code, also in several columns."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from app.exchange.matrix.amounts import (
    AMBIGUOUS_NUMBER,
    OTHER_UNIT,
    describe_unusable,
    names_currency,
)
from app.exchange.matrix.cells import CLASS_LETTERS, NONE, read_cell, split_remarks
from app.exchange.matrix.codes import (
    CODE_CONFLICT,
    CODE_PART_MISSING,
    inherit_parts,
    normalise,
    place_code,
    read_code,
    read_code_part,
)
from app.exchange.matrix.columns import BY_KEY, Holds
from app.exchange.matrix.doubtful_rows import CONTINUES_LEFT_OUT
from app.exchange.matrix.headers import find_stage
from app.exchange.matrix.models import MatrixRow, Named, Reading, Remark, Share
from app.exchange.matrix.rows import (
    AMOUNTS,
    LEVELS,
    NO_SUBACTIVITY,
    Block,
    MatrixTable,
    check_row,
    inherit,
)
from app.exchange.matrix.words import STRATEGY_NAMES
from app.kit.files.books import Sheet, Value, name_column
from app.kit.files.cells import render_text
from app.kit.problems import FieldError, Kind
from app.kit.tables.headers import TableHeader
from app.kit.tables.numbers import find_decimal_marks, find_lone_mark
from app.kit.tables.options import Doubt, LineOptions
from app.kit.tables.rows import STRUCK_CELL
from app.kit.tables.sums import SumCheck

NO_STRATEGY = Kind(
    "no_strategy",
    "Baris ini tidak memiliki strategi. Isi kolomnya dengan salah satu dari: {allowed}.",
    "This line has no strategy. Fill its column with one of: {allowed}.",
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


class LineReader:
    """The reading of lines: rows, errors and warnings so far, and the block whose values a row inherits."""

    table: MatrixTable

    def __init__(
        self, sheet: Sheet, header: TableHeader, options: LineOptions, known_sources: Collection[str]
    ) -> None:
        self.sheet, self.at, self.known_sources = sheet, header.columns, known_sources
        self.header, self.factors, self.options = header, header.factors, options
        self.stage = find_stage(header.headings.get("allocation", ()))
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

    def read_line(self, r: int) -> None:
        values: dict[str, Any] = {"stage": self.stage}
        texts: dict[str, str] = {}
        rounded: set[str] = set()
        for column in BY_KEY.values():
            if column.key not in ("strategy", "code", "recipient_unit", *LEVELS):
                self._read_cell(r, column.key, values, texts, rounded)
        own_number = values["number"] is not None and not self.table.is_from_above(r, "number")
        inherited = self.read_levels(r, values, texts)
        continues = self.block.last_line if "subactivity" in inherited and not own_number else None
        if "subactivity" in inherited and not own_number and self.block.left_out:
            cell, first = self.sheet.cell(r, self.at[self.table.name_key]), self.block.left_out
            self.errors.append(FieldError(CONTINUES_LEFT_OUT, cell=cell, values={"first": first}))
        if continues is None:
            self.block.last_line, self.block.left_out = r + 1, None
        elif self.table.has_amount_alone(r):
            # A sum without its word would add to the line above.
            amount = next((values[key] for key in AMOUNTS if values[key]), None)
            cell = self.sheet.cell(r, self.at[self.table.name_key])
            self.errors.append(FieldError(NO_SUBACTIVITY, cell=cell, value=amount))
        for key in (*CLASS_LETTERS, "funding_sources"):
            if values[key] and self.table.is_from_above(r, key):
                values[key] = self._read_merged(r, key, values[key], is_of_line=continues is not None)
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
                self._warn_merged(r, key)
            value = None
        elif key == "recipients" and "recipient_unit" in self.at:
            value = self._join_unit(r, value)
        reading = self._read_value(r, key, value, texts)
        values[key] = reading.value
        if column.holds in (Holds.RUPIAH, Holds.CHANGE) and reading.remarks and reading.value is not None:
            rounded.add(key)

    def _read_merged(
        self, r: int, key: str, shares: tuple[Share, ...], *, is_of_line: bool
    ) -> tuple[Share, ...]:
        """Return the shares of a cell that is merged with rows above: each counts once in a line, each amount once."""
        has_amount = any(share.amount is not None for share in shares)
        if is_of_line:
            # Sources without amounts share those of each row.
            return () if has_amount or key != "funding_sources" else shares
        if not has_amount:
            return shares
        self._warn_merged(r, key)
        return tuple(replace(share, amount=None) for share in shares if share.name)

    def _warn_merged(self, r: int, key: str) -> None:
        cell, value = self.sheet.cell(r, self.at[key]), str(self.table.value(r, key))
        first = self.sheet.merged[r, self.at[key]][0] + 1
        self.warnings.append(FieldError(MERGED_AMOUNT, cell=cell, value=value, values={"first": first}))

    def _join_unit(self, r: int, count: Value) -> Value:
        """Return a count and its unit from two columns as one text; a count that no reader takes stays alone."""
        unit: str | None = self._read_value(
            r, "recipient_unit", self.table.value(r, "recipient_unit"), {}
        ).value
        return count if unit is None or describe_unusable(count) else f"{render_text(count)} {unit}".strip()

    def _read_value(self, r: int, key: str, value: Value, texts: dict[str, str]) -> Reading[Any]:
        if key != "number" and value is not None and (r, self.at[key]) in self.sheet.formulas:
            self.calculated.setdefault(key, []).append(r)
        times, refusal = self.find_times(key, value)
        c = self.at.get(key, 0)
        if key in self.at and self._is_struck(r, c):
            refusal = Reading(None, str(value), (Remark(STRUCK_CELL, blocking=True),))
        if self._is_unclear(key, value):
            refusal = Reading(None, str(value), (Remark(AMBIGUOUS_NUMBER, blocking=True),))
        reading = refusal or read_cell(BY_KEY[key], value, self.known_sources, times)
        if reading.text:
            texts[key] = reading.text
        return self._take_reading(r, c, reading, value)

    def _take_reading(self, r: int, c: int, reading: Reading[Any], value: Value) -> Reading[Any]:
        """Collect the errors and warnings of a cell. Return its reading."""
        errors, warnings = split_remarks(reading, self.sheet.cell(r, c), value)
        self.errors += errors
        self.warnings += warnings
        return reading

    def _is_struck(self, r: int, c: int) -> bool:
        return self.options.struck_rows != "take" and (r, c) in self.sheet.struck

    def _is_unclear(self, key: str, value: Value) -> bool:
        """Return whether the mark of a lone group of three digits is the decimal mark elsewhere in its column."""
        if BY_KEY[key].holds not in (Holds.RUPIAH, Holds.CHANGE) or not (mark := find_lone_mark(value)):
            return False
        if key not in self.decimal_marks:
            rows = range(self.table.first, self.table.end)
            self.decimal_marks[key] = find_decimal_marks(self.table.value(r, key) for r in rows)
        return mark in self.decimal_marks[key]

    def find_times(self, key: str, value: Value) -> tuple[int, Reading[None] | None]:
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

    def read_levels(
        self, r: int, values: dict[str, object], texts: dict[str, str], *, heading: bool = False
    ) -> set[str]:
        """Read strategy, agency and nomenclature of a row, its own or from above. Return the inherited keys.

        A heading only sets the values that the rows below it inherit.
        """
        inherited = self._read_strategy(r, values, texts, heading)
        own: dict[str, Any] = {}
        for key in (*LEVELS, "code"):
            value = self.table.value(r, key)
            if key == "code" and self.table.parts:
                self._read_parts(r, own, inherited)
            elif self.table.text(r, key) == NONE:
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
            if by_code and "code" in inherited:
                inherited.add(by_code)
        values["code"] = own.pop("code", None)
        return inherited | inherit(self.block, values, own, by_code, has_code_cell)

    def _read_parts(self, r: int, own: dict[str, Any], inherited: set[str]) -> None:
        """Read a code whose parts are in several columns; the row above gives those that are blank."""
        readings = [(c, self._read_part(r, c)) for c in self.table.parts]
        texts = [reading.value or "" for _, reading in readings]
        if not any(reading.value or reading.text for _, reading in readings):
            return
        own["code"] = None
        agency: Named | None = own.get("agency")
        is_of_block = "agency" not in own or agency == self.block.above.get("agency")
        parts = inherit_parts(texts, self.block.parts if is_of_block else ())
        while parts and not parts[-1]:
            parts.pop()
        self.block.parts = parts + [""] * (len(texts) - len(parts))
        if any(reading.remarks for _, reading in readings):
            return
        if "" in parts:
            cell = self.sheet.cell(r, self.table.parts[parts.index("")])
            self.errors.append(FieldError(CODE_PART_MISSING, cell=cell))
            return
        own["code"] = self._take_reading(r, self.at["code"], read_code(code := ".".join(parts)), code).value
        if all(self.sheet.merged.get((r, c), (r, c))[0] < r for c, reading in readings if reading.value):
            inherited.add("code")

    def _read_part(self, r: int, c: int) -> Reading[str | None]:
        value = self.sheet.value(r, c)
        reading = read_code_part(value)
        if self._is_struck(r, c):
            reading = Reading(None, str(value), (Remark(STRUCK_CELL, blocking=True),))
        return self._take_reading(r, c, reading, value)

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
            self.open_block(Block(mine, block.unknown))
        return set()

    def _report_missing_strategy(self, r: int) -> None:
        """Report a missing strategy: once for a section that names none, else for each line."""
        if self.block.unknown is not None:
            self.errors.append(self.block.unknown)
            self.block.unknown = None
        elif not self.block.section:
            cell = self.sheet.cell(r, self.at.get("strategy", self.at[self.table.name_key]))
            self.errors.append(FieldError(NO_STRATEGY, cell=cell, allowed=list(STRATEGY_NAMES.values())))

    def open_block(self, block: Block) -> None:
        """Begin a block, whose rows inherit nothing from those above."""
        self.block = block
        self.sums.open_block()
