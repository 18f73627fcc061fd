"""Parser of one cell of a publisher's table: a number with its flags, or a symbol. Pure.

The parser never guesses a decimal mark: `1.250` is 1250 or 1.25 until another cell of its column shows the mark. It
refuses a number that a spreadsheet has turned into a time or a date, and suggests the original number if it can:
with Indonesian settings a spreadsheet turns `13.59` into 13:59 o'clock.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from app.convergence.indicators.models import Flag, Symbol
from app.kit.files.books import Value
from app.kit.files.cells import clean_text, find_refusal
from app.kit.problems import Kind

became_time = Kind(
    "became_time",
    id="lembar kerja mengubah angka menjadi waktu atau tanggal “{value}”; angka semula mungkin {nearest}. Salin lagi "
    "dari tabel penerbit ke kolom berformat teks",
    en="the spreadsheet turned a number into the time or date “{value}”; it probably was {nearest}. Copy it again "
    "from the publisher's table into a column formatted as text",
)
not_a_figure = Kind(
    "not_a_figure",
    id="“{value}” bukan angka atau simbol; simbol yang berlaku: “...”, “-”, “NA”",
    en="“{value}” is neither a number nor a symbol; the symbols are “...”, “-” and “NA”",
)
unclear_mark = Kind(
    "unclear_decimal_mark",
    id="“{value}” dapat berarti salah satu dari {nearest}; kolom ini tidak menunjukkan tanda desimalnya",
    en="“{value}” can mean one of {nearest}; this column does not show its decimal mark",
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
_MONTH_NAMES = (
    "januari january jan;februari pebruari february feb;maret march mar;april apr;mei may;juni june jun;"
    "juli july jul;agustus august agu agt aug;september sept sep;oktober october okt oct;"
    "november nopember nov nop;desember december des dec"
)
MONTH_WORDS = {word: n for n, words in enumerate(_MONTH_NAMES.split(";"), 1) for word in words.split()}
"""Names of months in Indonesian and English, with their abbreviations → number."""
_MONTHS = {word[:3]: n for word, n in MONTH_WORDS.items()}
_DATE = re.compile(
    r"\d{1,4}([-/. ])\d{1,2}\1\d{2,4}|(?:\d{1,2}[-/ ])?(?:" + "|".join(_MONTHS) + r")[a-z]*(?:[-/ ]\d{2,4})?",
    re.IGNORECASE,
)

_DAY = re.compile(r"(\d{1,2})[-/ ]([a-z]{3})[a-z]*")
_MONTH = re.compile(r"([a-z]{3})[a-z]*[-/ ](\d{2,4})")


@dataclass(frozen=True)
class CellFigure:
    """Content of a cell: a number or a symbol, with flags."""

    value: float | None
    symbol: Symbol | None = None
    flags: tuple[Flag, ...] = ()


class UnreadableCell(Exception):
    """A cell that is neither a number nor a symbol; `candidates` are the numbers that it may stand for."""

    def __init__(self, kind: Kind, candidates: Iterable[str] = ()) -> None:
        super().__init__(kind.code)
        self.kind, self.candidates = kind, list(candidates)


def drop_percent_sign(value: Value) -> Value:
    """Return a text without the percent sign at its end: `12,3 %` → `12,3`; any other value unchanged."""
    return clean_text(value).removesuffix("%").rstrip() if isinstance(value, str) else value


def read_figure(value: Value, mark: str | None) -> CellFigure | None:
    """Return the figure in a cell. Returns None if it is blank.

    Raises UnreadableCell for a formula, an error, a time or any other text. `mark` is the decimal mark of the column,
    None if its cells do not show one.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise UnreadableCell(not_a_figure)
    if isinstance(value, (int, float)):
        # A spreadsheet shows 15 digits of what it calculates: 8.700000000000001 is 8.7 for its user.
        return CellFigure(float(f"{value:.15g}"))
    if isinstance(value, (date, time, timedelta)):
        raise UnreadableCell(became_time, guess_numbers(value))
    if kind := find_refusal(value):
        raise UnreadableCell(kind)
    text, flags = _split_flags(clean_text(str(value)))
    if not text:
        return None
    if (symbol := SYMBOLS.get(text.lower())) is not None:
        return CellFigure(None, symbol, flags)
    return CellFigure(float(_parse_number(text, mark)), None, flags)


def _split_flags(text: str) -> tuple[str, tuple[Flag, ...]]:
    flags: list[Flag] = []
    while match := _FLAG.search(text):
        flags.insert(0, Flag(match[1]))
        text = text[: match.start()].rstrip()
    return text, tuple(dict.fromkeys(flags))


def _parse_number(text: str, mark: str | None) -> Decimal:
    readings = parse_readings(text)
    if not readings:
        is_time = _TIME.fullmatch(text) or _DATE.fullmatch(text)
        raise UnreadableCell(became_time, guess_numbers(text)) if is_time else UnreadableCell(not_a_figure)
    if len(readings) > 1 and mark is not None:
        readings = {own: number for own, number in readings.items() if own == mark}
    if len(readings) > 1:
        raise UnreadableCell(unclear_mark, sorted({f"{number:f}" for number in readings.values()}, key=len))
    return next(iter(readings.values()))


