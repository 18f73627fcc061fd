"""SQL expressions that build JSON and take it apart, for both engines.

A shape (a Pydantic model) declares the fields of a JSON object and their order; `build_json_array` turns a
SELECT with columns of those names into such objects. So the shape of the OpenAPI schema also makes the
bytes, and Python passes them through. `upsert` does the reverse.
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
"""SELECT of a text and of further columns, which only its maker knows."""


class Json(sa.types.UserDefinedType[Any]):
    """The type of an expression that is JSON already, so SQL embeds it without quoting it again."""

    cache_ok = True

    def get_col_spec(self, **kw: object) -> str:
        return "JSON"


class _RowJson(ColumnElement[object]):
    """One row of a subquery as a JSON object, fields in the order of the subquery's columns.

    The object omits columns with names that begin with `_`; the SELECT may still return them.
    """

    inherit_cache = True
    type = Json()
    _traverse_internals = [("row", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, row: Subquery) -> None:
        self.row = row


class _JsonArray(ColumnElement[object]):
    """Aggregate of JSON values into an array; an empty array if there are none."""

    inherit_cache = True
    type = Json()
    _traverse_internals = [("item", sa.sql.visitors.InternalTraversal.dp_clauseelement)]

    def __init__(self, item: ClauseElement) -> None:
        self.item = item


class _FixedObject(ColumnElement[object]):
    """A JSON object with a name that identifies its columns.

    SQLAlchemy walks a statement at each execution to make its cache key. The name alone is the key of this
    element, so SQLAlchemy skips the hundreds of elements in it.
    """

    inherit_cache = True
    type = Json()
    _traverse_internals = [("name", sa.sql.visitors.InternalTraversal.dp_string)]

    def __init__(self, name: str, columns: Sequence[ColumnElement[Any]]) -> None:
        self.name, self.fields = name, columns


@compiles(_FixedObject, "postgresql")
def _postgres_object(element: _FixedObject, compiler: SQLCompiler, **kw: object) -> str:
    fields = ", ".join(
        f"{compiler.process(_strip_label(field), **kw)} AS {compiler.preparer.quote(field.name)}"
        for field in element.fields
    )
    return f"(SELECT row_to_json(fixed) FROM (SELECT {fields}) AS fixed)"  # noqa: S608 - names quoted by the compiler, no values


@compiles(_FixedObject, "sqlite")
def _sqlite_object(element: _FixedObject, compiler: SQLCompiler, **kw: object) -> str:
    pairs = (
        f"'{field.name}', {_sqlite_value(compiler.process(_strip_label(field), **kw), field.type)}"
        for field in element.fields
    )
    return f"json_object({', '.join(pairs)})"


def whole_sum(value: sa.SQLColumnExpression[object]) -> ColumnElement[int]:
    """Return the sum of a column as a whole number, 0 without rows."""
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger)


def sum_where(
    condition: ColumnElement[bool], value: sa.SQLColumnExpression[object] | int = 1
) -> ColumnElement[int]:
    """Return the sum of a value over the rows that meet a condition; without a value, their number."""
    return whole_sum(sa.case((condition, value), else_=0))


class DaysBetween(ColumnElement[int]):
    """Days from `earlier` to `later`, dates or ISO texts; negative if `later` comes first."""

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
    days = (f"CAST({compiler.process(date, **kw)} AS DATE)" for date in (element.later, element.earlier))
    return f"({' - '.join(days)})"


@compiles(DaysBetween, "sqlite")
def _sqlite_days(element: DaysBetween, compiler: SQLCompiler, **kw: object) -> str:
    days = (f"julianday({compiler.process(date, **kw)})" for date in (element.later, element.earlier))
    return f"CAST({' - '.join(days)} AS INTEGER)"


def _strip_label(column: ClauseElement) -> ClauseElement:
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


def select_fields(
    shape: type[BaseModel], source: FromClause, **given: sa.SQLColumnExpression[object]
) -> list[ColumnElement[Any]]:
    """Return the columns of a shape in its order: those `given` by name, the others from `source` by name.

    Raises KeyError for a field that neither has, AssertionError for a column that the shape lacks: so a
    difference between the declared shape and the SQL shows.
    """
    unused = set(given) - set(shape.model_fields)
    assert not unused, f"{shape.__name__} has no field {sorted(unused)}"
    return [(given[name] if name in given else source.c[name]).label(name) for name in shape.model_fields]


def make_fixed_object(name: str, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
    """Return the JSON object of a row's `columns` as text, fields in their order; the name identifies the columns."""
    return sa.cast(_FixedObject(name, columns), sa.Text).label("json")


