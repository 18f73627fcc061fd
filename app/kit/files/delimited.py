"""CSV in the dialects that offices produce, and CSV that a spreadsheet opens without running anything.

Reading: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows-1252 (Excel's own
"CSV" in Indonesia) and, for the five bytes that it lacks, Latin-1. The separator is the comma,
semicolon or tab that gives the most even table.

Writing for spreadsheets: UTF-8 with a byte order mark, without which Excel garbles names. A spreadsheet
runs a cell that begins with `=`, `+`, `-`, `@` as a formula, quotes or not. With other settings than the
file's it begins a cell at each comma, semicolon, tab and line end, also inside a text. So an apostrophe
precedes the sign wherever a cell could begin, and `read_delimited` removes it. A text that itself has an
apostrophe there gets one more, so reading returns exactly the written text. Writing for programs: RFC 4180.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from app.kit.files.books import LARGEST_COLUMN, LARGEST_ROW, Formula, Sheet, Value
from app.kit.files.unreadable import DAMAGED_CSV, EMPTY_FILE, NOT_A_TABLE, TOO_MANY_CELLS, refuse_file

# The start of a formula for Excel, LibreOffice and (full width) East Asian editions.
_SIGNS = "=+\\-@＝＋－＠"
_RISKY = re.compile(rf"['\s]*[{_SIGNS}]|['\s]*[\t\r\n]")
# All blanks, apostrophes and quotation marks before a sign: a spreadsheet with another separator drops the quotes.
_BEFORE_SIGN = re.compile(rf"(?<!['\"\s])['\"\s]+(?=[{_SIGNS}])|(?<=[,;])(?=[{_SIGNS}])")
_CELL_END = re.compile(r"\r\n|[\t\r\n]")
_ESCAPED_CELL_END = re.compile(r"(\r\n|[\t\r\n])'")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ",;\t"
LONGEST_CELL = 131_072
"""Characters; four times the bound of a cell in a spreadsheet."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """Signs of a CSV. `is_machine`: without byte order mark and apostrophes, for programs."""

    separator: str = ","
    decimal: str = "."
    is_machine: bool = False


SPREADSHEET = Dialect()


def escape_formula(text: str) -> str:
    """Return a text with an apostrophe in front if Excel would run it as a formula."""
    return "'" + text if _RISKY.match(text) else text


def unescape_formula(text: str) -> str:
    """Return the original of a text that `escape_formula` returned."""
    return text[1:] if text.startswith("'") and _RISKY.match(text, 1) else text


def escape_cells(text: str, separator: str = ",") -> str:
    """Return a text with an apostrophe wherever a cell with a formula could begin, in a file with this separator."""

    def mark(match: re.Match[str]) -> str:
        starts_cell = _is_other_separator(text[match.start() - 1 : match.start()], separator)
        return "'" * starts_cell + _CELL_END.sub(r"\g<0>'", match[0])

    return escape_formula(_BEFORE_SIGN.sub(mark, text))


def unescape_cells(text: str, separator: str = ",") -> str:
    """Return the original of a text that `escape_cells` returned."""
    text = unescape_formula(text)

    def unmark(match: re.Match[str]) -> str:
        run = match[0]
        starts_cell = _is_other_separator(text[match.start() - 1 : match.start()], separator)
        if starts_cell and run.startswith("'"):
            run = run[1:]
        return _ESCAPED_CELL_END.sub(r"\1", run)

    return _BEFORE_SIGN.sub(unmark, text)


def _is_other_separator(sign: str, separator: str) -> bool:
    # A text with the file's own separator is in quotation marks.
    return sign != "" and sign in ",;" and sign != separator


Cell = str | int | float | None


def write_delimited(rows: Iterable[Sequence[Cell]], dialect: Dialect = SPREADSHEET) -> bytes:
    """Return rows as CSV, by default in a form that no spreadsheet runs."""
    return b"".join(stream_delimited(rows, dialect))


def stream_delimited(rows: Iterable[Sequence[Cell]], dialect: Dialect = SPREADSHEET) -> Iterator[bytes]:
    """Yield rows as CSV, row by row: numbers as digits, by default text in a form that no spreadsheet runs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=dialect.separator, lineterminator="\r\n")
    if not dialect.is_machine:
        yield codecs.BOM_UTF8
    for row in rows:
        writer.writerow([_write_cell(cell, dialect) for cell in row])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


def _write_cell(cell: Cell, dialect: Dialect) -> Cell:
    if isinstance(cell, str):
        return cell if dialect.is_machine else escape_cells(cell, dialect.separator)
    if isinstance(cell, float) and dialect.decimal != ".":
        return str(cell).replace(".", dialect.decimal)
    return cell


def read_delimited(data: bytes, filename: str, most_rows: int = LARGEST_ROW) -> Sheet:
    """Return a CSV file as one sheet, named after the file; its row numbers count records.

    A cell is text, or a `Formula` if it begins with `=`. Raises `UnreadableFile`.
    """
    text = _decode(data, filename)
    skipped = 0
    if match := _SEPARATOR_LINE.match(text):
        separator, skipped = match[1], 1
        text = text[match.end() :]
    else:
        separator = _choose_separator(text)
    rows: list[list[Value]] = [[] for _ in range(skipped)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for record in reader:
            if len(rows) >= most_rows or len(record) > LARGEST_COLUMN:
                raise refuse_file(TOO_MANY_CELLS, filename, rows=most_rows, columns=LARGEST_COLUMN)
            # the reader's own bound is global to the process, and other code may raise it
            if any(len(cell) > LONGEST_CELL for cell in record):
                raise csv.Error
            rows.append([_read_cell(cell, separator) for cell in record])
    except csv.Error:
        raise refuse_file(DAMAGED_CSV, filename, len(rows) + 1) from None
    if not any(cell is not None for row in rows for cell in row):
        raise refuse_file(EMPTY_FILE, filename)
    return Sheet(PurePath(filename).stem or "CSV", rows)


def _decode(data: bytes, filename: str) -> str:
    if data.startswith(_UTF16):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise refuse_file(NOT_A_TABLE, filename) from None
    # Text has no control characters beyond tab and line ends; pictures and archives have many.
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data):
        raise refuse_file(NOT_A_TABLE, filename)
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _choose_separator(text: str) -> str:
    """Return the separator that gives every row as many cells, else the most rows, weighted by that number."""
    lines = text.splitlines(keepends=True)
    sample, is_cut = "".join(lines[:200]), len(lines) > 200
    return max(_SEPARATORS, key=lambda separator: _score_evenness(sample, separator, is_cut))


def _score_evenness(sample: str, separator: str, is_cut: bool) -> tuple[bool, int]:
    """Return whether all rows have as many cells, more than one, and the score of the most frequent number."""
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        widths = [len(row) for row in reader if row]
    except csv.Error:
        return False, 0
    # The end of the sample may cut a row.
    rows = Counter(widths[:-1] if is_cut else widths)
    best = max((width * count for width, count in rows.items() if width > 1), default=0)
    return best > 0 and len(rows) == 1, best


def _read_cell(text: str, separator: str) -> Value:
    if not text.strip():
        return None
    if text.lstrip().startswith("="):
        return Formula(text.strip())
    return unescape_cells(text, separator)
