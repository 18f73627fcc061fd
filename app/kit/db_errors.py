"""What a database's refusal means: whether the caller may come again, and what the service may repeat."""

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.kit.problems import Busy, Conflict, Problem

#: States in which the same request may succeed a moment later: lost to another, waited or ran too long,
#: ended for its idleness, no connection left, the server going down or coming up.
_TRANSIENT_STATES = {"40001", "40P01", "55P03", "57014", "25P03", "53300", "57P01", "57P02", "57P03"}

#: Of these, those that say that a transaction lost and is rolled back, without having waited long.
_LOST_STATES = {"40001", "40P01"}
#: Of these, the one that says that a statement was given up: it would run as long anywhere else.
_GIVEN_UP_STATE = "57014"


def problem_of(error: DBAPIError) -> Problem | None:
    """What a database's refusal means to the caller; None when it is our fault."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, IntegrityError):
        return Conflict()
    # the driver's own failures, such as to connect at all, bear no state
    is_unreachable = isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
    is_locked = "database is locked" in str(error.orig)
    if state in _TRANSIENT_STATES or error.connection_invalidated or is_unreachable or is_locked:
        return Busy(headers={"Retry-After": "1"})
    return None


def is_lost(error: DBAPIError) -> bool:
    """Whether the transaction was rolled back because others won, so that the same work may be done anew at once."""
    return (
        getattr(error.orig, "sqlstate", None) in _LOST_STATES
        or "database is locked" in str(error.orig)
        or is_outdated(error.orig)
    )


def is_given_up(error: DBAPIError) -> bool:
    """Whether a statement ran longer than it may."""
    return getattr(error.orig, "sqlstate", None) == _GIVEN_UP_STATE


def has_no_lock(error: DBAPIError) -> bool:
    """Whether a statement waited for a lock as long as it may."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


def is_outdated(error: BaseException | None) -> bool:
    """Whether a statement that the connection keeps prepared gives other columns since a migration.

    The text of the error is in the server's language; who raised it is not.
    """
    told = getattr(error, "diag", None)
    return getattr(told, "source_function", None) == "RevalidateCachedQuery"
