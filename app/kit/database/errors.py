"""What a database's refusal means: whether the caller may come again, and what the service may repeat."""

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.kit.problems import Busy, Conflict, Problem

#: States in which the same request may succeed a moment later: lost to another, waited or ran too long,
#: ended for its idleness, the server going down or coming up, a standby that refuses writes, a disk that fails.
_TRANSIENT_STATES = {
    "25006",
    "25P03",
    "40001",
    "40P01",
    "55P03",
    "57014",
    "57P01",
    "57P02",
    "57P03",
    "58030",
}
#: Classes of such states: the connection failed, the server ran out of space, memory or connections.
_TRANSIENT_CLASSES = ("08", "53")

#: Of these, those that say that a transaction lost and is rolled back, without having waited long.
_LOST_STATES = {"40001", "40P01"}
#: Of these, the one that says that a statement was given up: it would run as long anywhere else.
_GIVEN_UP_STATE = "57014"
#: Of these, the one that says that the server, or its administrator, takes no writes.
_READ_ONLY_STATE = "25006"

#: Codes of an embedded database that only an operator can end: read-only, a disk that is full or fails, a file away.
_OPERATORS_CODES = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
#: These, and those of a database that is locked.
_TRANSIENT_CODES = {
    *_OPERATORS_CODES,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
}


#: States that an operator ends: rights, a schema that is missing, tables of another program, a standby.
_OPERATORS_STATES = {
    "25006": "The server takes no writes",
    "3F000": "The role of RATA_DATABASE_URL has no schema to work in",
    "42501": "The role of RATA_DATABASE_URL lacks a right in the database",
    "42P01": "The database lacks a table",
    "42P07": "The database holds tables of another program",
}

#: The same of an embedded database.
_FILE_SENTENCES = {
    sqlite3.SQLITE_BUSY: "Another program holds the database and writes; try again later",
    sqlite3.SQLITE_CANTOPEN: "The database file is missing or may not be opened",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged; restore a backup",
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_IOERR: "The disk of the database fails",
    sqlite3.SQLITE_NOTADB: "The database file holds something else",
    sqlite3.SQLITE_READONLY: "The database file or its folder may not be written to",
}


def sentence_for_operators(error: DBAPIError) -> str | None:
    """Return one sentence about a refusal that an operator can end, None if it is our fault."""
    words = str(error.orig).partition("\n")[0].strip(" .?")
    if sentence := _FILE_SENTENCES.get(_code_of(error.orig) or 0):
        return f"{sentence} ({words})."
    if sentence := _OPERATORS_STATES.get(_state_of(error.orig) or ""):
        return f"{sentence}: {words}."
    # without a statement it was the connection that failed
    if isinstance(error, OperationalError) or error.statement is None:
        return f"The database cannot be used: {words}."
    return None


def problem_of(error: DBAPIError) -> Problem | None:
    """Return what a database's refusal means to the caller, None if it is our fault."""
    if isinstance(error, IntegrityError):
        return Conflict()
    state = _state_of(error.orig) or ""
    # the driver's own failures, such as to connect at all, bear no state
    is_unreachable = isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
    if (
        is_unreachable
        or error.connection_invalidated
        or state in _TRANSIENT_STATES
        or state.startswith(_TRANSIENT_CLASSES)
        or _code_of(error.orig) in _TRANSIENT_CODES
    ):
        return Busy(headers={"Retry-After": "1"})
    return None


def is_lost(error: DBAPIError) -> bool:
    """Whether the transaction was rolled back because others won, so that the same work may be repeated at once.

    A transaction whose commit got no answer is none of these: it may have been kept.
    """
    return (
        _state_of(error.orig) in _LOST_STATES
        or _code_of(error.orig) == sqlite3.SQLITE_BUSY
        or is_outdated(error.orig)
    )


def is_given_up(error: DBAPIError) -> bool:
    """Whether a statement ran longer than it may."""
    return _state_of(error.orig) == _GIVEN_UP_STATE


def has_no_lock(error: DBAPIError) -> bool:
    """Whether a statement waited for a lock as long as it may."""
    return _state_of(error.orig) == "55P03"


def is_read_only(error: BaseException | None) -> bool:
    """Whether the server refused a write because it takes none, such as a standby."""
    return _state_of(error) == _READ_ONLY_STATE


def refusal_for_operators(error: BaseException | None) -> str | None:
    """Return the name of a refusal that only an operator can end: no writes, no room, a disk that fails."""
    state = _state_of(error) or ""
    if state in (_READ_ONLY_STATE, "58030") or state.startswith("53"):
        return type(error).__name__
    if _code_of(error) in _OPERATORS_CODES:
        name: str = getattr(error, "sqlite_errorname", "")
        return name
    return None


def is_outdated(error: BaseException | None) -> bool:
    """Whether a statement that the connection keeps prepared gives other columns since a migration.

    The text of the error is in the server's language; who raised it is not.
    """
    diagnosis = getattr(error, "diag", None)
    return getattr(diagnosis, "source_function", None) == "RevalidateCachedQuery"


def _state_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE that a server gave, if any."""
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _code_of(error: BaseException | None) -> int | None:
    """Return the primary result code of an embedded database, if any: the low byte of the extended one."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
