"""Compressed replies with entity tags of their own.

A strong tag promises the same bytes, and the compressed bytes are others: such a reply's tag ends in
`-gzip` or `-zstd`. On the way in that ending is taken off again, so no condition ever fails for it and nothing
behind this layer knows of it. What bears a digest of its bytes, or can be gone on with at any of them, is
sent as these very bytes; what the application compressed itself only gets its tag here.
"""

from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.preferences import MINIMUM_SIZE, accepts_gzip
from app.kit.server.middleware import at_start

_MARKS = {coding: b'-%b"' % coding for coding in (b"gzip", b"zstd")}
_CONDITIONS = (b"if-match", b"if-none-match")


class Compressed:
    """GZip for clients that accept it, with honest entity tags."""

    def __init__(self, app: ASGIApp, *, compresslevel: int) -> None:
        self.plain = _keeping(app)
        self.inner = GZipMiddleware(self.plain, minimum_size=MINIMUM_SIZE, compresslevel=compresslevel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.plain(scope, receive, send)
            return
        sent = b",".join(value for name, value in scope["headers"] if name in _CONDITIONS)

        def change_tag(message: Message) -> None:
            message["headers"] = _tagged(message["headers"], message["status"], sent)

        if any(mark in sent for mark in _MARKS.values()):
            headers = [
                (name, _unmarked(value) if name in _CONDITIONS else value) for name, value in scope["headers"]
            ]
            scope = {**scope, "headers": headers}
        inner = self.inner if accepts_gzip(scope) else IdentityResponder(self.plain, MINIMUM_SIZE)
        await inner(scope, receive, at_start(send, change_tag))


def _unmarked(sent: bytes) -> bytes:
    for mark in _MARKS.values():
        sent = sent.replace(mark, b'"')
    return sent


_AS_IT_IS = (b"content-encoding", b"identity")
"""What tells the compressing layer to leave a reply alone; taken off again behind it."""


def _keeping(app: ASGIApp) -> ASGIApp:
    """An application whose replies with a digest, or that come in parts, are not to be compressed."""

    def mark(message: Message) -> None:
        names = {name for name, _ in message["headers"]}
        if names & {b"repr-digest", b"accept-ranges"} and b"content-encoding" not in names:
            message["headers"] = [*message["headers"], _AS_IT_IS]

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, at_start(send, mark))

    return run


def _tagged(headers: list[tuple[bytes, bytes]], status: int, sent: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with the tag of what is really sent: compressed, or (304) what the caller has."""
    found = dict(headers)
    if _AS_IT_IS in headers:
        del found[_AS_IT_IS[0]]
    tag = found.get(b"etag", b"")
    if not tag:
        return [*found.items()]
    for coding, mark in _MARKS.items():
        marked = tag.removesuffix(b'"') + mark
        if found.get(b"content-encoding") == coding or (status == 304 and marked in sent):
            found[b"etag"] = marked
    if b"accept-encoding" not in found.get(b"vary", b"").lower():
        found[b"vary"] = b", ".join(filter(None, (found.get(b"vary"), b"Accept-Encoding")))
    return [*found.items()]
