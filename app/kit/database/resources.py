"""Rows with a version that clients replace whole, each change with an entry in the journal.

The caller has locked the chain, and checked rights and preconditions.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.kit.database.journal import Author, Chain, Entry, Versioned, append, assign_versions
from app.kit.database.json_sql import build_once, dump_json, select_fields, select_json
from app.kit.database.upsert import unnest_records, upsert
from app.kit.personal import find_new_numbers
from app.kit.problems import ErrorPlace, FieldError, PreconditionFailed, require_found

Key = TypeVar("Key", bound=tuple[object, ...])
Made = TypeVar("Made")

WriteOutcome = Literal["created", "updated", "unchanged"]


class StoredRow(NamedTuple):
    """The content of a row, as JSON values, and its version."""

    content: dict[str, Any]
    version: int

    @classmethod
    def parse(cls, text: str) -> "StoredRow":
        """Parse a JSON object that has the version as one of its fields."""
        content = json.loads(text)
        return cls(content, content.pop("version"))


class ResourceText(NamedTuple):
    """The JSON text of a row, and its version."""

    json: str
    version: int


def read_text(session: Session, query: sa.Select[Any]) -> ResourceText:
    """Return the only row of a query that selects `version` too. Raises NotFound if there is none."""
    return read_record(session, query, ResourceText, "version")


def read_record(session: Session, query: sa.Select[Any], make: Callable[..., Made], *extra: str) -> Made:
    """Make a record of the only row of a query, from its JSON text and its `extra` columns.

    Raises NotFound if there is none.
    """
    row = require_found(session.execute(select_json(query, *extra)).one_or_none())
    return make(*row)


class Numbered(Versioned, Protocol):
    """A row with a version and a numeric id."""

    @property
    def id(self) -> int: ...


def write_version(session: Session, table: sa.Table, stored: Numbered, values: Mapping[str, object]) -> int:
    """Update columns of a row, and return its next version.

    Raises PreconditionFailed if another transaction has written the row.
    """
    version = stored.version + 1
    chosen = (table.c.id == stored.id, table.c.version == stored.version)
    changed = sa.update(table).where(*chosen).values(**values, version=version).returning(table.c.id)
    if session.execute(changed).one_or_none() is None:
        raise PreconditionFailed()
    return version


@dataclass(frozen=True)
class Resource:
    """A kind of row that clients replace whole."""

    noun: str
    """Its name in the journal."""
    table: sa.Table
    shape: type[BaseModel]
    """The fields that a client writes; the journal's entry takes its `reason` too."""
    key: tuple[str, ...]
    """Columns that address a row."""
    address: str
    """Path below /v1/, a format string with the columns of the key."""
    region: str | None = None
    """Region of the entries; None: the column `region_code` of the key."""
    written_at: str | None = None
    """Column of the instant of the last write."""
    written_by: str | None = None
    """Column of the author of the last write."""
    is_draft: bool = False
    """True hides the entries from readers without the right to drafts."""

    def format_subject(self, *key: object) -> str:
        """Return the path of a row below /v1/."""
        return self.address.format_map(self._name_columns(key))

    def match(self, *key: object) -> list[ColumnElement[bool]]:
        """Return the conditions that choose one row."""
        return [self.table.c[name] == value for name, value in self._name_columns(key).items()]

    def read(self, session: Session, keys: Collection[Key]) -> dict[Key, StoredRow]:
        """Return the rows that exist, in one SELECT."""
        bound = {"records": dump_json([self._name_columns(key) for key in keys])}
        rows = session.connection().execute(_select_rows(session, self), bound)
        width = len(self.key)
        stored: dict[Any, StoredRow] = {}
        for row in rows:
            content = zip(self.shape.model_fields, map(_make_plain, row[width:-1]), strict=True)
            stored[tuple(row[:width])] = StoredRow(dict(content), row[-1])
        return stored

    def read_reply(self, session: Session, shape: type[BaseModel], *key: object) -> ResourceText:
        """Return a row by its key, as JSON with the fields of a shape and then the other columns of the key.

        Raises NotFound if there is none.
        """
        others = [self.table.c[name] for name in self.key if name not in shape.model_fields]
        columns = [*select_fields(shape, self.table), *others]
        return read_text(session, sa.select(*columns).where(*self.match(*key)))

    def find_numbers(
        self,
        drafts: Mapping[Key, dict[str, Any]],
        stored: Mapping[Key, StoredRow],
        places: Mapping[Key, Callable[[str], ErrorPlace]],
    ) -> list[FieldError]:
        """Return the errors of new numbers of persons in drafts; `places` turn a field into the place of an error."""
        errors: list[FieldError] = []
        for key, draft in drafts.items():
            content, place = self.shape.model_construct(**draft), partial(_place_field, places[key])
            before = [stored[key].content] if key in stored else []
            # a text for all rows of a file is one error
            errors += [
                error for error in find_new_numbers(content, *before, place=place) if [error] != errors[-1:]
            ]
        return errors

    def put(
        self,
        session: Session,
        author: Author,
        chain: Chain,
        drafts: Mapping[Key, dict[str, object]],
        stored: Mapping[Key, StoredRow],
        *,
        before: Sequence[Entry] = (),
        **columns: object,
    ) -> dict[Key, WriteOutcome]:
        """Write the drafts that differ from the stored rows, and return the outcome of each.

        The journal gets the entries of `before` first; each row gets the other `columns`.
        Raises PreconditionFailed if another transaction has written a row.
        """
        changed = {
            key: content
            for key, content in drafts.items()
            if key not in stored or stored[key].content != content
        }
        append(session, chain, author, [*before, *self.store(session, author, changed, stored, **columns)])
        return {
            key: "unchanged" if key not in changed else "updated" if key in stored else "created"
            for key in drafts
        }

    def store(
        self,
        session: Session,
        author: Author,
        drafts: Mapping[Key, dict[str, object]],
        stored: Mapping[Key, StoredRow],
        **columns: object,
    ) -> list[Entry]:
        """Write the drafts as the next versions of their rows, and return the entries for the caller to record.

        Raises PreconditionFailed if another transaction has written a row.
        """
        versions = assign_versions(session, {key: self.format_subject(*key) for key in drafts}, stored)
        stamps = {self.written_at: author.at.isoformat(), self.written_by: author.actor}
        columns |= {name: value for name, value in stamps.items() if name is not None}
        rows = [
            {**self._name_columns(key), **content, **columns, "version": versions[key]}
            for key, content in drafts.items()
        ]
        unique = [column.name for column in self.table.primary_key]
        upsert(session, self.table, rows, key=unique, versioned=True)
        return [
            self.make_entry(key, versions[key], stored.get(key), content) for key, content in drafts.items()
        ]

    def delete(self, session: Session, author: Author, chain: Chain, key: Key, stored: StoredRow) -> None:
        """Delete an existing row, with an entry in the journal."""
        session.execute(sa.delete(self.table).where(*self.match(*key)))
        append(session, chain, author, [self.make_entry(key, stored.version + 1, stored, None)])

    def _name_columns(self, key: tuple[object, ...]) -> dict[str, object]:
        return dict(zip(self.key, key, strict=True))

    def make_entry(
        self, key: Key, version: int, before: StoredRow | None, after: dict[str, Any] | None
    ) -> Entry:
        """Return the journal's entry for a write, or for a deletion if `after` is None."""
        region = str(self._name_columns(key)["region_code"]) if self.region is None else self.region
        reason = (after or {}).get("reason")
        subject, old = self.format_subject(*key), before.content if before else None
        short = reason[:1000] if reason else None
        return Entry.of(self.noun, region, subject, version, old, after, short, is_draft=self.is_draft)


@build_once
def _select_rows(session: Session, resource: Resource) -> sa.Select[Any]:
    c = resource.table.c
    keys = unnest_records(session, {name: c[name].type for name in resource.key})
    columns = [c[name] for name in (*resource.key, *resource.shape.model_fields, "version")]
    is_same = sa.and_(*[c[name] == keys.c[name] for name in resource.key])
    return sa.select(*columns).join_from(resource.table, keys, is_same)


def _place_field(place: Callable[[str], ErrorPlace], pointer: str) -> ErrorPlace:
    return place(pointer[1:])


def _make_plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
