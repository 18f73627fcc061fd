"""The whole database in one file, of one state while others write; it bears its name only once it was looked at."""

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

from app.client.disk import synchronise
from app.kit.database.engine import Database, make_file_address

_ARCHIVE = b"PGDMP"
"""The first bytes of an archive of pg_dump."""


class NotBackedUp(Exception):
    """There is no backup; the text says why. What was under the name before is still there."""


def back_up(database: Database, file: Path, check: Callable[[Database], None]) -> None:
    """Write a backup to `file`. A copy that can be opened as it is goes to `check` first; it raises NotBackedUp.

    What is under that name already is replaced only if it is a backup, or empty.
    """
    if not _is_replaceable(file):
        raise NotBackedUp(f"{file} is there and is no backup; name another file, or remove it.")
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.unlink(missing_ok=True)
        # it holds all that anybody wrote: for its owner alone
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if database.is_sqlite:
            _copy(database, file, beside, check)
        else:
            _dump(database, beside)
        synchronise(beside)
        beside.replace(file)
        synchronise(file.parent)
    except OSError as error:
        raise NotBackedUp(f"{file}: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)


def _is_replaceable(file: Path) -> bool:
    """Return whether nothing but a backup of either engine would be lost."""
    if not file.exists():
        return True
    if not file.is_file():
        return False
    with file.open("rb") as content:
        if content.read(len(_ARCHIVE)) == _ARCHIVE:
            return True
    try:
        return Database(make_file_address(file)).look_into_file() != "foreign"
    except DBAPIError:  # a text, or no whole database
        return False


def name_of_day(day: date) -> str:
    """Return the name of the backup of a day."""
    return f"rata-{day.isoformat()}.backup"


def remove_before(folder: Path, first: date) -> list[Path]:
    """Remove the backups of days before `first` from a folder; return them. Other files stay."""
    days = {
        path: found[1]
        for path in folder.iterdir()
        if (found := re.fullmatch(r"rata-([0-9]{4}-[0-9]{2}-[0-9]{2})\.backup", path.name))
    }
    old = sorted(path for path, day in days.items() if day < first.isoformat())
    for path in old:
        path.unlink()
    return old


def _copy(database: Database, file: Path, beside: Path, check: Callable[[Database], None]) -> None:
    """Page by page in one reading transaction, so that writers neither wait nor make it begin anew."""
    if file.exists() and file.samefile(str(database.url.database)):
        raise NotBackedUp(f"{file} is the database itself.")
    with database.engine.connect() as source, closing(sqlite3.connect(beside)) as copy:
        driver = source.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.backup(copy)
        wrong = [row[0] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wrong += [f"{row[0]} without its {row[2]}" for row in copy.execute("PRAGMA foreign_key_check")]
    if wrong:
        raise NotBackedUp(f"The database is harmed, and so would be its copy: {'; '.join(wrong[:5])}")
    opened = Database(database.url.set(database=str(beside)).render_as_string(hide_password=False))
    try:
        check(opened)
    finally:
        opened.close()


def _dump(database: Database, file: Path) -> None:
    """By the server's own tools; an archive is read to its end before it counts as one."""
    _, wanted = database.engine.dialect.create_connect_args(database.url)
    names = {"dbname": "DATABASE"}
    # not as words of the command, which everybody on the machine can read
    told = {f"PG{names.get(name, name.upper())}": str(value) for name, value in wanted.items()}
    for words in (
        ["pg_dump", "--format=custom", f"--file={file}"],
        ["pg_restore", "--file=/dev/null", str(file)],
    ):
        if shutil.which(words[0]) is None:
            raise NotBackedUp(
                f"{words[0]} is not on the PATH; install the client tools of the server, no older than it. "
                "The backup is made by: pg_dump --format=custom --file=FILE NAME"
            )
        done = subprocess.run(
            words, env={**os.environ, **told}, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise NotBackedUp(f"{words[0]} failed: {' '.join(done.stderr.split())}")
