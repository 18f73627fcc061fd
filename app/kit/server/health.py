"""Whether the database answers, for as many callers as ask, at the cost of one thread.

A database that hangs keeps the thread that looks; the callers wait for its result only a moment, in the event loop.
"""

import asyncio
from collections.abc import Callable

import anyio
import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from app.kit.problems import Busy

SECONDS = 0.5
"""Seconds that a look may take before the database counts as away: a balancer gets its answer within one, also from
a busy machine."""


class Probe:
    """The looks of one worker at its database, one at a time; callers share the result."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._look: asyncio.Task[bool] | None = None
        self._began = 0.0

    async def is_answered(self) -> bool:
        """Whether the database answers. A look that takes too long goes on: no second one begins meanwhile."""
        loop, look = asyncio.get_running_loop(), self._look
        if look is None or look.done() or look.get_loop() is not loop:
            look = self._look = loop.create_task(self._run())
            self._began = loop.time()
        left = max(0.0, self._began + SECONDS - loop.time())
        await asyncio.wait((look,), timeout=left)
        return look.done() and look.result()

    async def _run(self) -> bool:
        try:
            # a limiter of its own: no look waits for the threads of requests, nor takes one of theirs
            await anyio.to_thread.run_sync(
                self._ping, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True
            )
        except (SQLAlchemyError, Busy):
            return False
        return True
