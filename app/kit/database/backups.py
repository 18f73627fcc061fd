"""Backups: the whole database in one file, from one snapshot. A backup gets its name after its check."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from app.client.atomic_files import flush_to_disk
from app.kit.database.engine import Database, make_file_address

_ARCHIVE = b"PGDMP"
"""The first bytes of a pg_dump archive."""


class NotBackedUp(Exception):
    """A backup that failed, with the reason. The file of that name stays unchanged."""


def back_up(database: Database, file: Path, check: Callable[[Database], None]) -> None:
    """Write a backup to `file`, once `check` has passed the copy of an embedded database.

    Raises NotBackedUp if it fails, or if `file` exists and is neither a backup nor empty.
    """
    if not _is_replaceable(file):
        raise NotBackedUp(f"{file} exists and is not a backup. Name another file, or remove it.")
    new_file = file.with_name(f"{file.name}.new")
    try:
        new_file.unlink(missing_ok=True)
        # a backup holds all data, so only the owner of the file may read it
        os.close(os.open(new_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if database.is_sqlite:
            _copy(database, file, new_file, check)
        else:
            _dump(database, new_file)
        flush_to_disk(new_file)
        new_file.replace(file)
        flush_to_disk(file.parent)
    except OSError as error:
        raise NotBackedUp(f"{file}: {error.strerror or error}.") from error
    finally:
        new_file.unlink(missing_ok=True)


def _is_replaceable(file: Path) -> bool:
    """Return whether a file is missing, empty, or a backup of either engine."""
    if not file.exists():
        return True
    if not file.is_file():
        return False
    with file.open("rb") as content:
        if content.read(len(_ARCHIVE)) == _ARCHIVE:
            return True
    try:
        return Database(make_file_address(file)).classify_file() != "foreign"
    except DBAPIError:  # another kind of file, or a damaged one
        return False


def name_backup(day: date) -> str:
    """Return the file name of a day's backup."""
    return f"rata-{day.isoformat()}.backup"


def remove_old_backups(folder: Path, first: date) -> list[Path]:
    """Remove the backups of days before `first` from a folder, and return their paths. Other files stay."""
    days = {
        path: match[1]
        for path in folder.iterdir()
        if (match := re.fullmatch(r"rata-([0-9]{4}-[0-9]{2}-[0-9]{2})\.backup", path.name))
    }
    old = sorted(path for path, day in days.items() if day < first.isoformat())
    for path in old:
        path.unlink()
    return old


def _copy(database: Database, file: Path, new_file: Path, check: Callable[[Database], None]) -> None:
    """Copy the pages in one read transaction: writers do not wait, and do not make the copy start over."""
    if file.exists() and file.samefile(str(database.url.database)):
        raise NotBackedUp(f"{file} is the database itself.")
    with database.engine.connect() as source, closing(sqlite3.connect(new_file)) as copy:
        driver = source.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.backup(copy)
        faults = [row[0] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [f"{row[0]} without its {row[2]}" for row in copy.execute("PRAGMA foreign_key_check")]
    if faults:
        raise NotBackedUp(f"The database is damaged, and so would be its copy: {'; '.join(faults[:5])}")
    copied = Database(database.url.set(database=str(new_file)).render_as_string(hide_password=False))
    try:
        check(copied)
    finally:
        copied.close()


def _dump(database: Database, file: Path) -> None:
    """Dump the database by the server's own tools, and read the archive to its end to check it."""
    _, options = database.engine.dialect.create_connect_args(database.url)
    names = {"dbname": "DATABASE"}
    # not as arguments of the command, which every user of the machine can read
    variables = {f"PG{names.get(name, name.upper())}": str(value) for name, value in options.items()}
    for command in (
        ["pg_dump", "--format=custom", f"--file={file}"],
        ["pg_restore", "--file=/dev/null", str(file)],
    ):
        if shutil.which(command[0]) is None:
            raise NotBackedUp(
                f"{command[0]} is not on the PATH; install the client tools of the server, no older than it. "
                "Or run: pg_dump --format=custom --file=FILE NAME"
            )
        result = subprocess.run(
            command, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True, check=False
        )
        if result.returncode:
            raise NotBackedUp(f"{command[0]} failed: {' '.join(result.stderr.split())}")
