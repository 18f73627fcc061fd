"""A streaming replica in the temporary directory of its primary, for tests that pause, kill and start it."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg

from tests.postgres import THROW_AWAY, Account, create_database, own_server

PATIENCE = 60
SETTINGS = {
    **THROW_AWAY,
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "100ms",
    # cancels queries that block the replay at once
    "max_standby_streaming_delay": "50ms",
}


def wait_until(is_true: Callable[[], object], event: str) -> None:
    """Poll until a condition holds. Raises AssertionError after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, f"never: {event}"
        time.sleep(0.01)


class Standby:
    """The replica, with its own socket. A test that kills it starts it again."""

    def __init__(self, primary: str) -> None:
        self.primary = primary
        (home,) = parse_qs(urlsplit(primary).query)["host"]
        self._folder, self._account = Path(home) / "standby", Account()
        self._binaries = Path(str(self.query(primary, "SELECT setting FROM pg_config WHERE name = 'BINDIR'")))
        self._server: subprocess.Popen[bytes] | None = None
        self.was_killed = False
        options = ["-D", self._folder, "-h", home, "-U", "postgres", "-R", "-C", "-S", "standby", "--no-sync"]
        self._account.run(self._binaries / "pg_basebackup", *options, "-c", "fast")
        self.start()

    @property
    def url(self) -> str:
        query = urlencode({"host": str(self._folder)}, safe="/")
        return urlsplit(self.primary)._replace(query=query).geturl()

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._folder, "-k", self._folder]
        log = self._folder.with_name("standby.log")
        self._server = self._account.start([*command, "--listen_addresses=", *options], log)
        wait_until(self._can_connect, "the replica accepts connections")
        self.catch_up()

    def kill(self) -> None:
        """Stop the replica at once, with all connections."""
        assert self._server is not None
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        self.was_killed = True

    def pause(self) -> None:
        self.query(self.url, "SELECT pg_wal_replay_pause()")
        wait_until(
            lambda: self.query(self.url, "SELECT pg_get_wal_replay_pause_state()") == "paused", "paused"
        )

    def resume(self) -> None:
        self.query(self.url, "SELECT pg_wal_replay_resume()")

    def restore(self) -> None:
        """Start or resume the replica and wait until it has caught up."""
        assert self._server is not None
        if self._server.poll() is None:
            self.resume()
            self.catch_up()
        else:
            self.start()

    def catch_up(self) -> None:
        """Wait until the replica has the current state of the primary."""
        end = self.query(self.primary, "SELECT pg_current_wal_flush_lsn()")
        wait_until(lambda: self.query(self.url, "SELECT pg_last_wal_replay_lsn() >= %s", end), "caught up")

    def run_on_primary(self, statement: str) -> None:
        """Run a statement on the primary and commit."""
        with psycopg.connect(self.primary.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def query(self, url: str, statement: str, *parameters: object) -> Any:
        address = url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            row = connection.execute(statement.encode(), parameters or None).fetchone()
        return None if row is None else row[0]

    def _can_connect(self) -> bool:
        try:
            return bool(self.query(self.url, "SELECT true"))
        except psycopg.OperationalError:
            return False


@contextlib.contextmanager
def start_replica(build: Callable[[str], None]) -> Iterator[Standby]:
    """Yield the replica of a database that `build` fills, on a server of its own."""
    # a replica receives only flushed changes
    with own_server(synchronous_commit="on") as admin:
        url = create_database(admin, "rata_replicated")
        build(url)
        standby = Standby(url)
        try:
            yield standby
        finally:
            standby.kill()
