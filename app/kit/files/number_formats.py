"""Number formats of a workbook: whether one shows a number, a percentage or a moment; and the text of numbers.

Source: ECMA-376 part 1, 18.8.30 (numFmt) and 18.17.4 (dates and times).
"""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class Scale:
    """The words behind a number that make it more than it is: ` juta`."""

    words: str


Shows = Literal["number", "percent", "date", "elapsed"] | Scale
Moment = date | time | timedelta

# Formats that have a number and no code: dates and times, some of them in East Asian editions only.
_DATES = frozenset((*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)))
_ELAPSED = 46
_PERCENTS = frozenset((9, 10))

# A text in quotes, an escaped or width-only character, brackets, or one character that counts.
_PIECE = re.compile(r'"[^"]*"?|[\\_*].?|\[[^\]]*\]?|.', re.DOTALL)
_QUOTED_SCALE = re.compile(r"[\s.,]*(ribu|rb|juta|jt|mil[iy]ar|tril[iy]un|0{3})\b.*", re.IGNORECASE)
_ELAPSED_UNIT = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_DATE_SIGNS = frozenset("dmyhsDMYHS")

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})?"
    r"(?P<time>(?(date)T)[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?Z?"
)

_DAY = 86_400_000
_EPOCH_1900 = date(1899, 12, 30)
_EPOCH_1904 = date(1904, 1, 1)


def classify_builtin(number: int) -> Shows:
    """Return the kind of value that a built-in format shows."""
    if number == _ELAPSED:
        return "elapsed"
    if number in _PERCENTS:
        return "percent"
    return "date" if number in _DATES else "number"


def classify_format(code: str) -> Shows:
    """Return the kind of value that a format's code shows: its first section, without quotes, brackets and escapes.

    A format shows a number as more than it is by `0" juta"`, but not by `0,," juta"`.
    """
    shows: Shows = "number"
    before = ""
    for match in _PIECE.finditer(code):
        piece = match[0]
        if piece == ";":
            break
        if before in ("0", "#", "?") and piece[0] == '"' and _QUOTED_SCALE.fullmatch(piece.strip('"')):
            return Scale(piece.strip('"'))
        before = before if piece[0] in " \\_*" else piece
        if _ELAPSED_UNIT.fullmatch(piece):
            return "elapsed"
        if piece in _DATE_SIGNS:
            shows = "date"
        elif piece == "%" and shows == "number":
            shows = "percent"
    return shows


def read_number(text: str) -> int | float | None:
    """Return the number of a cell, int if it is whole. Returns None if the text is no finite xsd:double."""
    if len(text) < 16 and text.isascii() and text.isdigit():
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if math.isinf(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def write_percentage(number: float) -> str:
    """Return the text of a share of one that a cell shows as a percentage: 0.123 → `12.3%`."""
    return f"{(Decimal(f'{number:.15g}') * 100).normalize():f}%"


def read_serial(number: float, shows: Shows, is_1904: bool) -> str | int | float | Moment:
    """Return the value of a serial number under a format. A number outside the calendar stays a number.

    Under a scale it is the text that a person sees, `60 juta`, since its digits alone are too few.

    Excel's days 59 and 60, before 1 March 1900, are both 28 February, since 1900 had no leap day.
    The precision is a millisecond.
    """
    if isinstance(shows, Scale):
        return f"{number}{shows.words}" if number else number
    if shows == "number" or not -1e9 < number < 1e9:
        return number
    milliseconds = round(number * _DAY)
    if shows == "elapsed":
        return timedelta(milliseconds=milliseconds)
    days, of_day = divmod(milliseconds, _DAY)
    minutes, of_minute = divmod(of_day, 60_000)
    clock = time(minutes // 60, minutes % 60, of_minute // 1000, of_minute % 1000 * 1000)
    if days == 0:
        return clock
    if not is_1904 and days < 60:
        days += 1
    epoch = _EPOCH_1904 if is_1904 else _EPOCH_1900
    if not 0 < days <= (date.max - epoch).days:
        return number
    day = epoch + timedelta(days=days)
    return datetime.combine(day, clock) if of_day else day


def read_iso(text: str) -> date | time | None:
    """Return the date, time or both of an ISO 8601 text. Returns None if it has neither."""
    match = _ISO.fullmatch(text)
    if match is None or (match["date"] is None and match["time"] is None):
        return None
    text = text.removesuffix("Z")
    try:
        if match["time"] is None:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text) if match["date"] else time.fromisoformat(text)
    except ValueError:
        return None
