"""Compressed replies with ETags of their own.

A strong ETag promises equal bytes, and compression changes them: the ETag of a compressed reply ends in `-gzip` or
`-zstd`. This middleware removes that mark from preconditions of requests, so none fails because of it and no code
behind it knows the mark. It leaves replies with a digest or with ranges uncompressed, and only marks the ETag of
replies that the application has compressed itself.
"""

from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.preferences import MINIMUM_SIZE, accepts_gzip
from app.kit.server.middleware import wrap_send

_MARKS = {coding: b'-%b"' % coding for coding in (b"gzip", b"zstd")}
_CONDITIONS = (b"if-match", b"if-none-match")


class Compression:
    """Middleware that compresses replies for clients that accept gzip, and marks their ETags."""

    def __init__(self, app: ASGIApp, *, compresslevel: int) -> None:
        self.plain = _exempt_from_compression(app)
        self.inner = GZipMiddleware(self.plain, minimum_size=MINIMUM_SIZE, compresslevel=compresslevel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.plain(scope, receive, send)
            return
        sent = b",".join(value for name, value in scope["headers"] if name in _CONDITIONS)

        def change_tag(message: Message) -> None:
            message["headers"] = _mark_tag(message["headers"], message["status"], sent)

        if any(mark in sent for mark in _MARKS.values()):
            headers = [
                (name, _remove_marks(value) if name in _CONDITIONS else value)
                for name, value in scope["headers"]
            ]
            scope = {**scope, "headers": headers}
        inner = self.inner if accepts_gzip(scope) else IdentityResponder(self.plain, MINIMUM_SIZE)
        await inner(scope, receive, wrap_send(send, change_tag))


def _remove_marks(sent: bytes) -> bytes:
    for mark in _MARKS.values():
        sent = sent.replace(mark, b'"')
    return sent


_UNCOMPRESSED = (b"content-encoding", b"identity")
"""The header that exempts a reply from compression; `_mark_tag` removes it."""


def _exempt_from_compression(app: ASGIApp) -> ASGIApp:
    """Return the application with an exemption from compression for replies with a digest or with ranges."""

    def mark(message: Message) -> None:
        names = {name for name, _ in message["headers"]}
        if names & {b"repr-digest", b"accept-ranges"} and b"content-encoding" not in names:
            message["headers"] = [*message["headers"], _UNCOMPRESSED]

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, wrap_send(send, mark))

    return run


def _mark_tag(headers: list[tuple[bytes, bytes]], status: int, sent: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers with the mark in the ETag of a compressed reply, and of a 304 if the caller's has it."""
    fields = dict(headers)
    if _UNCOMPRESSED in headers:
        del fields[_UNCOMPRESSED[0]]
    tag = fields.get(b"etag", b"")
    if not tag:
        return [*fields.items()]
    for coding, mark in _MARKS.items():
        marked = tag.removesuffix(b'"') + mark
        if fields.get(b"content-encoding") == coding or (status == 304 and marked in sent):
            fields[b"etag"] = marked
    if b"accept-encoding" not in fields.get(b"vary", b"").lower():
        fields[b"vary"] = b", ".join(filter(None, (fields.get(b"vary"), b"Accept-Encoding")))
    return [*fields.items()]
