"""The two engines; only the modules of this room name one of them.

SQLite is the embedded default, PostgreSQL the production engine. Everything above works on either:
text compares byte by byte on both, integers hold any amount of rupiah, enums are checked text,
instants are aware UTC, and a writer never finds out at commit that it lost.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import sqlalchemy as sa
import structlog
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext, make_url
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, SQLModel

from app.client.database import list_names, open_file
from app.kit.database.breaker import Breaker, check_pooled, connect_by, is_pinging, pinging
from app.kit.database.errors import is_outdated, is_read_only, refusal_for_operators
from app.kit.database.snapshots import Snapshots
from app.kit.problems import Busy
from app.kit.shipped import find_shipped

log = structlog.get_logger("rata")

WRITE = "rata_write"

VERSIONS = "alembic_version"
OWN_TABLES = {VERSIONS, "journal", "journal_head"}
"""Tables by which a database counts as one of this service: every version since the first has them."""


class Patience(NamedTuple):
    """How long the database lets a connection go on, in seconds; 0 without end. SQLite knows only locks."""

    statement: float = 0
    lock: float = 0
    idle_transaction: float = 0

    @property
    def turn(self) -> float:
        """How long a writer waits for the one before it on SQLite, where waiting without end is no choice."""
        return self.lock or 30

    def options(self) -> str:
        """As PostgreSQL takes them when a connection begins."""
        limits = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle_transaction,
        }
        return "".join(f" -c {name}={seconds * 1000:.0f}" for name, seconds in limits.items() if seconds)


ENDLESS = Patience()


class Table(SQLModel):
    """Base of every table. Relationships stay inside an area; across areas there are keys."""

    metadata: ClassVar[sa.MetaData] = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def table_of(model: type[SQLModel]) -> sa.Table:
    """The Core table of a model; statements are written against it."""
    table: sa.Table = model.__table__  # type: ignore[attr-defined]  # SQLModel adds it without typing it
    return table


BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text_type(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that compares byte by byte on both engines, so that a keyset page is the same page."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


@event.listens_for(sa.Column, "before_parent_attach")
def _house_types(column: sa.Column[Any], parent: object) -> None:
    """Columns get the house's types here, once, instead of in every field's declaration."""
    if not isinstance(parent, sa.Table) or parent.metadata is not Table.metadata:
        return
    kind = column.type
    if isinstance(kind, sa.Enum) and isinstance(kind.enum_class, type) and issubclass(kind.enum_class, Enum):
        column.type = sa.Enum(
            kind.enum_class,
            native_enum=False,
            create_constraint=False,
            validate_strings=True,
            length=40,
            values_callable=lambda members: [member.value for member in members],
        )
    elif isinstance(kind, sa.String) or (
        isinstance(kind, sa.types.TypeDecorator) and isinstance(kind.impl, sa.String)
    ):
        length = kind.length if isinstance(kind, sa.String) else getattr(kind.impl, "length", None)
        column.type = text_type(length)
    elif isinstance(kind, sa.Integer):
        column.type = BigInt


class Database(Snapshots):
    """One database: sessions that read, sessions that write, and what can be said of its state."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        patience: Patience = ENDLESS,
        creates: bool = False,
    ) -> None:
        """Without `creates`, a SQLite file that is missing is an error, never a new and empty database."""
        self.url, breaker = make_url(url), Breaker()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = (
            _sqlite_engine(self.url, patience, creates)
            if self.is_sqlite
            else _postgres_engine(self.url, breaker, pool_size, patience)
        )
        self._writes = self.engine.execution_options(**{WRITE: True})
        # A read on PostgreSQL is one statement; without BEGIN and ROLLBACK it is one round trip. Connections of
        # its own: to switch one over and back, and to reset it, takes as long as a small statement.
        self.reads = (
            self.engine
            if self.is_sqlite
            else _postgres_engine(
                self.url,
                breaker,
                pool_size,
                patience,
                isolation_level="AUTOCOMMIT",
                pool_reset_on_return=None,
            )
        )
        if not self.is_sqlite:
            for engine in (self.engine, self.reads):
                check_pooled(breaker, engine)

    @property
    def engines(self) -> dict[str, Engine]:
        """Each engine by what its connections are for."""
        return {"writes": self.engine} if self.is_sqlite else {"writes": self.engine, "reads": self.reads}

    def read_session(self) -> Session:
        return Session(self.reads, autoflush=False, expire_on_commit=False)

    def write_session(self) -> Session:
        """A session whose transaction begins, as the only writer on SQLite, at its first statement."""
        return Session(self._writes, expire_on_commit=False)

    @contextmanager
    def writing(self, *, dry_run: bool = False) -> Iterator[Session]:
        """One transaction for work outside a request: the command line, loading, tests."""
        with self.write_session() as session:
            try:
                yield session
                session.flush()
            except BaseException:
                session.rollback()
                raise
            finish(session, dry_run=dry_run)

    def schema_state(self) -> tuple[str | None, str]:
        """(revision of the database, newest revision of the migrations)."""
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        newest = ScriptDirectory.from_config(alembic_config(str(self.url))).get_current_head()
        assert newest is not None
        return current, newest

    def log_refusals(self) -> None:
        """Log what the caller of the service sees as 503 and only an operator can end."""
        for engine in {self.engine, self.reads}:
            event.listen(engine, "handle_error", _log_refusal)

    @property
    def file(self) -> Path | None:
        """The file of an embedded database; None of a server, and of a database in memory."""
        name = self.url.database if self.is_sqlite else None
        return None if not name or name == ":memory:" else Path(name).absolute()

    def look_into_file(self) -> Literal["empty", "own", "foreign"]:
        """Return whose an existing file is, by its tables and views, without changing a byte of it.

        The connections of the pool switch a file to a write-ahead log.
        """
        assert self.file is not None
        if not self.file.stat().st_size:
            return "empty"
        # without a log nothing is left to read but the file; to read such a file as one with a log makes one
        has_log = self.file.with_name(f"{self.file.name}-wal").exists()
        engine = open_file(self.file, "mode=ro" if has_log else "mode=ro&immutable=1")
        try:
            names = set(list_names(engine))
        finally:
            engine.dispose()
        if names >= OWN_TABLES:
            return "own"
        return "foreign" if names - {VERSIONS} else "empty"

    @property
    def address(self) -> str:
        """The address for people: of a file the whole path, of a server without passwords."""
        if self.file is not None:
            return f"{self.url.drivername}:///{self.file}"
        secrets = [name for name in self.url.query if "pass" in name]
        return self.url.difference_update_query(secrets).render_as_string(hide_password=True)

    def server_encoding(self) -> str:
        """Return the encoding in which the database stores text."""
        with self.engine.connect() as connection:
            statement = "PRAGMA encoding" if self.is_sqlite else "SHOW server_encoding"
            return str(connection.exec_driver_sql(statement).scalar_one())

    def ping(self) -> None:
        """Ask the database for an answer: a server for any, a file for what it holds. Raises what it fails by."""
        with pinging(), self.engine.connect() as connection:
            connection.execute(sa.text("PRAGMA schema_version" if self.is_sqlite else "SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        self.reads.dispose()


def finish(session: Session, *, dry_run: bool) -> None:
    """End the one transaction of a unit of work: kept, or in a trial undone."""
    if dry_run:
        session.rollback()
    else:
        session.commit()


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(find_shipped("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _log_refusal(context: ExceptionContext) -> None:
    if reason := refusal_for_operators(context.original_exception):
        log.error("database_refuses", reason=reason)


_LINE = {
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
"""How soon a connection notices that nothing arrives; an address of a database may say otherwise."""
_SERVER_LINE = (
    " -c tcp_user_timeout=3000 -c tcp_keepalives_idle=3"
    " -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
)
"""The same for the server's end: else it keeps the locks of a client that the network took away."""

_POOL_SECONDS = 5
"""Seconds that a request waits for a connection of the pool, before 503."""


def _postgres_engine(
    url: sa.URL, breaker: Breaker, pool_size: int, patience: Patience, **options: object
) -> Engine:
    settings: dict[str, object] = {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": _POOL_SECONDS,
        "pool_pre_ping": False,
        "pool_recycle": 1800,
        **options,
    }
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # an error's text is logged, and what people wrote is none of a log's business
        # Compiling a statement takes longer than any of ours runs; a wrong guess of its cost must not start that.
        # What is read through a cursor is read to its end: a plan for its first tenth can take a hundred times longer.
        connect_args={
            "options": "-c timezone=UTC -c jit=off -c cursor_tuple_fraction=1"
            + _SERVER_LINE
            + patience.options(),
            "prepare_threshold": 3,
            # of a database in another encoding the driver would return bytes, before anything can refuse it
            "client_encoding": "utf8",
            **{name: value for name, value in _LINE.items() if name not in url.query},
        },
        **settings,
    )
    connect_by(breaker, engine, statement=patience.statement)

    @event.listens_for(engine, "handle_error")
    def _drop(context: ExceptionContext) -> None:
        error = context.original_exception
        if is_read_only(error):
            breaker.give_up()
        if is_pinging():
            context.invalidate_pool_on_disconnect = False  # if all are dead, the breaker notices
        # Prepared statements live as long as their connection; all of this age may hold some that are outdated.
        if is_outdated(error) or is_read_only(error):
            context.is_disconnect = True

    return engine


def replica_engine(url: sa.URL, pool_size: int, patience: Patience) -> Engine:
    """Return connections to a replica; no caller waits for a free one."""
    breaker = Breaker()
    engine = _postgres_engine(url, breaker, pool_size, patience, max_overflow=0, pool_timeout=0)
    check_pooled(breaker, engine)
    return engine


def make_file_address(file: Path) -> str:
    """Return the address of a database that is this file."""
    return sa.URL.create("sqlite", database=str(file)).render_as_string()


def _sqlite_engine(url: sa.URL, patience: Patience, creates: bool) -> Engine:
    if url.database and url.database != ":memory:":
        # by default SQLite creates a file that is missing
        address = Path(url.database).absolute().as_uri()
        url = url.set(
            database=f"{address}?mode={'rwc' if creates else 'rw'}", query={**url.query, "uri": "true"}
        )
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": patience.turn, "check_same_thread": False},
    )
    turn = threading.Lock()

    @event.listens_for(engine, "connect")
    def _connect(dbapi: sqlite3.Connection, record: object) -> None:
        # The driver's own BEGIN is deferred: two readers that both go on to write then fail with
        # "database is locked". Ours is below.
        dbapi.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "cache_size=-16000",
            f"busy_timeout={patience.turn * 1000:.0f}",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(WRITE):
            connection.exec_driver_sql("BEGIN")
            return
        # Waiting in line here is ten times kinder to the slowest writer than SQLite's own polling.
        if not turn.acquire(timeout=patience.turn):
            raise Busy(headers={"Retry-After": "1"})
        connection.info["turn"] = True
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            connection.info.pop("turn")
            turn.release()
            raise

    @event.listens_for(engine, "checkin")
    def _checkin(dbapi: object, record: ConnectionPoolEntry) -> None:
        if record.info.pop("turn", False):
            turn.release()

    return engine
