"""Sessions on one snapshot of the database while other transactions write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from app.kit.database.errors import is_serialization_failure

T = TypeVar("T")

SNAPSHOT_OPTIONS: dict[str, object] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_HAS_SENT = "some results are sent"
MAY_FAIL_OVER = "the primary may repeat the work"
"""In the `info` of a session on a replica: if it fails, the primary repeats the work."""


def start_streaming(session: Session) -> bool:
    """Return whether the work may send results before it has read all; if so, it is not repeated after an error."""
    if MAY_FAIL_OVER in session.info:
        return False
    session.info[_HAS_SENT] = True
    return True


class Snapshots:
    """The part of a database that makes snapshot sessions."""

    engine: Engine
    is_sqlite: bool

    def run_in_snapshot(self, work: Callable[[Session], T]) -> T:
        """Return the result of `work` in one snapshot, the same from its first statement to its last.

        After a serialization failure, call `work` once more with a later snapshot. So it must start its results from
        empty, and ask `start_streaming` before it sends any of them.
        """
        session = None
        try:
            with self.snapshot_session() as session:
                return work(session)
        except DBAPIError as error:
            if session is None or not is_serialization_failure(error) or _HAS_SENT in session.info:
                raise
        with self.snapshot_session() as session:
            return work(session)

    @contextmanager
    def share_snapshot(self, session: Session) -> Iterator[list[Session]]:
        """Yield the session, and a second one on its snapshot, so that two server processes share the work.

        Yield only the first on SQLite, which gains nothing by a second, or if no connection is free.
        """
        if self.is_sqlite:
            yield [session]
            return
        first = session.connection()
        try:
            free = first.engine.connect()
        except PoolTimeout:  # the first session does all the work
            yield [session]
            return
        snapshot = first.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        with free.execution_options(**SNAPSHOT_OPTIONS) as second, second.begin():
            second.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            with Session(second, autoflush=False) as other:
                yield [session, other]

    @contextmanager
    def snapshot_session(self) -> Iterator[Session]:
        """Open a read-only session on one snapshot, the same from its first statement to its last.

        Large results come through it in pieces (`yield_per`): a server-side cursor needs a transaction, which
        other read sessions do not have.
        """
        options = {} if self.is_sqlite else SNAPSHOT_OPTIONS
        with (
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
            Session(connection, autoflush=False) as session,
        ):
            yield session
