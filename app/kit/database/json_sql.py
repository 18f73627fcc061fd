"""JSON made and taken apart inside the database, in one vocabulary for both engines.

A shape (a Pydantic model) says which fields a JSON object has and in which order; `json_rows` turns a
SELECT with columns of those names into that object, so the shape that makes the OpenAPI schema also
makes the bytes, and Python passes them through. The other way is `upsert`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, ColumnElement, FromClause, Select, Subquery
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

Built = TypeVar("Built")

TextSelect: TypeAlias = Select[str, *tuple[Any, ...]]
"""SELECT of a text and of some columns that only its maker knows."""


class Json(sa.types.UserDefinedType[Any]):
    """Marks an expression as JSON that is embedded as it is, never quoted again."""

    cache_ok = True

    def get_col_spec(self, **kw: object) -> str:
        return "JSON"


class _RowJson(ColumnElement[object]):
    """One row of a subquery as a JSON object, fields in the order of the subquery's columns.

    A column whose name begins with `_` is not part of the object; it can travel beside it.
    """

    inherit_cache = True
    type = Json()
    _traverse_internals = [("row", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, row: Subquery) -> None:
        self.row = row


class _JsonArray(ColumnElement[object]):
    """Aggregate of JSON values into an array; an empty array where there are none."""

    inherit_cache = True
    type = Json()
    _traverse_internals = [("item", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, item: ClauseElement) -> None:
        self.item = item


class _FixedObject(ColumnElement[object]):
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
def _postgres_object(element: _FixedObject, compiler: SQLCompiler, **kw: object) -> str:
    fields = ", ".join(
        f"{compiler.process(_unlabelled(field), **kw)} AS {compiler.preparer.quote(field.name)}"
        for field in element.fields
    )
    return f"(SELECT row_to_json(fixed) FROM (SELECT {fields}) AS fixed)"  # noqa: S608 - names quoted by the compiler, no values


@compiles(_FixedObject, "sqlite")
def _sqlite_object(element: _FixedObject, compiler: SQLCompiler, **kw: object) -> str:
    pairs = (
        f"'{field.name}', {_sqlite_value(compiler.process(_unlabelled(field), **kw), field.type)}"
        for field in element.fields
    )
    return f"json_object({', '.join(pairs)})"


def whole_sum(value: sa.SQLColumnExpression[object]) -> ColumnElement[int]:
    """A sum as the whole number that it is, 0 where there is nothing."""
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger)


def sum_where(
    condition: ColumnElement[bool], value: sa.SQLColumnExpression[object] | int = 1
) -> ColumnElement[int]:
    """The sum of a value over the rows for which a condition holds; without a value their number."""
    return whole_sum(sa.case((condition, value), else_=0))


class DaysBetween(ColumnElement[int]):
    """Days from the one date to the other, or from one day as ISO text; negative where that lies before."""

    inherit_cache = True
    type = sa.Integer()
    _traverse_internals = [
        ("earlier", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("later", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, earlier: ClauseElement, later: ClauseElement) -> None:
        self.earlier, self.later = earlier, later


@compiles(DaysBetween, "postgresql")
def _postgres_days(element: DaysBetween, compiler: SQLCompiler, **kw: object) -> str:
    days = (f"CAST({compiler.process(one, **kw)} AS DATE)" for one in (element.later, element.earlier))
    return f"({' - '.join(days)})"


@compiles(DaysBetween, "sqlite")
def _sqlite_days(element: DaysBetween, compiler: SQLCompiler, **kw: object) -> str:
    days = (f"julianday({compiler.process(one, **kw)})" for one in (element.later, element.earlier))
    return f"CAST({' - '.join(days)} AS INTEGER)"


def _unlabelled(column: ClauseElement) -> ClauseElement:
    return column.element if isinstance(column, sa.Label) else column


@compiles(_RowJson, "postgresql")
def _postgres_row(element: _RowJson, compiler: SQLCompiler, **kw: object) -> str:
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
def _sqlite_row(element: _RowJson, compiler: SQLCompiler, **kw: object) -> str:
    pairs = (
        f"'{name}', {_sqlite_value(compiler.process(column, **kw), column.type)}"
        for name, column in element.row.c.items()
        if not name.startswith("_")
    )
    return f"json_object({', '.join(pairs)})"


def _sqlite_value(sql: str, kind: object) -> str:
    if isinstance(kind, (Json, sa.JSON)):
        return f"json({sql})"
    if isinstance(kind, sa.Boolean):
        return f"json(CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"
    if isinstance(kind, (UTCDateTime, sa.DateTime)):
        return f"replace({sql}, ' ', 'T') || '+00:00'"
    return sql


@compiles(_JsonArray, "postgresql")
def _postgres_array(element: _JsonArray, compiler: SQLCompiler, **kw: object) -> str:
    return f"coalesce(json_agg({compiler.process(element.item, **kw)}), '[]')"


@compiles(_JsonArray, "sqlite")
def _sqlite_array(element: _JsonArray, compiler: SQLCompiler, **kw: object) -> str:
    item = compiler.process(element.item, **kw)
    return f"json_group_array({item})"


def fields_of(
    shape: type[BaseModel], source: FromClause, **given: sa.SQLColumnExpression[object]
) -> list[ColumnElement[Any]]:
    """The columns of a shape in its order: those `given` by name, the others of `source` by name.

    KeyError names a field that neither has, AssertionError one that is given but not in the shape:
    the declared shape and the SQL cannot drift apart unseen.
    """
    unused = set(given) - set(shape.model_fields)
    assert not unused, f"{shape.__name__} has no field {sorted(unused)}"
    return [(given[name] if name in given else source.c[name]).label(name) for name in shape.model_fields]


def fixed_object(name: str, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
    """JSON object of a row's `columns` as text, fields in their order; the name stands for exactly these."""
    return sa.cast(_FixedObject(name, columns), sa.Text).label("json")


