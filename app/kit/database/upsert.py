"""Upserts of many rows in one statement, from a JSON array as a FROM clause, for both engines."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Subquery
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import text_type
from app.kit.database.json_sql import Json, dump_json
from app.kit.problems import PreconditionFailed


@lru_cache(maxsize=256)
def _build_upsert(
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    key: tuple[str, ...],
    versioned: bool,
    replace: bool,
    returning: tuple[str, ...],
) -> sa.Executable:
    source = _build_records(dialect, tuple((name, table.c[name].type) for name in names))
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # WHERE true: without it SQLite reads ON CONFLICT as the join condition of the SELECT.
    statement = make(table).from_select(list(names), sa.select(*source.c).where(sa.true()))
    changed = {name: statement.excluded[name] for name in names if name not in key}
    where = table.c.version == statement.excluded.version - 1 if versioned else None
    upsert: Any = statement
    if key and replace and changed:
        upsert = statement.on_conflict_do_update(index_elements=list(key), set_=changed, where=where)
    elif key:
        upsert = statement.on_conflict_do_nothing(index_elements=list(key))
    # The cast: SQLite may return a replaced row's whole number as 2.0, before it stores it as 2.
    columns = [sa.cast(table.c[name], table.c[name].type).label(name) for name in returning]
    complete: sa.Executable = upsert.returning(*columns) if returning else upsert
    return complete


def upsert(
    session: Session,
    table: sa.Table,
    rows: Sequence[Mapping[str, object]],
    *,
    key: Iterable[str] = (),
    versioned: bool = False,
    replace: bool = True,
    returning: Iterable[str] = (),
) -> list[sa.Row[*tuple[Any, ...]]]:
    """Insert `rows` (all with the same names) in one statement; replace those with the same `key`.

    Without a `key`, an existing row is an error; without `replace`, it stays unchanged. With `versioned`,
    an existing row must have the `version` before the given one. Values are JSON values; instants and
    dates are ISO texts. Raises PreconditionFailed if another transaction has written a versioned row.
    """
    if not rows:
        return []
    dialect = session.get_bind().dialect.name
    names = tuple(returning) or (("version",) if versioned else ())
    statement = _build_upsert(dialect, table, tuple(rows[0]), tuple(key), versioned, replace, names)
    result = session.connection().execute(statement, {"records": dump_json(rows)})
    written = list(result.all()) if names else []
    if versioned and len(written) != len(rows):
        raise PreconditionFailed()
    return written


def unnest_records(session: Session, columns: Mapping[str, sa.types.TypeEngine[Any]]) -> Subquery:
    """Return a FROM clause over the JSON array bound as `records`, with a column for each name of its objects."""
    return _build_records(session.get_bind().dialect.name, tuple(columns.items()))


@lru_cache(maxsize=256)
def _build_records(dialect: str, columns: tuple[tuple[str, sa.types.TypeEngine[Any]], ...]) -> Subquery:
    bound = sa.bindparam("records", type_=sa.Text)
    if dialect == "postgresql":
        source = (
            sa.func.json_to_recordset(sa.cast(bound, Json()))
            .table_valued(*[sa.column(name, _remove_length(kind)) for name, kind in columns], name="t")
            .render_derived(with_types=True)
        )
        return sa.select(*source.c).subquery("records")
    each = sa.func.json_each(bound).table_valued("value", name="t")
    return sa.select(
        *[
            sa.type_coerce(
                _format_instant(sa.func.json_extract(each.c.value, f"$.{name}"), kind), kind
            ).label(name)
            for name, kind in columns
        ]
    ).subquery("records")


def _remove_length(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return text without a length: a key longer than its column then matches no row, and is no error."""
    return text_type() if type(kind) is sa.String else kind


def _format_instant(
    value: sa.SQLColumnExpression[object], kind: sa.types.TypeEngine[Any]
) -> sa.SQLColumnExpression[object]:
    """Return an instant as SQLite's driver stores it: `2026-11-21 20:04:19.000000`, in UTC."""
    if isinstance(kind, (UTCDateTime, sa.DateTime)):
        # Python leaves out a fraction of zero.
        whole = sa.func.substr(value, 1, 19).concat(".000000")
        precise = sa.case((sa.func.substr(value, 20, 1) == ".", sa.func.substr(value, 1, 26)), else_=whole)
        return sa.func.replace(precise, "T", " ")
    return value
