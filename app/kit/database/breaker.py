"""A circuit breaker in front of a database server that stops answering, which only the client can notice.

A working server ends statements by its own time-outs. A stopped one, or one behind a network that swallows packets,
ends nothing and refuses nothing: each statement and each new connection waits in vain, and blocks a thread. So the
client has a time-out for each answer, and the first one that expires opens the breaker. While it is open, one thread
at a time tries to connect and the others fail at once; the first new connection closes it.

The pool replaces connections from before the silence: each carries the generation of its creation.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

if TYPE_CHECKING:
    from psycopg.abc import RV, PQGen

log = structlog.get_logger("rata")

SLACK = 2.0
"""Seconds after the server's own statement time-out until the server counts as silent."""
PING_SECONDS = 3.0
"""Seconds that a server has to answer a ping, independent of the statement time-out."""
IDLE_SECONDS = 5.0
"""Idle seconds in the pool after which a ping checks a connection before its use, as it does after a silence."""
SILENCE = 1.0
"""Seconds without an answer to any connection, by which a silent server differs from a busy or refusing one."""
PAUSE = 1.0
"""Seconds between two attempts to connect while the breaker is open."""

_USED_AT = "used at"
_bound: ContextVar[float | None] = ContextVar("bound", default=None)


@contextmanager
def limit_to_ping() -> Iterator[None]:
    """Wait `PING_SECONDS` at most for each answer of the database within the block."""
    token = _bound.set(PING_SECONDS)
    try:
        yield
    finally:
        _bound.reset(token)


def is_pinging() -> bool:
    """Return whether the caller is in a block of `limit_to_ping`."""
    return _bound.get() is not None


def find_answer_timeout(statement: float) -> float | None:
    """Return the seconds that one answer may take, given the statement time-out (0: none). Returns None if endless."""
    bounds = [_bound.get(), statement + SLACK if statement else None]
    return min((bound for bound in bounds if bound is not None), default=None)


class Breaker:
    """The state of one server, as its connections observe it."""

    def __init__(self) -> None:
        self.generation = 0
        """Number of times that the breaker gave up all connections."""
        self.silent_at = 0.0
        """Time of the last silence, by the monotonic clock."""
        self.answered_at = 0.0
        """Time of the last answer to any connection."""
        self.is_open = False
        self._attempt_at: float | None = None
        self._next_at = 0.0
        self._changed = threading.Condition()

    def give_up(self) -> None:
        """Stop using the present connections: they may lead to a server that became a standby."""
        with self._changed:
            self.generation += 1

    def note_loss(self, generation: int, waited: float) -> None:
        """Note the loss of a connection of that generation, after `waited` seconds without an answer.

        Opens the breaker if the server is silent to all connections, and if no newer generation exists.
        """
        with self._changed:
            if self._is_silent(waited) and generation == self.generation:
                self.generation += 1
                self._open()

    def may_connect(self) -> bool:
        """Return whether the caller may try to connect; it then calls `note_connection` or `note_failure`.

        If another thread is trying, wait up to `SILENCE` for its result.
        """
        with self._changed:
            while self.is_open:
                now = time.monotonic()
                if self._attempt_at is None:
                    if now < self._next_at:
                        return False
                    self._attempt_at = now
                elif self._changed.wait(max(0.0, self._attempt_at + SILENCE - now)):
                    continue
                else:
                    return False
                break
            return True

    def note_connection(self) -> None:
        """Close the breaker: the server answers."""
        with self._changed:
            if self.is_open:
                log.info("database_answers")
            self.is_open, self._attempt_at, self.answered_at = False, None, time.monotonic()
            self._changed.notify_all()

    def note_failure(self, waited: float) -> None:
        """Note that an attempt to connect failed after `waited` seconds."""
        with self._changed:
            if self._is_silent(waited):
                self._open()
            self._attempt_at = None
            self._next_at = time.monotonic() + PAUSE
            self._changed.notify_all()

    def _is_silent(self, waited: float) -> bool:
        """Return whether no connection had an answer for `SILENCE` seconds of the wait; a busy server answers some."""
        return min(waited, time.monotonic() - self.answered_at) >= SILENCE

    def _open(self) -> None:
        if not self.is_open:
            log.warning("database_silent")
        self.is_open, self.silent_at = True, time.monotonic()


def connect_by(breaker: Breaker, engine: Engine, *, statement: float) -> None:
    """Make an engine connect through the breaker, with a time-out for each answer of the server.

    `statement` is the server's statement time-out. The import is here because only servers need the driver.
    """
    import psycopg

    class Watched(psycopg.Connection[Any]):
        """A connection that closes if the server is silent to a statement, a commit or a cursor's fetch."""

        generation: int

        def wait(self, gen: "PQGen[RV]", interval: float = 0.1, timeout: float | None = None) -> "RV":
            bound = find_answer_timeout(statement) if timeout is None else None
            began = time.monotonic()
            try:
                result = super().wait(gen, interval, timeout if bound is None else bound)
            except psycopg.OperationalError:
                waited = time.monotonic() - began
                if bound is not None and waited >= bound:
                    self.close()
                if self.closed:
                    breaker.note_loss(self.generation, waited)
                raise
            breaker.answered_at = time.monotonic()
            return result

    @event.listens_for(engine, "do_connect")
    def _connect(
        dialect: object, record: object, arguments: tuple[str, ...], options: dict[str, Any]
    ) -> Watched:
        if not breaker.may_connect():
            raise psycopg.OperationalError("the server did not answer a moment ago")
        began, generation = time.monotonic(), breaker.generation
        try:
            connection = Watched.connect(*arguments, **options)
        except BaseException:
            breaker.note_failure(time.monotonic() - began)
            raise
        breaker.note_connection()
        connection.generation = generation
        return connection


def check_pooled(breaker: Breaker, engine: Engine) -> None:
    """Replace a pooled connection that the breaker gave up, or that died while idle, before a request gets it."""

    @event.listens_for(engine, "checkin")
    def _note(connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _check(connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
        if _USED_AT not in record.info:
            return  # a new connection
        if connection.generation != breaker.generation:
            raise DisconnectionError
        if record.info[_USED_AT] < max(breaker.silent_at, time.monotonic() - IDLE_SECONDS):
            try:
                with limit_to_ping():
                    engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error
