"""Rows below the header: a section, a total, a heading, a line or nothing, and the values a line inherits.

The levels are strategy, agency, programme, activity, sub-activity; `rules.py` explains blank cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from app.exchange.matrix.amounts import describe_unusable, read_rupiah
from app.exchange.matrix.cells import CLASS_LETTERS, read_ordinal, write_cell
from app.exchange.matrix.codes import CODE_CONFLICT, find_broken_chain, split_code
from app.exchange.matrix.columns import BY_KEY, SPENT
from app.exchange.matrix.headers import LAYOUT
from app.exchange.matrix.models import CodeKind, MatrixRow, Named, Strategy
from app.exchange.matrix.words import parse_strategy
from app.kit.files.books import Formula, Sheet, Value
from app.kit.files.cells import render_text
from app.kit.problems import FieldError, Kind
from app.kit.tables.headers import TableHeader, is_header_again
from app.kit.tables.options import Doubt
from app.kit.tables.rows import find_end, find_first_text, is_below_table, list_filled
from app.kit.tables.sums import is_sum

LEVELS = ("agency", "program", "activity", "subactivity")
AMOUNTS = ("allocation", *(column.key for column in SPENT))
_HEADINGS = ("number", "strategy", "agency", "code", "program", "activity")


class RowKind(Enum):
    NOTHING = auto()
    SECTION = auto()
    TOTAL = auto()
    HEADING = auto()
    LINE = auto()


class MatrixTable:
    """A sheet with its header; rows and columns from 0."""

    def __init__(self, sheet: Sheet, header: TableHeader) -> None:
        self.sheet, self.header = sheet, header
        self.at: Mapping[str, int] = header.columns
        self.keys = {c: key for key, c in self.at.items()}
        self.keys |= {c: key for key, columns in header.parts.items() for c in columns}
        self.parts = header.parts.get("code", ())
        self.name_key = "subactivity" if "subactivity" in self.at else "code"
        self.first = header.data_row
        self.end = find_end(sheet, self.first, self._ends_gap, self.ends_table)

    def value(self, r: int, key: str) -> Value:
        """Return the value of a cell. Returns None if the file has no such column or cell."""
        c = self.at.get(key)
        return self.sheet.value(r, c) if c is not None else None

    def text(self, r: int, key: str) -> str:
        """Return the text of a cell; "" for a blank cell, a formula, an error or a date."""
        value = self.value(r, key)
        return "" if describe_unusable(value) else render_text(value)

    def is_from_above(self, r: int, key: str) -> bool:
        """Return whether the cell belongs to a merged range that begins in a row above."""
        c = self.at.get(key)
        return c is not None and self.sheet.merged.get((r, c), (r, c))[0] < r

    def find_doubt(self, r: int) -> Doubt | None:
        """Return why a person may not mean a line: a hidden row, or names and amounts that are struck out."""
        if r in self.sheet.hidden_rows:
            return "hidden"
        cells = [(r, self.at[key]) for key in (self.name_key, *AMOUNTS) if key in self.at]
        own = [
            (r, c) for r, c in cells if self.sheet.value(r, c) is not None and (r, c) not in self.sheet.merged
        ]
        return "struck" if own and self.sheet.struck.issuperset(own) else None

    def list_filled(self, r: int) -> list[int]:
        """Return the columns with a value."""
        return list_filled(self.sheet, r)

    def first_text(self, r: int) -> str:
        """Return the leftmost text of a row, or ""."""
        return find_first_text(self.sheet, r)

    def kind(self, r: int) -> RowKind:
        """Classify a row of the table."""
        filled = self.list_filled(r)
        if not filled or is_header_again(self.sheet, r, self.header, LAYOUT):
            return RowKind.NOTHING
        if self._is_total(r):
            return RowKind.TOTAL
        if self._is_section(r, filled):
            return RowKind.SECTION
        known = [self.keys[c] for c in filled if c in self.keys]
        if all(key in _HEADINGS for key in known) and not self._is_line_by_code(r):
            # A row with only its number is a prepared row that has stayed empty.
            return RowKind.HEADING if set(known) - {"number"} else RowKind.NOTHING
        return RowKind.LINE

    def has_amount(self, r: int) -> bool:
        """Return whether a row has an amount other than a dash, or a formula in its place."""
        values = [self.value(r, key) for key in AMOUNTS]
        return any(isinstance(value, Formula) or bool(read_rupiah(value).value) for value in values)

    def has_amount_alone(self, r: int) -> bool:
        """Return whether a row has an amount, and nothing that says what it is for."""
        own = {self.keys[c] for c in self.list_filled(r) if c in self.keys}
        return self.has_amount(r) and own <= {"number", "strategy", *AMOUNTS}

    def ends_table(self, r: int) -> bool:
        """Return whether a row begins the notes or signatures below the table."""
        return is_below_table(self.first_text(r)) and not self.has_amount(r) and not self._is_numbered(r)

    def is_lost_line(self, r: int) -> bool:
        """Return whether a row below the end looks like a line."""
        return self.has_amount(r) and bool(self.text(r, self.name_key)) and not self._is_total(r)

    def _is_line_by_code(self, r: int) -> bool:
        """Return whether a row has the code of a sub-activity in a table without the names of sub-activities."""
        if self.name_key == "subactivity":
            return False
        code, _, _ = split_code(self.text(r, "code"))
        is_last_part = bool(self.parts) and self.sheet.value(r, self.parts[-1]) is not None
        return is_last_part or (code is not None and code.kind is CodeKind.SUBACTIVITY)

    def _is_numbered(self, r: int) -> bool:
        return read_ordinal(self.value(r, "number")).value is not None

    def _find_lone_text(self, r: int, filled: list[int]) -> str:
        """Return the text of a row with a single filled cell or merged range, else ""."""
        places = {self.sheet.merged.get((r, c), (r, c)) for c in filled}
        return self.first_text(r) if len(places) == 1 else ""

    def _is_total(self, r: int) -> bool:
        """Return whether a row has "Jumlah" left of the amounts, and no sub-activity."""
        words = [self.first_text(r), *(self.text(r, key) for key in ("number", "strategy", *LEVELS))]
        own = self.text(r, "subactivity")
        return any(map(is_sum, words)) and (not own or own in words[:1] or is_sum(own))

    def _is_section(self, r: int, filled: list[int]) -> bool:
        """Return whether a row is a lone text that spans columns, is at the left edge, or names a strategy."""
        text = self._find_lone_text(r, filled)
        if not text:
            return False
        edge = {self.at[key] for key in ("number", "strategy") if key in self.at} | {min(self.at.values())}
        return len(filled) > 1 or filled[0] in edge or parse_strategy(text) is not None

    def _ends_gap(self, r: int) -> bool:
        """Return whether a row below a gap is still of the table: it has a number, an amount or a strategy."""
        is_strategy = parse_strategy(self._find_lone_text(r, self.list_filled(r))) is not None
        return self.has_amount(r) or self._is_numbered(r) or is_strategy


# Values that a row inherits from the rows above it


NO_SUBACTIVITY = Kind(
    "no_subactivity",
    "Ada jumlah tanpa sub kegiatan. Isi sub kegiatannya; bila ini baris jumlah, awali dengan “JUMLAH” atau hapus.",
    "There is an amount without a sub-activity. Enter one; begin the row of a sum with “JUMLAH”, or remove it.",
)
NO_AGENCY = Kind(
    "no_agency",
    "Baris ini dan baris di atasnya tidak memiliki perangkat daerah. Isi perangkat daerahnya.",
    "This line and those above it have no agency. Enter the agency.",
)


@dataclass
class Block:
    """State of a strategy's block: the values that its rows may inherit, and its section row."""

    strategy: Strategy | None = None
    # The warning about a section row that names no strategy.
    unknown: FieldError | None = None
    section: bool = False
    above: dict[str, Named | None] = field(default_factory=dict)
    # The parts of the code of the row above, if several columns hold it.
    parts: list[str] = field(default_factory=list)
    last_line: int | None = None
    # The line above, if the options leave it out.
    left_out: int | None = None


