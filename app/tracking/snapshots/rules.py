"""What a snapshot says of its rows, and its canonical bytes. Pure."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON keeps, and that RFC 8785 can write."""


def sums_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """`SnapshotSums` of the lines."""
    reports = [row["report"] for row in rows if row["report"] is not None]
    sums = {
        "reported": len(reports),
        "allocated": sum(row["allocation"] for row in rows),
        "spent": sum(report["spent"] for report in reports),
    }
    return {name: value if value <= EXACT else None for name, value in sums.items()}


def canonical(content: Mapping[str, Any]) -> bytes:
    """The one way to write a JSON value (RFC 8785): the same on every engine and in every version."""
    return rfc8785.dumps(dict(content))


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def repr_digest(sha256: str) -> str:
    """Value of `Repr-Digest` (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def address_of(region: str, period: str, amendment: int) -> str:
    """Address of a snapshot below /v1/."""
    plain = f"snapshots/{period}/{region}"
    return f"{plain}/amendments/{amendment}" if amendment else plain
