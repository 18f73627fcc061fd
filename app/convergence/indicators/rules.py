"""Periods of observations, limits of units, and achievement of targets. Pure."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Unpack

from app.convergence.indicators.models import OBSERVED_PATTERN, Direction, Frequency, IndicatorFields
from app.kit.problems import ErrorPlace, FieldError, Kind
from app.kit.tables.numbers import format_thousands
from app.kit.wording import Text, declare_words

INDICATORS_CHAIN = "indicators"
"""Journal chain of definitions."""

NATION = "0"
"""Region of definitions and observations in the journal, so that every reader of the feed gets them."""
OBSERVATIONS_CHAIN = "observations"
"""Journal chain of all observations: only the nation's administrators write them, and the chain's head is the state of
every list of them."""

outside_unit = Kind(
    "outside_unit",
    id="“{value}” di luar batas indikator ini ({allowed})",
    en="“{value}” is outside the limits of this indicator ({allowed})",
)
too_many_decimals = Kind(
    "too_many_decimals",
    id="“{value}” memiliki terlalu banyak angka desimal; indikator ini terbit dengan paling banyak {allowed}",
    en="“{value}” has too many decimals; this indicator has at most {allowed}",
)

wrong_period = Kind(
    "wrong_observed_period",
    id="“{value}” bukan periode indikator ini; tulis misalnya {allowed}",
    en="“{value}” is not a period of this indicator; write one such as {allowed}",
)
period_not_over = Kind(
    "period_not_over",
    id="Periode “{value}” belum berakhir. Data dapat dicatat setelah {allowed}.",
    en="The period “{value}” is not over. It can have an observation after {allowed}.",
)
more_than_population = Kind(
    "more_than_population",
    id="“{value}” melebihi penduduk wilayah ini, yaitu {persons} jiwa. Satuan indikator ini {unit:unit}; mungkin "
    "angka yang benar {nearest}.",
    en="“{value}” exceeds the population of this region, {persons}. The unit of this indicator is "
    "{unit:unit}; the right number may be {nearest}.",
)

declare_words(
    {
        "percent": Text("persen", "percent"),
        "persons": Text("jiwa", "persons"),
        "thousand_persons": Text("ribu jiwa", "thousand persons"),
        "rupiah_per_capita_per_month": Text("rupiah per kapita per bulan", "rupiah per capita a month"),
        "thousand_rupiah_per_capita_per_year": Text(
            "ribu rupiah per kapita per tahun", "thousand rupiah per capita a year"
        ),
        "index": Text("indeks", "an index"),
        "years": Text("tahun", "years"),
        "": Text("satuan lain", "another unit"),
    },
    form="unit",
)

PERSONS = {"persons": 1, "thousand_persons": 1_000}
"""Unit of an indicator that counts persons → persons in one of it."""
LARGEST = 1e11
"""Bound of a figure without limits of its own: SQLite shows 15 digits in full."""

_PERIOD = re.compile(OBSERVED_PATTERN)


def format_targets_chain(region: str) -> str:
    """Return the journal chain of a region's targets."""
    return f"targets:{region}"


@dataclass(frozen=True)
class SurveyPeriod:
    """A period of an observation: a year, or its first or second half (0: the whole year)."""

    year: int
    half: int

    @classmethod
    def parse(cls, text: str) -> "SurveyPeriod":
        """Parse `2021` or `2021-S1`. Raises ValueError for any other text."""
        if not _PERIOD.match(text):
            raise ValueError(text)
        year, _, half = text.partition("-S")
        return cls(int(year), int(half or 0))

    def __str__(self) -> str:
        return f"{self.year}-S{self.half}" if self.half else str(self.year)


def list_periods(indicator: IndicatorFields, year: int | str = "2021") -> list[str]:
    """Return the periods of a year for which an indicator has observations."""
    return [f"{year}-S1", f"{year}-S2"] if indicator.frequency is Frequency.half_yearly else [str(year)]


def is_period_of(indicator: IndicatorFields, period: str) -> bool:
    """Return whether a period has the form of the indicator's frequency."""
    return bool(_PERIOD.match(period)) and period in list_periods(indicator, period[:4])


def find_half(indicator: IndicatorFields, month: int) -> int | None:
    """Return the half of the year of a survey in that month, 0 for a year. Returns None if there is no such survey."""
    if indicator.frequency is Frequency.half_yearly:
        return indicator.months.index(month) + 1 if month in indicator.months else None
    return 0 if not indicator.months or month in indicator.months else None


def resolve_period(indicator: IndicatorFields, period: SurveyPeriod) -> SurveyPeriod:
    """Return the indicator's own period for a period from a query, a table or another indicator.

    For a half-yearly indicator a year is the half that tables name by the year alone: poverty of 2021 is that of
    March, unemployment of 2021 that of August. For a yearly indicator a half-year is its year.
    """
    if indicator.frequency is Frequency.yearly:
        return SurveyPeriod(period.year, 0)
    if period.half:
        return period
    annual = indicator.annual_month or indicator.months[0]
    return SurveyPeriod(period.year, indicator.months.index(annual) + 1)


def find_last_day(indicator: IndicatorFields, period: SurveyPeriod) -> date:
    """Return the last day of a period: of the month of its survey, else of the year."""
    months = indicator.months or [12]
    month = months[period.half - 1] if period.half else months[0]
    return date(period.year, month, monthrange(period.year, month)[1])


def find_population_error(
    indicator: IndicatorFields, value: float, population: int | None, **place: Unpack[ErrorPlace]
) -> FieldError | None:
    """Return the error of a number of persons above the population. Returns None if there is none to report."""
    times = PERSONS.get(indicator.unit)
    if times is None or population is None or value * times <= population:
        return None
    share = Decimal(repr(value)) / 1_000
    nearest = [f"{share.normalize():f}"] if share * times <= population else []
    limit = f"≤ {population / times:.15g}"
    values = {"unit": indicator.unit, "persons": format_thousands(population)}
    return FieldError(
        more_than_population, value=value, allowed=limit, nearest=nearest, values=values, **place
    )


def find_value_error(indicator: IndicatorFields, value: float) -> tuple[Kind, object] | None:
    """Return (kind, allowed) of the error in a value. Returns None if the definition allows the value."""
    low = -LARGEST if indicator.minimum is None else indicator.minimum
    high = LARGEST if indicator.maximum is None else indicator.maximum
    if not low <= value <= high:
        return outside_unit, f"≥ {low:.15g} ≤ {high:.15g}"
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > indicator.decimals:
        return too_many_decimals, indicator.decimals
    return None


def get_sign(direction: Direction) -> int:
    """Return 1 if more is worse, -1 if more is better, 0 if the indicator is neutral."""
    return {Direction.lower_is_better: 1, Direction.higher_is_better: -1, Direction.neutral: 0}[direction]


def compute_achievement(baseline: float, target: float, actual: float, direction: Direction) -> float | None:
    """Return the achieved share of the way from baseline to target, in percent from 0 to 100, not rounded.

    `clamp((baseline − actual) / (baseline − target), 0, 1) × 100` (domain, section 7: the term of the outcome `O`).
    All three figures are in the indicator's unit and may be negative. Returns None if the target is no better than
    the baseline in this direction, or if the indicator is neutral.
    """
    sign = get_sign(direction)
    if sign * (baseline - target) <= 0:
        return None
    return min(max((baseline - actual) / (baseline - target), 0.0), 1.0) * 100
