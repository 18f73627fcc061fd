"""Sums and addresses of snapshots. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

LARGEST_EXACT = 2**53 - 1
"""Largest whole number that every JSON parser reads exactly and RFC 8785 can write."""


def compute_sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """Return the `SnapshotSums` of the lines."""
    reports = [row["report"] for row in rows if row["report"] is not None]
    sums = {
        "reported": len(reports),
        "allocated": sum(row["allocation"] for row in rows),
        "spent": sum(report["spent"] for report in reports),
    }
    return {name: value if value <= LARGEST_EXACT else None for name, value in sums.items()}


def format_address(region: str, period: str, amendment: int) -> str:
    """Return the address of a snapshot below /v1/."""
    plain = f"snapshots/{period}/{region}"
    return f"{plain}/amendments/{amendment}" if amendment else plain
