"""Pulls, digests and report files from a streaming replica, if it has no lag.

Sequence numbers of the journal follow the order of commits, so the last one measures the lag of a replica. Each of
these jobs compares that of both servers once, at its start. All other reads go to the primary.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel import Session

from app.kit.database.breaker import limit_to_ping
from app.kit.database.engine import Database, Timeouts, make_replica_engine
from app.kit.database.errors import is_serialization_failure, is_statement_timeout
from app.kit.database.journal import LAST_SEQUENCE
from app.kit.database.snapshots import MAY_FAIL_OVER, SNAPSHOT_OPTIONS, T

log = structlog.get_logger("rata")

ASIDE_SECONDS = 8.0
"""Seconds without use of a replica that failed: while it is down, few requests wait for it in vain."""

_STATE = sa.select(
    LAST_SEQUENCE.scalar_subquery().label("height"),
    sa.func.pg_is_in_recovery().label("is_replica"),
    # equal on a replica and its primary, once it has the same schema, and different on any other server
    sa.literal_column("(SELECT system_identifier FROM pg_control_system())"),
    sa.literal_column("(SELECT oid FROM pg_database WHERE datname = current_database())"),
    sa.literal_column("(SELECT string_agg(version_num, ',' ORDER BY version_num) FROM alembic_version)"),
)


class _State(NamedTuple):
    """The row of `_STATE`, which identifies a server and its lag."""

    height: int | None
    is_replica: bool
    server: int
    database: int
    schema: str


class OtherDatabase(Exception):
    """A server that is no replica of the primary, or not of its present schema."""


class ReplicatedDatabase(Database):
    """A database with a replica, which serves `run_in_snapshot` if it has no lag."""

    def __init__(self, url: str, replica_url: str, *, pool_size: int, patience: Timeouts) -> None:
        super().__init__(url, pool_size=pool_size, patience=patience)
        self.replica = make_replica_engine(make_url(replica_url), pool_size, patience)
        self.reads_by = {"primary": 0, "replica": 0}
        self.rows_behind: int | None = None
        """Lag of the replica in rows of the journal, at the last comparison."""
        self._aside_until, self._reason = 0.0, ""
        self._guard = threading.Lock()

    @property
    def engines(self) -> dict[str, Engine]:
        return {**super().engines, "replica": self.replica}

    @property
    def is_replica_in_use(self) -> bool:
        """False for a while after the replica failed."""
        return time.monotonic() >= self._aside_until

    def run_in_snapshot(self, work: Callable[[Session], T]) -> T:
        """Return the result of `work` in a snapshot of the replica, or of the primary if the replica cannot serve it.

        If the replica fails during the work, the primary does all of it.
        """
        session = self._open_replica() if self.is_replica_in_use else None
        if session is not None:
            try:
                with session:
                    result = work(session)
            except DBAPIError as error:
                if is_statement_timeout(error):
                    raise
                if not is_serialization_failure(error):
                    # also if it does not have a column yet that a migration has just added
                    self._put_aside(error.orig)
            else:
                self._count("replica")
                return result
        self._count("primary")
        return super().run_in_snapshot(work)

    def close(self) -> None:
        super().close()
        self.replica.dispose()

    def _open_replica(self) -> Session | None:
        """Return a snapshot session of the replica. Returns None if it fails, lags, or has no free connection."""
        with self.read_session() as primary:
            expected = _State(*primary.connection().execute(_STATE).one())
        session = Session(self.replica.execution_options(**SNAPSHOT_OPTIONS), autoflush=False)
        try:
            with limit_to_ping():
                state = _State(*session.connection().execute(_STATE).one())
            if not state.is_replica or state[2:] != expected[2:]:
                raise OtherDatabase
        except (SQLAlchemyError, OtherDatabase) as error:
            session.close()
            if not isinstance(error, NoConnection):
                self._put_aside(error)
            return None
        self.rows_behind = max((expected.height or 0) - (state.height or 0), 0)
        if self.rows_behind:
            session.close()
            return None
        with self._guard:
            is_back, self._reason = bool(self._reason), ""
        if is_back:
            log.info("replica_in_use")
        session.info[MAY_FAIL_OVER] = True
        return session

    def _put_aside(self, error: BaseException | None) -> None:
        """Stop using the replica for a while; log each new reason once."""
        reason = type(error).__name__
        with self._guard:
            is_news, self._reason = self._reason != reason, reason
            self._aside_until = time.monotonic() + ASIDE_SECONDS
        if is_news:
            log.warning("replica_aside", reason=reason)

    def _count(self, server: str) -> None:
        with self._guard:
            self.reads_by[server] += 1


def make_database(url: str, replica_url: str | None, *, pool_size: int, patience: Timeouts) -> Database:
    """Return the database of a service, with its replica if it has one."""
    if replica_url is None:
        return Database(url, pool_size=pool_size, patience=patience)
    return ReplicatedDatabase(url, replica_url, pool_size=pool_size, patience=patience)
