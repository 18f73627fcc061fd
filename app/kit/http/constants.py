"""Constant replies of a process, which makes their bytes and strong ETags once, plain and compressed."""

import asyncio
import gzip
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock, Thread

from starlette.requests import Request
from starlette.responses import Response

from app.kit.http.anonymous import CACHE
from app.kit.http.etags import is_unchanged, make_etag
from app.kit.http.preferences import MINIMUM_SIZE, accepts_gzip

CONSTANT = {"x-constant": True}
"""`openapi_extra` of a GET that answers a constant."""


class Constant:
    """The bytes of a reply, its compressed bytes if these are fewer, and its ETag."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.body, self._media_type = body, media_type
        packed = gzip.compress(body, mtime=0) if len(body) >= MINIMUM_SIZE else body
        self.packed = packed if len(packed) < len(body) else None
        self.headers = {**(headers or {}), "ETag": make_etag(body), "Cache-Control": CACHE}

    def answer(self, request: Request) -> Response:
        """Return the reply to a GET: the bytes in an accepted encoding, or 304 if the client has them."""
        if is_unchanged(request, self.headers["ETag"]):
            return Response(status_code=304, headers=self.headers)
        if self.packed is not None and accepts_gzip(request.scope):
            headers = {**self.headers, "Content-Encoding": "gzip"}
            return Response(self.packed, headers=headers, media_type=self._media_type)
        return Response(self.body, headers=self.headers, media_type=self._media_type)


class LateConstant:
    """A constant that takes long to make, which a thread of its own does once, at the first request.

    Meanwhile neither the event loop nor a worker thread blocks, and commands without requests pay nothing.
    """

    def __init__(self, make: Callable[[], Constant]) -> None:
        self._make, self._guard = make, Lock()
        self._made: Future[Constant] | None = None

    async def answer(self, request: Request) -> Response:
        """Return the reply of the constant, as soon as that exists."""
        with self._guard:
            if self._made is None:
                self._made = Future()
                self._made.set_running_or_notify_cancel()  # so a client that disconnects cancels only its own wait
                Thread(target=self._fill, args=(self._made,), name="constant", daemon=True).start()
        made = self._made
        return (made.result() if made.done() else await asyncio.wrap_future(made)).answer(request)

    def _fill(self, made: Future[Constant]) -> None:
        try:
            made.set_result(self._make())
        except Exception as error:
            made.set_exception(error)
            raise
