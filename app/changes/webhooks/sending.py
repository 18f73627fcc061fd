"""One attempt to deliver, over HTTP: the address that was judged is the address that is connected to.

A name is resolved here, once, for each attempt; every number it leads to must be one that may be reached, and the
connection is made to that very number, under TLS for the name. So it helps nobody to let a name point elsewhere a
moment later. No proxy of the environment is asked and no redirect followed; the whole attempt has one end in time.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2 as httpcore
import httpx2 as httpx

from app.changes.webhooks.rules import Failure, Outcome, failure_of, may_reach

ATTEMPT_SECONDS = 15.0
"""For connecting, sending and reading together; asking for the name's number comes before, with its own bounds."""
_STEP_SECONDS = 5.0
_MOST_BYTES = 64 * 1024

Resolve = Callable[[str, int], list[str]]


def resolved(host: str, port: int) -> list[str]:
    """The IP addresses of a name, by the machine's own resolver. OSError, UnicodeError: there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class RefusedAddress(Exception):
    """The name leads to where nothing is sent."""


class Unresolved(Exception):
    """The name leads nowhere."""


class Insecure(Exception):
    """No TLS with whom the name says."""


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
            # Said here: the pool lets go of what an error came from.
            if isinstance(error.__cause__, ssl.SSLError):
                raise Insecure from error
            raise
        return _Timed(secure, self._end)

    def get_extra_info(self, info: str) -> Any:
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
            raise Unresolved from error
        # One that is forbidden among others is reason enough: nobody publishes both in good faith.
        if not all(may_reach(number, allow_loopback=self._allow_loopback) for number in numbers):
            raise RefusedAddress
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
        self._trusted = trusted or httpx.create_ssl_context()

    def post(self, address: str, headers: dict[str, str], body: bytes) -> Outcome:
        """One attempt, and what came of it; of the answer only its status is looked at."""
        began = time.monotonic()
        status: int | None = None
        try:
            status = self._post(address, headers, body)
            failure = failure_of(status)
        except Unresolved:
            failure = Failure.unresolved
        except RefusedAddress:
            failure = Failure.refused_address
        except httpcore.TimeoutException:
            failure = Failure.timed_out
        except Insecure:
            failure = Failure.insecure
        except httpcore.NetworkError:
            failure = Failure.unreachable
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            failure = Failure.malformed_reply
        return Outcome(failure, status, round((time.monotonic() - began) * 1000))

    def _post(self, address: str, headers: dict[str, str], body: bytes) -> int:
        own = {"content-type": "application/json", "user-agent": "rata", "connection": "close"}
        told: list[tuple[bytes | str, bytes | str]] = [*own.items(), *headers.items()]
        steps = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _STEP_SECONDS * 2)}
        pool = httpcore.ConnectionPool(
            ssl_context=self._trusted, network_backend=self._guarded, max_keepalive_connections=0
        )
        # A connection for each attempt: one that is kept would go to an address that was judged long ago.
        with pool, pool.stream("POST", address, headers=told, content=body, extensions=steps) as reply:
            status = int(reply.status)
            self._read_some(reply)
        return status

    @staticmethod
    def _read_some(reply: httpcore.Response) -> None:
        """What little most receivers answer, out of courtesy to them; whatever becomes of it, the status counts."""
        read = 0
        try:
            for chunk in reply.iter_stream():
                read += len(chunk)
                if read > _MOST_BYTES:
                    return
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            return