def build_json_object(query: sa.SelectBase, *, name: str = "r") -> ColumnElement[str]:
    """Return the only row of `query` as a scalar JSON object; `query` may correlate to outer tables."""
    row = query.subquery(name)
    return sa.select(_RowJson(row)).select_from(row).scalar_subquery()


def build_json_array(query: sa.SelectBase, *, name: str) -> ColumnElement[str]:
    """Return the rows of `query` as a scalar JSON array, in order."""
    rows = query.subquery(name)
    return sa.select(_JsonArray(_RowJson(rows))).select_from(rows).scalar_subquery()


def select_json_tables(queries: Mapping[str, sa.SelectBase]) -> Select[*tuple[str, ...]]:
    """SELECT one row with the rows of each query under its name, as the text of a JSON array."""
    arrays = {name: build_json_array(query, name=f"{name}_row") for name, query in queries.items()}
    return sa.select(*[sa.cast(array, sa.Text).label(name) for name, array in arrays.items()])


def build_json_values(query: sa.SelectBase, *, name: str) -> ColumnElement[str]:
    """Return the values of `query`'s only column as a scalar JSON array, in order."""
    rows = query.subquery(name)
    (column,) = rows.c
    return sa.select(_JsonArray(column)).select_from(rows).scalar_subquery()


def select_json(query: sa.SelectBase, *extra: str) -> TextSelect:
    """SELECT each row of `query` as JSON text, and `extra` columns of it, such as a cursor's keys."""
    rows, known = query.subquery("item"), query.selected_columns
    # by name, since `rows.c` copies all columns, which costs more than all else here
    columns = [sa.column(name, known[name].type) for name in extra]
    return sa.select(build_row_text(rows), *columns).select_from(rows)


def build_row_text(rows: Subquery) -> sa.Label[str]:
    """Return each row of a subquery as JSON text."""
    return sa.cast(_RowJson(rows), sa.Text).label("json")


def unnest_texts(session: Session, column: sa.SQLColumnExpression[object], *, name: str) -> FromClause:
    """Return a FROM clause over the texts of a JSON array in `column`, with one column, `value`.

    Join it ON true to the table of `column`; a row of that table comes once for each of its texts.
    """
    value = sa.column("value", sa.String)
    if session.get_bind().dialect.name == "postgresql":
        return sa.func.json_array_elements_text(column).table_valued(value, name=name).render_derived()
    return sa.func.json_each(column).table_valued(value, name=name)


class UnnestedObjects(NamedTuple):
    """The items of a JSON array as a FROM clause; join it ON true to the table of the array."""

    source: FromClause
    value: ColumnElement[str]
    """The JSON of the item, unchanged."""
    place: ColumnElement[int]


def unnest_objects(session: Session, text: ColumnElement[str], field: str, *, name: str) -> UnnestedObjects:
    """Return the objects of the array in `field` of the JSON object in `text`; `place` gives their order."""
    if session.get_bind().dialect.name == "postgresql":
        array = sa.func.json_extract_path(sa.cast(text, Json()), field)
        source = sa.func.json_array_elements_text(array).table_valued(
            sa.column("value", sa.Text), with_ordinality="place", name=name
        )
        derived = source.render_derived()
        return UnnestedObjects(derived, derived.c.value, derived.c.place)
    each = sa.func.json_each(text, f"$.{field}").table_valued("key", "value", name=name)
    return UnnestedObjects(each, each.c.value, each.c.key)


def build_once(make: Callable[..., Built]) -> Callable[..., Built]:
    """Decorate a function that builds a statement, to call it once for each engine and its arguments.

    The statement has parameters, no values. To build a large one and to compute its cache key costs more
    than to run it.
    """
    cache: dict[tuple[object, ...], Built] = {}

    @wraps(make)
    def build(session: Session, *arguments: object) -> Built:
        key = (session.get_bind().dialect.name, *arguments)
        if key not in cache:
            cache[key] = make(session, *arguments)
        return cache[key]

    return build


def dump_json(value: object) -> str:
    """Return compact JSON. Raises ValueError for NaN and infinity."""
    return _ENCODER.encode(value)


def _serialize(value: object) -> object:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


# `json.dumps` with options builds an encoder for every call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_serialize)
