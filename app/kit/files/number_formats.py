"""What a number format shows: a number, a date or time, or a time that elapsed; and numbers as such.

Source: ECMA-376 part 1, 18.8.30 (numFmt) and 18.17.4 (dates and times).
"""

import math
import re
from datetime import date, datetime, time, timedelta
from typing import Literal

Shows = Literal["number", "date", "elapsed"]
Moment = date | time | timedelta

# Formats that have a number and no code: dates and times, some of them in East Asian editions only.
_DATES = frozenset((*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)))
_ELAPSED = 46

# A text in quotes, a sign that is escaped or gives only its width, brackets, or one sign that counts.
_PIECE = re.compile(r'"[^"]*"?|[\\_*].?|\[[^\]]*\]?|.', re.DOTALL)
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
    """Return what a built-in format shows."""
    if number == _ELAPSED:
        return "elapsed"
    return "date" if number in _DATES else "number"


def classify_format(code: str) -> Shows:
    """Return what a format's code shows, judged by its first section outside of quotes, brackets and escapes."""
    shows: Shows = "number"
    for found in _PIECE.finditer(code):
        piece = found[0]
        if piece == ";":
            break
        if _ELAPSED_UNIT.fullmatch(piece):
            return "elapsed"
        if piece in _DATE_SIGNS:
            shows = "date"
    return shows


def read_number(text: str) -> int | float | None:
    """Return the number of a cell, int if it is whole; None if the text is no finite xsd:double."""
    if len(text) < 16 and text.isascii() and text.isdigit():
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if math.isinf(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def read_serial(number: float, shows: Shows, is_1904: bool) -> int | float | Moment:
    """Return what a number is under a format. A number that is no moment of the calendar stays a number.

    The two days before 1 March 1900 that Excel numbers 59 and 60 are both 28 February, since 1900 had
    no leap day. Moments are rounded to milliseconds.
    """
    if shows == "number" or not -1e9 < number < 1e9:
        return number
    milliseconds = round(number * _DAY)
    if shows == "elapsed":
        return timedelta(milliseconds=milliseconds)
    days, rest = divmod(milliseconds, _DAY)
    minutes, below = divmod(rest, 60_000)
    clock = time(minutes // 60, minutes % 60, below // 1000, below % 1000 * 1000)
    if days == 0:
        return clock
    if not is_1904 and days < 60:
        days += 1
    epoch = _EPOCH_1904 if is_1904 else _EPOCH_1900
    if not 0 < days <= (date.max - epoch).days:
        return number
    day = epoch + timedelta(days=days)
    return datetime.combine(day, clock) if rest else day


def read_iso(text: str) -> date | time | None:
    """Return the date, time or both of a cell that holds ISO 8601; None if the text is neither."""
    found = _ISO.fullmatch(text)
    if found is None or (found["date"] is None and found["time"] is None):
        return None
    text = text.removesuffix("Z")
    try:
        if found["time"] is None:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text) if found["date"] else time.fromisoformat(text)
    except ValueError:
        return None
