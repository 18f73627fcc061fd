"""Lists inside rows, in tables of their own: an item is a row with the key of its owner and its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.json_sql import build_once, dump_json
from app.kit.database.upsert import unnest_records, upsert


class PartList(NamedTuple):
    """The items of one list after the write, and the stored ones."""

    owner: Mapping[str, object]
    """Column → value of the key of the row that has the list."""
    items: Sequence[Mapping[str, object]]
    stored: Sequence[Mapping[str, object]]


def write_parts(session: Session, table: sa.Table, key: str, lists: Iterable[PartList]) -> None:
    """Replace lists, any number of them with the statements of one.

    Items match by `key`: one that stays keeps the rows that refer to it. Deletes those that `items` lack.
    """
    deleted: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    owners: list[str] = []
    for owner, items, stored in lists:
        if items == stored:
            continue
        owners, kept = list(owner), {item[key] for item in items}
        deleted += [{**owner, key: item[key]} for item in stored if item[key] not in kept]
        rows += [{**item, **owner, "position": n} for n, item in enumerate(items)]
    delete_parts(session, table, deleted)
    upsert(session, table, rows, key=[*owners, key])


def delete_parts(session: Session, table: sa.Table, keys: Sequence[Mapping[str, object]]) -> None:
    """Delete items by the columns of their owner and key."""
    if keys:
        statement = _build_delete(session, table, *keys[0])
        session.connection().execute(statement, {"records": dump_json(keys)})


@build_once
def _build_delete(session: Session, table: sa.Table, *names: str) -> sa.Delete:
    source = unnest_records(session, {name: table.c[name].type for name in names})
    key = sa.tuple_(*[table.c[name] for name in names])
    return sa.delete(table).where(key.in_(sa.select(*[source.c[name] for name in names])))
