"""Responses with exports: whole, in part, or streamed while a thread still writes (RFC 9110, section 14).

A client resumes a transfer with `Range: bytes=N-` and the ETag in `If-Range`. The response comes from the file of
exactly that state as long as the cache has it, even if the database has changed since.

Starlette's `FileResponse` (1.10) cannot send these files: it answers 416 as plain text, 400 to a `Range` that it
cannot parse and 206 to HEAD, sends several ranges as multipart, adds `Last-Modified`, and opens a file by a name
that the cache may have evicted meanwhile. It has no option for any of this.
"""

import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import anyio
import anyio.to_thread
from fastapi import Header
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.kit.exports.cache import ExportCache, ExportMetadata, PendingExport, WholeExport
from app.kit.http.etags import format_digest
from app.kit.problems import Busy, Problem
from app.kit.wording import Text

CHUNK_SIZE = 2**20
"""Size of a chunk, in bytes."""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiable(Problem):
    status = 416
    code = "range_not_satisfiable"
    title = Text("Bagian itu tidak ada", "Range not satisfiable")
    detail = Text(
        "Isinya {size} byte, sedangkan Range meminta “{sent}”.",
        "The content has {size} bytes, and Range asks for “{sent}”.",
    )


class ByteRange(NamedTuple):
    """A range of bytes, from `first` up to but not including `end`."""

    first: int
    end: int


def parse_range(sent: str | None, size: int) -> ByteRange | None:
    """Return the range of a `Range` field. Returns None for no range, several, or a field that does not parse.

    Raises RangeNotSatisfiable if the range starts after the last byte.
    """
    match = _RANGE.fullmatch(sent.strip()) if sent else None
    if match is None or not any(match.groups()):
        return None
    first, last = (int(text) if text else None for text in match.groups())
    if first is None:
        assert last is not None
        first, last = max(size - last, 0), size - 1 if last else -1
    elif last is None:
        last = size - 1
    elif last < first:
        return None
    if first >= size or last < 0:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"}, size=size, sent=sent)
    return ByteRange(first, min(last + 1, size))


def declare_range_headers(
    range: Annotated[
        str | None, Header(alias="Range", description="`bytes=N-`: the bytes from N on; one range.")
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            alias="If-Range",
            description="ETag of the part that the caller has; if that state is gone, the reply has all bytes.",
        ),
    ] = None,
) -> None:
    """Declare the request headers that `ExportResponse` reads."""


@dataclass(frozen=True)
class ExportSource:
    """An export by its name in the cache, with the function that writes it if the cache lacks it."""

    name: str
    make: Callable[[PendingExport], str]


class ExportResponse(StreamingResponse):
    """A response with an export of the cache, or with the requested range of it."""

    def __init__(
        self,
        request: Request,
        cache: ExportCache,
        source: ExportSource,
        kept: WholeExport | None,
        *,
        headers: Mapping[str, str],
        media_type: str,
        seconds: float,
        in_parts: bool = True,
    ) -> None:
        super().__init__(iter(()), headers=headers, media_type=media_type)
        self._cache, self._source, self._kept, self._seconds = cache, source, kept, seconds
        self._in_parts = in_parts
        self._range = request.headers.get("range") if in_parts else None
        self._if_range = request.headers.get("if-range")
        self._is_head = bool(request.scope.get("is_head"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._kept is not None:
            await self._send_kept(self._kept, scope, receive, send)
            return
        if give_back := scope.get("give_back_place"):
            give_back()  # from here on the request only waits: for a thread of the cache, then for the client
        export = await anyio.to_thread.run_sync(self._cache.make, self._source.name, self._source.make)
        file = -1
        try:
            with anyio.move_on_after(self._seconds):
                await export.wait_begun()
            if export.about is None:
                raise Busy(headers={"Retry-After": str(max(1, round(self._seconds)))})
            file = export.open()
            if self._range or not export.about.is_long:
                await export.wait_ended()
                kept, file = WholeExport(file, export.size, export.about), -1
                await self._send_kept(kept, scope, receive, send)
                return
            self._describe(export.about)
            self.body_iterator = self._follow(export, file)
            await super().__call__(scope, receive, send)
        finally:
            if file >= 0:
                os.close(file)
            self._cache.leave(self._source.name, export)

    async def _send_kept(self, kept: WholeExport, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # a range of another state does not continue the part that the client has: send all of it
            applies = self._if_range in (None, self._find_tag(kept.about)) and not self._is_head
            span = parse_range(self._range, kept.size) if applies else None
            self._describe(kept.about)
            if span is not None:
                self.status_code = 206
                self.headers["Content-Range"] = f"bytes {span.first}-{span.end - 1}/{kept.size}"
            span = span or ByteRange(0, kept.size)
            if kept.about.sha256 is not None:
                self.headers["Repr-Digest"] = format_digest(kept.about.sha256)
            self.headers["Content-Length"] = str(span.end - span.first)
            self.body_iterator = self._read_span(kept.file, span)
            await super().__call__(scope, receive, send)
        finally:
            os.close(kept.file)

    def _describe(self, about: ExportMetadata) -> None:
        self.headers["ETag"] = about.tag
        if self._in_parts:
            self.headers["Accept-Ranges"] = "bytes"
        for name, value in about.headers.items():
            self.headers[name] = value

    def _find_tag(self, about: ExportMetadata) -> str:
        """Return the ETag that clients see: compressed content has the mark of its coding (see `compression`)."""
        coding = self.headers.get("content-encoding")
        return f'{about.tag[:-1]}-{coding}"' if coding else about.tag

    async def _read_span(self, file: int, span: ByteRange) -> AsyncIterator[bytes]:
        at = span.first
        while at < span.end and not self._is_head:
            piece = await anyio.to_thread.run_sync(os.pread, file, min(CHUNK_SIZE, span.end - at), at)
            if not piece:
                raise OSError("an export in the cache was cut")
            at += len(piece)
            yield piece

    async def _follow(self, export: PendingExport, file: int) -> AsyncIterator[bytes]:
        at = 0
        while not self._is_head:
            await export.wait_beyond(at)
            if export.is_whole and at == export.size:
                return
            piece = await anyio.to_thread.run_sync(os.pread, file, CHUNK_SIZE, at)
            at += len(piece)
            yield piece
