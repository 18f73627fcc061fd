"""Admission of requests: a bounded, fair queue in front of the worker's threads.

Each worker has as many slots as threads. A request without a free slot waits in the queue. The next slot goes to the
next *caller*, and among the requests of one caller to the oldest, so a hundred requests of one principal delay
another's single request by one turn. The queue bounds length and waiting time: beyond, the client gets 503 before its
own time-out. A request leaves the queue if its client disconnects. In a full queue, a request of a caller with fewer
requests takes the room of the newest one of the caller with most.

A request returns its slot when the reply begins: by then the work is done and committed (see `kit.http.routing`), and
only sending remains, at the speed of the client. A request that waits for something else returns its slot earlier
(`give_back_place` in its scope). Requests outside of `/v1` never wait: health, metrics, documentation.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from math import ceil

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.http.replies import answer_problem
from app.kit.problems import Busy
from app.kit.server.middleware import wrap_send
from app.kit.server.rate_limit import Caller, is_of_api
from app.kit.server.request_body import RequestBody

SPARE_THREADS = 8
"""Threads beyond the slots: for requests that need no slot, and for reading the chunks of exports."""

REASONS = ("full", "late", "gone")
"""Reasons for leaving the queue without a slot: no room, time-out, a client that has disconnected."""

Waiter = asyncio.Future[bool]
"""A request in the queue. True: it has a slot. False: it made room for another caller."""


class Slots:
    """The slots of a worker and the queue in front of them, for one event loop."""

    def __init__(self, number: int, *, length: int, seconds: float) -> None:
        self.free, self.length, self.seconds = number, length, seconds
        self.waiting = 0
        self.turned_away: Counter[str] = Counter()
        """Requests that left the queue without a slot, by reason (`REASONS`)."""
        self._lines: OrderedDict[Caller, deque[Waiter]] = OrderedDict()
        """Caller → its requests, oldest first; the callers in the order of their turns."""
        self._waited = 0.0
        """Seconds in the queue of the request that got the last slot."""

    def take(self) -> bool:
        """Take a slot if one is free, which implies an empty queue. Return whether it was."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def wait(self, caller: Caller, gone: Callable[[], Awaitable[None]]) -> None:
        """Wait for a slot. Raises Busy if the queue is full, after the time-out, and if the client disconnects."""
        loop = asyncio.get_running_loop()
        waiter, began, is_in = loop.create_future(), loop.time(), False
        self._join(caller, waiter)
        disconnect = asyncio.ensure_future(gone())
        try:
            await asyncio.wait(
                (waiter, disconnect), timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            has_gone = disconnect.done()
            disconnect.cancel()
            await asyncio.wait((disconnect,))  # only one task at a time may call `receive`
            is_in = waiter.done() and waiter.result() and not has_gone
        finally:
            disconnect.cancel()
            if not is_in:
                self._leave(caller, waiter)
        if not is_in:
            self.turned_away["gone" if has_gone else "full" if waiter.done() else "late"] += 1
            raise self.busy()
        self._waited = loop.time() - began

    def hand_over(self) -> None:
        """Give a free slot to the next caller's oldest request; without one, it stays free."""
        if not self._lines:
            self.free += 1
            return
        caller, line = self._lines.popitem(last=False)
        waiter = line.popleft()
        if line:
            self._lines[caller] = line  # its next turn comes after those of all other callers
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
            self.hand_over()


class Slot:
    """The slot of one request, which only the first call of `give_back` returns."""

    __slots__ = ("_is_held", "_places")

    def __init__(self, places: Slots) -> None:
        self._places, self._is_held = places, True

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._places.hand_over()


class Admission:
    """Middleware that lets a request of `/v1` in once it has a slot.

    It runs inside of `RequestBodies`, so a slow request body takes no slot.
    """

    def __init__(self, app: ASGIApp, *, places: Slots) -> None:
        self.app, self.places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_of_api(scope):
            await self.app(scope, receive, send)
            return
        if not self.places.take():
            assert isinstance(receive, RequestBody)
            try:
                await self.places.wait(scope["caller"], receive.gone)
            except Busy as busy:
                await answer_problem(Request(scope), busy)(scope, receive, send)
                return
        place = Slot(self.places)
        scope["give_back_place"] = place.give_back

        try:
            await self.app(scope, receive, wrap_send(send, lambda _: place.give_back()))
        finally:
            place.give_back()
