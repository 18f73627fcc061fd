"""What adds up to one in a method. Pure."""

from collections.abc import Sequence

COVERAGE_CHAIN = "coverage:"
"""With a region's code behind it: the journal's chain of its coverage, and of what that is measured by."""

BASE = "base"
"""In the place of a strategy: a service that all strategies rest on."""

WEIGHTS = (
    ("weight_process", "weight_coverage", "weight_targeting", "weight_spending", "weight_outcome"),
    ("share_direct", "share_indirect", "share_supporting"),
)
"""Fields of a method that sum to one."""


def not_one(shares: Sequence[float]) -> float | None:
    """Their sum where it is not 1; None where it is."""
    total = round(sum(shares), 6)
    return None if total == 1 else total
