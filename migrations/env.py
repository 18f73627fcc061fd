"""Runs migrations on either engine.

SQLite rebuilds a table by copying it, and with foreign keys on that deletes the children silently; so
migrations run on an engine without the pragma, and the keys are checked before the transaction ends.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.migrating import LOCK_TIMEOUT, until_it_has_its_locks
from app.kit.partitions import SCHEMA
from app.schema import Table


def render_item(kind: str, item: object, autogen_context: object) -> str | bool:
    """The house's column types under their own names, so that a migration can be read."""
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
    """Keys to single parts of a table that was cut by year (`rata partition`) are PostgreSQL's own, not the models'."""
    return not (
        kind == "foreign_key_constraint"
        and is_reflected
        and item.elements[0].target_fullname.startswith(f"{SCHEMA}.")
    )


url = sa.make_url(context.config.attributes["url"])
is_sqlite = url.get_backend_name() == "sqlite"
engine = sa.create_engine(url, poolclass=sa.NullPool)

with engine.connect() as connection:

    def migrate() -> None:
        context.configure(
            connection=connection,
            target_metadata=Table.metadata,
            render_as_batch=is_sqlite,
            render_item=render_item,
            include_object=include_object,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=not is_sqlite,
            live=not is_sqlite,
        )
        with context.begin_transaction():
            context.run_migrations()
            if is_sqlite:
                broken = connection.execute(sa.text("PRAGMA foreign_key_check")).all()
                if broken:
                    raise RuntimeError(
                        f"the migration leaves {len(broken)} rows without their parents: {broken[:5]}"
                    )

    if not is_sqlite:
        # Who waits for a table lets nobody pass who comes later.
        connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
    until_it_has_its_locks(connection, migrate)
    connection.commit()
