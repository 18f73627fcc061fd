"""One cell of a publisher's table: a number with its flags, a symbol, or what a spreadsheet made of it. Pure.

A decimal mark is never guessed: `1.250` is 1250 or 1.25 until another cell of its column says which mark
the column uses. A number that a spreadsheet has turned into a time or a date is refused, and where it can be told
what it was, that is said: in Indonesian settings `13.59` is read as 13:59 o'clock.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from app.convergence.indicators.models import Flag, Symbol
from app.kit.files.books import Value
from app.kit.files.cells import clean, why_unusable
from app.kit.problems import Kind

became_time = Kind(
    "became_time",
    id="lembar kerja telah mengubah angka menjadi waktu atau tanggal ({value}); mungkin semula: {nearest}. Ambil "
    "lagi dari tabel penerbit, format kolom sebagai teks",
    en="the spreadsheet has turned a number into a time or a date ({value}); it probably was: {nearest}. Take it "
    "again from the publisher's table, with the column formatted as text",
)
not_a_figure = Kind(
    "not_a_figure",
    id="{value} bukan angka dan bukan simbol; yang ada: {allowed}",
    en="{value} is neither a number nor a symbol; there are: {allowed}",
)
unclear_mark = Kind(
    "unclear_decimal_mark",
    id="{value} dapat dibaca {nearest}; kolomnya tidak menunjukkan tanda desimal yang mana",
    en="{value} can be read as {nearest}; its column does not show which decimal mark it uses",
)

SYMBOLS = {
    "...": Symbol.not_available,
    "…": Symbol.not_available,
    "..": Symbol.not_available,
    "-": Symbol.none,
    "–": Symbol.none,
    "—": Symbol.none,
    "na": Symbol.not_shown,
    "n.a": Symbol.not_shown,
    "n.a.": Symbol.not_shown,
    "n/a": Symbol.not_shown,
}

_FLAG = re.compile(r"(?<=[\d.…\-–er*)])\s*\(?(\*\*|\*|e|r)\)?$")
_NUMBER = re.compile(r"[-−]?\d[\d.,]*")
_SPACED = re.compile(r"[-−]?\d{1,3}(?:[  ]\d{3})+(?:[.,]\d+)?")
_TIME = re.compile(r"(\d{1,3})[:.](\d{2})(?:[:.](\d{2}))?(?:\s*[AaPp]\.?[Mm]\.?)?")
_NAMED = [
    "jan",
    "feb",
    "mar",
    "apr",
    "mei/may",
    "jun",
    "jul",
    "agu/agt/aug",
    "sep",
    "okt/oct",
    "nov",
    "des/dec",
]
MONTHS = {name: n for n, names in enumerate(_NAMED, 1) for name in names.split("/")}
"""First three letters of a month's name, in Indonesian or English → its number."""
_DATE = re.compile(
    r"\d{1,4}([-/. ])\d{1,2}\1\d{2,4}|(?:\d{1,2}[-/ ])?(?:" + "|".join(MONTHS) + r")[a-z]*(?:[-/ ]\d{2,4})?",
    re.IGNORECASE,
)

_DAY = re.compile(r"(\d{1,2})[-/ ]([a-z]{3})[a-z]*")
_MONTH = re.compile(r"([a-z]{3})[a-z]*[-/ ](\d{2,4})")


@dataclass(frozen=True)
class Figure:
    """What a cell says: a number or a symbol, with flags."""

    value: float | None
    symbol: Symbol | None = None
    flags: tuple[Flag, ...] = ()


class Unread(Exception):
    """A cell that says neither; `candidates` are what it may have been or may mean."""

    def __init__(self, kind: Kind, candidates: Iterable[str] = ()) -> None:
        super().__init__(kind.code)
        self.kind, self.candidates = kind, list(candidates)


