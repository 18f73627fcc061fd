"""Keyset pages: one query model and one cursor for every list.

A cursor is opaque and valid only for the path, filters and sort that made it; with others the reply is
400, never an empty page. A sort uses a declared column that is never null, and then the key.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session
from starlette.requests import Request

from app.kit.database.json_sql import TextSelect, build_row_text, dump_json, select_json
from app.kit.database.upsert import unnest_records
from app.kit.fields import SOMETIMES
from app.kit.problems import BadRequest, FieldError, Kind

Item = TypeVar("Item")
Rows = TypeVar("Rows", bound=sa.GenerativeSelect)

foreign_cursor = Kind(
    "foreign_cursor",
    id="kursor ini berasal dari daftar, saringan atau urutan lain; mulai lagi dari halaman pertama",
    en="this cursor comes from another list, filter or sort order; start again from the first page",
)


class PageQuery(BaseModel):
    """The query parameters of every list."""

    limit: int = Field(default=100, ge=1, le=500, description="Items on a page, at most 500.")
    after: str | None = Field(default=None, max_length=2000, description="Cursor: `next` of the page before.")
    count: Literal["exact"] | None = Field(
        default=None, description="`exact` adds the number of all matching items, at the cost of a count."
    )


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(
        description="Cursor of the next page (send it as `after`); null on the last page."
    )
    count: int | None = Field(
        default=None, description="Number of all matching items, on request.", json_schema_extra=SOMETIMES
    )


@dataclass(frozen=True)
class Listing:
    """The declaration of a list: its rows, its sort columns, and its key."""

    query: Select[Any]
    """SELECT of the item's fields, by the names of its shape."""
    sorts: Mapping[str, ColumnElement[Any]]
    """Name of a sort → a column of `query` that is never null; the item has a field of that name."""
    key: Mapping[str, ColumnElement[Any]]
    """The columns of the key, unique in the list, which end every sort."""
    item: ColumnElement[str] | None = None
    """The item's JSON if it is a `make_fixed_object`; `query` then selects the cheapest column."""
    ranking: Sequence[Sequence[object]] | None = None
    """Keys of the rows that a search found, the likeliest first; the list has no others."""


RELEVANCE = "relevance"
"""Sort of a list with a ranking: by the place in it."""


def match_values(*pairs: tuple[sa.SQLColumnExpression[Any], object]) -> list[ColumnElement[bool]]:
    """Return the conditions that each column has its value; a value of None is no condition."""
    return [column == value for column, value in pairs if value is not None]


def read_page(session: Session, request: Request, listing: Listing, query: PageQuery, *, sort: str) -> bytes:
    """Return a page as JSON bytes, which the database builds; `next` is null on the last page."""
    if listing.ranking is not None:
        listing = _join_ranking(session, listing, sort)
    order = _select_order(listing, sort)
    columns = list(order.values())
    seal = _seal(request, sort)
    statement = listing.query
    if query.after is not None:
        last = _decode_cursor(query.after, seal, columns)
        left, right = sa.tuple_(*columns), sa.tuple_(*last)
        statement = statement.where(left < right if sort.startswith("-") else left > right)
    statement = _order(statement, columns, sort).limit(query.limit + 1)
    if listing.item is None:
        texts = select_json(statement, *order)
    else:
        texts = statement.with_only_columns(listing.item, *columns)
    rows = session.connection().execute(texts).all()
    shown = rows[: query.limit]
    following = _encode_cursor(list(shown[-1])[1:], seal) if len(rows) > query.limit else None
    tail = f'],"next":{dump_json(following)}'
    if query.count == "exact":
        total = session.scalar(
            sa.select(sa.func.count()).select_from(listing.query.order_by(None).subquery())
        )
        tail += f',"count":{total}'
    return ('{"items":[' + ",".join(row[0] for row in shown) + tail + "}").encode()