def parse_readings(text: str) -> dict[str, Decimal]:
    """Return decimal mark → number of a text: two entries if the mark is unclear, none if the text is no number.

    A number without a decimal mark has the key "".
    """
    if _SPACED.fullmatch(text):
        text = re.sub(r"[  ]", "", text)
    if not _NUMBER.fullmatch(text) or len(text) > 30:
        return {}
    sign, digits = (-1, text[1:]) if text[0] in "-−" else (1, text)
    if not re.search(r"[.,]", digits):
        return {"": sign * Decimal(digits)}
    readings = {}
    for mark, other in ((".", ","), (",", ".")):
        whole, _, fraction = digits.partition(mark)
        if not re.fullmatch(r"\d*", fraction) or (mark in digits and not fraction):
            continue
        if other in whole:
            if not re.fullmatch(r"[1-9]\d{0,2}(\%s\d{3})+" % other, whole):  # noqa: UP031
                continue
            whole = whole.replace(other, "")
        readings[mark] = sign * Decimal(f"{whole}.{fraction or 0}")
    return readings


def find_decimal_mark(values: Iterable[Value]) -> str | None:
    """Return the decimal mark that the texts of a column show. Returns None if they show none, or both."""
    shown: set[str] = set()
    for value in values:
        if isinstance(value, str):
            readings = parse_readings(_split_flags(clean_text(value))[0])
            if len(readings) == 1:
                shown |= readings.keys()
    shown.discard("")
    return shown.pop() if len(shown) == 1 else None


def guess_numbers(value: str | date | time | timedelta) -> list[str]:
    """Return the numbers that a spreadsheet may have turned into this time or date, the likeliest first.

    `13:59:00` was 13.59 (hour and minute); 18 January 1900, 23:31:12 is the number 18.98 in a time format; 13 May
    was 13.5 or 13.05; January 1998 was 1.98.
    """
    numbers: list[str] = []
    if isinstance(value, str):
        if (match := _TIME.fullmatch(value)) and int(match[3] or 0) == 0:
            numbers = _undo_clock(int(match[1]), int(match[2]))
        elif (match := _DAY.fullmatch(value.lower())) and match[2] in _MONTHS:
            numbers = [f"{int(match[1])}.{_MONTHS[match[2]]}", f"{int(match[1])}.{_MONTHS[match[2]]:02}"]
        elif (match := _MONTH.fullmatch(value.lower())) and match[1] in _MONTHS:
            numbers = [f"{_MONTHS[match[1]]}.{match[2][-2:]}"]
        return numbers
    if isinstance(value, time):
        return _undo_clock(value.hour, value.minute) if value.second == value.microsecond == 0 else []
    if isinstance(value, timedelta) or (isinstance(value, datetime) and value.year <= 1900):
        serial = _compute_serial(value)
        if abs(serial * 100 - round(serial * 100)) < 1e-3 and round(serial, 2) != int(serial):
            numbers.append(f"{serial:.2f}")
        minutes = value.total_seconds() / 60 if isinstance(value, timedelta) else serial * 1440
        if abs(minutes - round(minutes)) < 1e-3:
            numbers += _undo_clock(*divmod(round(minutes), 60))
        return list(dict.fromkeys(numbers))
    if value.day == 1 and value.year >= 1932:
        numbers.append(f"{value.month}.{value.year % 100:02}")
    return [*numbers, f"{value.day}.{value.month}", f"{value.day}.{value.month:02}"]


def _undo_clock(hours: int, minutes: int) -> list[str]:
    """Return the numbers that a spreadsheet turns into that time: 13:04 was 13.4 or 13.04."""
    short = [f"{hours}.{minutes}"] if 0 < minutes < 10 else []
    return [*short, f"{hours}.{minutes:02}"]


def _compute_serial(value: datetime | timedelta) -> float:
    """Return the serial number that a spreadsheet shows as this date; its calendar has a 29 February 1900."""
    if isinstance(value, timedelta):
        return value.total_seconds() / 86_400
    days = (value.replace(tzinfo=None) - datetime(1899, 12, 30)).total_seconds() / 86_400  # noqa: DTZ001 - a spreadsheet's calendar has no zone
    return days if days > 60 else days - 1


LEAST_CELLS = 30
"""Minimum of cells for a judgement on a whole column."""


def looks_like_times(values: Iterable[float]) -> bool:
    """Return whether a column of numbers consists of times: no hour above 23, no minute above 59.

    A table that passed through cells with a time format has lost every value that is no clock time. Thirty genuine
    figures of two decimals have only fractions below .60 in one of some millions of columns.
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
    """Return whether a column of percentages holds shares of one: none above 1, and not all zero."""
    numbers = list(values)
    return len(numbers) >= LEAST_CELLS and 0 < max(numbers) <= 1
