"""Reads from a streaming replica, never of an older state than the caller may have seen.

Rows of the journal are numbered in the order of commits, so its height says how much of the primary a replica has.
The statement that finds out who calls runs on the primary and brings the height along; what is read then is read
from the replica where that has come as high, else from the primary. What changes without an entry of the journal
is none of a replica's business: whoever shows it reads it from the primary.

A replica that is away or behind is put aside, and looked after by a thread of its own until it keeps up again:
no request waits for a connection to it, and while it is aside none asks for it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session

from app.kit.database.engine import MAY_END, Database, Patience, T, replica_engine
from app.kit.database.errors import is_given_up, is_lost
from app.kit.database.journal import HEIGHT, height
from app.kit.problems import Busy

log = structlog.get_logger("rata")

PAUSES = (0.001, 0.003, 0.006)
"""Seconds for which a read waits for a replica that is a few commits behind, before it goes to the primary."""
LOOK = 2.0
"""Seconds between two looks at a replica that is in use."""
FIRST, LONGEST = 0.25, 8.0
"""Seconds until the first look at one that was put aside; each further pause is twice as long, up to the longest."""

IS_REPLICA = sa.func.pg_is_in_recovery()
"""Whether the server that is asked replays what another writes."""

IDENTITY = (
    "SELECT (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " (SELECT string_agg(version_num, ',' ORDER BY version_num) FROM alembic_version)"
)
"""What a replica has in common with its primary and with no other server, once it has the same schema."""

_PLACE = "height of the journal"
_GENERATION = "generation of connections"
_STATE = sa.select(HEIGHT.scalar_subquery(), IS_REPLICA)


def read_placed(
    session: Session, statement: sa.Select[Any], parameters: dict[str, Any]
) -> Sequence[sa.Row[Any]]:
    """The rows of a statement. Where further reads may go to a replica, it notes the height that they must see: that
    of the same snapshot."""
    if _PLACE not in session.info:
        return session.connection().execute(statement, parameters).all()
    rows = session.connection().execute(_with_height(statement), parameters).all()
    if rows:
        session.info[_PLACE] = rows[0].journal_height or 0
    return rows


@cache
def _with_height(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.add_columns(HEIGHT.scalar_subquery().label("journal_height"))


class OtherDatabase(Exception):
    """What was reached is no replica of the primary, or not of its present schema."""


class Replica:
    """One replica, or several behind one address: whether it is in use, and connections to it."""

    def __init__(self, engine: Engine, primary: Database) -> None:
        self.engine, self._primary = engine, primary
        self._states = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.height: int | None = None
        """Highest that it was seen at."""
        self._in_use = False
        self._asked_at: float | None = None
        self._aside: str | None = None
        self._generation = 0
        """Of its connections; all of one are given up together."""
        self._guard = threading.Lock()
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="replica", daemon=True)
        event.listen(engine, "connect", self._check)
        event.listen(engine, "checkin", self._give_up)

    def start(self) -> None:
        self._watch.start()

    @property
    def is_in_use(self) -> bool:
        asked_at = self._asked_at
        if self._in_use and asked_at is not None and time.monotonic() - asked_at > LOOK:
            self.put_aside("silent")
        return self._in_use

    def session_at(
        self, needed: int, is_shown: Callable[[int], bool], *, one_state: bool = False
    ) -> Session | None:
        """A session that sees the journal at least that high, and no higher than the primary shows; None: there is
        none, or not at once."""
        if not self.is_in_use or not self._has_idle():
            return None
        session = Session(self._states if one_state else self.engine, autoflush=False, expire_on_commit=False)
        session.info[MAY_END] = True
        try:
            found = self._reached(session, needed)
            if found is not None and is_shown(found):
                return session
        except (SQLAlchemyError, OtherDatabase) as error:
            if not isinstance(error, sa.exc.TimeoutError):
                self.put_aside(type(error).__name__, lost=True)
        session.close()
        return None

    def put_aside(self, why: str, *, lost: bool = False, **said: Any) -> None:
        """Use it no more until it keeps up; `lost`: its connections are no good."""
        with self._guard:
            was_in_use, self._in_use = self._in_use, False
            is_news, self._aside = self._aside != why, why
        if is_news:
            log.warning("replica_aside", reason=why, **said)
        if lost:
            self._generation += 1
            self.engine.dispose()
        if was_in_use:
            self._woken.set()

    def close(self) -> None:
        self._stopped.set()
        self._woken.set()
        self._watch.join()
        self.engine.dispose()

    def _has_idle(self) -> bool:
        """Whether a connection is at hand. One more is made where there is none, but not while a request waits."""
        pool = self.engine.pool
        assert isinstance(pool, sa.QueuePool)
        if pool.checkedin():
            return True
        if pool.checkedout() < pool.size():
            self._woken.set()
        return False

    def _reached(self, session: Session, needed: int) -> int | None:
        """How high it is, where that is high enough now or in a moment."""
        for pause in (None, *PAUSES):
            if pause is not None:
                session.rollback()  # of one state, it would see no other
                time.sleep(pause)
            found, is_replica = session.connection().execute(_STATE).one()
            if not is_replica:
                raise OtherDatabase
            self.height = found = found or 0
            if found >= needed:
                return found
        self.put_aside("behind", rows=needed - found)
        return None

    # Looking after it

    def _look_after(self) -> None:
        pause = 0.0
        while not self._stopped.is_set():
            if self._woken.wait(pause):
                self._woken.clear()
                self._stopped.wait(0 if self._in_use else FIRST)
                pause = FIRST
            if self._stopped.is_set():
                return
            self._look()
            pause = LOOK if self._in_use else min(max(pause * 2, FIRST), LONGEST)

    def _look(self) -> None:
        """Take it into use, or put it aside, by what it says of itself; a connection stays at hand."""
        try:
            with self._primary.read_session() as primary:
                needed = height(primary)
        except (SQLAlchemyError, Busy):
            return  # the primary's troubles say nothing of its replica
        self._asked_at = time.monotonic()
        try:
            with Session(self.engine) as session:
                found = self._reached(session, needed)
        except sa.exc.TimeoutError:
            return  # all are in use, so it is
        except (SQLAlchemyError, OtherDatabase) as error:
            self.put_aside(type(error).__name__, lost=True)
            return
        finally:
            self._asked_at = None
        if found is not None and not self._in_use:
            with self._guard:
                self._in_use, self._aside = True, None
            log.info("replica_in_use")

    def _give_up(self, dbapi: Any, record: Any) -> None:
        """Close a connection that was in use when all of its generation were given up. No pool asks for it again.

        A record whose attempt to connect failed comes here too: it has no connection and no generation.
        """
        if record.info.get(_GENERATION, self._generation) != self._generation:
            record.invalidate()

    def _check(self, dbapi: Any, record: Any) -> None:
        """Refuse a connection to anything but a replica of the primary, with its present schema."""
        record.info[_GENERATION] = self._generation
        try:
            with self._primary.reads.connect() as primary:
                wanted = tuple(primary.exec_driver_sql(IDENTITY).one())
            with dbapi.cursor() as cursor:
                found = cursor.execute(IDENTITY).fetchone()
            if found != wanted:
                raise OtherDatabase
        except BaseException:
            dbapi.close()
            raise


class Replicated(Database):
    """A database whose reads a replica takes, where that has what the caller may have seen."""

    def __init__(self, url: str, replica_url: str, *, pool_size: int, patience: Patience) -> None:
        super().__init__(url, pool_size=pool_size, patience=patience)
        self._shown = 0
        self.reads_by = {"primary": 0, "replica": 0}
        self._counting = threading.Lock()
        engine = replica_engine(make_url(replica_url), pool_size, False, patience)
        self.replica = Replica(engine, self)
        self.replica.start()

    @property
    def engines(self) -> dict[str, Engine]:
        return {**super().engines, "replica": self.replica.engine}

    def read_session(self) -> Session:
        session = super().read_session()
        if self.replica.is_in_use:
            session.info[_PLACE] = None
        return session

    def reads_after(self, first: Session) -> Session:
        session = None
        if _PLACE in first.info:
            needed = first.info[_PLACE]
            if needed is None:  # nobody was asked who calls
                needed = height(first)
            session = self._session_at(needed, first)
        with self._counting:
            self.reads_by["primary" if session is None else "replica"] += 1
        return first if session is None else session

    def is_to_be_read_anew(self, session: Session, error: DBAPIError) -> bool:
        if MAY_END not in session.info or is_given_up(error):
            return False
        if not is_lost(error):
            # also what it does not know yet: a column that a migration has just added
            self.replica.put_aside(type(error.orig).__name__, lost=error.connection_invalidated)
        return True

    def in_one_state(self, work: Callable[[Session], T]) -> T:
        session = None
        if self.replica.is_in_use:
            with self.read_session() as first:
                session = self._session_at(height(first), first, one_state=True)
        if session is not None:
            try:
                with session:
                    return work(session)
            except DBAPIError as error:
                if not self.is_to_be_read_anew(session, error):
                    raise
        return super().in_one_state(work)

    def close(self) -> None:
        self.replica.close()
        super().close()

    def _session_at(self, needed: int, first: Session, *, one_state: bool = False) -> Session | None:
        self._shown = max(self._shown, needed)

        def is_shown(found: int) -> bool:
            # What waits for another, synchronous replica is already to be seen here: who read it here and
            # then had to read the primary would go back in time.
            if found > self._shown:
                self._shown = max(self._shown, height(first))
            return found <= self._shown

        session = self.replica.session_at(needed, is_shown, one_state=one_state)
        if session is not None:
            first.close()
        return session


def database_for(url: str, replica_url: str | None, *, pool_size: int, patience: Patience) -> Database:
    """The database of a service, with its replica where it has one."""
    if replica_url is None:
        return Database(url, pool_size=pool_size, patience=patience)
    return Replicated(url, replica_url, pool_size=pool_size, patience=patience)
