"""Shared by the tests of the client: a listening service and a bad line to it."""

import contextlib
import io
import random
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import pytest
import uvicorn

from app.client import Patience, Rata
from app.client.cli import main
from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.plans.world import furnish

IMPATIENT = Patience(total=30, sleep=lambda seconds: None)
"""Retry at once."""


class Served(NamedTuple):
    """A service on a port of this machine, over a database that keeps commits."""

    url: str
    database: Database
    settings: Settings

    def token(self, *roles: tuple[str, str]) -> str:
        return token_for(self.database, *roles)

    def writer(self, *roles: tuple[str, str]) -> httpx.Client:
        """Return a client that may write; the caller closes it."""
        token = self.token(*(roles or (("secretariat", "63.02"),)))
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextlib.contextmanager
def listening(database: Database, spool: Path, port: int = 0) -> Iterator[Served]:
    settings = Settings(_env_file=None, database_url=str(database.url), spool_folder=str(spool))
    furnish(database)
    options = {"log_config": None, "ws": "none", "lifespan": "off", "access_log": False}
    server = uvicorn.Server(uvicorn.Config(create_app(settings, database), port=port, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}", database, settings)
    finally:
        server.should_exit = True
        thread.join(30)


class Ended(NamedTuple):
    """Exit code and output of a command of the client."""

    exit_code: int
    stdout: str
    stderr: str


def run_command(*words: object, **environment: str | None) -> Ended:
    """Run a command of the client in this process; None takes a variable out of its environment."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main([str(word) for word in words])
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


def client_of(served: Served, token: str, **options: object) -> Rata:
    return Rata(served.url, token, patience=IMPATIENT, **options)  # type: ignore[arg-type]  # a test's own


class Line(ABC):
    """A proxy in front of a service that draws a treatment for each connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(caller, self._draw()), daemon=True).start()

    @abstractmethod
    def _draw(self) -> Any:
        """Draw the treatment of the next connection."""

    @abstractmethod
    def _serve(self, caller: socket.socket, drawn: Any) -> None:
        """Serve one connection to its end."""


class BadLine(Line):
    """A proxy that passes so many bytes of replies per connection, then drops or resets it.

    `cuts` gives the bytes for each connection in turn, None for all bytes; later connections pass whole.
    """

    def __init__(self, port: int, *cuts: int | None, delay: Callable[[], float] = lambda: 0.0) -> None:
        self._cuts, self._delay = list(cuts), delay
        self.connections = 0
        self._chance = random.Random(5)
        super().__init__(port)

    def _draw(self) -> int | None:
        self.connections += 1
        return self._cuts.pop(0) if self._cuts else None

    def _serve(self, caller: socket.socket, left: int | None) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._port)) as service:
            asking = threading.Thread(target=_pass_on, args=(caller, service), daemon=True)
            asking.start()
            with contextlib.suppress(OSError):
                while left is None or left > 0:
                    data = service.recv(65536 if left is None else min(left, 65536))
                    if not data:
                        break
                    time.sleep(self._delay())
                    caller.sendall(data)
                    left = None if left is None else left - len(data)
            with contextlib.suppress(OSError):
                if self._chance.random() < 0.5:  # a reset instead of an end
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                caller.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                service.shutdown(socket.SHUT_RDWR)
            asking.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
