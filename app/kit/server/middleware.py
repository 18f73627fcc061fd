"""Middleware in pure ASGI: request id and log line, bounds of the request head, HEAD."""

import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.replies import answer_problem, format_size
from app.kit.problems import Problem
from app.kit.wording import Text

log = structlog.get_logger("rata")

HEAD_BYTES = 64 * 2**10
"""Most bytes of a request line with its headers."""
LONGEST_PATH = 2_000
"""Most characters of a path, far more than any route has: each route in turn matches all of it."""
HEADERS = 500
"""Most headers of a request: each takes some 400 bytes of memory while the request waits."""


class HeadTooLarge(Problem):
    status = 431
    code = "head_too_large"
    title = Text("Header terlalu besar", "Headers too large")
    detail = Text(
        "Alamat dan header bersama-sama paling banyak {allowed}, dan header paling banyak {count}.",
        "Address and headers together have at most {allowed}, and there are at most {count} headers.",
    )


def wrap_send(send: Send, note: Callable[[Message], None]) -> Send:
    """Return a `send` that lets `note` read or change the start of the reply first."""

    async def send_noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            note(message)
        await send(message)

    return send_noted


class HttpMiddleware(ABC):
    """Base class of middleware for HTTP requests; other connections pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.handle if scope["type"] == "http" else self.app)(scope, receive, send)

    @abstractmethod
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on to `app`."""


class RequestLog(HttpMiddleware):
    """Middleware that gives each request an id, returns it in the reply, and writes one log line at the end."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode(
            "latin-1"
        )
        if len(scope["path"]) > LONGEST_PATH:
            scope = {**scope, "path": f"{scope['path'][:LONGEST_PATH]}…"}
        request_id = sent if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", sent) else uuid.uuid4().hex
        scope["request_id"] = request_id
        started, status = time.perf_counter(), 500

        def add_id(message: Message) -> None:
            nonlocal status
            status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]

        failure: BaseException | None = None
        try:
            await self.app(scope, receive, wrap_send(send, add_id))
        except Exception as error:
            failure = error
            raise
        finally:
            # The path alone: query strings have free text, which does not belong in logs.
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                request_id=request_id,
                **({"trace_id": scope["trace_id"]} if "trace_id" in scope else {}),
                **({"exc_info": failure} if failure else {}),
            )


class HeadBounds(HttpMiddleware):
    """Middleware that refuses requests with too many headers, or a too large request head, with 431."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_too_large(scope):
            problem = HeadTooLarge(
                allowed=format_size(HEAD_BYTES), count=HEADERS, headers={"Connection": "close"}
            )
            await answer_problem(Request(scope), problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_too_large(scope: Scope) -> bool:
    headers = scope["headers"]
    if len(headers) > HEADERS:
        return True
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in headers:
        size += len(name) + len(value)
    return size > HEAD_BYTES


class HeadRequests(HttpMiddleware):
    """Middleware that answers HEAD with the status and headers of GET, from the route of GET, without the body."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # `is_head` lets a route skip work that only the body needs
        await self.app({**scope, "method": "GET", "is_head": True}, receive, send_head)
