"""A line to PostgreSQL that goes silent: as a server that is stopped, or as a network that swallows packets."""

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
"""Name of the threads that pass bytes on."""
ATTACH_FILTER, DETACH_FILTER = 26, 27
_RETURN_ZERO = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
DROP_ALL = struct.pack("HL", 1, ctypes.addressof(_RETURN_ZERO))
"""A packet filter of one instruction: keep nothing. The kernel of Linux then acknowledges nothing."""


class _Connection:
    """One connection through the line: what the caller sends, and what the server answers, passes while it may."""

    def __init__(self, caller: socket.socket, server: socket.socket) -> None:
        self.caller, self.server = caller, server
        self.asks, self.answers = threading.Event(), threading.Event()


class SilentLine(Line):
    """A proxy in front of a server, which can fall silent and speak again."""

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
        where = account + at + self.url.removeprefix("http://")
        self.url = parts._replace(netloc=where, query="").geturl()

    def url_with(self, **options: object) -> str:
        return f"{self.url}?{urlencode(options)}"

    def stop(self, *, asks: bool = True) -> None:
        """Take what comes and answer nothing, as a stopped server. Without `asks` the server still hears it."""
        self.is_silent = True
        for one in self._open:
            one.answers.clear()
            if asks:
                one.asks.clear()

    def swallow(self) -> None:
        """Lose each packet, without an acknowledgement."""
        self.stop()
        self._is_swallowing = True
        for end in (self._socket, *self._ends()):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, DROP_ALL)

    def mend(self, *, old: bool = True) -> None:
        """Let all pass again; without `old` the connections of before stay silent for ever."""
        if self._is_swallowing:
            for end in (self._socket, *(self._ends() if old else ())):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
        self.is_silent = self._is_swallowing = False
        for one in self._open if old else ():
            one.asks.set()
            one.answers.set()

    def _ends(self) -> Iterator[socket.socket]:
        for one in self._open:
            yield from (one.caller, one.server)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for end in self._ends():
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for one in self._open:
            one.asks.set()
            one.answers.set()

    def _draw(self) -> None:
        self.connections += 1

    def _serve(self, caller: socket.socket, drawn: None) -> None:
        threading.current_thread().name = LINE
        family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
        with caller, socket.socket(family) as server:
            one = _Connection(caller, server)
            self._open.append(one)
            if self._is_swallowing:
                caller.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, DROP_ALL)
            if not self.is_silent:
                one.asks.set()
                one.answers.set()
            one.asks.wait()
            server.connect(self._server)
            asking = threading.Thread(
                target=_pass_on, args=(caller, server, one.asks), name=LINE, daemon=True
            )
            asking.start()
            _pass_on(server, caller, one.answers)
            asking.join()


def _pass_on(source: socket.socket, target: socket.socket, may_pass: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            may_pass.wait()
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def threads() -> int:
    """Return the number of threads, without those of lines."""
    return sum(thread.name != LINE for thread in threading.enumerate())


def settled_threads(before: int) -> int:
    """Return the number of threads once no more than `before` are left, or after a while."""
    for _ in range(500):
        if threads() <= before:
            break
        time.sleep(0.01)
    return threads()
