"""Large contents on their way: whole, in part, or while they are still being made (RFC 9110, section 14).

A transfer that was cut goes on with `Range: bytes=N-` and `If-Range` with the entity tag: from the file of
that very state while it is kept, whatever the database says meanwhile.

Starlette's `FileResponse` (1.10) cannot send the files that are kept: it answers 416 as plain text, 400 to a `Range`
that it cannot read and 206 to HEAD, sends several ranges as multipart, adds `Last-Modified`, and opens a file by a
name that the spool may have removed meanwhile. None of this can be set.
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

from app.kit.exports.cache import About, Kept, Making, Spool
from app.kit.http.etags import digest_field
from app.kit.problems import Busy, Problem, Text

PIECE = 2**20
"""Bytes that are read and sent at a time."""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiable(Problem):
    status = 416
    code = "range_not_satisfiable"
    title = Text("Bagian itu tidak ada", "There is no such part")
    detail = Text("Isinya {size} byte; Range meminta {sent}.", "It has {size} bytes; Range asks for {sent}.")


class Span(NamedTuple):
    """Bytes from `first` to before `end`."""

    first: int
    end: int


def span_of(sent: str | None, size: int) -> Span | None:
    """The one range that a `Range` field asks for; None: all of it, as for a field that is none or several.

    RangeNotSatisfiable: it begins behind the end.
    """
    found = _RANGE.fullmatch(sent.strip()) if sent else None
    if found is None or not any(found.groups()):
        return None
    first, last = (int(text) if text else None for text in found.groups())
    if first is None:
        assert last is not None
        first, last = max(size - last, 0), size - 1 if last else -1
    elif last is None:
        last = size - 1
    elif last < first:
        return None
    if first >= size or last < 0:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"}, size=size, sent=sent)
    return Span(first, min(last + 1, size))


def ranged(
    range: Annotated[
        str | None, Header(alias="Range", description="`bytes=N-`: only from that byte on; one range.")
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            alias="If-Range",
            description="Entity tag of what the caller has a part of; where that state is gone, all is sent.",
        ),
    ] = None,
) -> None:
    """Declares the fields that `Transfer` reads."""


@dataclass(frozen=True)
class Wanted:
    """A content by its name in the spool, and how to make it where it is not there."""

    name: str
    make: Callable[[Making], str]


class Transfer(StreamingResponse):
    """A content of the spool, or the part of it that was asked for."""

    def __init__(
        self,
        request: Request,
        spool: Spool,
        wanted: Wanted,
        kept: Kept | None,
        *,
        headers: Mapping[str, str],
        media_type: str,
        seconds: float,
        in_parts: bool = True,
    ) -> None:
        super().__init__(iter(()), headers=headers, media_type=media_type)
        self._spool, self._wanted, self._kept, self._seconds = spool, wanted, kept, seconds
        self._in_parts = in_parts
        self._range = request.headers.get("range") if in_parts else None
        self._if_range = request.headers.get("if-range")
        self._is_head = bool(request.scope.get("is_head"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._kept is not None:
            await self._send_kept(self._kept, scope, receive, send)
            return
        if give_back := scope.get("give_back_place"):
            give_back()  # it waits for its turn in the spool, and then for the line
        making = await anyio.to_thread.run_sync(self._spool.make, self._wanted.name, self._wanted.make)
        file = -1
        try:
            with anyio.move_on_after(self._seconds):
                await making.begun()
            if making.about is None:
                raise Busy(headers={"Retry-After": str(max(1, round(self._seconds)))})
            file = making.open()
            if self._range or not making.about.is_long:
                await making.ended()
                kept, file = Kept(file, making.size, making.about), -1
                await self._send_kept(kept, scope, receive, send)
                return
            self._describe(making.about)
            self.body_iterator = self._along(making, file)
            await super().__call__(scope, receive, send)
        finally:
            if file >= 0:
                os.close(file)
            self._spool.leave(self._wanted.name, making)

    async def _send_kept(self, kept: Kept, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Of another state than the part that is there already, nothing but all of it makes sense.
            applies = self._if_range in (None, self._tag(kept.about)) and not self._is_head
            span = span_of(self._range, kept.size) if applies else None
            self._describe(kept.about)
            if span is not None:
                self.status_code = 206
                self.headers["Content-Range"] = f"bytes {span.first}-{span.end - 1}/{kept.size}"
            span = span or Span(0, kept.size)
            if kept.about.sha256 is not None:
                self.headers["Repr-Digest"] = digest_field(kept.about.sha256)
            self.headers["Content-Length"] = str(span.end - span.first)
            self.body_iterator = self._pieces(kept.file, span)
            await super().__call__(scope, receive, send)
        finally:
            os.close(kept.file)

    def _describe(self, about: About) -> None:
        self.headers["ETag"] = about.tag
        if self._in_parts:
            self.headers["Accept-Ranges"] = "bytes"
        for name, value in about.headers.items():
            self.headers[name] = value

    def _tag(self, about: About) -> str:
        """The tag as the caller knows it: of a coded content with its mark (see `compression`)."""
        coding = self.headers.get("content-encoding")
        return f'{about.tag[:-1]}-{coding}"' if coding else about.tag

    async def _pieces(self, file: int, span: Span) -> AsyncIterator[bytes]:
        at = span.first
        while at < span.end and not self._is_head:
            piece = await anyio.to_thread.run_sync(os.pread, file, min(PIECE, span.end - at), at)
            if not piece:
                raise OSError("a content of the spool was cut")
            at += len(piece)
            yield piece

    async def _along(self, making: Making, file: int) -> AsyncIterator[bytes]:
        at = 0
        while not self._is_head:
            await making.beyond(at)
            if making.is_whole and at == making.size:
                return
            piece = await anyio.to_thread.run_sync(os.pread, file, PIECE, at)
            at += len(piece)
            yield piece
