"""CSV in the dialects that offices produce, and CSV that Excel opens without running anything.

Reading: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows-1252 (Excel's own
"CSV" in Indonesia) and, for the five bytes that it lacks, Latin-1; parted by comma, semicolon or
tab, whichever gives the most even table.

Writing: UTF-8 with a byte order mark, without which Excel garbles names, comma-parted. Excel runs a
text that begins with `=`, `+`, `-`, `@` as a formula, quotes or not, so such a text gets an
apostrophe in front, which `read_delimited` takes off again. A text that itself has an apostrophe
before such a sign gets one more, so that reading gives back exactly what was written.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from app.kit.files.books import LARGEST_COLUMN, LARGEST_ROW, Formula, Sheet, Value
from app.kit.files.unreadable import DAMAGED_CSV, EMPTY_FILE, NOT_A_TABLE, TOO_MANY_CELLS, unreadable

# What Excel, LibreOffice and (full width) East Asian editions take for the start of a formula.
_RISKY = re.compile(r"['\s]*[=+\-@＝＋－＠]|['\s]*[\t\r\n]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ",;\t"
LONGEST_CELL = 131_072
"""Characters; a cell of a spreadsheet holds a quarter of them."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


def escaped(text: str) -> str:
    """A text as it may stand in a CSV that Excel opens."""
    return "'" + text if _RISKY.match(text) else text


def unescaped(text: str) -> str:
    """The inverse of `escaped`."""
    return text[1:] if text.startswith("'") and _RISKY.match(text, 1) else text


Cell = str | int | float | None


def write_delimited(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as CSV; numbers are written as digits, text so that no spreadsheet runs it."""
    return b"".join(delimited(rows))


def delimited(rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The same, row by row as they come."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    yield codecs.BOM_UTF8
    for row in rows:
        writer.writerow([escaped(cell) if isinstance(cell, str) else cell for cell in row])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


def read_delimited(data: bytes, filename: str, most_rows: int = LARGEST_ROW) -> Sheet:
    """The one sheet of a CSV file, named after it; row numbers are those of its records.

    Every cell is text (or a `Formula`, where it begins with `=`). Raises `UnreadableFile`.
    """
    text = _decoded(data, filename)
    skipped = 0
    if found := _SEPARATOR_LINE.match(text):
        separator, skipped = found[1], 1
        text = text[found.end() :]
    else:
        separator = _separator(text)
    rows: list[list[Value]] = [[] for _ in range(skipped)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for record in reader:
            if len(rows) >= most_rows or len(record) > LARGEST_COLUMN:
                raise unreadable(TOO_MANY_CELLS, filename, rows=most_rows, columns=LARGEST_COLUMN)
            # the reader's own bound is one of the process, which others may raise
            if any(len(cell) > LONGEST_CELL for cell in record):
                raise csv.Error
            rows.append([_value(cell) for cell in record])
    except csv.Error:
        raise unreadable(DAMAGED_CSV, filename, len(rows) + 1) from None
    if not any(cell is not None for row in rows for cell in row):
        raise unreadable(EMPTY_FILE, filename)
    return Sheet(PurePath(filename).stem or "CSV", rows)


def _decoded(data: bytes, filename: str) -> str:
    if data.startswith(_UTF16):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise unreadable(NOT_A_TABLE, filename) from None
    # Text has no control characters beyond tab and line ends; pictures and archives have many.
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data):
        raise unreadable(NOT_A_TABLE, filename)
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _separator(text: str) -> str:
    """The separator that gives most rows the same number of cells, the widest first."""
    sample = "".join(text.splitlines(keepends=True)[:200])
    scores = {separator: _evenness(sample, separator) for separator in _SEPARATORS}
    return max(scores, key=lambda separator: scores[separator])


def _evenness(sample: str, separator: str) -> int:
    widths: Counter[int] = Counter()
    try:
        for record in csv.reader(io.StringIO(sample, newline=""), delimiter=separator):
            widths[len(record)] += 1
    except csv.Error:
        return 0
    return max((width * count for width, count in widths.items() if width > 1), default=0)


def _value(text: str) -> Value:
    if not text.strip():
        return None
    if text.lstrip().startswith("="):
        return Formula(text.strip())
    return unescaped(text)
