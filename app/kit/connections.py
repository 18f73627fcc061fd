"""Connections of clients that stall, flood or talk nonsense: cut in bounded time and memory, others unharmed.

uvicorn bounds the time between two requests and nothing else. What is bounded here is progress, never the whole:
the head of a request must be complete in so many seconds, and of a reply `STRIDE` bytes must have been taken in
them. A poor line gets on slowly and is left alone, for hours; one that does not get on is cut. How fast a body
comes in is seen where it is received (`incoming`). Each connection looks at itself a few times in that span:
a timer of its own, none for each request.

What no application hears of, since no request came of it, is answered in the one shape all the same.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Iterable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.kit.incoming import STRIDE, TooSlow
from app.kit.problems import BadRequest, Busy, Problem, Text
from app.kit.requests import problem_response, shown_size

log = structlog.get_logger("rata")

HEAD = 64 * 2**10
"""Bytes of a request line with its headers; of what a body has between its pieces too."""
PIPELINED = 16
"""Requests that may wait behind the one in work on the same connection."""
LOOKS = 4
"""How often a connection looks at itself within the seconds that it has."""
KERNEL = 256 * 2**10
"""What the kernel takes of a reply at once: else it takes megabytes, is told to close, and keeps them for a reader
that never comes, where nobody sees it. Enough for 5 MB/s over a line with an echo of 100 ms."""
AT_ONCE = struct.pack("ii", 1, 0)


class HeadTooLarge(Problem):
    status = 431
    code = "head_too_large"
    title = Text("Header terlalu besar", "Headers too large")
    detail = Text(
        "Alamat dan header bersama-sama paling banyak {allowed}.",
        "Address and headers together have at most {allowed}.",
    )


class Connection(HttpToolsProtocol):
    """One connection; `seconds` in which it must get on, `most` that a worker keeps open."""

    def __init__(self, *args: Any, seconds: float, most: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seconds, self._most = seconds, most
        self._listener = self.app
        self._watch: asyncio.TimerHandle | None = None
        self._since: float | None = None
        """Since when a head is awaited: from the first byte of a further one; None: a request is in work."""
        self._unused = 0
        """Bytes since something came of them: a head, a piece of a body, an end."""
        self._is_in_head = self._is_broken = False
        self._stuck: tuple[int, float] | None = None
        """Bytes that were left to be taken by the reader, and when, at its last progress."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL)
        self._since = self.loop.time()
        self._look_later()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()

    def _make_room(self) -> None:
        """Close the connection that asks for nothing and has done so for longest; else this one."""
        idle = [one for one in _ours(self.connections) if one is not self and one._since is not None]
        if idle:
            min(idle, key=lambda one: one._since or 0.0)._cut()
        else:
            self._refuse(Busy(headers={"Retry-After": "10"}))

    # What comes in

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        if self._since is not None and self.timeout_keep_alive_task is not None:
            self._since = self.loop.time()
        self._unused += len(data)
        super().data_received(data)
        if self._unused > HEAD and not self._is_broken:
            self._refuse(HeadTooLarge(allowed=shown_size(HEAD)))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            raise ConnectionAbortedError  # the parser makes an error of it, and so a refusal
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # what follows a body is no header: nobody has asked for it, and who judged the head did not see it
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head, self._unused, self._since = False, 0, None
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self.app = self._listener
        if size > HEAD:
            self.app, self.url = _refuse_head, self.url[:200]  # of more the parser makes no address
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last:
            self._since = self.loop.time()

    # What goes out

    def resume_writing(self) -> None:
        self._stuck = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest())

    def _refuse(self, problem: Problem) -> None:
        """Answer what is no request, and close; requests before it are answered first."""
        self._is_broken = True
        log.warning("connection_refused", code=problem.code)
        cycle = self._in_work()
        if cycle is not None and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if cycle is None or not cycle.response_started:
            self.transport.write(_reply(problem, self.server_state.default_headers))
        self.transport.close()

    def _in_work(self) -> RequestResponseCycle | None:
        """The newest request, where its reply is not complete."""
        newest: Any = self.cycle
        return None if newest is None or newest.response_complete else newest

    def _cut(self) -> None:
        """End it at once, what was not sent yet included: the kernel would try on for a reader that never comes."""
        with contextlib.suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    # Whether it gets on

    def _look_later(self) -> None:
        self._watch = self.loop.call_later(self._seconds / LOOKS, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        if self._is_stuck(now):
            self._cut()
            return
        is_late = (
            self._since is not None
            and self.timeout_keep_alive_task is None
            and now - self._since >= self._seconds
            and not self.transport.is_closing()
        )
        if is_late and self._unused:
            self._refuse(TooSlow(seconds=round(self._seconds)))
        elif is_late:
            self.transport.close()
        self._look_later()

    def _is_stuck(self, now: float) -> bool:
        """Whether the reader has taken less than `STRIDE` for too long; also of what is closed but not yet sent."""
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self._stuck = None
            return False
        left = waiting + _unacknowledged(self.transport)
        if self._stuck is None or left <= self._stuck[0] - STRIDE:
            self._stuck = (left, now)
        return now - self._stuck[1] >= self._seconds


def _ours(connections: Iterable[Any]) -> Iterable[Connection]:
    return (one for one in connections if isinstance(one, Connection))


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the kernel still holds for the reader: it takes megabytes at once, and tells of room rarely."""
    found = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, found)
    except OSError:
        return 0
    return int(struct.unpack("i", found)[0])


async def _refuse_head(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = HeadTooLarge(allowed=shown_size(HEAD), headers={"Connection": "close"})
    await problem_response(Request(scope), refusal)(scope, receive, send)


def _reply(problem: Problem, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A problem to a request of which address and language are not known."""
    shape = problem.shown("id", base="", instance="/", request_id=None)
    body = shape.model_dump_json(exclude_none=True).encode()
    told = {
        "content-type": "application/problem+json",
        "content-language": "id",
        "cache-control": "no-store",
        "content-length": str(len(body)),
        "connection": "close",
        **{name.lower(): value for name, value in problem.headers.items()},
    }
    lines = [*headers, *((name.encode(), value.encode()) for name, value in told.items())]
    return b"".join([STATUS_LINE[problem.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", body])