def _join_ranking(session: Session, listing: Listing, sort: str) -> Listing:
    """Return a listing of the ranked rows alone, which can be in the order of the ranking."""
    records = [
        {"rank": n, **dict(zip(listing.key, key, strict=True))} for n, key in enumerate(listing.ranking or ())
    ]
    columns = {name: column.type for name, column in listing.key.items()}
    ranks = unnest_records(session, {"rank": sa.Integer(), **columns})
    bound = {"records": dump_json(records)}
    if sort != RELEVANCE:
        keys = sa.select(*[ranks.c[name] for name in listing.key]).params(bound)
        return replace(listing, query=listing.query.where(sa.tuple_(*listing.key.values()).in_(keys)))
    rows = listing.query.subquery("item")
    is_of_row = sa.and_(*[rows.c[name] == ranks.c[name] for name in listing.key])
    ranked = sa.select(ranks.c.rank).select_from(ranks.join(rows, is_of_row)).params(bound)
    return Listing(ranked, {RELEVANCE: ranks.c.rank}, {}, item=build_row_text(rows))


def select_all(listing: Listing, *, sort: str) -> TextSelect:
    """SELECT every item of a list as JSON text, and the columns of its sort, in the order of its pages."""
    names = list(_select_order(listing, sort))
    texts = select_json(listing.query, *names)
    return _order(texts, [texts.selected_columns[name] for name in names], sort)


def _select_order(listing: Listing, sort: str) -> dict[str, ColumnElement[Any]]:
    name = sort.removeprefix("-")
    return {name: listing.sorts[name], **listing.key}


def _order(statement: Rows, columns: Sequence[sa.SQLColumnExpression[object]], sort: str) -> Rows:
    return statement.order_by(*[c.desc() if sort.startswith("-") else c.asc() for c in columns])


def find_next_link(request: Request, body: bytes) -> str | None:
    """Return the `Link` header of a page, from `next` in its body. Returns None for the last page."""
    tail = body[body.rindex(b'],"next":') + 9 :]
    if tail.startswith(b"null"):
        return None
    cursor = tail[1 : tail.index(b'"', 1)].decode()
    return f'<{request.url.include_query_params(after=cursor)}>; rel="next"'


def _seal(request: Request, sort: str) -> str:
    """Return the path, filters and sort, to which a cursor is bound."""
    filters = sorted(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("after", "limit", "count", "sort")
    )
    return dump_json([request.url.path, filters, sort])


def _digest(values: Sequence[object], seal: str) -> str:
    return hashlib.sha256((dump_json(values) + seal).encode()).hexdigest()[:12]


def _make_literal(value: Any, kind: sa.types.TypeEngine[Any]) -> sa.SQLColumnExpression[object]:
    """Return a cursor's value as a literal. Raises TypeError or ValueError for a forged one; the digest has no key."""
    expected = getattr(kind, "impl", kind).python_type
    if expected is datetime:
        return sa.literal(datetime.fromisoformat(value), kind)
    if expected is date:
        return sa.literal(date.fromisoformat(value), kind)
    if issubclass(expected, Enum):
        return sa.literal(expected(value), kind)
    if type(value) is not expected or (expected is int and abs(value) >= 2**63) or "\0" in str(value):
        raise TypeError(value)
    return sa.literal(value, kind)


def _encode_cursor(values: Sequence[object], seal: str) -> str:
    return base64.urlsafe_b64encode(dump_json([_digest(values, seal), *values]).encode()).decode().rstrip("=")


def _decode_cursor(
    cursor: str, seal: str, columns: Sequence[ColumnElement[Any]]
) -> list[sa.SQLColumnExpression[object]]:
    """Return the sort values in a cursor, typed by their columns. Raises BadRequest if the cursor is invalid."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, *values = json.loads(raw)
        if len(values) == len(columns) and digest == _digest(values, seal):
            return [_make_literal(value, column.type) for value, column in zip(values, columns, strict=True)]
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass  # one error for every kind of invalid cursor
    raise BadRequest(errors=[FieldError(foreign_cursor, parameter="after", value=cursor)])