def json_row(query: sa.SelectBase, *, name: str = "r") -> ColumnElement[str]:
    """Scalar JSON object of the only row of `query`, which may refer to outer tables it correlates."""
    row = query.subquery(name)
    return sa.select(_RowJson(row)).select_from(row).scalar_subquery()


def json_rows(query: sa.SelectBase, *, name: str) -> ColumnElement[str]:
    """Scalar JSON array of the rows of `query`, in its order."""
    rows = query.subquery(name)
    return sa.select(_JsonArray(_RowJson(rows))).select_from(rows).scalar_subquery()


def json_tables(queries: Mapping[str, sa.SelectBase]) -> Select[*tuple[str, ...]]:
    """SELECT a single row that has all rows of each query, as the text of a JSON array under its name."""
    arrays = {name: json_rows(query, name=f"{name}_row") for name, query in queries.items()}
    return sa.select(*[sa.cast(array, sa.Text).label(name) for name, array in arrays.items()])


def json_values(query: sa.SelectBase, *, name: str) -> ColumnElement[str]:
    """Scalar JSON array of the values of `query`'s one column, in its order."""
    rows = query.subquery(name)
    (column,) = rows.c
    return sa.select(_JsonArray(column)).select_from(rows).scalar_subquery()


def json_texts(query: sa.SelectBase, *beside: str) -> TextSelect:
    """SELECT each row of `query` as JSON text, and beside it some of its columns (a cursor's keys, an id)."""
    rows, known = query.subquery("item"), query.selected_columns
    # by their names: the columns of a subquery are copies of all that it has, which cost more than the rest
    columns = [sa.column(name, known[name].type) for name in beside]
    return sa.select(sa.cast(_RowJson(rows), sa.Text).label("json"), *columns).select_from(rows)


def elements(session: Session, column: sa.SQLColumnExpression[object], *, name: str) -> FromClause:
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


def built_once(make: Callable[..., Built]) -> Callable[..., Built]:
    """`make(session, …)`, called once for each engine and arguments.

    What it builds is a statement without values, only names for them: building a large one, and telling
    that it is the same as the last time, costs more than running it.
    """
    made: dict[tuple[object, ...], Built] = {}

    @wraps(make)
    def built(session: Session, *arguments: object) -> Built:
        key = (session.get_bind().dialect.name, *arguments)
        if key not in made:
            made[key] = make(session, *arguments)
        return made[key]

    return built


def to_json(value: object) -> str:
    """Compact JSON; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
