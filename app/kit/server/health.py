"""The addresses that tell whether the process and its database answer, for many callers at the cost of one thread.

A database that hangs keeps the thread that looks; the callers wait for its result only a moment, in the event loop.
"""

import asyncio
from collections.abc import Callable

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from app.kit.fields import show_example
from app.kit.http.replies import problem_response
from app.kit.http.routing import house_router
from app.kit.problems import Busy
from app.kit.server.graceful_shutdown import LEAVING

SECONDS = 0.5
"""Seconds that a look may take before the database counts as away: a balancer gets its answer within one, also from
a busy machine."""


class Health(BaseModel):
    """The process answers."""

    status: str
    version: str

    model_config = show_example(status="ok", version="1.0.0")


class Ready(BaseModel):
    """The database answers too."""

    status: str

    model_config = show_example(status="ok")


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


def health_router(version: str) -> APIRouter:
    """Return the addresses that supervisors and balancers ask. They wait for no thread, also if the database hangs."""
    router = house_router(root="", tags=["service"])

    @router.get("/health", response_model=Health)
    async def read_health() -> Response:
        """The process answers; its version."""
        return JSONResponse({"status": "ok", "version": version}, headers={"Cache-Control": "no-store"})

    @router.get("/ready", response_model=Ready, openapi_extra={"x-problems": [503]})
    async def read_ready(request: Request) -> Response:
        """The database answers too; 503 while it does not, and when the service is about to stop: send no traffic."""
        probe: Probe = request.app.state.probe
        if LEAVING.is_set() or not await probe.is_answered():
            # not raised: handlers of problems run in the threads of requests
            return problem_response(request, Busy(headers={"Retry-After": "1"}))
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return router
