"""Stream of a pull's lines into a SQLite file: constant memory, one transaction."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from .content import Digests, Hashes
from .problems import Unwritable, WrongContent
from .shapes import (
    PullTable,
    create_digest_table,
    create_line_table,
    create_summary_table,
    make_singular,
    quote_name,
)

_INDEXED = (
    "region_code",
    "lead_agency",
    "supporting_agency",
    "strategy",
    "subactivity_code",
    "funding_source",
)
"""Columns that get an index in every table; plan and action begin every primary key."""


class TableWriter(AbstractContextManager["TableWriter"]):
    """A writer of lines into a new SQLite file, in one transaction. A failed file is of no use; delete it.

    Raises Unwritable for an error of the disk, `wrong(why)` for lines that a pull never sends.
    """

    def __init__(self, file: Path, wrong: Callable[[str], WrongContent]) -> None:
        file.unlink(missing_ok=True)
        self.name, self._wrong = str(file), wrong
        self._lines, self._end, self._digests = (
            create_line_table(),
            create_summary_table(),
            create_digest_table(),
        )
        self._hashes, self._plan = Hashes(), ""
        with self._translate_errors():
            self._db = sqlite3.connect(file, isolation_level=None)
            # the caller deletes an unfinished file, so it needs neither rollback nor durability
            for words in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
                self._db.execute(words)
            for table in self._list_tables():
                self._db.execute(table.build_create())

    def __exit__(self, *raised: object) -> None:
        self._db.close()

    def _list_tables(self) -> Iterator[PullTable]:
        for root in (self._end, self._digests, self._lines):
            yield from root.all()

    def write(self, data: bytes) -> None:
        """Insert complete lines."""
        with self._translate_errors():
            for line in data.splitlines(keepends=True):
                fields = json.loads(line)
                if fields["plan"] != self._plan:
                    self._put_digests()
                    self._plan = fields["plan"]
                self._hashes.add(line, fields)
                self._put(self._lines, fields, (fields["plan"], fields["action"]))
            self.flush()

    def end(self, summary: Mapping[str, object]) -> None:
        """Insert the summary and the digests, create the indexes and commit."""
        with self._translate_errors():
            self._put(self._end, summary, ())
            self._put_digests()
            self.flush()
            for table in self._list_tables():
                for name, _, _ in table.columns.values():
                    if name in _INDEXED:
                        index = quote_name(f"{table.name}_{name}")
                        self._db.execute(
                            f"CREATE INDEX {index} ON {quote_name(table.name)} ({quote_name(name)})"
                        )
            self._db.execute("COMMIT")

    def flush(self) -> None:
        """Insert the buffered rows."""
        for table in self._list_tables():
            if table.rows:
                self._db.executemany(table.build_insert(), table.rows)
                table.rows.clear()

    def _put(self, table: PullTable, fields: Mapping[str, object], keys: tuple[object, ...]) -> None:
        if not table.known.issuperset(fields):
            self._grow(table, fields)
        table.rows.append((*keys, *map(fields.get, table.columns)))
        for name, part in table.parts.items():
            if value := fields.get(name):
                self._put_part(part, value, table.build_foreign_key(keys, fields))

    def _put_part(self, part: PullTable, value: Any, keys: tuple[object, ...]) -> None:
        if part.kind == "object":
            self._put(part, value, keys)
        elif part.kind == "items":
            for position, item in enumerate(value, 1):
                self._put(part, item, (*keys, position))
        else:
            named = value.items() if part.kind == "entries" else enumerate(value, 1)
            part.rows += [(*keys, name, item) for name, item in named]

    def _put_digests(self) -> None:
        for place, (rows, sha256) in self._hashes.take().items():
            self._digests.rows.append((*place, rows, sha256))

    def _grow(self, table: PullTable, fields: Mapping[str, object]) -> None:
        """Add columns and tables for undeclared fields, at their first value that is not empty."""
        self.flush()
        for name, value in fields.items():
            if name in table.known or value in (None, [], {}):
                continue
            if isinstance(value, dict):
                self._db.execute(table.add_part(name, "object").build_create())
            elif isinstance(value, list):
                part = table.add_part(name, "items" if isinstance(value[0], dict) else "values")
                if part.kind == "values":
                    part.add_column(make_singular(name))
                self._db.execute(part.build_create())
            else:
                table.add_column(name)
                column = quote_name(table.columns[name][0])
                self._db.execute(f"ALTER TABLE {quote_name(table.name)} ADD COLUMN {column}")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Unwritable(file=self.name, why=error) from error
        except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise self._wrong(f"{type(error).__name__}: {error}") from error


def read_digests(file: Path) -> Digests:
    """Return the digests of a SQLite file. Raises sqlite3.Error if it has none."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT plan, lead_agency, rows, sha256 FROM digest")
        return {(plan, agency): (count, sha256) for plan, agency, count, sha256 in rows}
