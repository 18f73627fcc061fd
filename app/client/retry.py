"""When to try again, and what an answer, or none, means for that.

Full jitter, so that many clients cut at once do not come back at once; `Retry-After` honoured.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from .problems import Refused, Unreachable

CUT = (httpx.TransportError, httpx.DecodingError)
"""What a bad line does to a transfer."""
RETRIED = frozenset({429, 502, 503, 504})
"""Statuses that another attempt may change. Any other stays until the request is another."""


@dataclass(frozen=True)
class Patience:
    """How long a call is tried. Seconds."""

    total: float = 900.0
    """After this the call fails, however often it was tried."""
    first: float = 0.5
    """The first pause is up to this long, each further one up to twice as long …"""
    longest: float = 60.0
    """… until it is up to this long."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[float, float], float] = random.uniform


class Attempts:
    """The attempts of one call."""

    def __init__(self, patience: Patience, address: str) -> None:
        self._patience, self._address = patience, address
        self._end = patience.clock() + patience.total
        self._failed = self._in_a_row = 0

    def went_on(self) -> None:
        """Something arrived: the next pause is a short one again. The time for all of it stays what it was."""
        self._in_a_row = 0

    def check(self) -> None:
        """Unreachable: the time for all of it is up, though something still arrives."""
        if self._patience.clock() > self._end:
            raise self._given_up(f"{self._patience.total:.0f} s")

    def failed(self, why: str, *, retry_after: str | None = None) -> None:
        """Wait before the next attempt. Unreachable: there is no time for one."""
        patience = self._patience
        self._failed += 1
        longest = min(patience.longest, patience.first * 2**self._in_a_row)
        self._in_a_row += 1
        pause = (seconds_of(retry_after) or 0.0) + patience.chance(0.0, longest)
        if patience.clock() + pause > self._end:
            raise self._given_up(why)
        patience.sleep(pause)

    def _given_up(self, why: str) -> Unreachable:
        return Unreachable(address=self._address, attempts=max(1, self._failed), why=why)


def seconds_of(retry_after: str | None) -> float | None:
    """What a `Retry-After` field says, seconds or a date; None: nothing that can be read."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def check(reply: httpx.Response, attempts: Attempts) -> None:
    """Wait where another attempt may help. Refused: it will not."""
    if reply.status_code not in RETRIED:
        raise Refused(reply.status_code, _problem(reply), str(reply.url))
    attempts.failed(f"HTTP {reply.status_code}", retry_after=reply.headers.get("Retry-After"))


def named(cut: Exception) -> str:
    return f"{type(cut).__name__}: {cut}" if str(cut) else type(cut).__name__


def _problem(reply: httpx.Response) -> dict[str, object]:
    """The problem that a reply is; of something else, a word about it."""
    try:
        found = json.loads(reply.content)
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return found
    return {"title": reply.headers.get("Location") or reply.reason_phrase}
