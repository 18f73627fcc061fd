"""The two engines; only the modules of this room name one of them.

SQLite is the embedded default, PostgreSQL the production engine. All other code works on either: text
compares byte by byte, integers hold any amount of rupiah, enum columns take only their values, instants
are aware UTC, and no transaction fails at its commit because of another.
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

from app.client.database import list_table_names, open_file
from app.kit.database.breaker import Breaker, check_pooled, connect_by, is_pinging, limit_to_ping
from app.kit.database.errors import is_read_only, is_statement_outdated, name_operator_error
from app.kit.database.snapshots import Snapshots
from app.kit.problems import Busy
from app.kit.shipped import find_shipped

log = structlog.get_logger("rata")

WRITE = "rata_write"

VERSIONS = "alembic_version"
OWN_TABLES = {VERSIONS, "journal", "journal_head"}
"""Tables that identify a database of this service: every version since the first has them."""


class Timeouts(NamedTuple):
    """Time-outs of a connection in seconds; 0: none. SQLite knows only that of locks."""

    statement: float = 0
    lock: float = 0
    idle_transaction: float = 0

    @property
    def turn(self) -> float:
        """Seconds that a writer waits for its turn on SQLite, where there is no endless wait."""
        return self.lock or 30

    def options(self) -> str:
        """Return the time-outs as options of a new PostgreSQL connection."""
        limits = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle_transaction,
        }
        return "".join(f" -c {name}={seconds * 1000:.0f}" for name, seconds in limits.items() if seconds)


NO_TIMEOUTS = Timeouts()


class Table(SQLModel):
    """Base of every table. Relationships stay inside an area; areas refer to one another by keys."""

    metadata: ClassVar[sa.MetaData] = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def get_table(model: type[SQLModel]) -> sa.Table:
    """Return the Core table of a model, for statements."""
    table: sa.Table = model.__table__  # type: ignore[attr-defined]  # SQLModel adds it without typing it
    return table


BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text_type(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Return a text type that compares byte by byte on both engines, so keyset pages have the same order."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


@event.listens_for(sa.Column, "before_parent_attach")
def _set_house_type(column: sa.Column[Any], parent: object) -> None:
    """Set the house's type of a column here, once, instead of in every field's declaration."""
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
    """One database: its engines, its sessions for reads and writes, and its state."""

    def __init__(
        self, url: str, *, pool_size: int = 10, patience: Timeouts = NO_TIMEOUTS, creates: bool = False
    ) -> None:
        """Make the engines. Only with `creates` does SQLite create a missing file; otherwise that is an error."""
        self.url, breaker = make_url(url), Breaker()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = (
            _make_sqlite_engine(self.url, patience, creates)
            if self.is_sqlite
            else _make_postgres_engine(self.url, breaker, pool_size, patience)
        )
        self._writes = self.engine.execution_options(**{WRITE: True})
        # A read on PostgreSQL is one statement; without BEGIN and ROLLBACK it is one round trip. Reads have their
        # own connections: to switch the mode of one, and to reset it, takes as long as a small statement.
        self.reads = (
            self.engine
            if self.is_sqlite
            else _make_postgres_engine(
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
        """The engines by the purpose of their connections."""
        return {"writes": self.engine} if self.is_sqlite else {"writes": self.engine, "reads": self.reads}

    def read_session(self) -> Session:
        return Session(self.reads, autoflush=False, expire_on_commit=False)

    def write_session(self) -> Session:
        """Return a session whose transaction begins at its first statement, on SQLite as the only writer."""
        return Session(self._writes, expire_on_commit=False)

    @contextmanager
    def writing(self, *, dry_run: bool = False) -> Iterator[Session]:
        """Run the block in one transaction: for work outside a request, such as commands, loading and tests."""
        with self.write_session() as session:
            try:
                yield session
                session.flush()
            except BaseException:
                session.rollback()
                raise
            finish(session, dry_run=dry_run)

    def read_schema_state(self) -> tuple[str | None, str]:
        """Return (revision of the database, newest revision of the migrations)."""
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        newest = ScriptDirectory.from_config(make_alembic_config(str(self.url))).get_current_head()
        assert newest is not None
        return current, newest

    def log_refusals(self) -> None:
        """Log each refusal of the database that only an operator can end; the client gets 503."""
        for engine in {self.engine, self.reads}:
            event.listen(engine, "handle_error", _log_refusal)

    @property
    def file(self) -> Path | None:
        """The file of an embedded database; None for a server or a database in memory."""
        name = self.url.database if self.is_sqlite else None
        return None if not name or name == ":memory:" else Path(name).absolute()

    def classify_file(self) -> Literal["empty", "own", "foreign"]:
        """Return the kind of an existing file, by its tables and views, without changing a byte of it.

        It uses no connection of the pool: those switch a file to a write-ahead log.
        """
        assert self.file is not None
        if not self.file.stat().st_size:
            return "empty"
        # without a log the file is complete, and reading it as mutable would create a log
        has_log = self.file.with_name(f"{self.file.name}-wal").exists()
        engine = open_file(self.file, "mode=ro" if has_log else "mode=ro&immutable=1")
        try:
            names = set(list_table_names(engine))
        finally:
            engine.dispose()
        if names >= OWN_TABLES:
            return "own"
        return "foreign" if names - {VERSIONS} else "empty"

    @property
    def address(self) -> str:
        """The address for people: a file with its absolute path, a server without passwords."""
        if self.file is not None:
            return f"{self.url.drivername}:///{self.file}"
        secrets = [name for name in self.url.query if "pass" in name]
        return self.url.difference_update_query(secrets).render_as_string(hide_password=True)

    def read_encoding(self) -> str:
        """Return the database's text encoding."""
        with self.engine.connect() as connection:
            statement = "PRAGMA encoding" if self.is_sqlite else "SHOW server_encoding"
            return str(connection.exec_driver_sql(statement).scalar_one())

    def ping(self) -> None:
        """Query a constant of a server, or the header of a file. Raises SQLAlchemyError if that fails."""
        with limit_to_ping(), self.engine.connect() as connection:
            connection.execute(sa.text("PRAGMA schema_version" if self.is_sqlite else "SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        self.reads.dispose()


def finish(session: Session, *, dry_run: bool) -> None:
    """End the transaction of a unit of work: commit it, or roll back a dry run."""
    if dry_run:
        session.rollback()
    else:
        session.commit()


def make_alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(find_shipped("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _log_refusal(context: ExceptionContext) -> None:
    if reason := name_operator_error(context.original_exception):
        log.error("database_refuses", reason=reason)


_CLIENT_KEEPALIVE = {
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
"""Time-outs after which a connection notices a dead network; the database's URL may override them."""
_SERVER_KEEPALIVE = (
    " -c tcp_user_timeout=3000 -c tcp_keepalives_idle=3"
    " -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
)
"""Those of the server: without them it keeps the locks of a client that the network cut off."""

_POOL_SECONDS = 5
"""Seconds that a request waits for a connection of the pool, before 503."""


def _make_postgres_engine(
    url: sa.URL, breaker: Breaker, pool_size: int, patience: Timeouts, **options: object
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
        hide_parameters=True,  # the log gets the text of errors, and must not get people's data
        # JIT compilation takes longer than any of our statements runs, and a wrong cost estimate would start it.
        # We read every cursor to its end: a plan for its first tenth can take a hundred times longer.
        connect_args={
            "options": "-c timezone=UTC -c jit=off -c cursor_tuple_fraction=1"
            + _SERVER_KEEPALIVE
            + patience.options(),
            "prepare_threshold": 3,
            # with another encoding the driver returns bytes, before our check can refuse the database
            "client_encoding": "utf8",
            **{name: value for name, value in _CLIENT_KEEPALIVE.items() if name not in url.query},
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
        # Prepared statements live as long as their connection; each connection of this age may hold outdated ones.
        if is_statement_outdated(error) or is_read_only(error):
            context.is_disconnect = True

    return engine


def make_replica_engine(url: sa.URL, pool_size: int, patience: Timeouts) -> Engine:
    """Return an engine for a replica; no caller waits for a free connection."""
    breaker = Breaker()
    engine = _make_postgres_engine(url, breaker, pool_size, patience, max_overflow=0, pool_timeout=0)
    check_pooled(breaker, engine)
    return engine


def make_file_address(file: Path) -> str:
    """Return the URL of a SQLite file."""
    return sa.URL.create("sqlite", database=str(file)).render_as_string()


def _make_sqlite_engine(url: sa.URL, patience: Timeouts, creates: bool) -> Engine:
    if url.database and url.database != ":memory:":
        # by default SQLite creates a missing file
        address = Path(url.database).absolute().as_uri()
        url = url.set(
            database=f"{address}?mode={'rwc' if creates else 'rw'}", query={**url.query, "uri": "true"}
        )
    engine = sa.create_engine(
        url, hide_parameters=True, connect_args={"timeout": patience.turn, "check_same_thread": False}
    )
    write_lock = threading.Lock()

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
        # With this lock the slowest writer waits a tenth of the time that it waits with SQLite's own polling.
        if not write_lock.acquire(timeout=patience.turn):
            raise Busy(headers={"Retry-After": "1"})
        connection.info["turn"] = True
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            connection.info.pop("turn")
            write_lock.release()
            raise

    @event.listens_for(engine, "checkin")
    def _checkin(dbapi: object, record: ConnectionPoolEntry) -> None:
        if record.info.pop("turn", False):
            write_lock.release()

    return engine
