"""Sessions that see one committed state of the database while others write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel import Session

from app.kit.database.errors import is_lost

T = TypeVar("T")

ONE_STATE: dict[str, object] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_LEFT = "some of what was read has left"
MAY_END = "the work may have to be done again"
"""In `info` of a session whose server may fail where another one does not."""


def may_leave(session: Session) -> bool:
    """Whether what is read in one state may leave before all of it is read; where it may, the work is not repeated."""
    if MAY_END in session.info:
        return False
    session.info[_LEFT] = True
    return True


class Snapshots:
    """The part of a database that reads much of one state."""

    engine: Engine
    is_sqlite: bool

    def in_one_state(self, work: Callable[[Session], T]) -> T:
        """What `work` makes of one committed state, which its session sees from its first statement to its last.

        Where the database ends the work for reasons of its own, it is begun anew, by a session that sees a later
        state: so it begins its results anew as well, and asks `may_leave` before any of them is given away.
        """
        session = None
        try:
            with self.one_state() as session:
                return work(session)
        except DBAPIError as error:
            if session is None or not is_lost(error) or _LEFT in session.info:
                raise
        with self.one_state() as session:
            return work(session)

    @contextmanager
    def shared_state(self, session: Session) -> Iterator[list[Session]]:
        """A session of one state and, where there is a server, a second one that sees the same: two of its processes
        can then share what takes long. A file is read in this process, which gains nothing by a second one; nor is
        there one where all connections are taken."""
        if self.is_sqlite:
            yield [session]
            return
        first = session.connection()
        try:
            free = first.engine.connect()
        except NoConnection:  # the first alone does all of it
            yield [session]
            return
        state = first.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        with free.execution_options(**ONE_STATE) as second, second.begin():
            second.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{state}'")
            with Session(second, autoflush=False) as other:
                yield [session, other]

    @contextmanager
    def one_state(self) -> Iterator[Session]:
        """A session that sees one committed state from its first statement to its last, whoever writes meanwhile,
        and writes nothing itself. Large results are read by it in pieces (`yield_per`): a cursor of the server needs
        a transaction, which reading sessions do without."""
        options = {} if self.is_sqlite else ONE_STATE
        with (
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
            Session(connection, autoflush=False) as session,
        ):
            yield session
