"""Migrations under a running service: which code works with which schema, and the locks of a migration.

The name of a revision, such as `0018_works_with_0016`, gives the oldest code that works with it: older code reads
the name from the database. A revision without that part works only with code of its own revision.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVarTuple

import sqlalchemy as sa
import structlog
from alembic import op
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from app.kit.database.errors import is_lock_timeout

log = structlog.get_logger("rata")

LOCK_TIMEOUT = "1s"
"""Time-out of a migration's wait for a table, during which all later statements on that table wait too."""
TRIES, PAUSE = 90, 1.0
"""Number of retries, and seconds between two: together longer than the longest pull."""

_NAME = re.compile(r"(\d{4})(?:_works_with_(\d{4}))?")


def is_known(current: str | None) -> bool:
    """Return whether a revision has a name of our form; True for a database without a revision."""
    return current is None or _NAME.fullmatch(current) is not None


def is_newer(newest: str, current: str | None) -> bool:
    """Return whether a database at `current` is newer than code with the newest revision `newest`."""
    match = _NAME.fullmatch(current or "")
    return match is not None and match[1] > newest[:4]


def name_next_revision(head: str | None) -> str:
    """Return the name of a revision after `head` that only adds: its number, and the oldest code that works with it.

    Raises ValueError if `head` has no name of that form.
    """
    if head is None:
        return "0001"
    match = _NAME.fullmatch(head)
    if match is None:
        raise ValueError(f"{head} is not the name of a revision such as 0018_works_with_0016")
    return f"{int(match[1]) + 1:04}_works_with_{match[2] or match[1]}"


def find_refusal(newest: str, current: str | None) -> str | None:
    """Return the reason why code at `newest` does not work with a database at `current`. Returns None if it does."""
    if not is_known(current):
        return (
            f"The database is at revision {current}, which no version of Rata has. "
            "It is a database of another program."
        )
    if not is_newer(newest, current):
        behind = (
            f"The database is at revision {current or 'none'}, the code needs {newest}. Run: rata migrate"
        )
        return None if current == newest else behind
    match = _NAME.fullmatch(current or "")
    if match is not None and match[2] is not None and match[2] <= newest[:4]:
        return None
    return f"The database is at revision {current}, and this code, at {newest}, is too old for it. Install a newer one."


def run_with_lock_retries(connection: Connection, migrate: Callable[[], None]) -> None:
    """Run migrations. If one gets no lock in time, let the waiting statements pass, and retry."""
    for _ in range(TRIES):
        try:
            migrate()
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
            connection.rollback()
            log.warning("migration_waits")
            time.sleep(PAUSE)
        else:
            return
    migrate()


def add_index_concurrently(
    name: str, table: str, columns: Sequence[str | sa.TextClause], **options: Any
) -> None:
    """Add an index to a table while other transactions write to it, as the only step of its revision.

    Drops the invalid index that an interrupted run left.
    """
    if not op.get_context().opts["live"]:
        op.create_index(name, table, columns, **options)
        return
    with op.get_context().autocommit_block():
        # It waits for running transactions, and no statement waits for it.
        op.execute("SET lock_timeout = 0")
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


CHUNK = 1_000
"""Rows that one statement reads or inserts."""

Columns = TypeVarTuple("Columns")


def read_rows(statement: sa.Select[*Columns]) -> Iterator[sa.Row[*Columns]]:
    """Yield the rows of a SELECT, in parts: a table may not fit in memory. Raises TypeError for another statement."""
    if not isinstance(statement, sa.Select):
        raise TypeError("a migration reads by sa.select alone")
    rows: sa.Result[*Columns] = op.get_bind().execute(statement, execution_options={"yield_per": CHUNK})
    yield from rows


def fill_created(table: sa.Table, rows: Iterable[dict[str, object]]) -> None:
    """Insert rows into a table that `op.create_table` of the same revision returned.

    The version before does not know the table, so these rows change nothing for it. Raises ValueError if the table has
    rows already: then another revision created it.
    """
    if op.get_bind().scalar(sa.select(sa.exists().select_from(table))):
        raise ValueError(f"the table {table.name} has rows: fill a table in the revision that creates it")
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        op.bulk_insert(table, chunk)
