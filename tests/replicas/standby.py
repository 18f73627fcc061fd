"""A real streaming replica of a server of tests, in that server's throw-away directory: pause it, kill it, start it."""

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
    # what stands in the way of replaying is cancelled at once
    "max_standby_streaming_delay": "50ms",
}


def until(is_so: Callable[[], object], what: str) -> None:
    """Look until it is so; fails after a time that nothing here takes."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


class Standby:
    """The replica, behind a socket of its own. Whoever killed it starts it again."""

    def __init__(self, primary: str) -> None:
        self.primary = primary
        (home,) = parse_qs(urlsplit(primary).query)["host"]
        self._folder, self._account = Path(home) / "standby", Account()
        self._binaries = Path(str(self.ask(primary, "SELECT setting FROM pg_config WHERE name = 'BINDIR'")))
        self._server: subprocess.Popen[bytes] | None = None
        self.was_killed = False
        copied = ["-D", self._folder, "-h", home, "-U", "postgres", "-R", "-C", "-S", "standby", "--no-sync"]
        self._account.run(self._binaries / "pg_basebackup", *copied, "-c", "fast")
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
        until(self._answers, "the replica answers")
        self.catch_up()

    def kill(self) -> None:
        """At once, with everybody who is connected."""
        assert self._server is not None
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        self.was_killed = True

    def pause(self) -> None:
        self.ask(self.url, "SELECT pg_wal_replay_pause()")
        until(lambda: self.ask(self.url, "SELECT pg_get_wal_replay_pause_state()") == "paused", "paused")

    def resume(self) -> None:
        self.ask(self.url, "SELECT pg_wal_replay_resume()")

    def restore(self) -> None:
        """As a test found it: running, and with everything that there is."""
        assert self._server is not None
        if self._server.poll() is None:
            self.resume()
            self.catch_up()
        else:
            self.start()

    def catch_up(self) -> None:
        """Wait until it has everything that the primary has now."""
        end = self.ask(self.primary, "SELECT pg_current_wal_flush_lsn()")
        until(lambda: self.ask(self.url, "SELECT pg_last_wal_replay_lsn() >= %s", end), "caught up")

    def do(self, statement: str) -> None:
        """On the primary, committed at once."""
        with psycopg.connect(self.primary.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def ask(self, url: str, statement: str, *parameters: object) -> Any:
        address = url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            row = connection.execute(statement.encode(), parameters or None).fetchone()
        return None if row is None else row[0]

    def _answers(self) -> bool:
        try:
            return bool(self.ask(self.url, "SELECT true"))
        except psycopg.OperationalError:
            return False


@contextlib.contextmanager
def replicated(build: Callable[[str], None]) -> Iterator[Standby]:
    """The replica of a database that `build` fills, on a server that no other test writes to."""
    # only what is flushed reaches a replica, and it is to be there soon
    with own_server(synchronous_commit="on") as admin:
        url = create_database(admin, "rata_replicated")
        build(url)
        standby = Standby(url)
        try:
            yield standby
        finally:
            standby.kill()
