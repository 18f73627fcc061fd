"""A line before the work: so many requests at once, the others in their turn, and no more than can be served.

Each worker has as many places as threads. Who finds none free waits; the next place goes to the next *caller*,
and of one caller to the request that came first, so that a hundred requests of one principal delay another's single
one by one turn. The line is bounded in length and time: beyond, the answer is 503 while the caller still
listens. Who goes leaves it. A full line makes room for a caller with fewer in it than the one that has most.

A place is given back when the reply begins: then the work is done and committed (see `kit.http.routing`), and what
remains is sending, at the pace of the line. What waits for something else than work gives it back earlier
(`give_back_place` of its scope). What is not of `/v1` never waits: health, metrics, documentation.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from math import ceil

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.http.replies import problem_response
from app.kit.problems import Busy
from app.kit.server.middleware import at_start
from app.kit.server.rate_limit import Caller, is_of_api
from app.kit.server.request_body import Incoming

SPARE_THREADS = 8
"""Threads beyond the places: for what needs none, and for pieces of contents that are being sent."""

REASONS = ("full", "late", "gone")
"""Why a request leaves the line without a place: no room, too long a wait, nobody waits for the answer."""

Waiter = asyncio.Future[bool]
"""True: it has a place. False: it made room for another caller."""


class Places:
    """The places of a worker and the line before them. One event loop uses it."""

    def __init__(self, number: int, *, length: int, seconds: float) -> None:
        self.free, self.length, self.seconds = number, length, seconds
        self.waiting = 0
        self.turned_away: Counter[str] = Counter()
        """By why, one of `REASONS`."""
        self._lines: OrderedDict[Caller, deque[Waiter]] = OrderedDict()
        """Caller → its requests in the order in which they came; the callers in the order of their turns."""
        self._waited = 0.0
        """Seconds that who got a place last had waited for it."""

    def take(self) -> bool:
        """A place, where one is free: then nobody waits."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def wait(self, caller: Caller, gone: Callable[[], Awaitable[None]]) -> None:
        """Wait for a place; Busy: there is none for this request, or nobody who wants it any more."""
        loop = asyncio.get_running_loop()
        waiter, began, is_in = loop.create_future(), loop.time(), False
        self._join(caller, waiter)
        leaving = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((waiter, leaving), timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
            has_gone = leaving.done()
            leaving.cancel()
            await asyncio.wait((leaving,))  # two must not receive at the same time
            is_in = waiter.done() and waiter.result() and not has_gone
        finally:
            leaving.cancel()
            if not is_in:
                self._leave(caller, waiter)
        if not is_in:
            self.turned_away["gone" if has_gone else "full" if waiter.done() else "late"] += 1
            raise self.busy()
        self._waited = loop.time() - began

    def pass_on(self) -> None:
        """A place has become free: it is the next caller's, or nobody's."""
        if not self._lines:
            self.free += 1
            return
        caller, line = self._lines.popitem(last=False)
        waiter = line.popleft()
        if line:
            self._lines[caller] = line  # its next turn is after everybody else's
        self.waiting -= 1
        waiter.set_result(True)

    def busy(self) -> Busy:
        return Busy(headers={"Retry-After": str(max(1, ceil(self._waited)))})

    def _join(self, caller: Caller, waiter: Waiter) -> None:
        line = self._lines.get(caller, ())
        if self.waiting >= self.length:
            longest = max(self._lines.values(), key=len, default=None)
            if longest is None or len(longest) <= len(line) + 1:
                self.turned_away["full"] += 1
                raise self.busy()
            longest.pop().set_result(False)
            self.waiting -= 1
        self._lines.setdefault(caller, deque()).append(waiter)
        self.waiting += 1

    def _leave(self, caller: Caller, waiter: Waiter) -> None:
        if not waiter.done():
            line = self._lines[caller]
            line.remove(waiter)
            self.waiting -= 1
            if not line:
                del self._lines[caller]
        elif waiter.result():
            self.pass_on()


class Place:
    """The place of one request; it is given back once, however often somebody does."""

    __slots__ = ("_is_held", "_places")

    def __init__(self, places: Places) -> None:
        self._places, self._is_held = places, True

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._places.pass_on()


class Admission:
    """Lets a request of `/v1` in when it has a place. Stands inside of `Bodies`: what comes in slowly holds none."""

    def __init__(self, app: ASGIApp, *, places: Places) -> None:
        self.app, self.places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_of_api(scope):
            await self.app(scope, receive, send)
            return
        if not self.places.take():
            assert isinstance(receive, Incoming)
            try:
                await self.places.wait(scope["caller"], receive.gone)
            except Busy as busy:
                await problem_response(Request(scope), busy)(scope, receive, send)
                return
        place = Place(self.places)
        scope["give_back_place"] = place.give_back

        try:
            await self.app(scope, receive, at_start(send, lambda _: place.give_back()))
        finally:
            place.give_back()
