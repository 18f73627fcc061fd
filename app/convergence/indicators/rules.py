"""Periods of observations, what a unit allows, and what was achieved of a target. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal

from app.convergence.indicators.models import OBSERVED_PATTERN, Direction, Frequency, IndicatorFields
from app.kit.problems import Kind

INDICATORS = "indicators"
"""Chain of the journal in which definitions are written."""

NATION = "0"
"""Region of the definitions and observations in the journal: every reader of the feed gets them."""
OBSERVATIONS = "observations"
"""Chain of the journal in which observations are written, all of them: they have one author, the nation's
administrator, and its head is the state of every list of them."""

outside_unit = Kind(
    "outside_unit",
    id="{value} di luar batas satuan {unit}: {allowed}",
    en="{value} is outside what the unit {unit} allows: {allowed}",
)
too_many_decimals = Kind(
    "too_many_decimals",
    id="{value} berangka desimal lebih dari {allowed}, sedangkan {indicator} terbit dengan {allowed}",
    en="{value} has more than {allowed} decimals, with which {indicator} is published",
)

LARGEST = 1e11
"""What a figure can be where its unit sets no bound: SQLite shows 15 digits in full."""

_PERIOD = re.compile(OBSERVED_PATTERN)


def targets_chain(region: str) -> str:
    """Chain of the journal in which the targets of a region are written."""
    return f"targets:{region}"


@dataclass(frozen=True)
class Observed:
    """A period of an observation: a year, or its first or second half (0: the whole year)."""

    year: int
    half: int

    @classmethod
    def parse(cls, text: str) -> "Observed":
        """Read `2021` or `2021-S1`; ValueError for anything else."""
        if not _PERIOD.match(text):
            raise ValueError(text)
        year, _, half = text.partition("-S")
        return cls(int(year), int(half or 0))

    def __str__(self) -> str:
        return f"{self.year}-S{self.half}" if self.half else str(self.year)


def periods_of(indicator: IndicatorFields, year: int | str = "2021") -> list[str]:
    """The periods of a year for which an indicator has observations."""
    return [f"{year}-S1", f"{year}-S2"] if indicator.frequency is Frequency.half_yearly else [str(year)]


def is_period_of(indicator: IndicatorFields, period: str) -> bool:
    """Whether an indicator has observations of a period of this form."""
    return bool(_PERIOD.match(period)) and period in periods_of(indicator, period[:4])


def half_of_month(indicator: IndicatorFields, month: int) -> int | None:
    """Half of the year that a survey of that month stands for; 0: the year; None: there is no such survey."""
    if indicator.frequency is Frequency.half_yearly:
        return indicator.months.index(month) + 1 if month in indicator.months else None
    return 0 if not indicator.months or month in indicator.months else None


def period_meant(indicator: IndicatorFields, period: Observed) -> Observed:
    """The indicator's own period for one that another indicator, or a table, was asked for.

    A year means, of a half-yearly indicator, the half that tables name by the year alone: poverty of 2021
    is that of March, unemployment of 2021 that of August. A half-year means, of a yearly one, its year.
    """
    if indicator.frequency is Frequency.yearly:
        return Observed(period.year, 0)
    if period.half:
        return period
    annual = indicator.annual_month or indicator.months[0]
    return Observed(period.year, indicator.months.index(annual) + 1)


def wrong_value(
    code: str, indicator: IndicatorFields, value: float
) -> tuple[Kind, object, dict[str, object]] | None:
    """(kind, what is allowed, values) of what the definition does not allow; None where all is well."""
    low = -LARGEST if indicator.minimum is None else indicator.minimum
    high = LARGEST if indicator.maximum is None else indicator.maximum
    if not low <= value <= high:
        return outside_unit, f"≥ {low:.15g} ≤ {high:.15g}", {"unit": indicator.unit}
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > indicator.decimals:
        return too_many_decimals, indicator.decimals, {"indicator": code}
    return None


def sign_of(direction: Direction) -> int:
    """1 where more is worse, -1 where more is better, 0 where neither is."""
    return {Direction.lower_is_better: 1, Direction.higher_is_better: -1, Direction.neutral: 0}[direction]


def achievement(baseline: float, target: float, actual: float, direction: Direction) -> float | None:
    """Share of the way from baseline to target that was made, in percent from 0 to 100, not rounded.

    `clamp((baseline − actual) / (baseline − target), 0, 1) × 100` (domain, section 7: the term of the outcome
    `O`). The direction decides whether the target is one: None where it is no better than the baseline
    (equal to it, or on the wrong side), or where the indicator is neutral. Negative figures are
    figures like others. All three in the unit of the indicator.
    """
    sign = sign_of(direction)
    if sign * (baseline - target) <= 0:
        return None
    return min(max((baseline - actual) / (baseline - target), 0.0), 1.0) * 100
