"""Health checks: `/health` for the process, `/ready` for its database, at the cost of one thread for all callers.

A database that hangs blocks that one thread; callers wait for its result half a second at most, in the event loop.
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
from app.kit.http.replies import answer_problem
from app.kit.http.routing import make_router
from app.kit.problems import Busy
from app.kit.server.graceful_shutdown import STOPPING

SECONDS = 0.5
"""Time-out of a ping, after which the database counts as unavailable: load balancers expect replies in a second."""


class Health(BaseModel):
    """Status and version of the process."""

    status: str
    version: str

    model_config = show_example(status="ok", version="1.0.0")


class Ready(BaseModel):
    """Status of the database."""

    status: str

    model_config = show_example(status="ok")


class Probe:
    """The pings of one worker to its database, one at a time; callers share the result."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._task: asyncio.Task[bool] | None = None
        self._began = 0.0

    async def is_answered(self) -> bool:
        """Return whether the database answers in time. A slow ping goes on, and no second one starts meanwhile."""
        loop, task = asyncio.get_running_loop(), self._task
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._task = loop.create_task(self._run_ping())
            self._began = loop.time()
        left = max(0.0, self._began + SECONDS - loop.time())
        await asyncio.wait((task,), timeout=left)
        return task.done() and task.result()

    async def _run_ping(self) -> bool:
        try:
            # a limiter of its own: a ping neither waits for the threads of requests nor takes one of them
            await anyio.to_thread.run_sync(
                self._ping, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True
            )
        except (SQLAlchemyError, Busy):
            return False
        return True


def health_router(version: str) -> APIRouter:
    """Return the routes for supervisors and load balancers. They wait for no thread, even if the database hangs."""
    router = make_router(root="", tags=["service"])

    @router.get("/health", response_model=Health)
    async def read_health() -> Response:
        """Return the version, which shows that the process answers."""
        return JSONResponse({"status": "ok", "version": version}, headers={"Cache-Control": "no-store"})

    @router.get("/ready", response_model=Ready, openapi_extra={"x-problems": [503]})
    async def read_ready(request: Request) -> Response:
        """Return 200 if the database answers too, and 503 if it does not or the service stops: send no traffic then."""
        probe: Probe = request.app.state.probe
        if STOPPING.is_set() or not await probe.is_answered():
            # no `raise`: the handler of problems runs in the threads of requests
            return answer_problem(request, Busy(headers={"Retry-After": "1"}))
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return router
