"""The search for numbers of persons in texts that the database stores already."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.personal import find_person_number
from app.startup.schema import Table

_IDENTIFIERS = frozenset(
    [
        "source_key",
        "code",
        "key",
        "keys",
        "action",
        "action_id",
        "first_action",
        "second_action",
        "subject",
        "address",
        "pointer",
        "chain",
        "id",
        "after",
        "next",
        "hash",
        "sha256",
        "request_hash",
        "request_id",
        "salt",
        "sealed",
        "stamp",
        "digests",
        "search",
        "folded",
        "folded_name",
        "folded_activity",
    ]
)
"""Columns and fields of keys, addresses and hashes, which may be any run of digits, and of folded copies."""
_INSTANTS = ("at", "updated_at", "reported_at", "frozen_at", "adopted_at")
_MANY = 500


class StoredNumber(NamedTuple):
    """The place of a number of a person: what to look up, never the number."""

    address: str
    """Table and key of the row; for the journal its number and the address of what it is about."""
    field: str
    """Column, then the path in its JSON."""
    at: str
    """Instant of the last write, if the row has one."""


def find_stored_numbers(session: Session) -> Iterator[StoredNumber]:
    """Yield each text of the database that has a number of a person, table by table, in one pass."""
    for table in Table.metadata.sorted_tables:
        texts = [
            column
            for column in table.c
            if isinstance(column.type, (sa.String, sa.JSON)) and column.name not in _IDENTIFIERS
        ]
        if texts:
            yield from _search(session, table, texts)


def _search(session: Session, table: sa.Table, texts: list[sa.Column[Any]]) -> Iterator[StoredNumber]:
    instants = [table.c[name] for name in _INSTANTS if name in table.c]
    key = [table.c[name] for name in _list_key(table)]
    rows = session.execute(
        sa.select(*dict.fromkeys([*key, *texts, *instants])), execution_options={"yield_per": _MANY}
    )
    for row in rows:
        values = row._mapping
        for column in texts:
            for path, text in _list_texts(column.name, values[column]):
                if find_person_number(text):
                    at = next((f"{values[c]:%Y-%m-%d %H:%M}" for c in instants if values[c]), "–")
                    yield StoredNumber(f"{table.name} {_name_row(session, table, values)}", path, at)


def _list_texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of the texts in a column, also inside its JSON; links are none."""
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            with suppress(ValueError):
                value = json.loads(value)
        elif value.startswith(("http://", "https://")):
            return
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            if name not in _IDENTIFIERS:
                yield from _list_texts(f"{path}/{name}", item)


def _list_key(table: sa.Table) -> list[str]:
    """Return the columns that name a row: a unique constraint instead of a numeric id."""
    names = [column.name for column in table.primary_key]
    if names == ["id"]:
        unique = [item for item in table.constraints if isinstance(item, sa.UniqueConstraint)]
        names = min(([column.name for column in item.columns] for item in unique), default=names)
    return [*names, "subject"] if table.name == "journal" else names


def _name_row(session: Session, table: sa.Table, values: Mapping[Any, Any]) -> str:
    """Return the key of a row as people know it: each numeric id as the key of its own row."""
    return "/".join(_name_value(session, table.c[name], values[table.c[name]]) for name in _list_key(table))


def _name_value(session: Session, column: sa.Column[Any], value: object) -> str:
    for reference in column.foreign_keys:
        owner = reference.column.table
        if [item.name for item in owner.primary_key] == ["id"] and reference.column.name == "id":
            key = [owner.c[name] for name in _list_key(owner)]
            row = session.execute(sa.select(*key).where(owner.c.id == value)).one()
            return _name_row(session, owner, row._mapping)
        if reference.column.foreign_keys and reference.column.name.endswith("_id"):
            return _name_value(session, reference.column, value)
    shown = str(value)
    return shown if column.name in _IDENTIFIERS or not find_person_number(shown) else "…"
