"""The client of most tests: what it asks, it gets in one go.

Starlette's own goes back and forth between its thread and the loop's eight times a request, so that a reply can be
read while it is made; few tests read so, and for the others that was a third of what a request cost.
"""

from urllib.parse import unquote

import anyio
import httpx2 as httpx
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Scope


class Client(TestClient):
    """Calls an application in the loop of `portal`, which others share."""

    def __init__(
        self,
        app: FastAPI,
        portal: BlockingPortal,
        *,
        headers: dict[str, str] | None = None,
        raise_server_exceptions: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        super().__init__(app, headers=headers)
        self.portal = portal
        self._transport = _InOneGo(app, portal, client, raises=raise_server_exceptions)


class _InOneGo(httpx.BaseTransport):
    """The whole request in, the whole reply out."""

    def __init__(
        self, app: FastAPI, portal: BlockingPortal, client: tuple[str, int], *, raises: bool
    ) -> None:
        self._app, self._portal, self._client, self._raises = app, portal, client, raises

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url, sent = request.url, list[Message]()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": unquote(url.path),
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "root_path": "",
            "scheme": url.scheme,
            "query_string": url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self._client,
            "server": [url.host, url.port or {"http": 80, "https": 443}[url.scheme]],
            "extensions": {},
            "state": {},
        }
        try:
            self._portal.call(self._run, scope, request.read(), sent)
        except Exception:
            if self._raises:
                raise
        started, *pieces = sent or [{"status": 500, "headers": []}]
        body = b"".join(piece.get("body", b"") for piece in pieces)
        return httpx.Response(
            started["status"],
            headers=started["headers"],
            stream=httpx.ByteStream(b"" if request.method == "HEAD" else body),
            request=request,
        )

    async def _run(self, scope: Scope, body: bytes, sent: list[Message]) -> None:
        is_read = False

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                await anyio.sleep_forever()  # who asked is still there
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