def inherit(
    block: Block,
    values: dict[str, Any],
    own: dict[str, Named | None],
    by_code: str | None,
    has_code_cell: bool,
) -> set[str]:
    """Fill blank levels from the row above, down to the first that differs, and keep the row for the next one.

    Returns the keys of the inherited levels.
    """
    above, inherited, same = block.above, set(), True
    for key in LEVELS:
        before = above.get(key)
        if key in own:
            mine = own[key]
            if before is not None and mine is not None:
                named_again = (
                    key == "agency" and not has_code_cell and (mine.code, mine.name) == (None, before.name)
                )
                coded_again = key == by_code and mine.code == before.code
                mine = before if named_again or coded_again else mine
            same = same and mine == before
            values[key] = mine
        elif same and before is not None:
            values[key] = before
            inherited.add(key)
        else:
            values[key] = None
    block.above = {key: values[key] for key in LEVELS}
    return inherited


def check_row(row: MatrixRow) -> list[FieldError]:
    """Return the errors of a row as a whole."""
    errors: list[FieldError] = []
    amount = next((row[key] for key in AMOUNTS if row[key]), None)
    if row["subactivity"] is None and amount is not None and "subactivity" not in row.texts:
        errors.append(FieldError(NO_SUBACTIVITY, cell=row.cell("subactivity"), value=amount))
    if row["agency"] is None and "agency" not in row.texts:
        errors.append(FieldError(NO_AGENCY, cell=row.cell("agency")))
    if (broken := find_broken_chain(row)) is not None:
        key, code, above = broken
        errors.append(FieldError(CODE_CONFLICT, cell=row.cell(key), value=code, values={"other": above}))
    return errors


