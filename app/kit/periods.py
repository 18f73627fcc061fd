"""Periods and days. Quarters are the stored periods; half-years and years derive from them (domain, section 5)."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Annotated

from pydantic import Field

from app.kit.problems import BadRequest, FieldError, Kind, Problem
from app.kit.wording import Text, declare_words

QUARTER_PATTERN = r"^20[0-9]{2}-Q[1-4]$"
PERIOD_PATTERN = r"^20[0-9]{2}(-(Q[1-4]|S[1-2]))?$"

Quarter = Annotated[
    str, Field(pattern=QUARTER_PATTERN, max_length=7, description="Quarter, such as `2026-Q2`.")
]
PeriodText = Annotated[
    str,
    Field(
        pattern=PERIOD_PATTERN,
        max_length=7,
        description="Quarter `2026-Q2`, half-year `2026-S1` or year `2026`.",
    ),
]

declare_words(
    {
        QUARTER_PATTERN: Text("tahun dan triwulan, misalnya 2026-Q2", "year and quarter, such as 2026-Q2"),
        PERIOD_PATTERN: Text(
            "triwulan, semester atau tahun, misalnya 2026-Q2, 2026-S1 atau 2026",
            "a quarter, a half-year or a year, such as 2026-Q2, 2026-S1 or 2026",
        ),
    },
    form="format",
)

_PERIOD = re.compile(PERIOD_PATTERN)
_LAST_QUARTER = {"": 4, "S1": 2, "S2": 4, "Q1": 1, "Q2": 2, "Q3": 3, "Q4": 4}


def is_quarter(text: str) -> bool:
    """Return whether a text is a quarter, such as `2026-Q2`."""
    return re.fullmatch(QUARTER_PATTERN, text) is not None


#: Hours east of UTC. Indonesia has no summer time; Keppres 41/1987 set these offsets.
UTC_OFFSETS = {"WIB": 7, "WITA": 8, "WIT": 9}


def get_zone(name: str) -> timezone:
    return timezone(timedelta(hours=UTC_OFFSETS[name]), name)


def get_local_date(at: datetime, zone: str) -> date:
    """Return the date in a zone of Indonesia, by which the deadlines of that zone go."""
    return at.astimezone(get_zone(zone)).date()


def get_end_of_day(day: date, zone: str) -> datetime:
    """Return the last second of a day in a zone, with its offset."""
    return datetime.combine(day, time(23, 59, 59), get_zone(zone))


def format_minute(at: datetime, zone: str) -> str:
    """Return an instant to the minute in a zone, for a sentence: `2026-07-20 23:59 WITA`."""
    return f"{at.astimezone(get_zone(zone)):%Y-%m-%d %H:%M %Z}"


malformed_period = Kind(
    "malformed_period",
    id="“{value}” bukan periode; tulis seperti {allowed:or}",
    en="“{value}” is not a period; write one such as {allowed:or}",
)


@dataclass(frozen=True)
class Period:
    """A quarter, a half-year or a year of one plan year."""

    year: int
    part: str  # "", "S1", "S2", "Q1" … "Q4"

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Parse `2026`, `2026-S1` or `2026-Q2`. Raises ValueError for any other text."""
        if not _PERIOD.match(text):
            raise ValueError(text)
        year, _, part = text.partition("-")
        return cls(int(year), part)

    def __str__(self) -> str:
        return f"{self.year}-{self.part}" if self.part else str(self.year)

    @property
    def last_quarter(self) -> str:
        """The last quarter of this period; figures are cumulative within the year."""
        return f"{self.year}-Q{_LAST_QUARTER[self.part]}"

    @property
    def quarters(self) -> list[str]:
        last = _LAST_QUARTER[self.part]
        number = {"": 4, "S": 2, "Q": 1}[self.part[:1]]
        return [f"{self.year}-Q{n}" for n in range(last - number + 1, last + 1)]

    @property
    def last_day(self) -> date:
        month = _LAST_QUARTER[self.part] * 3
        return date(self.year, month, 31 if month in (3, 12) else 30)


_MONTHS = Text(
    "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "January February March April May June July August September October November December",
)
_PARTS = {
    "": Text("Tahun", "Year"),
    **{f"S{n}": Text(f"Semester {numeral}", f"Half-year {n}") for n, numeral in enumerate(("I", "II"), 1)},
    **{
        f"Q{n}": Text(f"Triwulan {numeral}", f"Quarter {n}")
        for n, numeral in enumerate(("I", "II", "III", "IV"), 1)
    },
}


def describe_period(period: Period) -> Text:
    """Return a period in words: `Triwulan II 2026`, `Semester I 2026`, `Tahun 2026`."""
    return Text(*(f"{part} {period.year}" for part in _PARTS[period.part]))


def describe_day(day: date) -> Text:
    """Return a day in words: `30 November 2026`."""
    return Text(*(f"{day.day} {months.split()[day.month - 1]} {day.year}" for months in _MONTHS))


class UnknownPeriod(Problem):
    status = 404
    code = "unknown_period"
    title = Text("Periode tidak dikenal", "Unknown period")
    detail = Text(
        "“{period}” bukan triwulan dari tahun rencana {year}. Pilih {year}-Q1 sampai {year}-Q4.",
        "“{period}” is not a quarter of the plan year {year}. Choose {year}-Q1 to {year}-Q4.",
    )


def parse_period(text: str) -> Period:
    """Return the period of a query. Raises BadRequest, with the valid forms, if the text is none."""
    try:
        return Period.parse(text)
    except ValueError:
        allowed = ["2026-Q2", "2026-S1", "2026"]
        error = FieldError(malformed_period, parameter="period", value=text, allowed=allowed)
        raise BadRequest(errors=[error]) from None
