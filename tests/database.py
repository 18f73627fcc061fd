"""Databases for tests: one migrated template per engine, one rolled-back transaction per test."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlmodel import Session

from app.convergence.editions.commands import load_editions
from app.convergence.editions.methods.queries import METHOD, PACKAGE
from app.convergence.editions.step_templates.queries import TEMPLATE
from app.kit.database.engine import WRITE, Database, get_table, make_alembic_config
from app.kit.database.journal import Author, JournalRow
from tests.engines import ENGINES as ENGINES
from tests.postgres import worker_database
from tests.reference import load_small_reference


def prepare(url: str) -> Database:
    """Migrate a database to the newest revision and load the small reference data into it."""
    command.upgrade(make_alembic_config(url), "head")
    database = Database(url)
    with database.writing() as session:
        load_small_reference(session)
        author = Author("test", datetime.now(UTC))
        load_editions(session, author, [PACKAGE, METHOD, TEMPLATE])
    return database


def sqlite_url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


@contextmanager
def own_database(engine: str) -> Iterator[Database]:
    """Yield a prepared database for a test that commits, copied from a template."""
    with own_url(engine) as url:
        database = Database(url)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def own_url(engine: str) -> Iterator[str]:
    """Yield the address of a prepared database, for a test that opens it in another process."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="rata-test-") as folder:
            yield copy_prepared(Path(folder))
        return
    with worker_database(_prepare) as url:
        yield url


def copy_prepared(folder: Path) -> str:
    """Copy a prepared SQLite file to `rata.db` in `folder`; return its address."""
    shutil.copyfile(_build_template(), folder / "rata.db")
    return sqlite_url(folder, "rata")


def _prepare(url: str) -> None:
    prepare(url).close()


@cache
def _build_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rata-test-"))
    atexit.register(shutil.rmtree, folder)
    _prepare(sqlite_url(folder, "prepared"))
    return folder / "prepared.db"


class OneTransaction(Database):
    """A database with all sessions inside one transaction, which the test rolls back.

    Each request still has its own session, so no object of one request hides a lazy load of the next.
    """

    def __init__(self, connection: Connection, base: Database) -> None:
        self.url, self.is_sqlite, self.engine = base.url, base.is_sqlite, base.engine
        self.reads = base.reads
        self.connection = connection
        self.statements: list[str] = []

    def read_session(self) -> Session:
        # A savepoint of its own would undo the request's write when the session closes.
        return Session(self.connection, expire_on_commit=False, join_transaction_mode="rollback_only")

    @contextmanager
    def snapshot_session(self) -> Iterator[Session]:
        with self.read_session() as session:
            yield session

    @contextmanager
    def share_snapshot(self, session: Session) -> Iterator[list[Session]]:
        yield [session]  # another connection would not see uncommitted rows

    def write_session(self) -> Session:
        return Session(self.connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


@contextmanager
def rolled_back(base: Database, *, keep: bool = False) -> Iterator[OneTransaction]:
    """Yield a database that rolls all changes back at the end of the test, or commits with `keep`."""
    with base.engine.connect().execution_options(**{WRITE: True}) as connection:
        transaction = connection.begin()
        database = OneTransaction(connection, base)

        def note(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                database.statements.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        try:
            yield database
            if keep:
                transaction.commit()
        finally:
            event.remove(connection, "before_cursor_execute", note)
            transaction.close()  # rolls back unless committed


def turn_back(database: Database, instant: datetime) -> None:
    """Give later entries of the journal this instant, so that the next write can have it too."""
    journal = get_table(JournalRow)
    with database.writing() as session:
        session.execute(sa.update(journal).where(journal.c.at > instant).values(at=instant))
