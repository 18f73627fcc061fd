"""What each row below the header is: a section, a total, a heading, a line, or nothing to read."""

import re
from collections.abc import Mapping
from enum import Enum, auto

from app.exchange.matrix.cells import read_ordinal
from app.exchange.matrix.headers import Header, is_header_again
from app.exchange.matrix.models import SPENT
from app.exchange.matrix.numbers import read_rupiah, unusable
from app.exchange.matrix.words import strategy_of
from app.kit.files.books import Formula, Sheet, Value
from app.kit.files.cells import as_text

LEVELS = ("agency", "program", "activity", "subactivity")
AMOUNTS = ("allocation", *(column.key for column in SPENT))
_HEADINGS = ("number", "strategy", "agency", "code", "program", "activity")

# "Catatan Sipil" is an office's business, not a note below the table.
_FOOTER = re.compile(
    r"(keterangan|catatan(?!\s+sipil)|ket\s*[.:]|mengetahui|sumber data|nb\s*[.:]|nip\b)", re.IGNORECASE
)
# No name of the nomenclature begins with these words.
_TOTAL = re.compile(r"(sub\s*-?\s*|grand\s*)?(jumlah|total)\b", re.IGNORECASE)


class RowKind(Enum):
    NOTHING = auto()
    SECTION = auto()
    TOTAL = auto()
    HEADING = auto()
    LINE = auto()


class Table:
    """A sheet seen through its header; rows and columns from 0."""

    def __init__(self, sheet: Sheet, header: Header) -> None:
        self.sheet = sheet
        self.at: Mapping[str, int] = header.columns
        self.first = header.data_row
        self.end = self._end()

    def value(self, r: int, key: str) -> Value:
        """The cell of a column, None where the file has no such column or cell."""
        c = self.at.get(key)
        row = self.sheet.rows[r]
        return row[c] if c is not None and c < len(row) else None

    def text(self, r: int, key: str) -> str:
        """The text of a cell; empty for a blank one and for a formula, an error or a date."""
        value = self.value(r, key)
        return "" if unusable(value) else as_text(value)

    def is_from_above(self, r: int, key: str) -> bool:
        """Whether the cell belongs to a merged range that began in a row above."""
        c = self.at.get(key)
        return c is not None and self.sheet.merged.get((r, c), (r, c))[0] < r

    def filled(self, r: int) -> list[int]:
        """The columns that hold anything."""
        return [c for c, value in enumerate(self.sheet.rows[r]) if unusable(value) or as_text(value)]

    def first_text(self, r: int) -> str:
        """The leftmost text of a row."""
        texts = (as_text(value) for value in self.sheet.rows[r] if isinstance(value, str))
        return next((text for text in texts if text), "")

    def kind(self, r: int) -> RowKind:
        """What a row within the table is."""
        filled = self.filled(r)
        if not filled or is_header_again(self.sheet, r):
            return RowKind.NOTHING
        if self._is_total(r):
            return RowKind.TOTAL
        if self._is_section(r, filled):
            return RowKind.SECTION
        known = [key for key, c in self.at.items() if c in filled]
        if all(key in _HEADINGS for key in known):
            # A row with nothing but its number was prepared and never filled in.
            return RowKind.HEADING if set(known) - {"number"} else RowKind.NOTHING
        return RowKind.LINE

    def has_amount(self, r: int) -> bool:
        """Whether a row has an amount other than a dash, or a formula in its place."""
        values = [self.value(r, key) for key in AMOUNTS]
        return any(isinstance(value, Formula) or bool(read_rupiah(value).value) for value in values)

    def is_footer(self, r: int) -> bool:
        """Whether a row begins the notes or signatures below the table."""
        return bool(_FOOTER.match(self.first_text(r))) and not self.has_amount(r) and not self._is_numbered(r)

    def is_lost_line(self, r: int) -> bool:
        """Whether a row below the end looks like a line of a table."""
        return self.has_amount(r) and bool(self.text(r, "subactivity")) and not self._is_total(r)

    def _is_numbered(self, r: int) -> bool:
        return read_ordinal(self.value(r, "number")).value is not None

    def _lone_text(self, r: int, filled: list[int]) -> str:
        """The text of a row that says one thing only: in one cell, or merged over all it fills."""
        places = {self.sheet.merged.get((r, c), (r, c)) for c in filled}
        return self.first_text(r) if len(places) == 1 else ""

    def _is_total(self, r: int) -> bool:
        """A total says "Jumlah" somewhere left of the amounts, and names no sub-activity beside it."""
        words = [self.first_text(r), *(self.text(r, key) for key in LEVELS)]
        own = self.text(r, "subactivity")
        return any(_TOTAL.match(word) for word in words) and (
            not own or own in words[:1] or bool(_TOTAL.match(own))
        )

    def _is_section(self, r: int, filled: list[int]) -> bool:
        """A lone text that spans columns, stands at the left edge, or names a strategy."""
        text = self._lone_text(r, filled)
        if not text:
            return False
        edge = {self.at[key] for key in ("number", "strategy") if key in self.at} | {min(self.at.values())}
        return len(filled) > 1 or filled[0] in edge or strategy_of(text) is not None

    def _end(self) -> int:
        """The row that ends the table: a footer, or the gap below the last row with a number in it."""
        last, gap = self.first - 1, False
        for r in range(self.first, len(self.sheet.rows)):
            filled = self.filled(r)
            if not filled:
                gap = True
            elif self.is_footer(r):
                break
            elif (
                not gap
                or self.has_amount(r)
                or self._is_numbered(r)
                or strategy_of(self._lone_text(r, filled))
            ):
                last, gap = r, False
        return last + 1