# Lines that span several rows


def join_lines(rows: Sequence[MatrixRow]) -> list[MatrixRow]:
    """Join each line of a file with the rows that continue it."""
    lines: dict[int, list[MatrixRow]] = {}
    for row in rows:
        if row.continues is None:
            lines[row.row] = [row]
        else:
            lines[row.continues].append(row)
    return [_join_rows(*span) for span in lines.values()]


_PARTS = (*CLASS_LETTERS, "location", "recipients", "funding_sources")
_SINGLE = ("regularity", "benefit_amount", "benefit_form", "duration")


def _join_rows(first: MatrixRow, *more: MatrixRow) -> MatrixRow:
    """Concatenate parts and add up amounts; differing values of a single-valued column all become text.

    A row's own allocation goes to its only funding source.
    """
    if not more:
        return first
    rows = (first, *more)
    values, texts = dict(first.values), dict(first.texts)
    for key in _PARTS:
        values[key] = tuple(part for row in rows for part in _list_parts(row, key))
    for key in AMOUNTS:
        amounts = [row[key] for row in rows if row[key] is not None]
        values[key] = sum(amounts) if amounts else None
    for key in ("location", "recipients", *_SINGLE):
        rows_by_text = {str(cell): row for row in rows if (cell := write_cell(BY_KEY[key], row)) is not None}
        if key in _SINGLE and len(rows_by_text) == 1:
            (only,) = rows_by_text.values()
            values[key], texts = only[key], texts | {k: t for k, t in only.texts.items() if k == key}
        elif any(key in row.texts for row in rows) or (key in _SINGLE and rows_by_text):
            texts[key] = "; ".join(rows_by_text)
            values[key] = values[key] if key == "location" else None
    return replace(first, values=values, texts=texts)


def _list_parts(row: MatrixRow, key: str) -> tuple[object, ...]:
    parts: tuple[Any, ...] = row[key] or ()
    if (
        key == "funding_sources"
        and len(parts) == 1
        and parts[0].amount is None
        and row["allocation"] is not None
    ):
        return (replace(parts[0], amount=row["allocation"]),)
    return parts
