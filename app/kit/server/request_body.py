"""Request bodies: the server receives each whole, within bounds of size and sum, before any code uses it.

While a body arrives, its request uses no slot, no thread and no connection to the database. So a body may take as
long as the client's network needs; the proxy disconnects a client that sends nothing. Bytes beyond a megabyte go to
an unnamed temporary file, so memory does not grow with the number of waiting bodies.
"""

from tempfile import SpooledTemporaryFile

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.replies import answer_problem, format_size
from app.kit.problems import BadRequest, Busy, FieldError, Kind, Problem, TooLarge, UnsupportedMedia
from app.kit.server.middleware import HttpMiddleware

IN_MEMORY = 2**20
SMALL = 64 * 2**10
"""A body up to this size passes even beyond the sum: the proxy bounds the number of connections, and so that sum."""
CHUNK_SIZE = 256 * 2**10

unreadable_length = Kind(
    "unreadable_length", id="bukan panjang isi permintaan", en="is not the length of a request body"
)
coded_body = Kind(
    "coded_body",
    id="Isi permintaan yang dikompresi tidak diterima. Kirim tanpa kompresi.",
    en="The service does not take compressed bodies. Send it uncompressed.",
)


class RequestBody:
    """The `receive` of a request with a whole body: it delivers the body in chunks and reports a disconnect."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._file: UploadFile | None = None
        self._unread: Message | None = None
        self._single = b""
        self.size = self._left = 0

    async def keep(self, piece: bytes) -> None:
        """Append a chunk to the file."""
        if self._file is None:
            file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `close`
            self._file = UploadFile(file)  # type: ignore[arg-type]  # as Starlette's own forms make it
        await self._file.write(piece)

    async def complete(self, last: Message) -> None:
        """Take the last message of the body, and start to deliver. A body of one message, as most are, has no file."""
        if self._file is None:
            self._unread, self._single = last, last.get("body", b"")
            return
        await self.keep(last.get("body", b""))
        self._left = self.size
        await self._file.seek(0)

    async def __call__(self) -> Message:
        if self._file is not None and self._left >= 0:
            piece = await self._file.read(CHUNK_SIZE)
            self._left -= len(piece)
            is_all = self._left == 0
            self._left = -1 if is_all else self._left
            return {"type": "http.request", "body": piece, "more_body": not is_all}
        if self._unread is not None:
            message, self._unread = self._unread, None
            return message
        return await self._receive()

    async def gone(self) -> None:
        """Wait until the client disconnects."""
        while (message := await self._receive())["type"] != "http.disconnect":
            self._unread = message  # a request without a body starts with an empty message

    def content(self) -> bytes:
        """Return the whole body. Reads a file if the body is large, so only worker threads may call it."""
        if self._file is None:
            return self._single
        self._file.file.seek(0)
        return self._file.file.read()

    async def close(self) -> None:
        """Delete the file, if there is one."""
        if self._file is not None:
            await self._file.close()


class RequestBodies(HttpMiddleware):
    """Middleware that receives each request body, or refuses it with a problem.

    `limit` bounds the bytes of one body, `together` those of all bodies under way.
    """

    def __init__(self, app: ASGIApp, *, limit: int, together: int) -> None:
        self.app, self.limit, self.together = app, limit, together
        self._total = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = scope["incoming"] = RequestBody(receive)
        length, coding, has_body = b"0", b"", False
        for name, value in scope["headers"]:
            if name == b"content-length":
                length, has_body = value, has_body or value != b"0"
            elif name == b"content-encoding":
                coding = value
            elif name == b"transfer-encoding":
                has_body = True
        if not has_body:
            await self.app(scope, incoming, send)
            return
        try:
            self._check_headers(length, coding)
            await self._receive_body(receive, incoming)
        except Problem as problem:
            await answer_problem(Request(scope), problem)(scope, receive, send)
        else:
            await self.app(scope, incoming, send)
        finally:
            self._total -= incoming.size
            await incoming.close()

    def _check_headers(self, length: bytes, coding: bytes) -> None:
        if coding.strip().lower() not in (b"", b"identity"):
            shown = coding.decode("latin-1")
            raise UnsupportedMedia(
                headers={"Accept-Encoding": "identity"},
                errors=[FieldError(coded_body, header="Content-Encoding", value=shown, allowed=["identity"])],
            )
        if not length.isdigit() or len(length) > 18:
            shown = length.decode("latin-1")
            raise BadRequest(errors=[FieldError(unreadable_length, header="Content-Length", value=shown)])
        if int(length) > self.limit:
            raise TooLarge(allowed=format_size(self.limit))

    async def _receive_body(self, receive: Receive, incoming: RequestBody) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest  # it ends the request; the client is gone
            piece = message.get("body", b"")
            self._total += len(piece)
            incoming.size += len(piece)
            if incoming.size > self.limit:
                raise TooLarge(allowed=format_size(self.limit))
            if self._total > self.together and incoming.size > SMALL:
                raise Busy(headers={"Retry-After": "10"})
            if not message.get("more_body", False):
                await incoming.complete(message)
                return
            await incoming.keep(piece)
