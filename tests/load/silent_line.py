"""A proxy of PostgreSQL that goes silent like a stopped server or a network that drops packets."""

import contextlib
import ctypes
import socket
import struct
import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.client.world import Line

LINE = "line"
"""Name of the threads that forward bytes."""
ATTACH_FILTER, DETACH_FILTER = 26, 27
_RETURN_ZERO = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
DROP_ALL = struct.pack("HL", 1, ctypes.addressof(_RETURN_ZERO))
"""A packet filter of connection instruction that drops all: the kernel of Linux then acknowledges none."""


class _Connection:
    """A connection through the proxy, with an event that lets requests pass and connection for replies."""

    def __init__(self, caller: socket.socket, server: socket.socket) -> None:
        self.caller, self.server = caller, server
        self.requests, self.replies = threading.Event(), threading.Event()


class SilentLine(Line):
    """A proxy that can go silent and resume."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        port = parts.port or 5432
        self._server: tuple[str, int] | str = (parts.hostname or "127.0.0.1", port)
        if "host" in query:
            self._server = f"{query['host'][0]}/.s.PGSQL.{port}"
        self._open: list[_Connection] = []
        self.is_silent = False
        self._is_swallowing = False
        self.connections = 0
        super().__init__(port)
        account, at, _ = parts.netloc.rpartition("@")
        netloc = account + at + self.url.removeprefix("http://")
        self.url = parts._replace(netloc=netloc, query="").geturl()

    def build_url(self, **options: object) -> str:
        return f"{self.url}?{urlencode(options)}"

    def stop(self, *, requests: bool = True) -> None:
        """Accept bytes and return none, like a stopped server; `requests=False` still forwards requests."""
        self.is_silent = True
        for connection in self._open:
            connection.replies.clear()
            if requests:
                connection.requests.clear()

    def swallow(self) -> None:
        """Drop each packet without an acknowledgement."""
        self.stop()
        self._is_swallowing = True
        for end in (self._socket, *self._list_ends()):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, DROP_ALL)

    def mend(self, *, old: bool = True) -> None:
        """Forward again; without `old` the earlier connections stay silent for ever."""
        if self._is_swallowing:
            for end in (self._socket, *(self._list_ends() if old else ())):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
        self.is_silent = self._is_swallowing = False
        for connection in self._open if old else ():
            connection.requests.set()
            connection.replies.set()

    def _list_ends(self) -> Iterator[socket.socket]:
        for connection in self._open:
            yield from (connection.caller, connection.server)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for end in self._list_ends():
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for connection in self._open:
            connection.requests.set()
            connection.replies.set()

    def _draw(self) -> None:
        self.connections += 1

    def _serve(self, caller: socket.socket, drawn: None) -> None:
        threading.current_thread().name = LINE
        family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
        with caller, socket.socket(family) as server:
            connection = _Connection(caller, server)
            self._open.append(connection)
            if self._is_swallowing:
                caller.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, DROP_ALL)
            if not self.is_silent:
                connection.requests.set()
                connection.replies.set()
            connection.requests.wait()
            server.connect(self._server)
            forward = threading.Thread(
                target=_forward, args=(caller, server, connection.requests), name=LINE, daemon=True
            )
            forward.start()
            _forward(server, caller, connection.replies)
            forward.join()


def _forward(source: socket.socket, target: socket.socket, may_pass: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            may_pass.wait()
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def count_threads() -> int:
    """Return the number of threads without those of proxies."""
    return sum(thread.name != LINE for thread in threading.enumerate())


def wait_for_threads(before: int) -> int:
    """Return the number of threads, once at most `before` remain or after five seconds."""
    for _ in range(500):
        if count_threads() <= before:
            break
        time.sleep(0.01)
    return count_threads()
