"""The formulas of coverage (domain, section 7), on whole counts. Pure.

E is who is eligible, C who of them is served, H a village's target families, F those of them that have every
service they are eligible for. What has no denominator is undefined (None): never 0, never 100.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.convergence.editions.methods.models import MethodFields
from app.convergence.editions.methods.rules import BASE

QUARTERS_BACK = 4
"""How many quarters back a village's report still says who is to be expected: data older than that is stale."""


class VillageStatus(StrEnum):
    """How far services meet in a village, by the thresholds of the method."""

    converged = "converged"
    partial = "partial"
    not_yet = "not_yet"


class Count(NamedTuple):
    """E and C: of one service, or pooled."""

    eligible: int
    served: int


def percent(part: int, whole: int) -> float | None:
    """part / whole × 100, two decimals, halves up; None where there is no whole.

    In whole numbers to the last step, so that a database gives the same digits (`figures.percent_of`).
    """
    return ((20_000 * part + whole) // (2 * whole)) / 100 if whole else None


def pooled(counts: Iterable[Count]) -> Count:
    """ΣE and ΣC: how counts of services, villages or regions are put together (K). Percentages are never averaged.

    The result lies between the lowest and the highest of what is pooled, whatever the order.
    """
    eligible = served = 0
    for count in counts:
        eligible += count.eligible
        served += count.served
    return Count(eligible, served)


def by_strategy(counts: Mapping[str, Count], strategy_of: Mapping[str, str]) -> dict[str, Count]:
    """Service → E and C, pooled by strategy (KD_vs = ΣC / ΣE over its services), in the order of the strategies of
    the package; one without a report has E = 0."""
    return {
        strategy: pooled(
            counts[code] for code, of in strategy_of.items() if of == strategy and code in counts
        )
        for strategy in dict.fromkeys(strategy_of.values())
    }


@dataclass(frozen=True)
class Balance:
    """B: the lowest coverage of a strategy, as E and C of that strategy; and the strategies without any E."""

    lowest: Count | None
    strategy: str | None
    undefined: tuple[str, ...]

    @property
    def percent(self) -> float | None:
        return percent(self.lowest.served, self.lowest.eligible) if self.lowest else None


def balance(strategies: Mapping[str, Count]) -> Balance:
    """B_v = min over s of KD_vs: shows the strategy that is missing.

    Over the strategies that have somebody eligible; the others are left out and named, since nobody there lacks
    them. `base` is no strategy and does not take part. Of equal ones the first.
    """
    real = {name: count for name, count in strategies.items() if name != BASE}
    undefined = tuple(name for name, count in real.items() if not count.eligible)
    defined = [name for name in real if real[name].eligible]
    # Compared as fractions of whole numbers: C/E < c/e where C·e < c·E.
    lowest: str | None = None
    for name in defined:
        if (
            lowest is None
            or real[name].served * real[lowest].eligible < real[lowest].served * real[name].eligible
        ):
            lowest = name
    return Balance(real[lowest] if lowest else None, lowest, undefined)


def status_of(total: Count, lowest: Balance, method: MethodFields) -> VillageStatus | None:
    """Converged: KD ≥ 80 and B ≥ 60; partial: KD ≥ 50; not yet: below (the thresholds are the method's).

    Judged on the counts, not on rounded percentages. None where nobody is eligible for anything; where no strategy
    has anybody eligible there is no balance, and no village converges on `base` alone.
    """
    if not total.eligible:
        return None
    is_balanced = lowest.lowest is not None and _reaches(lowest.lowest, method.converged_balance)
    if is_balanced and _reaches(total, method.converged_coverage):
        return VillageStatus.converged
    return VillageStatus.partial if _reaches(total, method.partial_coverage) else VillageStatus.not_yet


def _reaches(count: Count, threshold: float) -> bool:
    return count.served * 10_000 >= count.eligible * round(threshold * 100)


class Expected(NamedTuple):
    """What reach is computed from: H of those that report, H of all that are expected, how many were foreseen."""

    reporting: int
    families: int
    foreseen: int


def reach(expected: Expected) -> float | None:
    """R = Σ H of the villages that report / Σ H of all expected ones × 100.

    None where nothing says who is expected (no priority location, no earlier report), since those that report
    would be measured by themselves, and where they have no families.
    """
    return percent(expected.reporting, expected.families) if expected.foreseen else None


def target_of(reported: int | None, planned: int | None, earlier: Iterable[int]) -> int | None:
    """H of an expected village: as it reports; else as the plan names it; else as it reported latest, `earlier`
    beginning with the quarter before. None: nobody says; the village is left out of R and counted."""
    return next((h for h in (reported, planned, *earlier) if h is not None), None)


# Quarters


def quarters_from(period: str, steps: int) -> str:
    """The quarter so many quarters after (or before) another."""
    number = int(period[:4]) * 4 + int(period[-1]) - 1 + steps
    return f"{number // 4}-Q{number % 4 + 1}"


# Regions


def regency_of(code: str) -> str:
    """The regency that a village or a district lies in; a province and the nation as they are."""
    return ".".join(code.split(".")[:2])


def district_of(village: str) -> str:
    return ".".join(village.split(".")[:3])


def is_village(code: str) -> bool:
    return code.count(".") == 3
