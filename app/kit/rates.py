"""Budgets of requests per token, so that one caller's loop is not everybody's outage.

Reads and writes have a budget each, per token and per worker process, in windows of a minute that begin with a
caller's first request: budgets of different callers never begin anew in the same instant. Who sends no token
shares the budget of the address. Each reply says what is left, in the fields of
draft-ietf-httpapi-ratelimit-headers, so a polite caller never meets a 429.
"""

import time
from collections.abc import Callable
from hashlib import blake2b
from math import ceil
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.problems import RateLimited
from app.kit.requests import WRITES, problem_response

WINDOW_SECONDS = 60


class Standing(NamedTuple):
    """Where a caller stands after a request: whether it was within the budget, what is left, for how long."""

    is_within: bool
    left: int
    seconds: int


class Budget:
    """So many requests a window for each caller. One event loop uses it; what has run out is forgotten."""

    def __init__(self, name: str, quota: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.quota, self.clock = name, quota, clock
        self.policy = f'"{name}";q={quota};w={WINDOW_SECONDS}'.encode()
        self._windows: dict[bytes, tuple[float, int]] = {}
        self._sweep_at = clock() + WINDOW_SECONDS

    def spend(self, caller: bytes) -> Standing:
        now = self.clock()
        if now >= self._sweep_at:
            self._windows = {one: window for one, window in list(self._windows.items()) if window[0] > now}
            self._sweep_at = now + WINDOW_SECONDS
        ends, used = self._windows.get(caller, (0.0, 0))
        if ends <= now:
            ends, used = now + WINDOW_SECONDS, 0
        is_within = used < self.quota
        used += is_within
        self._windows[caller] = ends, used
        return Standing(is_within, self.quota - used, max(1, ceil(ends - now)))

    def __len__(self) -> int:
        return len(self._windows)


class RateLimits:
    """Refuses what goes beyond a caller's budget with 429, and tells every caller of `/v1` where it stands."""

    def __init__(self, app: ASGIApp, *, reads: int, writes: int) -> None:
        self.app = app
        self.reads = Budget("reads", reads) if reads else None
        self.writes = Budget("writes", writes) if writes else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        budget = self.writes if scope["method"] in WRITES else self.reads
        if budget is None:
            await self.app(scope, receive, send)
            return
        standing = budget.spend(caller_of(scope))
        fields = [
            (b"ratelimit-policy", budget.policy),
            (b"ratelimit", f'"{budget.name}";r={standing.left};t={standing.seconds}'.encode()),
        ]

        async def send_standing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        if standing.is_within:
            await self.app(scope, receive, send_standing)
            return
        refusal = RateLimited(
            headers={"Retry-After": str(standing.seconds)},
            quota=budget.quota,
            budget=budget.name,
            seconds=standing.seconds,
        )
        await problem_response(Request(scope), refusal)(scope, receive, send_standing)


def caller_of(scope: Scope) -> bytes:
    """Who asks, before anything is looked up: the token, as a hash that can be kept; without one the address."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return blake2b(value, digest_size=16).digest()
    client = scope.get("client")
    return client[0].encode() if client else b""
