"""A client that measures the processor time of its event loop between two turns."""

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from starlette.types import Message, Scope

SEGMENT = 2**16
"""Bytes of a body in one ASGI message, as from the connection's read buffer."""


class Meter(selectors.DefaultSelector):
    """A selector that records the longest processor time between two turns of its event loop."""

    longest = 0.0
    _since: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._since is not None:
            self.longest = max(self.longest, time.thread_time() - self._since)
        ready = super().select(timeout)
        self._since = time.thread_time()
        return ready


class MeteredClient:
    """A client that calls an application in its own event loop."""

    def __init__(self, app: FastAPI, portal: Any, meter: Meter) -> None:
        self._app, self._portal, self._meter = app, portal, meter

    def send(
        self, method: str, target: str, headers: list[tuple[str, bytes]], body: bytes = b""
    ) -> tuple[int, int, float]:
        """Return the status, the size of the reply, and the longest processor time between two turns."""
        path, _, query = target.partition("?")
        sent: list[Message] = []
        lines = [(name.lower().encode(), value) for name, value in headers]
        lines += [(b"host", b"rata")] + ([(b"content-length", b"%d" % len(body))] if body else [])
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": lines,
            "client": ("192.0.2.1", 50000),
            "server": ("rata", 80),
            "extensions": {},
            "state": {},
        }
        self._meter.longest = 0.0
        self._portal.call(self._run, scope, body, sent)
        size = sum(len(message.get("body", b"")) for message in sent)
        return sent[0]["status"], size, self._meter.longest

    async def _run(self, scope: Scope, body: bytes, sent: list[Message]) -> None:
        at, is_over = 0, False

        async def receive() -> Message:
            nonlocal at, is_over
            await asyncio.sleep(0)  # each segment arrives in its own turn
            if is_over:
                await asyncio.Event().wait()
            piece, at = body[at : at + SEGMENT], at + SEGMENT
            is_over = at >= len(body)
            return {"type": "http.request", "body": piece, "more_body": not is_over}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)


@contextmanager
def open_metered(app: FastAPI) -> Iterator[MeteredClient]:
    """Yield a client of an application in a metered loop."""
    meter = Meter()
    options = {"loop_factory": lambda: asyncio.SelectorEventLoop(meter)}
    with start_blocking_portal(backend_options=options) as portal:
        yield MeteredClient(app, portal, meter)
