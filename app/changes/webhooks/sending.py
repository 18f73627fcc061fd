"""One attempt to deliver, over HTTP: the address that was judged is the address that is connected to.

A name is resolved here, once, for each attempt; every number it leads to must be one that may be reached, and the
connection is made to that very number, under TLS for the name. So it helps nobody to let a name point elsewhere a
moment later. No proxy of the environment is asked and no redirect followed; the whole attempt has one end in time.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

import httpcore
import httpx

from app.changes.webhooks.rules import Failure, Outcome, failure_of, may_reach
from app.client.tls import trusting_context

ATTEMPT_SECONDS = 15.0
"""For connecting, sending and reading together; asking for the name's number comes before, with its own bounds."""
_STEP_SECONDS = 5.0
_MOST_BYTES = 64 * 1024

Resolve = Callable[[str, int], list[str]]


def resolved(host: str, port: int) -> list[str]:
    """The IP addresses of a name, by the machine's own resolver. OSError, UnicodeError: there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class RefusedAddress(httpx.ConnectError):
    """A name that leads to where the service sends nothing."""


class Unresolved(httpx.ConnectError):
    """A name without an IP address."""


class Insecure(httpx.ConnectError):
    """A server that proves no TLS certificate of the name."""


class _Timed(httpcore.NetworkStream):
    """A connection all of whose steps end at one instant: whoever sends a byte now and then does not hold it up."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream, self._end = stream, end

    def _left(self, wanted: float | None) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return min(left, wanted or left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secure = self._stream.start_tls(ssl_context, server_hostname, self._left(timeout))
        except httpcore.ConnectError as error:
            # Only here the cause is known: the pool drops it.
            if isinstance(error.__cause__, ssl.SSLError):
                raise Insecure(str(error.__cause__)) from error
            raise
        return _Timed(secure, self._end)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Guarded(httpcore.NetworkBackend):
    """Connects to what may be reached, and to nothing else."""

    def __init__(self, resolve: Resolve, *, allow_loopback: bool) -> None:
        self._resolve, self._allow_loopback = resolve, allow_loopback
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            numbers = self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise Unresolved(host) from error
        # One that is forbidden among others is reason enough: nobody publishes both in good faith.
        if not all(may_reach(number, allow_loopback=self._allow_loopback) for number in numbers):
            raise RefusedAddress(host)
        end = time.monotonic() + ATTEMPT_SECONDS
        failed: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError()
        for number in numbers:
            try:
                stream = self._backend.connect_tcp(
                    number, port, min(_STEP_SECONDS, max(end - time.monotonic(), 0.1))
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Timed(stream, end)
        raise failed


_HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


@contextmanager
def _raising_httpx_errors() -> Iterator[None]:
    """Raise the error of the same name of httpx for each one of httpcore."""
    try:
        yield
    except _HTTPCORE_ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


class _Body(httpx.SyncByteStream):
    """The body of a reply, read as it comes."""

    def __init__(self, reply: httpcore.Response) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        with _raising_httpx_errors():
            yield from self._reply.iter_stream()

    def close(self) -> None:
        self._reply.close()


class _PinnedTransport(httpx.BaseTransport):
    """One connection to the IP address that was judged, under TLS for the name of the URL."""

    def __init__(self, guarded: _Guarded, trusted: ssl.SSLContext) -> None:
        # A pool for each attempt: a connection that is kept would go to an address that was judged long ago.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted, network_backend=guarded, max_keepalive_connections=0
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = request.url
        with _raising_httpx_errors():
            reply = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply))

    def close(self) -> None:
        self._pool.close()


class Sender:
    """Posts hints. Safe to use from many threads; loading the authorities that it trusts is done once."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        resolve: Resolve = resolved,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guarded = _Guarded(resolve, allow_loopback=allow_loopback)
        self._trusted = trusted or trusting_context()

    def post(self, address: str, headers: dict[str, str], body: bytes) -> Outcome:
        """One attempt, and what came of it; of the answer only its status is looked at."""
        began = time.monotonic()
        status: int | None = None
        try:
            status = self._post(address, headers, body)
            failure = failure_of(status)
        except (Unresolved, httpx.InvalidURL):
            failure = Failure.unresolved
        except RefusedAddress:
            failure = Failure.refused_address
        except Insecure:
            failure = Failure.insecure
        except httpx.TimeoutException:
            failure = Failure.timed_out
        except httpx.NetworkError:
            failure = Failure.unreachable
        except (httpx.ProtocolError, httpx.UnsupportedProtocol):
            failure = Failure.malformed_reply
        return Outcome(failure, status, round((time.monotonic() - began) * 1000))

    def _post(self, address: str, headers: dict[str, str], body: bytes) -> int:
        own = {"content-type": "application/json", "user-agent": "rata", "connection": "close"}
        request = httpx.Request(
            "POST",
            address,
            headers=own | headers,
            content=body,
            extensions={"timeout": httpx.Timeout(_STEP_SECONDS * 2).as_dict()},
        )
        # Without a client, which would judge the address of a redirect, keep cookies and log the receiver's address.
        with (
            _PinnedTransport(self._guarded, self._trusted) as transport,
            closing(transport.handle_request(request)) as reply,
        ):
            self._read_some(reply)
            return reply.status_code

    @staticmethod
    def _read_some(reply: httpx.Response) -> None:
        """Read the little that most receivers answer, out of courtesy to them; a failure changes nothing."""
        read = 0
        try:
            for chunk in reply.iter_raw():
                read += len(chunk)
                if read > _MOST_BYTES:
                    return
        except httpx.TransportError:
            return
