"""Constants and sums of methods. Pure."""

from collections.abc import Sequence

COVERAGE_CHAIN = "coverage:"
"""Prefix of the journal chain of a region's coverage and its choice of editions."""

BASE = "base"
"""Value instead of a strategy for a service that all strategies rest on."""

WEIGHTS = {
    "component weights": (
        "weight_process",
        "weight_coverage",
        "weight_targeting",
        "weight_spending",
        "weight_outcome",
    ),
    "class shares": ("share_direct", "share_indirect", "share_supporting"),
}
"""Groups of a method's fields; each group sums to 1."""


def find_wrong_sum(shares: Sequence[float]) -> float | None:
    """Return the sum of shares, rounded to six decimals. Returns None if it is 1."""
    total = round(sum(shares), 6)
    return None if total == 1 else total
