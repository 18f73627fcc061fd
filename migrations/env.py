"""Run migrations on either engine, for `rata migrate` and for `alembic` on the command line.

SQLite rebuilds a table by copying it, which with foreign keys on deletes the children silently. So migrations run on an
engine without the pragma, and check the keys before the transaction ends.
"""

import re
import sys
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.operations import MigrationScript
from alembic.util import CommandError
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import Database
from app.kit.database.migrations import LOCK_TIMEOUT, name_next_revision, run_with_lock_retries
from app.startup.configuration import load_settings
from app.startup.database import check_encoding, explain_refusals, open_database
from app.startup.schema import Table
from app.startup.signals import end_when_stopped


def find_url() -> sa.URL:
    """Return the address of the settings, for `alembic` on the command line; `rata migrate` passes its own.

    `alembic upgrade` creates a missing SQLite file, like `rata migrate`. Other commands report the missing file and use
    an empty database in memory.
    """
    settings, creates = load_settings(), is_upgrade()
    file = Database(settings.database_url).file
    if file is not None and not file.exists() and not creates:
        sys.stderr.write(f"There is no database {file}. Make it with: alembic upgrade head\n")
        return sa.make_url("sqlite://")
    target = getattr(context.config.cmd_opts, "revision", "")
    if creates and re.fullmatch(r"\w+", target):
        # raises CommandError for an unknown revision before it creates a file
        context.script.get_revisions(target)
    database = open_database(settings, creates=creates, report=lambda text: sys.stderr.write(f"{text}\n"))
    check_encoding(database)
    database.close()
    return database.url


def is_upgrade() -> bool:
    """Return whether `alembic upgrade` runs; other commands create no database."""
    run, *_ = getattr(context.config.cmd_opts, "cmd", (None,))
    return run is command.upgrade


def name_revision(migration: object, heads: object, directives: list[MigrationScript]) -> None:
    """Name a new revision by the rules of the project, unless `--rev-id` gives a name."""
    if getattr(context.config.cmd_opts, "rev_id", None) is None:
        directives[0].rev_id = name_next_revision(context.script.get_current_head())


def render_item(kind: str, item: object, autogen_context: object) -> str | bool:
    """Render the column types of the project by their own names, for readable migrations."""
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "UTCDateTime()"
    if isinstance(item, sa.BigInteger):
        return "BigInt"
    if isinstance(item, sa.String) and not isinstance(item, sa.Enum):
        return f"text_type({item.length or ''})"
    return False


def include_object(item: Any, name: str, kind: str, is_reflected: bool, other: object) -> bool:
    """Exclude foreign keys of single partitions (deploy/years/cut.sql), which PostgreSQL creates itself."""
    return not (
        kind == "foreign_key_constraint"
        and is_reflected
        and item.elements[0].target_fullname.startswith("years.")
    )


def run_migrations(url: sa.URL) -> None:
    """Run the command of Alembic on a database, with explicit transactions."""
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    if is_sqlite:
        # The driver's own transactions begin at the first INSERT: an aborted migration would leave some tables.
        sa.event.listen(engine, "connect", lambda dbapi, record: setattr(dbapi, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    with engine.connect() as connection:

        def migrate() -> None:
            context.configure(
                connection=connection,
                target_metadata=Table.metadata,
                render_as_batch=is_sqlite,
                render_item=render_item,
                include_object=include_object,
                process_revision_directives=name_revision,
                compare_type=True,
                compare_server_default=True,
                transactional_ddl=True,
                transaction_per_migration=not is_sqlite,
                live=not is_sqlite,
            )
            with context.begin_transaction():
                context.run_migrations()
                if is_sqlite:
                    broken = connection.execute(sa.text("PRAGMA foreign_key_check")).all()
                    if broken:
                        raise CommandError(
                            f"the migration leaves {len(broken)} rows without their parents: {broken[:5]}"
                        )

        if not is_sqlite:
            # A migration that waits for a table blocks all later queries on it.
            connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            # When the command stops, its statement and locks end with it.
            connection.execute(sa.text("SET client_connection_check_interval = '1s'"))
            connection.commit()
        run_with_lock_retries(connection, migrate)
        connection.commit()


if context.is_offline_mode():
    raise CommandError("Migrations read the database that they change: leave out --sql.")

url = context.config.attributes.get("url")
if url is None:
    with explain_refusals(), end_when_stopped():
        run_migrations(find_url())
else:
    run_migrations(sa.make_url(url))
