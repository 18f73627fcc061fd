"""One delivery attempt over HTTP, safe from SSRF and DNS rebinding.

Each attempt resolves the host name once, refuses it if it may not reach each of its IP addresses, and connects to one
of these, under TLS for the name. So a later change of the DNS record has no effect. The sender uses no proxy of the
environment, follows no redirect, and has one time-out for the whole attempt.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

import httpcore
import httpx

from app.changes.webhooks.rules import AttemptResult, Failure, can_reach, find_failure
from app.client.tls import create_trusting_context

ATTEMPT_SECONDS = 15.0
"""Time-out for connecting, sending and reading together. Name resolution comes before, with the resolver's time-out."""
_STEP_SECONDS = 5.0
_MOST_BYTES = 64 * 1024

Resolve = Callable[[str, int], list[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a name, by the machine's resolver. Raises OSError or UnicodeError if it has none."""
    results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(result[4][0]) for result in results))


class RefusedAddress(httpx.ConnectError):
    """Raised for a host name with a forbidden IP address."""


class UnknownHost(httpx.ConnectError):
    """Raised for a host name without an IP address."""


class InvalidCertificate(httpx.ConnectError):
    """Raised if the receiver has no valid TLS certificate for the name."""


class _Timed(httpcore.NetworkStream):
    """A connection with one deadline for all steps, so that a receiver that trickles bytes cannot prolong it."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream, self._end = stream, end

    def _limit(self, timeout: float | None) -> float:
        """Return the time-out of a step, in seconds. Raises ReadTimeout after the deadline."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return min(left, timeout or left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secure = self._stream.start_tls(ssl_context, server_hostname, self._limit(timeout))
        except httpcore.ConnectError as error:
            # The pool drops the cause, so translate it here.
            if isinstance(error.__cause__, ssl.SSLError):
                raise InvalidCertificate(str(error.__cause__)) from error
            raise
        return _Timed(secure, self._end)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Guarded(httpcore.NetworkBackend):
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
            addresses = self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise UnknownHost(host) from error
        # One forbidden address is reason enough: no honest receiver publishes both kinds.
        if not all(can_reach(address, allow_loopback=self._allow_loopback) for address in addresses):
            raise RefusedAddress(host)
        end = time.monotonic() + ATTEMPT_SECONDS
        failed: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError()
        for address in addresses:
            try:
                stream = self._backend.connect_tcp(
                    address, port, min(_STEP_SECONDS, max(end - time.monotonic(), 0.1))
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
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _HTTPCORE_ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


class _Body(httpx.SyncByteStream):
    def __init__(self, reply: httpcore.Response) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        with _translate_errors():
            yield from self._reply.iter_stream()

    def close(self) -> None:
        self._reply.close()


class _PinnedTransport(httpx.BaseTransport):
    """A transport with one connection to a checked IP address, under TLS for the name of the URL."""

    def __init__(self, guarded: _Guarded, trusted: ssl.SSLContext) -> None:
        # A pool for each attempt: a kept-alive connection would bypass the check of the address.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted, network_backend=guarded, max_keepalive_connections=0
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = request.url
        with _translate_errors():
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
    """A sender of hints. Thread-safe; it loads the trusted authorities once."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        resolve: Resolve = resolve_host,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guarded = _Guarded(resolve, allow_loopback=allow_loopback)
        self._trusted = trusted or create_trusting_context()

    def post(self, address: str, headers: dict[str, str], body: bytes) -> AttemptResult:
        """Send a hint once and return the outcome, which depends only on the status of the reply."""
        began = time.monotonic()
        status: int | None = None
        try:
            status = self._post(address, headers, body)
            failure = find_failure(status)
        except (UnknownHost, httpx.InvalidURL):
            failure = Failure.unresolved
        except RefusedAddress:
            failure = Failure.refused_address
        except InvalidCertificate:
            failure = Failure.insecure
        except httpx.TimeoutException:
            failure = Failure.timed_out
        except httpx.NetworkError:
            failure = Failure.unreachable
        except (httpx.ProtocolError, httpx.UnsupportedProtocol):
            failure = Failure.malformed_reply
        return AttemptResult(failure, status, round((time.monotonic() - began) * 1000))

    def _post(self, address: str, headers: dict[str, str], body: bytes) -> int:
        own = {"content-type": "application/json", "user-agent": "rata", "connection": "close"}
        request = httpx.Request(
            "POST",
            address,
            headers=own | headers,
            content=body,
            extensions={"timeout": httpx.Timeout(_STEP_SECONDS * 2).as_dict()},
        )
        # Without an httpx client, which would prepare redirects, keep cookies and log the receiver's address.
        with (
            _PinnedTransport(self._guarded, self._trusted) as transport,
            closing(transport.handle_request(request)) as reply,
        ):
            self._drain(reply)
            return reply.status_code

    @staticmethod
    def _drain(reply: httpx.Response) -> None:
        """Read a short reply to its end, out of courtesy to the receiver. Ignores failures."""
        read = 0
        try:
            for chunk in reply.iter_raw():
                read += len(chunk)
                if read > _MOST_BYTES:
                    return
        except httpx.TransportError:
            return
