"""Reader of one sheet of a workbook: its cells as typed values, its merged ranges.

An address, an index or a value that deviates from the format makes the workbook damaged: files get
past a check if two readers take it for different things.

Source: ECMA-376 part 1, 18.3 (worksheets) and 18.18.11 (types of cells).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app.kit.files import bounds
from app.kit.files.archive import Archive
from app.kit.files.books import LARGEST_COLUMN, ErrorValue, Formula, Plain, Sheet, Value, name_column
from app.kit.files.bounds import LONGEST_TEXT, Meter, weigh_text
from app.kit.files.number_formats import Shows, read_iso, read_number, read_serial, write_percentage
from app.kit.files.workbook_parts import RichText, read_boolean, read_index, unescape_text
from app.kit.files.xml_walk import SKIPPED, Attributes, Element, split_names, walk

_ROW = re.compile(r"[1-9][0-9]{0,6}")
_ADDRESS = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
_COLUMNS = {name_column(c): c for c in range(LARGEST_COLUMN)}
_ROW_ATTRIBUTES = split_names(
    "r spans s customFormat ht hidden customHeight outlineLevel collapsed thickTop thickBot ph"
)
_CELL_ATTRIBUTES = split_names("r s t cm vm ph")
_FORMULA_ATTRIBUTES = split_names("t aca ref dt2D dtr del1 del2 r1 r2 ca si bx")
_READ = frozenset(("sheetData", "row", "c", "mergeCells", "mergeCell"))
_TYPES = frozenset(("b", "d", "e", "inlineStr", "n", "s", "str"))


@dataclass(frozen=True)
class SharedParts:
    """The parts that sheets of a workbook share: texts, styles, the system of dates, and if results are stale."""

    texts: Sequence[str]
    styles: Mapping[str, Shows]
    struck: frozenset[str]
    """Styles with a struck-out font."""
    is_1904: bool
    asks_to_calculate: bool


def read_worksheet(archive: Archive, part: str, name: str, shared: SharedParts, meter: Meter) -> Sheet:
    """Return the sheet of a part. Raises `UnreadableFile`."""
    walker = _Worksheet(shared, meter)
    walk(archive.unpack(part), "worksheet", walker.root, meter, nowhere_else=_READ)
    return Sheet(
        name,
        walker.rows,
        _spread_merged(walker.rows, walker.ranges, meter),
        hidden_rows=frozenset(walker.hidden_rows),
        hidden_columns=frozenset(walker.hidden_columns),
        struck=frozenset(walker.struck),
    )


class _Worksheet:
    """The rows of a sheet that a walk has read so far. Rows and columns count from 0."""

    def __init__(self, shared: SharedParts, meter: Meter) -> None:
        self._shared, self._meter = shared, meter
        self.rows: list[list[Value]] = []
        self.ranges: list[tuple[int, int, int, int]] = []
        self.hidden_rows: set[int] = set()
        self.hidden_columns: set[int] = set()
        self.struck: set[tuple[int, int]] = set()
        self._is_hidden = False
        self._row = self._column = -1
        self._row_number = ""
        self._type, self._style = "n", "0"
        self._content: str | None = None
        self._formula: str | None = None
        self._inline = RichText(meter)
        self._opened: set[str] = set()
        cell = Element(
            opens=self._open_cell,
            closes=self._close_cell,
            attributes=_CELL_ATTRIBUTES,
            children={
                "f": Element(closes=self._set_formula, has_text=True, attributes=_FORMULA_ATTRIBUTES),
                "v": Element(closes=self._set_value, has_text=True),
                "is": Element(closes=self._set_inline, children=self._inline.children),
                "extLst": SKIPPED,
            },
        )
        row = Element(
            opens=self._open_row, attributes=_ROW_ATTRIBUTES, children={"c": cell, "extLst": SKIPPED}
        )
        merged = Element(opens=self._add_range, attributes=split_names("ref"))
        self.root = Element(
            skips_others=True,
            children={
                "cols": Element(
                    children={"col": Element(opens=self._add_columns, skips_others=True)}, skips_others=True
                ),
                "sheetData": Element(opens=partial(self._open_once, "sheetData"), children={"row": row}),
                "mergeCells": Element(
                    opens=partial(self._open_once, "mergeCells"), children={"mergeCell": merged}
                ),
            },
        )

    def _open_once(self, name: str, _: Attributes) -> None:
        if name in self._opened:
            raise self._meter.refuse_damaged()
        self._opened.add(name)

    def _open_row(self, attributes: Attributes) -> None:
        number = attributes.get("r")
        if number is None:
            number = str(self._row + 2)
        if not _ROW.fullmatch(number) or not self._row < int(number) - 1 < _LAST_ROW:
            raise self._meter.refuse_damaged()
        self._row, self._row_number, self._column = int(number) - 1, number, -1
        is_flat = attributes.get("ht") == "0"  # another way to hide a row
        self._is_hidden = is_flat or read_boolean(attributes.get("hidden", "0"), self._meter)

    def _add_columns(self, attributes: Attributes) -> None:
        if read_boolean(attributes.get("hidden", "0"), self._meter):
            first, last = (read_index(attributes.get(name), self._meter) for name in ("min", "max"))
            self.hidden_columns.update(range(first - 1, min(last, LARGEST_COLUMN)))

    def _open_cell(self, attributes: Attributes) -> None:
        address = attributes.get("r")
        if address is None:
            column = self._column + 1
        else:
            letters = address.rstrip("0123456789")
            if address[len(letters) :] != self._row_number:
                raise self._meter.refuse_damaged()
            column = _COLUMNS[letters] if letters in _COLUMNS else self._read_far_column(letters)
        if not self._column < column < _LAST_COLUMN:
            raise self._meter.refuse_damaged()
        self._column = column
        self._type, self._style = attributes.get("t", "n"), attributes.get("s", "0")
        if self._type not in _TYPES or self._style not in self._shared.styles:
            raise self._meter.refuse_damaged()
        self._content = self._formula = None

    def _read_far_column(self, letters: str) -> int:
        if not re.fullmatch("[A-Z]{1,3}", letters):
            raise self._meter.refuse_damaged()
        return _count_column(letters)

    def _set_formula(self, text: str) -> None:
        if self._formula is not None or len(text) > LONGEST_TEXT:
            raise self._meter.refuse_damaged()
        self._formula = "=" + text
        self._meter.count_text(weigh_text(text))

    def _set_value(self, text: str) -> None:
        if self._content is not None or (self._type == "inlineStr" and text):
            raise self._meter.refuse_damaged()
        self._content = text

    def _set_inline(self, _: str) -> None:
        if self._content is not None or self._type != "inlineStr":
            raise self._meter.refuse_damaged()
        self._content = self._inline.take()

    def _close_cell(self, _: str) -> None:
        content, formula = self._content, self._formula
        if content is None and formula is None:
            return
        self._meter.count_cell()
        value = self._read_content(content) if content else None
        if formula is not None:
            if value is None and content is not None and self._type == "str":
                value = ""  # calculated, and shows nothing
            is_stale = self._shared.asks_to_calculate
            self._add_value(Formula(formula, None if is_stale or isinstance(value, ErrorValue) else value))
        elif value is not None:
            self._add_value(value)

    def _add_value(self, value: Value) -> None:
        if self._row >= self._meter.most_rows or self._column >= LARGEST_COLUMN:
            raise self._meter.refuse_too_many_cells()
        while len(self.rows) <= self._row:
            self.rows.append([])
        row = self.rows[self._row]
        row.extend([None] * (self._column - len(row)))
        row.append(value)
        if self._is_hidden:
            self.hidden_rows.add(self._row)
        if self._style in self._shared.struck:
            self.struck.add((self._row, self._column))

    def _read_content(self, content: str) -> Plain | ErrorValue | None:
        match self._type:
            case "s":
                index = read_index(content, self._meter)
                if index >= len(self._shared.texts):
                    raise self._meter.refuse_damaged()
                text = self._shared.texts[index]
                self._meter.count_text(len(text))  # once per cell that refers to it
                return text if text.strip() else None
            case "n":
                return self._read_number(content)
            case "inlineStr":
                return self._check_text(content)
            case "str":
                return self._check_text(unescape_text(content))
            case "b":
                return read_boolean(content, self._meter)
            case "e":
                self._check_text(content)
                return ErrorValue(content)
            case _:
                moment = read_iso(content)
                if moment is None:
                    raise self._meter.refuse_damaged()
                return moment

    def _read_number(self, content: str) -> Plain:
        number = read_number(content)
        if number is None:
            raise self._meter.refuse_damaged()
        shows = self._shared.styles[self._style]
        if shows == "percent":
            return write_percentage(number)
        return number if shows == "number" else read_serial(number, shows, self._shared.is_1904)

    def _check_text(self, text: str) -> str | None:
        """Return a text that is in the cell itself, None if it is blank. Raises `UnreadableFile` if it is too long."""
        if len(text) > LONGEST_TEXT:
            raise self._meter.refuse_damaged()
        self._meter.count_text(weigh_text(text))
        return text if text.strip() else None

    def _add_range(self, attributes: Attributes) -> None:
        first, colon, last = attributes.get("ref", "").partition(":")
        top, left = self._read_address(first)
        bottom, right = self._read_address(last) if colon else (top, left)
        if bottom < top or right < left:
            raise self._meter.refuse_damaged()
        if len(self.ranges) >= bounds.MOST_MERGED:
            raise self._meter.refuse_too_many_cells()
        self.ranges.append((top, left, bottom, right))

    def _read_address(self, address: str) -> tuple[int, int]:
        match = _ADDRESS.fullmatch(address)
        if match is None or int(match[2]) > _LAST_ROW or _count_column(match[1]) >= _LAST_COLUMN:
            raise self._meter.refuse_damaged()
        return int(match[2]) - 1, _count_column(match[1])


def _count_column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _spread_merged(
    rows: list[list[Value]], ranges: Sequence[tuple[int, int, int, int]], meter: Meter
) -> dict[tuple[int, int], tuple[int, int]]:
    """Copy the value of each merged range to all its cells within the used area, and return cell → first cell.

    Raises `UnreadableFile` if two ranges share a cell of that area.
    """
    width = max((len(row) for row in rows), default=0)
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    firsts: set[tuple[int, int]] = set()
    filled = 0
    for top, left, bottom, right in ranges:
        if top >= len(rows) or left >= width:
            continue
        bottom, right = min(bottom, len(rows) - 1), min(right, width - 1)
        size = (bottom - top + 1) * (right - left + 1)
        filled += size
        if filled > bounds.MOST_MERGED:
            raise meter.refuse_too_many_cells()
        first = (top, left)
        value = rows[top][left] if left < len(rows[top]) else None
        text = value.text if isinstance(value, Formula | ErrorValue) else value
        if isinstance(text, str):
            meter.count_text(len(text) * (size - 1))
        for r in range(top, bottom + 1):
            rows[r].extend([None] * (right + 1 - len(rows[r])))
            for c in range(left, right + 1):
                if (r, c) in merged or (r, c) in firsts:
                    raise meter.refuse_damaged()
                if (r, c) != first:
                    merged[r, c] = first
                    rows[r][c] = value
        firsts.add(first)
    return merged
