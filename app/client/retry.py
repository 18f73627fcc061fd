"""Retries: their delays, and the replies and errors that allow one.

Full jitter, so that many clients that lose their connections together do not return together; plus `Retry-After`.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from .problems import Refused, Sentence, Unreachable

TRANSFER_ERRORS = (httpx.TransportError, httpx.DecodingError)
"""Errors of an interrupted transfer."""
RETRY_STATUSES = frozenset({429, 502, 503, 504})
"""Statuses that a retry may change."""


@dataclass(frozen=True)
class Patience:
    """Time limits of a call and its pauses, in seconds."""

    total: float = 900.0
    """Time after which the call fails."""
    first: float = 0.5
    """Limit of the first pause; each failure doubles it …"""
    longest: float = 60.0
    """… up to this limit."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[float, float], float] = random.uniform


class Attempts:
    """The attempts of one call."""

    def __init__(self, patience: Patience, address: str) -> None:
        self._patience, self._address = patience, address
        self._end = patience.clock() + patience.total
        self._failed = self._in_a_row = 0

    def reset_pause(self) -> None:
        """Reset the pause, since bytes have arrived. The time limit of the call stays."""
        self._in_a_row = 0

    def check(self) -> None:
        """Raise Unreachable if the time limit of the call is over, even while bytes arrive."""
        if self._patience.clock() > self._end:
            raise self._make_unreachable(f"{self._patience.total:.0f} s")

    def wait_or_raise(self, why: str | Sentence, *, retry_after: str | None = None) -> None:
        """Count a failure and sleep before the next attempt. Raises Unreachable if no time is left for one."""
        patience = self._patience
        self._failed += 1
        longest = min(patience.longest, patience.first * 2**self._in_a_row)
        self._in_a_row += 1
        pause = (parse_retry_after(retry_after) or 0.0) + patience.chance(0.0, longest)
        if patience.clock() + pause > self._end:
            raise self._make_unreachable(why)
        patience.sleep(pause)

    def _make_unreachable(self, why: str | Sentence) -> Unreachable:
        return Unreachable(address=self._address, attempts=max(1, self._failed), why=why)


def parse_retry_after(retry_after: str | None) -> float | None:
    """Parse a `Retry-After` field, seconds or a date, into seconds. Returns None if it is missing or malformed."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def wait_for_retry(reply: httpx.Response, attempts: Attempts) -> None:
    """Sleep before a retry of this reply. Raises Refused if no retry can change it."""
    if reply.status_code not in RETRY_STATUSES:
        raise Refused(reply.status_code, _read_problem(reply), str(reply.url))
    attempts.wait_or_raise(f"HTTP {reply.status_code}", retry_after=reply.headers.get("Retry-After"))


def describe_error(cut: Exception) -> str:
    """Return class and message of an error, for a failed attempt."""
    return f"{type(cut).__name__}: {cut}" if str(cut) else type(cut).__name__


def _read_problem(reply: httpx.Response) -> dict[str, object]:
    """Return the problem of a reply; for any other body, one with the redirect's target or the reason as title."""
    try:
        content = json.loads(reply.content)
    except ValueError:
        content = None
    if isinstance(content, dict) and "code" in content:
        return content
    return {"title": reply.headers.get("Location") or reply.reason_phrase}
