"""A database as the settings name it, at the schema of this version, and who writes to it from the console."""

from datetime import UTC, datetime
from pathlib import Path

from app.access.rules import CONSOLE
from app.kit.db import ENDLESS, Database, Patience
from app.kit.journal import Author
from app.kit.migrating import refusal_of
from app.settings import Settings


def patience_of(settings: Settings) -> Patience:
    """Return the time-outs of what works without a person who waits for it."""
    return Patience(settings.statement_seconds, settings.lock_seconds, settings.idle_transaction_seconds)


def open_database(settings: Settings, patience: Patience = ENDLESS) -> Database:
    """The database of the settings; a folder of a SQLite file is made where it is missing."""
    database = Database(settings.database_url, pool_size=settings.database_pool, patience=patience)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    return database


class OldSchema(SystemExit):
    """The service does not start on a database whose tables its code does not work with."""


def check_schema(database: Database) -> None:
    """Refuse tables that this code does not work with; newer ones may say that it does."""
    current, newest = database.schema_state()
    refusal = refusal_of(newest, current)
    if refusal is not None:
        raise OldSchema(refusal)


def console_author() -> Author:
    return Author(CONSOLE.token, datetime.now(UTC))
