"""The database of the settings: opens it for the console and the service, and refuses one that they cannot use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.client.tls import BadAuthorities, create_trusting_context
from app.kit.database.engine import NO_TIMEOUTS, Database, Timeouts
from app.kit.database.errors import describe_for_operators
from app.kit.database.journal import Author
from app.kit.database.migrations import find_refusal
from app.kit.exports.cache import ExportCache
from app.settings import Settings
from app.startup.configuration import CannotStart, find_settings_file
from app.wiring import wire

ENCODING = "UTF8"


def read_timeouts(settings: Settings) -> Timeouts:
    """Return the time-outs for requests and background work, as the settings set them."""
    return Timeouts(settings.statement_seconds, settings.lock_seconds, settings.idle_transaction_seconds)


def open_database(
    settings: Settings,
    patience: Timeouts = NO_TIMEOUTS,
    *,
    creates: bool = False,
    report: Callable[[str], object] | None = None,
    setting: str = "RATA_DATABASE_URL",
) -> Database:
    """Return the database of the settings, and wire the areas that use it.

    With `creates`, create a missing SQLite file and its folder. `report` takes the sentence that names the database,
    a refusal names the variable `setting`. Raises CannotStart if a SQLite file is missing or empty without `creates`,
    or if it belongs to another program.
    """
    wire()
    database = Database(
        settings.database_url, pool_size=settings.database_pool, patience=patience, creates=creates
    )
    if report is not None:
        report(describe_sources(database))
    if database.is_sqlite:
        _check_file(database, setting, creates=creates)
    return database


def _check_file(database: Database, setting: str, *, creates: bool) -> None:
    """Create a missing SQLite file, or raise CannotStart, before SQLite opens the file and may change it."""
    file, name = database.file, str(database.url.database)
    if file is None:
        raise CannotStart(f"{setting} names a database in memory, which keeps nothing; name a file.")
    if database.url.query or name.startswith("file:"):
        raise CannotStart(
            f"{setting} may only have the path of a file; leave out options and the prefix file:."
        )
    try:
        if creates:
            file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            if not creates:
                raise CannotStart(f"There is no database {file}. Run: rata migrate")
            file.touch(mode=0o600)  # drafts are not public
        if not file.is_file():
            raise CannotStart(f"{setting} names {file}, which is a folder or a device; name a file.")
        content = database.classify_file()
    except (FileExistsError, NotADirectoryError):
        raise CannotStart(f"The database {file} cannot be created: a folder of its path is a file.") from None
    except OSError as error:
        raise CannotStart(f"The database {file} cannot be reached: {error.strerror}.") from None
    except DBAPIError as error:
        raise CannotStart(f"{file}: {describe_for_operators(error)}") from None
    if content == "foreign":
        raise CannotStart(f"{file} is a database of another program; name another in {setting}.")
    if content == "empty" and not creates:
        raise CannotStart(f"The database {file} is empty. Run: rata migrate")


@contextmanager
def explain_refusals() -> Iterator[None]:
    """Within the block, turn a refusal of the database that an operator can mend into CannotStart."""
    try:
        yield
    except DBAPIError as error:
        sentence = describe_for_operators(error)
        if sentence is None:
            raise
        raise CannotStart(sentence) from None


def make_export_cache(settings: Settings) -> ExportCache:
    """Return the cache of exports in the folder of the settings."""
    return ExportCache(
        settings.spool_folder, limit=settings.spool_max_bytes, at_once=settings.exports_at_once
    )


def check_export_cache(cache: ExportCache) -> None:
    """Raise CannotStart if the process cannot write exports: each pull would fail later."""
    try:
        cache.check_writable()
    except OSError as error:
        raise CannotStart(
            f"Exports cannot be written to {cache.folder}: {error.strerror or error}. "
            "Name a folder of the service's own in RATA_SPOOL_FOLDER."
        ) from None


def describe_sources(database: Database) -> str:
    """Return one sentence for people: the database and the settings file."""
    sources = find_sources(database)
    return (
        f"Database {sources['database']}, settings of {sources['settings_file'] or 'the environment alone'}."
    )


def find_sources(database: Database) -> dict[str, str | None]:
    """Return the address of a database, without passwords, and the path of the settings file."""
    file = find_settings_file()
    return {"database": database.address, "settings_file": str(file.absolute()) if file else None}


def check_authorities() -> None:
    """Raise CannotStart if SSL_CERT_FILE or SSL_CERT_DIR names no certificates: every TLS connection would fail."""
    try:
        create_trusting_context()
    except BadAuthorities as error:
        raise CannotStart(f"{error}.") from None


def check_schema(database: Database) -> None:
    """Raise CannotStart if this version does not work with the schema; a newer schema may list it as compatible."""
    check_encoding(database)
    current, newest = database.read_schema_state()
    refusal = find_refusal(newest, current)
    if refusal is not None:
        raise CannotStart(refusal)


def check_encoding(database: Database) -> None:
    """Raise CannotStart if a PostgreSQL database has another encoding than UTF-8."""
    encoding = ENCODING if database.is_sqlite else database.read_encoding()
    if encoding != ENCODING:
        name = database.url.database
        raise CannotStart(
            f"The database {name} has the encoding {encoding}, and Rata needs {ENCODING}. Create another: "
            f"createdb --template=template0 --encoding={ENCODING} --locale=C.UTF-8 NAME"
        )


def make_console_author() -> Author:
    """Return the author of a write by the console, at the current time."""
    return Author(CONSOLE.principal, datetime.now(UTC))


def begin_console_write(session: Session) -> Write:
    """Return a write by the console, which has all rights, at the current time."""
    return Write(session, make_console_author(), CONSOLE)
