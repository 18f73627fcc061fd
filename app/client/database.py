"""The database of a copy: its address, its driver, and the check that it holds a copy or nothing."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from .problems import PACKAGE, AlreadyRunning, ForeignCopy, MissingPackage, Misused, Sentence, Unwritable

_HEAD = b"SQLite format 3\0"
_UNFINISHED = ("-journal", "-wal")
"""Suffixes of the rollback journal and the write-ahead log of SQLite."""


class BadCopy(Misused):
    text = Sentence(
        "{url} bukan berkas dan bukan alamat seperti postgresql+psycopg://NAMA:SANDI@HOST/BASISDATA.",
        "{url} is neither a file nor an address such as postgresql+psycopg://USER:SECRET@HOST/NAME.",
    )


def read_address(text: str) -> sa.URL:
    """Return the URL of a copy. A text without a scheme is the path of an SQLite file.

    Raises BadCopy for another kind of database, and for one in memory.
    """
    if "://" not in text:
        return sa.URL.create("sqlite", database=str(Path(text).absolute()))
    shown = text.partition("://")[0] + "://…"  # a malformed URL may contain a password anywhere
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
    """Return an engine for a database that has the tables, or is empty. Writes nothing.

    Raises BadCopy for a bad URL, NotInstalled without the driver, ForeignCopy if the database has other tables,
    Unwritable if it is out of reach.
    """
    try:
        engine = sa.create_engine(url, **options)
    except ImportError as error:
        raise MissingPackage(what=shown, package=f"{PACKAGE}[postgres]") from error
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
    """Translate the errors of SQLAlchemy and the disk into Unwritable and AlreadyRunning."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise AlreadyRunning(file=shown) from error
    except (SQLAlchemyError, OSError) as error:
        why = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        raise Unwritable(file=shown, why=" ".join(str(why).split())) from error


def _can_hold(columns: Mapping[str, set[str]], tables: sa.MetaData) -> bool:
    """Return whether a database with these tables is a copy or empty. A copy may also have tables of its user."""
    own = {table.name: set(table.columns.keys()) for table in tables.sorted_tables}
    common = columns.keys() & own.keys()
    # a run that died while it created the tables leaves some of them alone
    return common in (own.keys(), columns.keys()) and all(columns[name] == own[name] for name in common)


def _read_columns(engine: sa.Engine, tables: sa.MetaData) -> dict[str, set[str]]:
    """Return the names of all tables and views, with the columns of those with the name of one of ours."""
    inspector = sa.inspect(engine)
    return {
        name: {column["name"] for column in inspector.get_columns(name)} if name in tables.tables else set()
        for name in list_table_names(engine)
    }


def list_table_names(engine: sa.Engine) -> list[str]:
    """Return the names of all tables and views."""
    inspector = sa.inspect(engine)
    return [*inspector.get_table_names(), *inspector.get_view_names()]


def open_file(file: Path, how: str) -> sa.Engine:
    """Return an engine for an SQLite file with parameters of its URI, such as `mode=ro&immutable=1`."""
    address = f"{file.absolute().as_uri()}?{how}"
    return sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))


def _read_file(file: Path, tables: sa.MetaData) -> dict[str, set[str]] | None:
    """Return the tables of an SQLite file without any change to it. Returns None for another file."""
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
    columns = _open_and_read(file, tables, "immutable=1")
    if columns:
        return columns
    # the tables may still be in the log, which SQLite would first write into the file: so read a copy of both
    real = file.resolve()
    logs = [real.with_name(real.name + ending) for ending in _UNFINISHED]
    unfinished = [part for part in logs if part.exists() and part.stat().st_size]
    if not unfinished:
        return columns
    with TemporaryDirectory() as folder:
        for part in (real, *unfinished):
            shutil.copyfile(part, Path(folder, part.name))
        return _open_and_read(Path(folder, real.name), tables, "mode=rw")


def _open_and_read(file: Path, tables: sa.MetaData, how: str) -> dict[str, set[str]] | None:
    engine = open_file(file, how)
    try:
        return _read_columns(engine, tables)
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()
