"""The client of most tests, which sends a request and receives its reply in one call.

Starlette's client switches between its thread and the loop's eight times a request, to stream the reply, and httpx
parses each address three times. Few tests need either; together they took a third of a request's time.
"""

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import anyio
import anyio.to_thread
import httpx2 as httpx
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

_PLAIN = re.compile(r"(/[\w./~:-]*)(?:\?([\w./~:,=&%+-]*))?", re.ASCII)
"""An address that httpx would send unchanged: path, query."""
_OPTIONS = {"params", "json", "content", "headers"}


_is_in_loop = ContextVar("_is_in_loop", default=False)
_run_in_thread = anyio.to_thread.run_sync


async def _run_sync(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Run a function in a worker thread, or in the loop for a client with `in_loop`."""
    if _is_in_loop.get():
        return function(*arguments)
    return await _run_in_thread(function, *arguments, **options)


anyio.to_thread.run_sync = _run_sync


class Client(TestClient):
    """A client that calls an application in the loop of `portal`, which other clients share.

    With `in_loop` the work of worker threads runs in the loop's thread, which saves a fifth of a small request;
    concurrent requests then run one after another.
    """

    def __init__(
        self,
        app: FastAPI,
        portal: BlockingPortal,
        *,
        headers: dict[str, str] | None = None,
        raise_server_exceptions: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        in_loop: bool = False,
    ) -> None:
        super().__init__(app, headers=headers)
        self.portal = portal
        self._transport = self._calls = _InOneGo(
            app, portal, client, raises=raise_server_exceptions, in_loop=in_loop
        )

    def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        """Send a plain request directly; files, forms and escaped paths go through httpx."""
        passed = {
            name: value
            for name, value in options.items()
            if value is not None and value is not httpx.USE_CLIENT_DEFAULT
        }
        method, address = method.upper(), _PLAIN.fullmatch(url) if isinstance(url, str) else None
        if (
            address is None
            or not passed.keys() <= _OPTIONS
            or ("params" in passed and address[2] is not None)
        ):
            return super().request(method, url, **options)
        headers, body = httpx.Headers(self.headers), passed.get("content", b"")
        if "json" in passed and "content" not in passed:
            body = json.dumps(passed["json"], ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            headers["Content-Type"] = "application/json"
        if not isinstance(body, (str, bytes)):
            return super().request(method, url, **options)
        headers.update(passed.get("headers"))
        body = body.encode() if isinstance(body, str) else body
        if body or method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Content-Length", str(len(body)))
        query = str(httpx.QueryParams(passed["params"])) if "params" in passed else address[2] or ""
        sent = [(b"host", b"testserver"), *((name.lower(), value) for name, value in headers.raw)]
        reply = self._calls.call(method, address[1], query.encode(), sent, body)
        if reply.has_redirect_location:
            return super().request(method, url, **options)
        reply.read()
        return reply


class _InOneGo(httpx.BaseTransport):
    """A transport that passes whole requests and whole replies."""

    def __init__(
        self, app: FastAPI, portal: BlockingPortal, client: tuple[str, int], *, raises: bool, in_loop: bool
    ) -> None:
        self._app, self._portal, self._client = app, portal, client
        self._raises, self._in_loop = raises, in_loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        scope = {
            "path": unquote(url.path),
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "scheme": url.scheme,
            "query_string": url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": [url.host, url.port or {"http": 80, "https": 443}[url.scheme]],
        }
        # the form parser starts its own loop, which a thread with a loop cannot
        reply = self._call(request.method, scope, request.read(), in_loop=False)
        reply.request = request
        return reply

    def call(
        self, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> httpx.Response:
        """Send a request to a path without escapes."""
        scope = {
            "path": path,
            "raw_path": path.encode(),
            "scheme": "http",
            "query_string": query,
            "headers": headers,
            "server": ["testserver", 80],
        }
        is_json = any(name == b"content-type" and b"json" in value for name, value in headers)
        may_be_form = method == "POST" and not is_json
        return self._call(method, scope, body, in_loop=self._in_loop and not may_be_form)

    def _call(self, method: str, request: dict[str, Any], body: bytes, *, in_loop: bool) -> httpx.Response:
        sent = list[Message]()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "root_path": "",
            "client": self._client,
            "extensions": {},
            "state": {},
            **request,
        }
        try:
            self._portal.call(self._run, scope, body, sent, in_loop)
        except Exception:
            if self._raises:
                raise
        started, *pieces = sent or [{"status": 500, "headers": []}]
        content = b"".join(piece.get("body", b"") for piece in pieces)
        stream = httpx.ByteStream(b"" if method == "HEAD" else content)
        return httpx.Response(started["status"], headers=started["headers"], stream=stream)

    async def _run(self, scope: Scope, body: bytes, sent: list[Message], in_loop: bool) -> None:
        _is_in_loop.set(in_loop)
        is_read = False

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                await anyio.sleep_forever()  # the client stays connected
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
