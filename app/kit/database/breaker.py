"""A circuit breaker in front of a database server, for what only the client can notice: that nothing answers.

The time-outs of the server end what a server at work does. One that is stopped, or is behind a network that swallows
packets, ends nothing and refuses nothing: each statement and each new connection waits in vain, and a thread with it.
So each wait for an answer has a bound on this side, and the first one that ends in silence opens the breaker. While
it is open, one thread at a time tries to connect and the others fail at once; the first new connection closes it.

Connections that were pooled before the silence are not used after it: each has the generation in which it was made.
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
"""Seconds after the server's own time-out of a statement until the server counts as silent."""
PING_SECONDS = 3.0
"""Seconds that a server has to answer a ping, however long statements may take."""
IDLE_SECONDS = 5.0
"""A connection that was idle in the pool for longer, or since a silence, is pinged before it is used."""
SILENCE = 1.0
"""Seconds without an answer to any connection that tell a silent server from one that refuses or is busy."""
PAUSE = 1.0
"""Seconds between two attempts to connect while the breaker is open."""

_USED_AT = "used at"
_bound: ContextVar[float | None] = ContextVar("bound", default=None)


@contextmanager
def pinging() -> Iterator[None]:
    """Bound each wait for an answer of the database within the block to that of a ping."""
    token = _bound.set(PING_SECONDS)
    try:
        yield
    finally:
        _bound.reset(token)


def is_pinging() -> bool:
    """Whether the caller is in a block of `pinging`."""
    return _bound.get() is not None


def bound_of(statement: float) -> float | None:
    """Return the seconds that one answer may take, by the time-out of statements (0: endless); None if endless."""
    bounds = [_bound.get(), statement + SLACK if statement else None]
    return min((bound for bound in bounds if bound is not None), default=None)


class Breaker:
    """The state of one server, as the connections to it learn it."""

    def __init__(self) -> None:
        self.generation = 0
        """Number of times that all connections were given up."""
        self.silent_at = 0.0
        """When silence was last noticed."""
        self.answered_at = 0.0
        """When any connection last had an answer."""
        self.is_open = False
        self._attempt_at: float | None = None
        self._next_at = 0.0
        self._changed = threading.Condition()

    def give_up(self) -> None:
        """Use the present connections no more: they may lead to a server that became a standby."""
        with self._changed:
            self.generation += 1

    def lost(self, generation: int, waited: float) -> None:
        """Note that a connection of that generation was lost, after so many seconds without an answer.

        If the server was silent to all connections, that opens the breaker. Newer ones know more of the server.
        """
        with self._changed:
            if self._is_silent(waited) and generation == self.generation:
                self.generation += 1
                self._open()

    def may_connect(self) -> bool:
        """Whether the caller may try to connect; it then calls `connected` or `failed`.

        If another thread tries, wait a moment for what becomes of that.
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

    def connected(self) -> None:
        """Close the breaker: the server answers."""
        with self._changed:
            if self.is_open:
                log.info("database_answers")
            self.is_open, self._attempt_at, self.answered_at = False, None, time.monotonic()
            self._changed.notify_all()

    def failed(self, waited: float) -> None:
        """Note that an attempt to connect failed after so many seconds."""
        with self._changed:
            if self._is_silent(waited):
                self._open()
            self._attempt_at = None
            self._next_at = time.monotonic() + PAUSE
            self._changed.notify_all()

    def _is_silent(self, waited: float) -> bool:
        """Whether so long a wait met silence: one of a busy server is no reason to refuse what others still get."""
        return min(waited, time.monotonic() - self.answered_at) >= SILENCE

    def _open(self) -> None:
        if not self.is_open:
            log.warning("database_silent")
        self.is_open, self.silent_at = True, time.monotonic()


def connect_by(breaker: Breaker, engine: Engine, *, statement: float) -> None:
    """Let an engine connect by way of the breaker, with a bound on each wait for the server.

    `statement` is the server's own time-out. Only servers need the driver, so it is imported here.
    """
    import psycopg

    class Watched(psycopg.Connection[Any]):
        """A connection that is closed if the server is silent: to a statement, a commit, a fetch of a cursor."""

        generation: int

        def wait(self, gen: "PQGen[RV]", interval: float = 0.1, timeout: float | None = None) -> "RV":
            bound = bound_of(statement) if timeout is None else None
            began = time.monotonic()
            try:
                result = super().wait(gen, interval, timeout if bound is None else bound)
            except psycopg.OperationalError:
                waited = time.monotonic() - began
                if bound is not None and waited >= bound:
                    self.close()
                if self.closed:
                    breaker.lost(self.generation, waited)
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
            breaker.failed(time.monotonic() - began)
            raise
        breaker.connected()
        connection.generation = generation
        return connection


def check_pooled(breaker: Breaker, engine: Engine) -> None:
    """Replace a pooled connection that was given up, or died while it was idle, before a request gets it."""

    @event.listens_for(engine, "checkin")
    def _note(connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _check(connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
        if _USED_AT not in record.info:
            return  # just made
        if connection.generation != breaker.generation:
            raise DisconnectionError
        if record.info[_USED_AT] < max(breaker.silent_at, time.monotonic() - IDLE_SECONDS):
            try:
                with pinging():
                    engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error
