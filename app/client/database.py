"""The database of a copy: its address, the package that it needs, and whether a copy may be in it."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from .problems import PACKAGE, AlreadyRunning, ForeignCopy, Misused, NotInstalled, Text, Unwritable

_HEAD = b"SQLite format 3\0"
_UNFINISHED = ("-journal", "-wal")
"""Endings of the files in which SQLite keeps what is not in the file itself, or is to be undone there."""


class BadCopy(Misused):
    text = Text(
        "{url} bukan berkas dan bukan alamat seperti postgresql+psycopg://NAMA:SANDI@HOST/BASISDATA.",
        "{url} is neither a file nor an address such as postgresql+psycopg://USER:SECRET@HOST/NAME.",
    )


def read_address(text: str) -> sa.URL:
    """Return the address of a copy, which is a file of SQLite if it has no scheme.

    Raises BadCopy if it is of another kind of database, or of one in memory, which keeps nothing.
    """
    if "://" not in text:
        return sa.URL.create("sqlite", database=str(Path(text).absolute()))
    shown = text.partition("://")[0] + "://…"  # the rest may hold a password that cannot be told apart
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        raise BadCopy(url=shown) from error
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url
    is_file = url.database and url.database != ":memory:" and not (url.host or url.query)
    if url.drivername != "sqlite" or not is_file or str(url.database).startswith("file:"):
        raise BadCopy(url=shown)
    return url


def open_database(url: sa.URL, shown: str, tables: sa.MetaData, **options: object) -> sa.Engine:
    """Return an engine for a database in which the tables are, or may be made; nothing is written.

    Raises BadCopy, NotInstalled, ForeignCopy if it holds anything else, Unwritable if it cannot be reached.
    """
    try:
        engine = sa.create_engine(url, **options)
    except ImportError as error:
        raise NotInstalled(what=shown, package=f"{PACKAGE}[postgres]") from error
    except (ArgumentError, ValueError) as error:
        raise BadCopy(url=shown) from error
    with translate_errors(shown):
        if url.get_backend_name() == "sqlite":
            columns = _read_file(Path(str(url.database)), tables)
        else:
            columns = _read_columns(engine, tables)
    if columns is None or not _can_hold(columns, tables):
        engine.dispose()
        raise ForeignCopy(file=shown)
    return engine


@contextmanager
def translate_errors(shown: str) -> Iterator[None]:
    """Raise Unwritable or AlreadyRunning instead of what SQLAlchemy and the disk raise."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise AlreadyRunning(file=shown) from error
    except (SQLAlchemyError, OSError) as error:
        why = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        raise Unwritable(file=shown, why=" ".join(str(why).split())) from error


def _can_hold(columns: Mapping[str, set[str]], tables: sa.MetaData) -> bool:
    """Return whether a database with these tables is a copy, or empty; a user may have added to a copy."""
    own = {table.name: set(table.columns.keys()) for table in tables.sorted_tables}
    there = columns.keys() & own.keys()
    # of a run that was killed while it made them, some are missing
    return there in (own.keys(), columns.keys()) and all(columns[name] == own[name] for name in there)


def _read_columns(engine: sa.Engine, tables: sa.MetaData) -> dict[str, set[str]]:
    """Return the names of all tables and views, with the columns of those that are called as ours are."""
    inspector = sa.inspect(engine)
    return {
        name: {column["name"] for column in inspector.get_columns(name)} if name in tables.tables else set()
        for name in list_names(engine)
    }


def list_names(engine: sa.Engine) -> list[str]:
    """Return the names of all tables and views."""
    inspector = sa.inspect(engine)
    return [*inspector.get_table_names(), *inspector.get_view_names()]


def open_file(file: Path, how: str) -> sa.Engine:
    """Return an engine for a file of SQLite that opens it in a way of its own, such as `mode=ro&immutable=1`."""
    address = f"{file.absolute().as_uri()}?{how}"
    return sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))


def _read_file(file: Path, tables: sa.MetaData) -> dict[str, set[str]] | None:
    """Return what is in a file of SQLite without a trace of the look, None if it is no such file."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return {}
    if not file.is_file():
        return None
    if size == 0:
        return {}
    with file.open("rb") as content:
        if content.read(len(_HEAD)) != _HEAD:
            return None
    columns = _look(file, tables, "immutable=1")
    if columns:
        return columns
    # all of it may be in what SQLite keeps beside the file, and would read only after it changed the file
    real = file.resolve()
    beside = [real.with_name(real.name + ending) for ending in _UNFINISHED]
    unfinished = [part for part in beside if part.exists() and part.stat().st_size]
    if not unfinished:
        return columns
    with TemporaryDirectory() as folder:
        for part in (real, *unfinished):
            shutil.copyfile(part, Path(folder, part.name))
        return _look(Path(folder, real.name), tables, "mode=rw")


def _look(file: Path, tables: sa.MetaData, how: str) -> dict[str, set[str]] | None:
    """Return the tables of a file, None if SQLite cannot read them."""
    engine = open_file(file, how)
    try:
        return _read_columns(engine, tables)
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()
