"""The meaning of a database error: whether the client may retry the request, and whether the service may."""

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.kit.problems import Busy, Conflict, Problem

#: SQLSTATEs after which a retry may succeed: serialization failure, deadlock, time-outs of statement, lock and idle
#: transaction, a server that shuts down or starts, a standby that refuses writes, a failing disk.
_TRANSIENT_STATES = {"25006", "25P03", "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "58030"}
#: Classes of such states: a failed connection; a server without space, memory or connections.
_TRANSIENT_CLASSES = ("08", "53")

#: Serialization failure and deadlock: the transaction is rolled back, and did not wait long.
_SERIALIZATION_STATES = {"40001", "40P01"}
#: Statement time-out: the statement would run as long on any other server.
_STATEMENT_TIMEOUT_STATE = "57014"
#: The server takes no writes: a standby, or by its administrator's setting.
_READ_ONLY_STATE = "25006"

#: SQLite codes that only an operator can end: read-only, a full or failing disk, a missing file.
_OPERATORS_CODES = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
#: These, and those of a locked database.
_TRANSIENT_CODES = {*_OPERATORS_CODES, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


#: SQLSTATEs that an operator ends: a missing right, schema or table, tables of another program, a standby.
_OPERATORS_STATES = {
    "25006": "The server takes no writes",
    "3F000": "The role of RATA_DATABASE_URL has no schema",
    "42501": "The role of RATA_DATABASE_URL lacks a right in the database",
    "42P01": "The database lacks a table",
    "42P07": "The database has tables of another program",
}

#: SQLite codes that an operator ends.
_FILE_SENTENCES = {
    sqlite3.SQLITE_BUSY: "Another program is writing to the database; try again later",
    sqlite3.SQLITE_CANTOPEN: "The database file is missing or may not be opened",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged; restore a backup",
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_IOERR: "The disk of the database fails",
    sqlite3.SQLITE_NOTADB: "The database file is not a database",
    sqlite3.SQLITE_READONLY: "The database file or its folder may not be written to",
}


def describe_for_operators(error: DBAPIError) -> str | None:
    """Return one sentence about an error that an operator can end. Returns None if it is our fault."""
    message = str(error.orig).partition("\n")[0].strip(" .?")
    if sentence := _FILE_SENTENCES.get(_get_sqlite_code(error.orig) or 0):
        return f"{sentence} ({message})."
    if sentence := _OPERATORS_STATES.get(_get_sqlstate(error.orig) or ""):
        return f"{sentence}: {message}."
    # without a statement the connection itself failed
    if isinstance(error, OperationalError) or error.statement is None:
        return f"The database cannot be used: {message}."
    return None


def find_problem(error: DBAPIError) -> Problem | None:
    """Return the problem for the client. Returns None if the error is our fault."""
    if isinstance(error, IntegrityError):
        return Conflict()
    state = _get_sqlstate(error.orig) or ""
    # the driver's own failures, such as that to connect, have no state
    is_unreachable = isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
    if (
        is_unreachable
        or error.connection_invalidated
        or state in _TRANSIENT_STATES
        or state.startswith(_TRANSIENT_CLASSES)
        or _get_sqlite_code(error.orig) in _TRANSIENT_CODES
    ):
        return Busy(headers={"Retry-After": "1"})
    return None


def is_serialization_failure(error: DBAPIError) -> bool:
    """Return whether the database rolled the transaction back because of a concurrent one: a retry may start at once.

    False if only the answer to the commit is missing: the commit may have succeeded.
    """
    return (
        _get_sqlstate(error.orig) in _SERIALIZATION_STATES
        or _get_sqlite_code(error.orig) == sqlite3.SQLITE_BUSY
        or is_statement_outdated(error.orig)
    )


def is_statement_timeout(error: DBAPIError) -> bool:
    """Return whether a statement reached its time-out."""
    return _get_sqlstate(error.orig) == _STATEMENT_TIMEOUT_STATE


def is_lock_timeout(error: DBAPIError) -> bool:
    """Return whether a statement reached the time-out of a lock."""
    return _get_sqlstate(error.orig) == "55P03"


def is_read_only(error: BaseException | None) -> bool:
    """Return whether the server refused a write because it takes none, such as a standby."""
    return _get_sqlstate(error) == _READ_ONLY_STATE


def name_operator_error(error: BaseException | None) -> str | None:
    """Return the name of an error that only an operator can end: no writes, no space, a failing disk."""
    state = _get_sqlstate(error) or ""
    if state in (_READ_ONLY_STATE, "58030") or state.startswith("53"):
        return type(error).__name__
    if _get_sqlite_code(error) in _OPERATORS_CODES:
        name: str = getattr(error, "sqlite_errorname", "")
        return name
    return None


def is_statement_outdated(error: BaseException | None) -> bool:
    """Return whether a migration changed the columns of a statement that the connection has prepared.

    The error's text is in the server's language, so the check compares the function that raised it.
    """
    diagnosis = getattr(error, "diag", None)
    return getattr(diagnosis, "source_function", None) == "RevalidateCachedQuery"


def _get_sqlstate(error: BaseException | None) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _get_sqlite_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code, if any: the low byte of the extended code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
