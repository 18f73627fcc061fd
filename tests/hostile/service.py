"""`rata serve` in a process of its own, impatient, and raw connections to it: what no HTTP client would send."""

import contextlib
import json
import os
import re
import select
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from app.kit.database.engine import Database
from tests.common import token_for
from tests.docs.pages import ROOT
from tests.docs.server import free_port
from tests.plans.world import furnish

START_SECONDS = 120
PATIENCE = 60.0
"""Seconds after which a test gives up; the service is far quicker."""
SETTINGS = {
    "RATA_WORKERS": "1",
    "RATA_READS_PER_MINUTE": "0",
    "RATA_WRITES_PER_MINUTE": "0",
    "RATA_FAILURES_PER_MINUTE": "0",
    "RATA_SECRETS_KEY": Fernet.generate_key().decode(),
}


@dataclass(frozen=True)
class Reply:
    """What came back before the connection ended, or one whole reply."""

    data: bytes

    @property
    def status(self) -> int | None:
        """None: cut without a word."""
        words = self.data.split(b" ", 2)
        return int(words[1]) if len(words) == 3 and words[0].startswith(b"HTTP/1.") else None

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.data.split(b"HTTP/1.1 ")[1:]]

    @property
    def head(self) -> str:
        return self.data.partition(b"\r\n\r\n")[0].decode("latin-1").lower()

    @property
    def problem(self) -> dict[str, Any]:
        head, _, body = self.data.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head, self.data[:500]
        found: dict[str, Any] = json.JSONDecoder().raw_decode(body.decode())[0]
        assert {"type", "title", "status", "detail", "code", "instance"} <= found.keys()
        assert found["status"] == self.status
        return found

    @property
    def is_refused_by_server(self) -> bool:
        """Whether the HTTP server itself refused: what it cannot parse never reaches the application."""
        return self.status == 400 and "content-type: text/plain" in self.head

    @property
    def is_answered_or_cut(self) -> bool:
        """Whether this is a success, a problem of the application, a refusal of the server, or a cut; never a fault."""
        if self.status is None:
            return self.data == b""
        if self.status >= 400 and not self.is_refused_by_server:
            return self.status < 500 and "code" in self.problem
        return True


class Line:
    """A connection on which bytes are sent as they are."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Whether the other side still took it."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def rest(self) -> Reply:
        """All that comes until the other side ends it."""
        found = bytearray()
        try:
            while data := self.socket.recv(65536):
                found += data
        except ConnectionResetError:
            pass
        return Reply(bytes(found))

    def first(self) -> Reply:
        """The first reply, whole, whether or not the connection goes on."""
        found = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while not _is_whole(found) and (data := self.socket.recv(65536)):
                found += data
        return Reply(bytes(found))

    def is_cut(self) -> bool:
        """Whether the other side ended it, without any word."""
        return self.rest().data == b""

    def is_reset(self, seconds: float = PATIENCE) -> bool:
        """Whether the other side gave up on a reader that reads nothing."""
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(seconds * 1000))

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """A byte at a time, until the other side has had enough."""
        for byte in data:
            if not self.send(bytes([byte])):
                return
            time.sleep(pause)
        raise AssertionError("was heard out")


def _is_whole(data: bytearray) -> bool:
    head, end, body = bytes(data).lower().partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return len(body) >= (int(length[1]) if length else 0)


@dataclass(frozen=True)
class Service:
    port: int
    token: str
    process: int
    log: Path

    @property
    def authorization(self) -> str:
        return f"Authorization: Bearer {self.token}\r\n"

    def line(self, **options: Any) -> Line:
        return Line(self.port, **options)

    def ask(self, data: bytes) -> Reply:
        with self.line() as line:
            line.send(data)
            return line.rest()

    def request(
        self,
        method: str,
        target: str,
        *headers: str,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> bytes:
        """A whole request with the token, after which the connection ends."""
        lines = [f"{method} {target} HTTP/1.1", "Host: rata", "Connection: close", *headers]
        if body is not None:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + f"\r\n{self.authorization}\r\n").encode("latin-1") + (body or b"")

    def serves(self) -> bool:
        """Whether somebody else is served as ever."""
        return self.ask(self.request("GET", "/v1/me")).status == 200

    def memory(self) -> int:
        """The most bytes that the process has held so far."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def faults(self) -> list[str]:
        """Lines of the log that tell of a fault of ours."""
        marks = ("Traceback", '"level": "error"', '"status": 500')
        return [line for line in self.log.read_text().splitlines() if any(mark in line for mark in marks)]


@contextmanager
def serving(database: Database, folder: Path, settings: Mapping[str, str] = SETTINGS) -> Iterator[Service]:
    """Over a database of its own, copied from `database`."""
    with closing(sqlite3.connect(database.url.database or "")) as template:
        template.execute("VACUUM INTO ?", (str(folder / "hostile.db"),))
    url = f"sqlite:///{folder}/hostile.db"
    own = Database(url)
    furnish(own)
    token = token_for(own, ("secretariat", "63.02"), ("administrator", "0"))
    own.close()
    port, log = free_port(), folder / "log"
    environment = {**os.environ, "RATA_DATABASE_URL": url, "RATA_PORT": str(port), **settings}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "RATA_SPOOL_FOLDER": str(folder / "spool"),
        "TMPDIR": str(folder),
    }
    # what the first who asks has loaded is loaded, so that memory grows by requests alone
    program = "import pyarrow.json, pyarrow.parquet, xlsxwriter; from app.cli import main; main()"
    command = [sys.executable, "-c", program, "serve"]
    with log.open("w") as out, subprocess.Popen(command, env=environment, cwd=folder, stderr=out) as process:
        service = Service(port, token, process.pid, log)
        try:
            _wait(service, process)
            yield service
        finally:
            process.terminate()
            process.wait(60)


def _wait(service: Service, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if service.serves():
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(service.log.read_text()[-3000:])
