"""CSV in the dialects that offices produce, and CSV that Excel opens without running anything.

Reading: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows-1252 (Excel's own
"CSV" in Indonesia) and, for the five bytes that it lacks, Latin-1. The separator is the comma,
semicolon or tab that gives the most even table.

Writing: UTF-8 with commas and a byte order mark, without which Excel garbles names. Excel runs a
text that begins with `=`, `+`, `-`, `@` as a formula, quotes or not, so the writer puts an
apostrophe in front, and `read_delimited` removes it. A text that itself has an apostrophe before
such a character gets one more, so reading returns exactly the written text.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from app.kit.files.books import LARGEST_COLUMN, LARGEST_ROW, Formula, Sheet, Value
from app.kit.files.unreadable import DAMAGED_CSV, EMPTY_FILE, NOT_A_TABLE, TOO_MANY_CELLS, refuse_file

# The start of a formula for Excel, LibreOffice and (full width) East Asian editions.
_RISKY = re.compile(r"['\s]*[=+\-@＝＋－＠]|['\s]*[\t\r\n]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ",;\t"
LONGEST_CELL = 131_072
"""Characters; four times the bound of a cell in a spreadsheet."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


def escape_formula(text: str) -> str:
    """Return a text with an apostrophe in front if Excel would run it as a formula."""
    return "'" + text if _RISKY.match(text) else text


def unescape_formula(text: str) -> str:
    """Return the original of a text that `escape_formula` returned."""
    return text[1:] if text.startswith("'") and _RISKY.match(text, 1) else text


Cell = str | int | float | None


def write_delimited(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return rows as CSV: numbers as digits, text in a form that no spreadsheet runs."""
    return b"".join(stream_delimited(rows))


def stream_delimited(rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Yield rows as CSV, row by row: numbers as digits, text in a form that no spreadsheet runs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    yield codecs.BOM_UTF8
    for row in rows:
        writer.writerow([escape_formula(cell) if isinstance(cell, str) else cell for cell in row])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


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
            rows.append([_read_cell(cell) for cell in record])
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
    """Return the separator that gives most rows the same number of cells, weighted by that number."""
    sample = "".join(text.splitlines(keepends=True)[:200])
    scores = {separator: _score_evenness(sample, separator) for separator in _SEPARATORS}
    return max(scores, key=lambda separator: scores[separator])


def _score_evenness(sample: str, separator: str) -> int:
    widths: Counter[int] = Counter()
    try:
        for record in csv.reader(io.StringIO(sample, newline=""), delimiter=separator):
            widths[len(record)] += 1
    except csv.Error:
        return 0
    return max((width * count for width, count in widths.items() if width > 1), default=0)


def _read_cell(text: str) -> Value:
    if not text.strip():
        return None
    if text.lstrip().startswith("="):
        return Formula(text.strip())
    return unescape_formula(text)
