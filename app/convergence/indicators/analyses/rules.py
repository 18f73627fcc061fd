"""The five standard analyses of TNP2K and the priority quadrant, as functions of series. Pure.

The framework (posisi relatif, perkembangan antarwaktu, efektivitas, relevansi, keterkaitan: TNP2K's guides to
the regions' poverty reports, LP2KD) names the questions; this project chose the figures. A series is year → value of
one survey: compare March only with March. An undefined figure is None with an `Undefined` as its reason, never 0.
Values of a province and of the nation are the published ones, never averages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Generic, Literal, TypeVar

from app.convergence.indicators.models import Direction
from app.convergence.indicators.rules import get_sign

Series = Mapping[int, float]
AnyFigure = TypeVar("AnyFigure")

LEAST_PAIRS = 3
"""Minimum of pairs for a correlation: two points always lie on a line."""


class Undefined(StrEnum):
    """Reason for a figure that is null."""

    no_observation = "no_observation"
    no_reference = "no_reference"
    no_base = "no_base"
    too_few = "too_few"
    no_variation = "no_variation"
    zero_base = "zero_base"
    neutral = "neutral"
    no_target = "no_target"
    target_not_better = "target_not_better"


Trend = Literal["improving", "worsening", "steady"]


@dataclass(frozen=True)
class FigureOrReason(Generic[AnyFigure]):
    """A figure, or the reason why there is none."""

    value: AnyFigure | None
    reason: Undefined | None = None


def is_worse(value: float, reference: float, direction: Direction) -> bool | None:
    """Return whether a value is worse than a reference; equal is not worse. Returns None for a neutral indicator."""
    sign = get_sign(direction)
    return sign * (value - reference) > 0 if sign else None


def compute_rank(value: float, others: Sequence[float], direction: Direction) -> int | None:
    """Return the rank among regions, 1 + the number of strictly better ones; equal values share a rank.

    `others` may contain the value itself. Returns None for a neutral indicator. Analysis 1, relative position.
    """
    if not get_sign(direction):
        return None
    return 1 + sum(bool(is_worse(value, other, direction)) for other in others)


def compute_percent_change(before: float, after: float) -> FigureOrReason[float]:
    """Return `(after − before) / |before| × 100`, undefined if `before` is 0. Analysis 2, change over time."""
    if before == 0:
        return FigureOrReason(None, Undefined.zero_base)
    return FigureOrReason((after - before) / abs(before) * 100)


def compute_speed(series: Series, first: int, last: int) -> FigureOrReason[float]:
    """Return the change per year between two years, in the indicator's unit: `(v_last − v_first) / (last − first)`.

    Analyses 2 and 3. The series needs the first and the last year, but no year between them.
    """
    if first >= last:
        return FigureOrReason(None, Undefined.too_few)
    if first not in series or last not in series:
        return FigureOrReason(None, Undefined.no_observation)
    return FigureOrReason((series[last] - series[first]) / (last - first))


def find_trend(change: float | None, direction: Direction) -> Trend | None:
    """Return the trend of a change. Returns None without a change, or for a neutral indicator."""
    sign = get_sign(direction)
    if change is None or not sign:
        return None
    if change == 0:
        return "steady"
    return "worsening" if sign * change > 0 else "improving"


def is_faster(before: float | None, after: float | None, direction: Direction) -> bool | None:
    """Return whether the value improves faster (or worsens slower) after the base year than before it.

    Returns None without both speeds, or for a neutral indicator. Analysis 3, effectiveness.
    """
    sign = get_sign(direction)
    if before is None or after is None or not sign:
        return None
    return sign * after < sign * before


def compute_changes(series: Series) -> dict[int, float]:
    """Return year → change from the year before, for consecutive years."""
    return {year: series[year] - series[year - 1] for year in sorted(series) if year - 1 in series}


def pair_series(own: Series, other: Series) -> list[tuple[int, float, float]]:
    """Return (year, own value, other value) of the years in both series."""
    return [(year, own[year], other[year]) for year in sorted(own.keys() & other.keys())]


def compute_agreement(pairs: Sequence[tuple[float, float]]) -> FigureOrReason[float]:
    """Return the share of pairs of changes with equal sign, in percent. Analysis 4, relevance.

    No change agrees only with no change.
    """
    if not pairs:
        return FigureOrReason(None, Undefined.too_few)
    same = sum((a > 0) == (b > 0) and (a < 0) == (b < 0) for a, b in pairs)
    return FigureOrReason(same / len(pairs) * 100)


def compute_correlation(pairs: Sequence[tuple[float, float]]) -> FigureOrReason[float]:
    """Return Pearson's r: `Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)`, from -1 to 1. Analyses 4 and 5, linkage.

    It needs three pairs, and two variables that vary.
    """
    if len(pairs) < LEAST_PAIRS:
        return FigureOrReason(None, Undefined.too_few)
    xs, ys = zip(*pairs, strict=True)
    if len(set(xs)) == 1 or len(set(ys)) == 1:
        return FigureOrReason(None, Undefined.no_variation)
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    below = sqrt(sum((x - mean_x) ** 2 for x in xs)) * sqrt(sum((y - mean_y) ** 2 for y in ys))
    if below == 0:  # the squares of tiny differences underflow
        return FigureOrReason(None, Undefined.no_variation)
    above = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    return FigureOrReason(min(max(above / below, -1.0), 1.0))


def find_expected_sign(own: Direction, other: Direction) -> Literal["positive", "negative"] | None:
    """Return the sign of the correlation of two indicators that improve together. Returns None if one is neutral."""
    signs = get_sign(own) * get_sign(other)
    return {1: "positive", -1: "negative"}.get(signs)  # type: ignore[return-value]  # the two that it can be


Quadrant = Literal[1, 2, 3, 4]


def find_quadrant(
    before: float | None, after: float | None, reference: float | None, direction: Direction
) -> FigureOrReason[Quadrant]:
    """Return the priority quadrant of a region (domain, section 8), 1 the most urgent.

    1 worse than the reference and worsening · 2 worse, not worsening · 3 not worse, but worsening · 4 neither.
    A value equal to the reference is not worse; an unchanged value is not worsening.
    """
    if not get_sign(direction):
        return FigureOrReason(None, Undefined.neutral)
    if before is None or after is None:
        return FigureOrReason(None, Undefined.no_observation)
    if reference is None:
        return FigureOrReason(None, Undefined.no_reference)
    worse, worsening = (
        is_worse(after, reference, direction),
        find_trend(after - before, direction) == "worsening",
    )
    if worse:
        return FigureOrReason(1 if worsening else 2)
    return FigureOrReason(3 if worsening else 4)
