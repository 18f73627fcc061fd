"""Changing the schema under a service that runs: which code works on which schema, and who waits for whom.

The name of a revision says it, `0018_works_with_0016`: written by the migration itself, in its own transaction, where
code that is older than the revision can read it. A revision without that is for its own code alone.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import op
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from app.kit.database.errors import has_no_lock

log = structlog.get_logger("rata")

LOCK_TIMEOUT = "1s"
"""How long a migration stands in line for a table, and everybody who wants that table behind it."""
TRIES, PAUSE = 90, 1.0
"""How often it stands in line anew, and for how many seconds it steps aside: long enough for the longest pull."""

_NAME = re.compile(r"(\d{4})(?:_works_with_(\d{4}))?")


def is_known(current: str | None) -> bool:
    """Return whether a revision has the form of ours; a database without one counts as well."""
    return current is None or _NAME.fullmatch(current) is not None


def is_newer(newest: str, current: str | None) -> bool:
    """Whether a database at `current` is ahead of code whose newest revision is `newest`."""
    found = _NAME.fullmatch(current or "")
    return found is not None and found[1] > newest[:4]


def name_after(head: str | None) -> str:
    """Return the name of the revision after `head`: its number, and the oldest code that works with it if it only adds.

    Raises ValueError if `head` has no name of that form.
    """
    if head is None:
        return "0001"
    match = _NAME.fullmatch(head)
    if match is None:
        raise ValueError(f"{head} is not the name of a revision such as 0018_works_with_0016")
    return f"{int(match[1]) + 1:04}_works_with_{match[2] or match[1]}"


def refusal_of(newest: str, current: str | None) -> str | None:
    """Return why that code does not work on that database, or None."""
    if not is_known(current):
        return (
            f"The database is at revision {current}, which no version of Rata has: "
            "it is a database of another program."
        )
    if not is_newer(newest, current):
        told = f"The database is at revision {current or 'none'}, the code needs {newest}. Run: rata migrate"
        return None if current == newest else told
    found = _NAME.fullmatch(current or "")
    if found is not None and found[2] is not None and found[2] <= newest[:4]:
        return None
    return f"The database is at revision {current}, and this code, at {newest}, is too old for it. Install the newer."


def until_it_has_its_locks(connection: Connection, migrate: Callable[[], None]) -> None:
    """Run migrations; one that does not get a lock soon lets those behind it pass, and tries again."""
    for _ in range(TRIES):
        try:
            migrate()
        except OperationalError as error:
            if not has_no_lock(error):
                raise
            connection.rollback()
            log.warning("migration_waits")
            time.sleep(PAUSE)
        else:
            return
    migrate()


def add_index_beside_writers(
    name: str, table: str, columns: Sequence[str | sa.TextClause], **options: Any
) -> None:
    """An index on a table that has rows, built while others write. It is all that its revision does: where it was
    stopped half-way, what is left of it is dropped and it is begun anew."""
    if not op.get_context().opts["live"]:
        op.create_index(name, table, columns, **options)
        return
    with op.get_context().autocommit_block():
        # It waits for whoever reads already, and nobody waits for it.
        op.execute("SET lock_timeout = 0")
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
