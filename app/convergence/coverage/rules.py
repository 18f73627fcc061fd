"""The formulas of coverage (domain, section 7), on whole counts. Pure.

E counts the eligible, C the served among them, H a village's target families, F the target families that have
every service they are eligible for. A percentage without a denominator is None: never 0, never 100.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.convergence.editions.methods.models import MethodFields
from app.convergence.editions.methods.rules import BASE

QUARTERS_BACK = 4
"""Quarters for which a report makes its village expected; an older report is stale."""


VILLAGE_LENGTH = 13
"""Characters of a village's code."""


class VillageStatus(StrEnum):
    """Convergence of the services in a village, by the thresholds of the method."""

    converged = "converged"
    partial = "partial"
    not_yet = "not_yet"


class CoverageCount(NamedTuple):
    """E and C of one service, or of several pooled."""

    eligible: int
    served: int


def compute_percent(part: int, whole: int) -> float | None:
    """Return part / whole × 100, two decimals, halves up. Returns None if `whole` is 0.

    Integer arithmetic up to the last step, so that both databases give equal digits (`queries.build_percent`).
    """
    return ((20_000 * part + whole) // (2 * whole)) / 100 if whole else None


def pool_counts(counts: Iterable[CoverageCount]) -> CoverageCount:
    """Return ΣE and ΣC of services, villages or regions (K). Pool counts; never average percentages.

    The pooled percentage lies between the lowest and the highest, in any order.
    """
    eligible = served = 0
    for count in counts:
        eligible += count.eligible
        served += count.served
    return CoverageCount(eligible, served)


def pool_by_strategy(
    counts: Mapping[str, CoverageCount], strategy_of: Mapping[str, str]
) -> dict[str, CoverageCount]:
    """Pool E and C of services by strategy (KD_vs = ΣC / ΣE over its services).

    Strategies keep the order of the package; a strategy without a report has E = 0.
    """
    return {
        strategy: pool_counts(
            counts[code] for code, own in strategy_of.items() if own == strategy and code in counts
        )
        for strategy in dict.fromkeys(strategy_of.values())
    }


@dataclass(frozen=True)
class Balance:
    """B: the strategy of the lowest coverage with its E and C, and the strategies without any E."""

    lowest: CoverageCount | None
    strategy: str | None
    undefined: tuple[str, ...]

    @property
    def percent(self) -> float | None:
        return compute_percent(self.lowest.served, self.lowest.eligible) if self.lowest else None


def find_balance(strategies: Mapping[str, CoverageCount]) -> Balance:
    """Return B_v = min over s of KD_vs: the strategy that the village lacks most.

    Strategies without any E do not count, since no family lacks them; the result lists them. `base` is no strategy
    and does not count. Of equal strategies the first is the lowest.
    """
    real = {name: count for name, count in strategies.items() if name != BASE}
    undefined = tuple(name for name, count in real.items() if not count.eligible)
    defined = [name for name in real if real[name].eligible]
    # Compare fractions in whole numbers: C/E < c/e if C·e < c·E.
    lowest: str | None = None
    for name in defined:
        if (
            lowest is None
            or real[name].served * real[lowest].eligible < real[lowest].served * real[name].eligible
        ):
            lowest = name
    return Balance(real[lowest] if lowest else None, lowest, undefined)


def find_status(total: CoverageCount, lowest: Balance, method: MethodFields) -> VillageStatus | None:
    """Return a village's status: converged if KD ≥ 80 and B ≥ 60, partial if KD ≥ 50, else not yet.

    The method sets the thresholds. Counts decide, not rounded percentages. Returns None if E is 0. Without any E in a
    strategy there is no balance: no village converges on `base` alone.
    """
    if not total.eligible:
        return None
    is_balanced = lowest.lowest is not None and _reaches(lowest.lowest, method.converged_balance)
    if is_balanced and _reaches(total, method.converged_coverage):
        return VillageStatus.converged
    return VillageStatus.partial if _reaches(total, method.partial_coverage) else VillageStatus.not_yet


def _reaches(count: CoverageCount, threshold: float) -> bool:
    return count.served * 10_000 >= count.eligible * round(threshold * 100)


class ReachInput(NamedTuple):
    """Input of reach."""

    reporting: int
    """H of the villages that report."""
    families: int
    """H of all expected villages."""
    foreseen: int
    """Villages that the plan or an earlier report names."""


def compute_reach(expected: ReachInput) -> float | None:
    """Return R = Σ H of the villages that report / Σ H of all expected villages × 100.

    Returns None if neither the plan nor an earlier report names a village, since the villages that report would then be
    their own denominator, and if the expected villages have no families.
    """
    return compute_percent(expected.reporting, expected.families) if expected.foreseen else None


def choose_target(reported: int | None, planned: int | None, earlier: Iterable[int]) -> int | None:
    """Return H of an expected village from its report, else from the plan, else from its latest earlier report.

    `earlier` begins with the quarter before. Returns None if no source gives H: the village counts, but not in R.
    """
    return next((h for h in (reported, planned, *earlier) if h is not None), None)


def add_quarters(period: str, steps: int) -> str:
    """Return the quarter that lies `steps` quarters after `period` (before it if negative)."""
    number = int(period[:4]) * 4 + int(period[-1]) - 1 + steps
    return f"{number // 4}-Q{number % 4 + 1}"


def find_regency(code: str) -> str:
    """Return the regency of a village or a district; a province and the nation unchanged."""
    return ".".join(code.split(".")[:2])


def find_district(village: str) -> str:
    """Return the code of a village's district."""
    return ".".join(village.split(".")[:3])


def is_regency(code: str) -> bool:
    """Return whether a region code has the depth of a regency or a city."""
    return code.count(".") == 1


def is_village(code: str) -> bool:
    """Return whether a region code has the depth of a village."""
    return code.count(".") == 3
