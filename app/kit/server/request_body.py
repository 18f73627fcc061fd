"""Bodies of requests: received whole, within bounds of size and sum, before anything is done with them.

While a body comes in, its request holds no place, no thread and no connection to the database. So it may take
as long as its line needs; the proxy cuts a client that sends nothing. Beyond a megabyte a body lies in a file
without a name; memory does not grow with those that wait.
"""

from tempfile import SpooledTemporaryFile

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.replies import problem_response, shown_size
from app.kit.problems import BadRequest, Busy, FieldError, Kind, Problem, TooLarge, UnsupportedMedia
from app.kit.server.middleware import Layer

IN_MEMORY = 2**20
SMALL = 64 * 2**10
"""A body up to this size is taken however many others there are: who fills the room with large ones fills it for
large ones alone. The proxy bounds connections, so this is bounded too."""
PIECE = 256 * 2**10

unreadable_length = Kind("unreadable_length", id="bukan panjang isi", en="is no length of a body")
coded_body = Kind(
    "coded_body",
    id="Isi permintaan yang dikompresi tidak diterima; kirim apa adanya.",
    en="The service takes no coded body. Send it as it is.",
)


class Incoming:
    """The `receive` of a request whose body is there: gives it piece by piece, and tells when its caller goes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: UploadFile | None = None
        self._unread: Message | None = None
        self._at_once = b""
        self.size = self._left = 0

    async def keep(self, piece: bytes) -> None:
        if self._kept is None:
            file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `close`
            self._kept = UploadFile(file)  # type: ignore[arg-type]  # as Starlette's own forms make it
        await self._kept.write(piece)

    async def complete(self, last: Message) -> None:
        """Nothing more comes: from here on it is given. What came at once, as most does, is given as it came."""
        if self._kept is None:
            self._unread, self._at_once = last, last.get("body", b"")
            return
        await self.keep(last.get("body", b""))
        self._left = self.size
        await self._kept.seek(0)

    async def __call__(self) -> Message:
        if self._kept is not None and self._left >= 0:
            piece = await self._kept.read(PIECE)
            self._left -= len(piece)
            is_all = self._left == 0
            self._left = -1 if is_all else self._left
            return {"type": "http.request", "body": piece, "more_body": not is_all}
        if self._unread is not None:
            message, self._unread = self._unread, None
            return message
        return await self._receive()

    async def gone(self) -> None:
        """Wait until who asked has gone."""
        while (message := await self._receive())["type"] != "http.disconnect":
            self._unread = message  # a request without a body begins with the emptiness of it

    def content(self) -> bytes:
        """Return the whole body, each time it is asked for. Reads a file if the body is large: for worker threads."""
        if self._kept is None:
            return self._at_once
        self._kept.file.seek(0)
        return self._kept.file.read()

    async def close(self) -> None:
        if self._kept is not None:
            await self._kept.close()


class Bodies(Layer):
    """Takes in each request's body, or refuses it in the one shape.

    `limit`: bytes of one; `together`: bytes of all that are under way.
    """

    def __init__(self, app: ASGIApp, *, limit: int, together: int) -> None:
        self.app, self.limit, self.together = app, limit, together
        self._held = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = scope["incoming"] = Incoming(receive)
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
            self._check(length, coding)
            await self._take_in(receive, incoming)
        except Problem as problem:
            await problem_response(Request(scope), problem)(scope, receive, send)
        else:
            await self.app(scope, incoming, send)
        finally:
            self._held -= incoming.size
            await incoming.close()

    def _check(self, length: bytes, coding: bytes) -> None:
        """What its headers say already."""
        if coding.strip().lower() not in (b"", b"identity"):
            shown = coding.decode("latin-1")
            raise UnsupportedMedia(
                allowed="identity",
                headers={"Accept-Encoding": "identity"},
                errors=[FieldError(coded_body, header="Content-Encoding", value=shown, allowed=["identity"])],
            )
        if not length.isdigit() or len(length) > 18:
            shown = length.decode("latin-1")
            raise BadRequest(errors=[FieldError(unreadable_length, header="Content-Length", value=shown)])
        if int(length) > self.limit:
            raise TooLarge(allowed=shown_size(self.limit))

    async def _take_in(self, receive: Receive, incoming: Incoming) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest  # to nobody
            piece = message.get("body", b"")
            self._held += len(piece)
            incoming.size += len(piece)
            if incoming.size > self.limit:
                raise TooLarge(allowed=shown_size(self.limit))
            if self._held > self.together and incoming.size > SMALL:
                raise Busy(headers={"Retry-After": "10"})
            if not message.get("more_body", False):
                await incoming.complete(message)
                return
            await incoming.keep(piece)
