"""A database as the settings name it, at the schema of this version, and who writes to it from the console."""

from datetime import UTC, datetime
from pathlib import Path

from app.access.rules import CONSOLE
from app.kit.db import Database
from app.kit.journal import Author
from app.settings import Settings


def open_database(settings: Settings) -> Database:
    """The database of the settings; a folder of a SQLite file is made where it is missing."""
    database = Database(settings.database_url, pool_size=settings.database_pool)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    return database


class OldSchema(SystemExit):
    """The service does not start on a database whose tables are not those of its code."""


def check_schema(database: Database) -> None:
    current, newest = database.schema_state()
    if current != newest:
        raise OldSchema(
            f"The database is at revision {current or 'none'}, the code needs {newest}. Run: rata migrate"
        )


def console_author() -> Author:
    return Author(CONSOLE.token, datetime.now(UTC))
