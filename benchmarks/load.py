"""A load generator over raw sockets with persistent connections, which checks each whole reply.

It uses little processor time: it builds requests beforehand and parses only the status and the length.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.kit.database.json_sql import dump_json

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class UnexpectedAnswerError(RuntimeError):
    """A reply with another status than expected, which makes its speed meaningless."""


@dataclass
class Answer:
    """A reply."""

    status: int
    head: bytes
    body: bytes

    def get_header(self, name: str) -> str:
        match = re.search(rb"^" + name.encode() + rb": (.*?)\r?$", self.head, re.IGNORECASE | re.MULTILINE)
        return match[1].decode() if match else ""


@dataclass
class Round:
    """The replies per second of a round, and the seconds of each reply."""

    rate: float
    times: list[float] = field(repr=False)

    @property
    def median(self) -> float:
        return sorted(self.times)[len(self.times) // 2]


def build_request(method: str, path: str, secret: str, body: Any = None, **headers: str) -> bytes:
    """Build the bytes of a request."""
    content = b"" if body is None else dump_json(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {secret}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _HEAD_END + content


def ask(port: int, sent: bytes) -> Answer:
    """Send a request and return its reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(sent)
        reader = _Reader()
        while not reader.feed(connection.recv(1 << 18)):
            pass
        return reader.take_answer()


def drive(port: int, requests: Iterator[bytes], *, status: int, connections: int, seconds: float) -> Round:
    """Keep `connections` requests running for some seconds, at least three on each, and wait for the last."""
    selector = selectors.DefaultSelector()
    times: list[float] = []
    started = time.perf_counter()
    ends = started + seconds
    sent_at: dict[int, float] = {}

    def send(connection: socket.socket) -> None:
        sent_at[connection.fileno()] = time.perf_counter()
        connection.sendall(next(requests))

    opened = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(connections)]
    for connection in opened:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, _Reader())
        send(connection)
    running, last = connections, started
    while running:
        for key, _ in selector.select():
            connection: Any = key.fileobj
            reader: _Reader = key.data
            if not reader.feed(connection.recv(1 << 18)):
                continue
            last = time.perf_counter()
            times.append(last - sent_at[connection.fileno()])
            answer = reader.take_answer()
            if answer.status != status:
                raise UnexpectedAnswerError(f"{answer.status} instead of {status}: {answer.body[:800]!r}")
            if last < ends or len(times) < 3 * connections:
                send(connection)
            else:
                running -= 1
    for connection in opened:
        connection.close()
    return Round(len(times) / (last - started), times)


class _Reader:
    """Collects the pieces of a reply."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = -1
        self._body_at = 0

    def feed(self, piece: bytes) -> bool:
        """Add a piece; return whether the reply is complete."""
        if not piece:
            raise UnexpectedAnswerError("the server closed the connection")
        self._pieces.append(piece)
        if self._missing < 0:
            head = b"".join(self._pieces)
            end = head.find(_HEAD_END)
            if end < 0:
                return False
            length = _LENGTH.search(head, 0, end)
            self._body_at = end + len(_HEAD_END)
            self._missing = self._body_at + (int(length[1]) if length else 0) - len(head)
        else:
            self._missing -= len(piece)
        return self._missing <= 0

    def take_answer(self) -> Answer:
        whole = b"".join(self._pieces)
        at = self._body_at
        self._pieces, self._missing = [], -1
        return Answer(int(whole[9:12]), whole[:at], whole[at:])
