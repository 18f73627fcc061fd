"""Keyset pages: one query model, one cursor, one way to cut and to go on.

A cursor is opaque and bound to the address, the filters and the sort that made it; with any other it
is a 400, never an empty page. Sort keys are allow-listed, never null, and always end in the key.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session
from starlette.requests import Request

from app.kit.database.json_sql import TextSelect, json_texts, to_json
from app.kit.fields import SOMETIMES
from app.kit.problems import BadRequest, FieldError, Kind

Item = TypeVar("Item")
Rows = TypeVar("Rows", bound=sa.GenerativeSelect)

foreign_cursor = Kind(
    "foreign_cursor",
    id="kursor ini bukan dari daftar, saringan dan urutan ini; mulai lagi tanpa after",
    en="this cursor is not of this list, these filters and this sort; start again without after",
)


class PageQuery(BaseModel):
    """What every list takes."""

    limit: int = Field(default=100, ge=1, le=500, description="Items on a page, at most 500.")
    after: str | None = Field(default=None, max_length=2000, description="Cursor: `next` of the page before.")
    count: Literal["exact"] | None = Field(
        default=None, description="`exact` adds the number of all items that match; it costs a count."
    )


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(
        description="Cursor of the next page (send it as `after`); null on the last page."
    )
    count: int | None = Field(
        default=None,
        description="Number of all items that match, where asked for.",
        json_schema_extra=SOMETIMES,
    )


@dataclass(frozen=True)
class Listing:
    """A list as its area declares it: the rows, what may be sorted by, and what ends every sort."""

    query: Select[Any]
    """SELECT of the item's fields, by the names of its shape."""
    sorts: Mapping[str, ColumnElement[Any]]
    """Sort key → a column of `query` that is never null, under the same name in the item."""
    key: Mapping[str, ColumnElement[Any]]
    """The key's fields: unique in the list."""
    item: ColumnElement[str] | None = None
    """The item's JSON where it is a `fixed_object`; `query` then selects whatever is cheapest."""


def equal(*pairs: tuple[sa.SQLColumnExpression[Any], object]) -> list[ColumnElement[bool]]:
    """Return the conditions that columns have the values that a query names; None: any."""
    return [column == value for column, value in pairs if value is not None]


def read_page(session: Session, request: Request, listing: Listing, query: PageQuery, *, sort: str) -> bytes:
    """The page as JSON bytes that the database built; `next` is null on the last one."""
    ordered = _ordered(listing, sort)
    columns = list(ordered.values())
    seal = _seal(request, sort)
    statement = listing.query
    if query.after is not None:
        last = _opened(query.after, seal, columns)
        left, right = sa.tuple_(*columns), sa.tuple_(*last)
        statement = statement.where(left < right if sort.startswith("-") else left > right)
    statement = _in_order(statement, columns, sort).limit(query.limit + 1)
    if listing.item is None:
        texts = json_texts(statement, *ordered)
    else:
        texts = statement.with_only_columns(listing.item, *columns)
    rows = session.connection().execute(texts).all()
    shown = rows[: query.limit]
    following = _sealed(list(shown[-1])[1:], seal) if len(rows) > query.limit else None
    tail = f'],"next":{to_json(following)}'
    if query.count == "exact":
        total = session.scalar(
            sa.select(sa.func.count()).select_from(listing.query.order_by(None).subquery())
        )
        tail += f',"count":{total}'
    return ('{"items":[' + ",".join(row[0] for row in shown) + tail + "}").encode()


def whole_list(listing: Listing, *, sort: str) -> TextSelect:
    """SELECT of every item of a list as JSON text, in the order of its pages; the sort's columns stand beside."""
    names = list(_ordered(listing, sort))
    texts = json_texts(listing.query, *names)
    return _in_order(texts, [texts.selected_columns[name] for name in names], sort)


def _ordered(listing: Listing, sort: str) -> dict[str, ColumnElement[Any]]:
    """What a list is sorted by: the key that was asked for, then that of its items."""
    name = sort.removeprefix("-")
    return {name: listing.sorts[name], **listing.key}


def _in_order(statement: Rows, columns: Sequence[sa.SQLColumnExpression[object]], sort: str) -> Rows:
    return statement.order_by(*[c.desc() if sort.startswith("-") else c.asc() for c in columns])


def next_link(request: Request, body: bytes) -> str | None:
    """The `Link` header of a page, read back from its own `next`."""
    tail = body[body.rindex(b'],"next":') + 9 :]
    if tail.startswith(b"null"):
        return None
    cursor = tail[1 : tail.index(b'"', 1)].decode()
    return f'<{request.url.include_query_params(after=cursor)}>; rel="next"'


def _seal(request: Request, sort: str) -> str:
    """What a cursor is bound to: the address, every filter, the sort."""
    filters = sorted(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("after", "limit", "count", "sort")
    )
    return to_json([request.url.path, filters, sort])


def _digest(values: Sequence[object], seal: str) -> str:
    return hashlib.sha256((to_json(values) + seal).encode()).hexdigest()[:12]


def _last(value: Any, kind: sa.types.TypeEngine[Any]) -> sa.SQLColumnExpression[object]:
    """TypeError, ValueError: the digest is no secret, and somebody made a cursor of something else."""
    wanted = getattr(kind, "impl", kind).python_type
    if wanted is datetime:
        return sa.literal(datetime.fromisoformat(value), kind)
    if wanted is date:
        return sa.literal(date.fromisoformat(value), kind)
    if issubclass(wanted, Enum):
        return sa.literal(wanted(value), kind)
    if type(value) is not wanted or (wanted is int and abs(value) >= 2**63) or "\0" in str(value):
        raise TypeError(value)
    return sa.literal(value, kind)


def _sealed(values: Sequence[object], seal: str) -> str:
    return base64.urlsafe_b64encode(to_json([_digest(values, seal), *values]).encode()).decode().rstrip("=")


def _opened(
    cursor: str, seal: str, columns: Sequence[ColumnElement[Any]]
) -> list[sa.SQLColumnExpression[object]]:
    """The key of the last row seen, each value as its column has it."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, *values = json.loads(raw)
        if len(values) == len(columns) and digest == _digest(values, seal):
            return [_last(value, column.type) for value, column in zip(values, columns, strict=True)]
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass  # said below, in one way for every kind of broken cursor
    raise BadRequest(errors=[FieldError(foreign_cursor, parameter="after", value=cursor)])
