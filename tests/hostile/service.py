"""`rata serve` in a process, and raw connections to it for bytes that no HTTP client would send."""

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
"""Seconds after which a test fails; the service is far quicker."""
SETTINGS = {
    "RATA_WORKERS": "1",
    "RATA_READS_PER_MINUTE": "0",
    "RATA_WRITES_PER_MINUTE": "0",
    "RATA_FAILURES_PER_MINUTE": "0",
    "RATA_SECRETS_KEY": Fernet.generate_key().decode(),
}


@dataclass(frozen=True)
class Reply:
    """The received bytes: one reply, or all until the end of the connection."""

    data: bytes

    @property
    def status(self) -> int | None:
        """The status, or None for a cut connection."""
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
        problem: dict[str, Any] = json.JSONDecoder().raw_decode(body.decode())[0]
        assert {"type", "title", "status", "detail", "code", "instance"} <= problem.keys()
        assert problem["status"] == self.status
        return problem

    @property
    def is_refused_by_server(self) -> bool:
        """True if the HTTP server refused the request before the application."""
        return self.status == 400 and "content-type: text/plain" in self.head

    @property
    def is_answered_or_cut(self) -> bool:
        """True for a success, a problem, a refusal of the server or a cut, but no server error."""
        if self.status is None:
            return self.data == b""
        if self.status >= 400 and not self.is_refused_by_server:
            return self.status < 500 and "code" in self.problem
        return True


class Line:
    """A raw connection."""

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
        """Send bytes; return whether the service still accepts them."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def read_rest(self) -> Reply:
        """Read until the service ends the connection."""
        received = bytearray()
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return Reply(bytes(received))

    def read_first(self) -> Reply:
        """Read one whole reply."""
        received = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while not _is_whole(received) and (data := self.socket.recv(65536)):
                received += data
        return Reply(bytes(received))

    def is_cut(self) -> bool:
        """Wait for the end; return whether the service sent no byte."""
        return self.read_rest().data == b""

    def is_reset(self, seconds: float = PATIENCE) -> bool:
        """Return whether the service resets a connection without a reading client."""
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(seconds * 1000))

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """Send a byte at a time until the service cuts. Raises AssertionError if it accepts all."""
        for byte in data:
            if not self.send(bytes([byte])):
                return
            time.sleep(pause)
        raise AssertionError("the service accepted all bytes")


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

    def open_line(self, **options: Any) -> Line:
        return Line(self.port, **options)

    def ask(self, data: bytes) -> Reply:
        with self.open_line() as line:
            line.send(data)
            return line.read_rest()

    def build_request(
        self,
        method: str,
        target: str,
        *headers: str,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> bytes:
        """Build a request with the token and `Connection: close`."""
        lines = [f"{method} {target} HTTP/1.1", "Host: rata", "Connection: close", *headers]
        if body is not None:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + f"\r\n{self.authorization}\r\n").encode("latin-1") + (body or b"")

    def is_serving(self) -> bool:
        """Return whether another request succeeds."""
        return self.ask(self.build_request("GET", "/v1/me")).status == 200

    def read_peak_memory(self) -> int:
        """Return the peak memory of the process in bytes."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def list_faults(self) -> list[str]:
        """Return the lines of the log about server errors."""
        marks = ("Traceback", '"level": "error"', '"status": 500')
        return [line for line in self.log.read_text().splitlines() if any(mark in line for mark in marks)]


@contextmanager
def run_service(
    database: Database, folder: Path, settings: Mapping[str, str] = SETTINGS
) -> Iterator[Service]:
    """Run a service over a copy of a database."""
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
    # loads these modules at once, so that memory grows by requests alone
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
            if service.is_serving():
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(service.log.read_text()[-3000:])
