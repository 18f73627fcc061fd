"""Lines of a pull written into a SQLite file, as they come: constant memory, one transaction."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from .content import Digests, Hashes
from .problems import Unwritable, WrongContent
from .shapes import Table, digest_table, end_table, line_table, quoted, singular

_INDEXED = (
    "region_code",
    "lead_agency",
    "supporting_agency",
    "strategy",
    "subactivity_code",
    "funding_source",
)
"""Columns that get an index wherever they are; plan and action begin every primary key."""


class Tables(AbstractContextManager["Tables"]):
    """A new SQLite file that lines are written into, in one transaction. Nothing is kept of what fails half-way.

    Unwritable: the disk; `wrong`: the lines are not what a pull sends.
    """

    def __init__(self, file: Path, wrong: Callable[[str], WrongContent]) -> None:
        file.unlink(missing_ok=True)
        self.name, self._wrong = str(file), wrong
        self._lines, self._end, self._digests = line_table(), end_table(), digest_table()
        self._hashes, self._plan = Hashes(), ""
        with self._told():
            self._db = sqlite3.connect(file, isolation_level=None)
            # a file that was not finished is thrown away, so nothing need be undone or survive in it
            for words in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
                self._db.execute(words)
            for table in self._all():
                self._db.execute(table.created())

    def __exit__(self, *raised: object) -> None:
        self._db.close()

    def _all(self) -> Iterator[Table]:
        for root in (self._end, self._digests, self._lines):
            yield from root.all()

    def write(self, data: bytes) -> None:
        """Whole lines."""
        with self._told():
            for line in data.splitlines(keepends=True):
                found = json.loads(line)
                if found["plan"] != self._plan:
                    self._put_digests()
                    self._plan = found["plan"]
                self._hashes.add(line, found)
                self._put(self._lines, found, (found["plan"], found["action"]))
            self.flush()

    def end(self, said: Mapping[str, object]) -> None:
        """What the pull says of itself; then the file is whole."""
        with self._told():
            self._put(self._end, said, ())
            self._put_digests()
            self.flush()
            for table in self._all():
                for name, _, _ in table.columns.values():
                    if name in _INDEXED:
                        index = quoted(f"{table.name}_{name}")
                        self._db.execute(f"CREATE INDEX {index} ON {quoted(table.name)} ({quoted(name)})")
            self._db.execute("COMMIT")

    def flush(self) -> None:
        """Hand over to SQLite what is kept here."""
        for table in self._all():
            if table.rows:
                self._db.executemany(table.inserted(), table.rows)
                table.rows.clear()

    def _put(self, table: Table, found: Mapping[str, object], keys: tuple[object, ...]) -> None:
        """Keep a row and all that hangs on it."""
        if not table.known.issuperset(found):
            self._grow(table, found)
        table.rows.append((*keys, *map(found.get, table.columns)))
        for name, part in table.parts.items():
            if value := found.get(name):
                self._put_part(part, value, table.keys_below(keys, found))

    def _put_part(self, part: Table, value: Any, keys: tuple[object, ...]) -> None:
        if part.kind == "object":
            self._put(part, value, keys)
        elif part.kind == "items":
            for position, item in enumerate(value, 1):
                self._put(part, item, (*keys, position))
        else:
            named = value.items() if part.kind == "entries" else enumerate(value, 1)
            part.rows += [(*keys, name, one) for name, one in named]

    def _put_digests(self) -> None:
        for place, (rows, sha256) in self._hashes.take().items():
            self._digests.rows.append((*place, rows, sha256))

    def _grow(self, table: Table, found: Mapping[str, object]) -> None:
        """Columns and tables for what was not declared, from when it says something."""
        self.flush()
        for name, value in found.items():
            if name in table.known or value in (None, [], {}):
                continue
            if isinstance(value, dict):
                self._db.execute(table.add_part(name, "object").created())
            elif isinstance(value, list):
                part = table.add_part(name, "items" if isinstance(value[0], dict) else "values")
                if part.kind == "values":
                    part.add_column(singular(name))
                self._db.execute(part.created())
            else:
                table.add_column(name)
                column = quoted(table.columns[name][0])
                self._db.execute(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {column}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Unwritable(file=self.name, why=error) from error
        except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise self._wrong(f"{type(error).__name__}: {error}") from error


def digests_in(file: Path) -> Digests:
    """What a file of tables says of its lines. sqlite3.Error: it is none."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT plan, lead_agency, rows, sha256 FROM digest")
        return {(plan, agency): (count, sha256) for plan, agency, count, sha256 in rows}
