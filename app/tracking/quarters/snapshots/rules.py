"""Sums and addresses of snapshots. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.plans.actions.rules import QuartersContent, is_expected

LARGEST_EXACT = 2**53 - 1
"""Largest whole number that every JSON parser reads exactly and RFC 8785 can write."""


def compute_sums(rows: Sequence[Mapping[str, Any]], period: str) -> dict[str, int | None]:
    """Return the `SnapshotSums` of the lines of a quarter."""
    due = [QuartersContent(starts_in=row["starts_in"], ends_after=row["ends_after"]) for row in rows]
    counted = [row["report"] or row["carried"] for row in rows]
    sums = {
        "reported": sum(
            row["report"] is not None and is_expected(quarters, period)
            for row, quarters in zip(rows, due, strict=True)
        ),
        "allocated": sum(row["allocation"] for row in rows),
        "spent": sum(report["spent"] for report in counted if report is not None),
    }
    return {name: value if value <= LARGEST_EXACT else None for name, value in sums.items()}


def format_address(region: str, period: str, amendment: int) -> str:
    """Return the address of a snapshot below /v1/."""
    plain = f"snapshots/{period}/{region}"
    return f"{plain}/amendments/{amendment}" if amendment else plain