def read_figure(value: Value, mark: str | None) -> Figure | None:
    """The figure in a cell; None where it is blank. Unread: a formula, an error, a time, any other text.

    `mark` is the decimal mark of the column where its other cells show it.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise Unread(not_a_figure)
    if isinstance(value, (int, float)):
        return Figure(float(value))
    if isinstance(value, (date, time, timedelta)):
        raise Unread(became_time, probable_numbers(value))
    if kind := why_unusable(value):
        raise Unread(kind)
    text, flags = _without_flags(clean(str(value)))
    if not text:
        return None
    if (symbol := SYMBOLS.get(text.lower())) is not None:
        return Figure(None, symbol, flags)
    return Figure(float(_number(text, mark)), None, flags)


def _without_flags(text: str) -> tuple[str, tuple[Flag, ...]]:
    flags: list[Flag] = []
    while found := _FLAG.search(text):
        flags.insert(0, Flag(found[1]))
        text = text[: found.start()].rstrip()
    return text, tuple(dict.fromkeys(flags))


def _number(text: str, mark: str | None) -> Decimal:
    readings = readings_of(text)
    if not readings:
        is_time = _TIME.fullmatch(text) or _DATE.fullmatch(text)
        raise Unread(became_time, probable_numbers(text)) if is_time else Unread(not_a_figure)
    if len(readings) > 1 and mark is not None:
        readings = {found: number for found, number in readings.items() if found == mark}
    if len(readings) > 1:
        raise Unread(unclear_mark, sorted({f"{number:f}" for number in readings.values()}, key=len))
    return next(iter(readings.values()))


def readings_of(text: str) -> dict[str, Decimal]:
    """Decimal mark → the number that a text is with it; empty where it is none, two where it is unclear.

    A number without any mark is the same with either: it is given under the empty mark.
    """
    if _SPACED.fullmatch(text):
        text = re.sub(r"[  ]", "", text)
    if not _NUMBER.fullmatch(text) or len(text) > 30:
        return {}
    sign, digits = (-1, text[1:]) if text[0] in "-−" else (1, text)
    if not re.search(r"[.,]", digits):
        return {"": sign * Decimal(digits)}
    found = {}
    for mark, other in ((".", ","), (",", ".")):
        whole, _, fraction = digits.partition(mark)
        if not re.fullmatch(r"\d*", fraction) or (mark in digits and not fraction):
            continue
        if other in whole:
            if not re.fullmatch(r"[1-9]\d{0,2}(\%s\d{3})+" % other, whole):  # noqa: UP031
                continue
            whole = whole.replace(other, "")
        found[mark] = sign * Decimal(f"{whole}.{fraction or 0}")
    return found


def decimal_mark(values: Iterable[Value]) -> str | None:
    """The decimal mark that the texts of a column show; None where none does, or both."""
    shown: set[str] = set()
    for value in values:
        if isinstance(value, str):
            readings = readings_of(_without_flags(clean(value))[0])
            if len(readings) == 1:
                shown |= readings.keys()
    shown.discard("")
    return shown.pop() if len(shown) == 1 else None


def probable_numbers(value: str | date | time | timedelta) -> list[str]:
    """The numbers of which a spreadsheet may have made this time or date, the likeliest first; none: it cannot be told.

    `13:59:00` was 13.59 (hour and minute); 18 January 1900, 23:31:12 is the number 18.98 shown as a time; 13 May
    was 13.5 or 13.05; January 1998 was 1.98.
    """
    found: list[str] = []
    if isinstance(value, str):
        if (shown := _TIME.fullmatch(value)) and int(shown[3] or 0) == 0:
            found = _clock(int(shown[1]), int(shown[2]))
        elif (shown := _DAY.fullmatch(value.lower())) and shown[2] in MONTHS:
            found = [f"{int(shown[1])}.{MONTHS[shown[2]]}", f"{int(shown[1])}.{MONTHS[shown[2]]:02}"]
        elif (shown := _MONTH.fullmatch(value.lower())) and shown[1] in MONTHS:
            found = [f"{MONTHS[shown[1]]}.{shown[2][-2:]}"]
        return found
    if isinstance(value, time):
        return _clock(value.hour, value.minute) if value.second == value.microsecond == 0 else []
    if isinstance(value, timedelta) or (isinstance(value, datetime) and value.year <= 1900):
        serial = _serial(value)
        if abs(serial * 100 - round(serial * 100)) < 1e-3 and round(serial, 2) != int(serial):
            found.append(f"{serial:.2f}")
        minutes = value.total_seconds() / 60 if isinstance(value, timedelta) else serial * 1440
        if abs(minutes - round(minutes)) < 1e-3:
            found += _clock(*divmod(round(minutes), 60))
        return list(dict.fromkeys(found))
    if value.day == 1 and value.year >= 1932:
        found.append(f"{value.month}.{value.year % 100:02}")
    return [*found, f"{value.day}.{value.month}", f"{value.day}.{value.month:02}"]


def _clock(hours: int, minutes: int) -> list[str]:
    """The numbers that are read as that time: 13:04 was 13.4 or 13.04."""
    short = [f"{hours}.{minutes}"] if 0 < minutes < 10 else []
    return [*short, f"{hours}.{minutes:02}"]


def _serial(value: datetime | timedelta) -> float:
    """The number behind a cell that a spreadsheet shows as a date; its calendar has a 29 February 1900."""
    if isinstance(value, timedelta):
        return value.total_seconds() / 86_400
    days = (value.replace(tzinfo=None) - datetime(1899, 12, 30)).total_seconds() / 86_400  # noqa: DTZ001 - a spreadsheet's calendar has no zone
    return days if days > 60 else days - 1


LEAST_CELLS = 30
"""From how many cells on a whole column is judged."""


def looks_like_times(values: Iterable[float]) -> bool:
    """Whether a column of numbers is one of times: no hour above 23, no minute above 59.

    A table that went through time-formatted cells has lost every value that is no clock time: of thirty honest
    figures with two decimals, all with a fraction below .60 occur once in some millions of columns.
    """
    numbers = [Decimal(repr(value)) for value in values]
    fractional = [number for number in numbers if number % 1]
    hours = {int(number) for number in fractional}
    return (
        len(fractional) >= LEAST_CELLS
        and len(hours) >= 5
        and all(0 <= hour <= 23 for hour in hours)
        and all(number % 1 < Decimal("0.6") and number == round(number, 2) for number in fractional)
    )


def looks_like_fractions(values: Iterable[float]) -> bool:
    """Whether a column of percentages holds shares of one: none above 1, and not all zero."""
    numbers = list(values)
    return len(numbers) >= LEAST_CELLS and 0 < max(numbers) <= 1
