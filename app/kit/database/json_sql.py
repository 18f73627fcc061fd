"""JSON made and taken apart inside the database, in one vocabulary for both engines.

A shape (a Pydantic model) says which fields a JSON object has and in which order; `json_rows` turns a
SELECT with columns of those names into that object, so the shape that makes the OpenAPI schema also
makes the bytes, and Python passes them through. The other way, `records` is a FROM clause over a JSON
array of objects that was validated once, so a thousand rows are written by one statement.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, FromClause, Select, Subquery
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import text_type

Built = TypeVar("Built")


class Json(sa.types.UserDefinedType[Any]):
    """Marks an expression as JSON that is embedded as it is, never quoted again."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "JSON"


class _RowJson(ColumnElement[Any]):
    """One row of a subquery as a JSON object, fields in the order of the subquery's columns.

    A column whose name begins with `_` is not part of the object; it can travel beside it.
    """

    inherit_cache = True
    type = Json()
    _traverse_internals = [("row", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, row: Subquery) -> None:
        self.row = row


class _JsonArray(ColumnElement[Any]):
    """Aggregate of JSON values into an array; an empty array where there are none."""

    inherit_cache = True
    type = Json()
    _traverse_internals = [("item", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, item: ColumnElement[Any]) -> None:
        self.item = item


class _FixedObject(ColumnElement[Any]):
    """A JSON object of columns that are always the same under this name.

    SQLAlchemy walks a statement at each execution to see whether it knows it; here it is told the name
    and need not look at hundreds of elements behind it.
    """

    inherit_cache = True
    type = Json()
    _traverse_internals = [("name", sa.sql.visitors.InternalTraversal.dp_string)]

    def __init__(self, name: str, columns: Sequence[ColumnElement[Any]]) -> None:
        self.name, self.fields = name, columns


@compiles(_FixedObject, "postgresql")
def _postgres_object(element: _FixedObject, compiler: SQLCompiler, **kw: Any) -> str:
    fields = ", ".join(
        f"{compiler.process(_unlabelled(field), **kw)} AS {compiler.preparer.quote(field.name)}"
        for field in element.fields
    )
    return f"(SELECT row_to_json(fixed) FROM (SELECT {fields}) AS fixed)"  # noqa: S608 - names quoted by the compiler, no values


@compiles(_FixedObject, "sqlite")
def _sqlite_object(element: _FixedObject, compiler: SQLCompiler, **kw: Any) -> str:
    pairs = (
        f"'{field.name}', {_sqlite_value(compiler.process(_unlabelled(field), **kw), field.type)}"
        for field in element.fields
    )
    return f"json_object({', '.join(pairs)})"


class _DaysBetween(ColumnElement[int]):
    """Whole days from one date to another."""

    inherit_cache = True
    type = sa.Integer()
    _traverse_internals = [
        ("earlier", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("later", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, earlier: ColumnElement[Any], later: ColumnElement[Any]) -> None:
        self.earlier, self.later = earlier, later


@compiles(_DaysBetween, "postgresql")
def _postgres_days(element: _DaysBetween, compiler: SQLCompiler, **kw: Any) -> str:
    days = (f"CAST({compiler.process(one, **kw)} AS DATE)" for one in (element.later, element.earlier))
    return f"({' - '.join(days)})"


@compiles(_DaysBetween, "sqlite")
def _sqlite_days(element: _DaysBetween, compiler: SQLCompiler, **kw: Any) -> str:
    days = (f"julianday({compiler.process(one, **kw)})" for one in (element.later, element.earlier))
    return f"CAST({' - '.join(days)} AS INTEGER)"


def days_between(earlier: ColumnElement[Any], later: ColumnElement[Any]) -> ColumnElement[int]:
    """Days from the one date to the other, or from one day as ISO text; negative where that lies before."""
    return _DaysBetween(earlier, later)


def _unlabelled(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column.element if isinstance(column, sa.Label) else column


@compiles(_RowJson, "postgresql")
def _postgres_row(element: _RowJson, compiler: SQLCompiler, **kw: Any) -> str:
    hidden = any(name.startswith("_") for name in element.row.c.keys())  # noqa: SIM118 - a collection of columns, not a dict
    if not hidden:
        return f"row_to_json({compiler.preparer.format_alias(element.row)})"
    shown = ", ".join(
        f"{compiler.process(column, **kw)} AS {compiler.preparer.quote(name)}"
        for name, column in element.row.c.items()
        if not name.startswith("_")
    )
    return f"(SELECT row_to_json(shown) FROM (SELECT {shown}) AS shown)"  # noqa: S608 - names quoted by the compiler, no values


@compiles(_RowJson, "sqlite")
def _sqlite_row(element: _RowJson, compiler: SQLCompiler, **kw: Any) -> str:
    pairs = (
        f"'{name}', {_sqlite_value(compiler.process(column, **kw), column.type)}"
        for name, column in element.row.c.items()
        if not name.startswith("_")
    )
    return f"json_object({', '.join(pairs)})"


def _sqlite_value(sql: str, kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, (Json, sa.JSON)):
        return f"json({sql})"
    if isinstance(kind, sa.Boolean):
        return f"json(CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"
    if isinstance(kind, (UTCDateTime, sa.DateTime)):
        return f"replace({sql}, ' ', 'T') || '+00:00'"
    return sql


@compiles(_JsonArray, "postgresql")
def _postgres_array(element: _JsonArray, compiler: SQLCompiler, **kw: Any) -> str:
    return f"coalesce(json_agg({compiler.process(element.item, **kw)}), '[]')"


@compiles(_JsonArray, "sqlite")
def _sqlite_array(element: _JsonArray, compiler: SQLCompiler, **kw: Any) -> str:
    item = compiler.process(element.item, **kw)
    return f"json_group_array({item})"


def fields_of(shape: type[BaseModel], source: FromClause, **given: Any) -> list[ColumnElement[Any]]:
    """The columns of a shape in its order: those `given` by name, the others of `source` by name.

    KeyError names a field that neither has, AssertionError one that is given but not in the shape:
    the declared shape and the SQL cannot drift apart unseen.
    """
    unused = set(given) - set(shape.model_fields)
    assert not unused, f"{shape.__name__} has no field {sorted(unused)}"
    return [(given[name] if name in given else source.c[name]).label(name) for name in shape.model_fields]


def fixed_object(name: str, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """JSON object of a row's `columns` as text, fields in their order; the name stands for exactly these."""
    return sa.cast(_FixedObject(name, columns), sa.Text).label("json")


def json_row(query: Select[Any], *, name: str = "r") -> ColumnElement[Any]:
    """Scalar JSON object of the only row of `query`, which may refer to outer tables it correlates."""
    row = query.subquery(name)
    return sa.select(_RowJson(row)).select_from(row).scalar_subquery()


def json_rows(query: Select[Any], *, name: str) -> ColumnElement[Any]:
    """Scalar JSON array of the rows of `query`, in its order."""
    rows = query.subquery(name)
    return sa.select(_JsonArray(_RowJson(rows))).select_from(rows).scalar_subquery()


def json_values(query: Select[Any], *, name: str) -> ColumnElement[Any]:
    """Scalar JSON array of the values of `query`'s one column, in its order."""
    rows = query.subquery(name)
    (column,) = rows.c
    return sa.select(_JsonArray(column)).select_from(rows).scalar_subquery()


def json_texts(query: Select[Any], *beside: str) -> Select[Any]:
    """SELECT each row of `query` as JSON text, and beside it some of its columns (a cursor's keys, an id)."""
    rows = query.subquery("item")
    texts = sa.select(sa.cast(_RowJson(rows), sa.Text).label("json"), *[rows.c[name] for name in beside])
    return texts.select_from(rows)


@lru_cache(maxsize=256)
def _upsert(
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    key: tuple[str, ...],
    versioned: bool,
    replace: bool,
    returning: tuple[str, ...],
) -> sa.Executable:
    source = _records(dialect, {name: table.c[name].type for name in names})
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
    told = [sa.cast(table.c[name], table.c[name].type).label(name) for name in returning]
    complete: sa.Executable = upsert.returning(*told) if returning else upsert
    return complete


def upsert(
    session: Session,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Iterable[str] = (),
    versioned: bool = False,
    replace: bool = True,
    returning: Iterable[str] = (),
) -> list[sa.Row[Any]]:
    """Insert `rows` (all with the same names) in one statement; those with the same `key` are replaced.

    Without a `key`, one that is there already is an error; without `replace`, it stays as it is. With
    `versioned`, a row is replaced only when its `version` is one less than the given one; a row
    that lost that race is missing from what is returned. Values are what JSON can hold; instants and
    dates as ISO text.
    """
    if not rows:
        return []
    dialect = session.get_bind().dialect.name
    statement = _upsert(dialect, table, tuple(rows[0]), tuple(key), versioned, replace, tuple(returning))
    result = session.connection().execute(statement, {"records": to_json(rows)})
    return list(result.all()) if returning else []


def records(session: Session, columns: dict[str, sa.types.TypeEngine[Any]]) -> Subquery:
    """FROM clause over the JSON array bound as `records`: one column for each name of its objects."""
    return _records(session.get_bind().dialect.name, columns)


def _records(dialect: str, columns: dict[str, sa.types.TypeEngine[Any]]) -> Subquery:
    bound = sa.bindparam("records", type_=sa.Text)
    if dialect == "postgresql":
        source = (
            sa.func.json_to_recordset(sa.cast(bound, Json()))
            .table_valued(*[sa.column(name, _unbounded(kind)) for name, kind in columns.items()], name="t")
            .render_derived(with_types=True)
        )
        return sa.select(*source.c).subquery("records")
    each = sa.func.json_each(bound).table_valued("value", name="t")
    return sa.select(
        *[
            sa.type_coerce(_sqlite_stored(sa.func.json_extract(each.c.value, f"$.{name}"), kind), kind).label(
                name
            )
            for name, kind in columns.items()
        ]
    ).subquery("records")


def elements(session: Session, column: ColumnElement[Any], *, name: str) -> FromClause:
    """FROM clause over the texts of a JSON array in `column` of a table beside it: one column, `value`.

    Joined ON true; a row of the table comes once for each of its texts.
    """
    value = sa.column("value", sa.String)
    if session.get_bind().dialect.name == "postgresql":
        return sa.func.json_array_elements_text(column).table_valued(value, name=name).render_derived()
    return sa.func.json_each(column).table_valued(value, name=name)


class Members(NamedTuple):
    """The items of an array as a FROM clause, joined ON true with the table beside it."""

    source: FromClause
    value: ColumnElement[str]
    """The item's JSON, an object as it was written."""
    place: ColumnElement[int]


def members(session: Session, text: ColumnElement[str], field: str, *, name: str) -> Members:
    """The objects of the array in `field` of the JSON object in `text`, in their order by `place`."""
    if session.get_bind().dialect.name == "postgresql":
        array = sa.func.json_extract_path(sa.cast(text, Json()), field)
        source = sa.func.json_array_elements_text(array).table_valued(
            sa.column("value", sa.Text), with_ordinality="place", name=name
        )
        derived = source.render_derived()
        return Members(derived, derived.c.value, derived.c.place)
    each = sa.func.json_each(text, f"$.{field}").table_valued("key", "value", name=name)
    return Members(each, each.c.value, each.c.key)


def _unbounded(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Text of any length: a key that is too long for its column is one that is not there, not an error."""
    return text_type() if type(kind) is sa.String else kind


def _sqlite_stored(value: ColumnElement[Any], kind: sa.types.TypeEngine[Any]) -> ColumnElement[Any]:
    """An instant as SQLite's driver stores it: `2026-11-21 20:04:19.000000`, in UTC."""
    if isinstance(kind, (UTCDateTime, sa.DateTime)):
        # Python leaves out a fraction of zero.
        whole = sa.func.substr(value, 1, 19).concat(".000000")
        told = sa.case((sa.func.substr(value, 20, 1) == ".", sa.func.substr(value, 1, 26)), else_=whole)
        return sa.func.replace(told, "T", " ")
    return value


def built_once(make: Callable[..., Built]) -> Callable[..., Built]:
    """`make(session, …)`, called once for each engine and arguments.

    What it builds is a statement without values, only names for them: building a large one, and telling
    that it is the same as the last time, costs more than running it.
    """
    made: dict[tuple[Any, ...], Built] = {}

    @wraps(make)
    def built(session: Session, *arguments: Any) -> Built:
        key = (session.get_bind().dialect.name, *arguments)
        if key not in made:
            made[key] = make(session, *arguments)
        return made[key]

    return built


def to_json(value: Any) -> str:
    """Compact JSON; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
