"""A local copy in SQLite or PostgreSQL: resources, cursor of the feed, and a queue of addresses to read.

Each transaction writes changes together with the cursor behind them, so a process that dies leaves a consistent copy.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .database import open_database, read_address, translate_errors
from .problems import AlreadyRunning, OtherCopy

_tables = sa.MetaData()
_resource = sa.Table(
    "resource",
    _tables,
    sa.Column("address", sa.Text, primary_key=True, comment="Below /v1/."),
    sa.Column("kind", sa.Text, nullable=False, index=True),
    sa.Column("region_code", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.JSON, nullable=False, comment="As a list of the service shows it."),
)
_cursor = sa.Table(
    "cursor",
    _tables,
    sa.Column("server", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, nullable=False, comment="Empty: all that the token sees."),
    sa.Column("value", sa.Text, nullable=False),
)
_pending = sa.Table(
    "pending",
    _tables,
    sa.Column(
        "address", sa.Text, primary_key=True, comment="Still to be read whole; empty: the copy is whole."
    ),
)
_MANY = 500
"""Rows of one statement."""


class StoredResource(NamedTuple):
    """A resource in the copy."""

    kind: str
    address: str
    region_code: str
    version: int
    body: dict[str, object]


class Copy:
    """The database of a copy. Creates its tables, only in an empty database."""

    def __init__(self, url: str) -> None:
        address = read_address(url)
        self.shown = url if "://" not in url else address.render_as_string(hide_password=True)
        self._engine = open_database(address, self.shown, _tables, json_serializer=dump_compact)
        with translate_errors(self.shown):
            _tables.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    # Reading

    def cursor(self, server: str, region: str) -> str | None:
        """Return the cursor of the copy. Returns None if it is empty.

        Raises OtherCopy if it is of another service or region.
        """
        with translate_errors(self.shown), self._engine.connect() as connection:
            row = connection.execute(sa.select(_cursor)).one_or_none()
        if row is None:
            return None
        if (row.server, row.region) != (server, region):
            raise OtherCopy(server=row.server, region=row.region or "0")
        return str(row.value)

    def pending(self) -> str | None:
        """Return the first address in the queue. Returns None if the queue is empty."""
        with translate_errors(self.shown), self._engine.connect() as connection:
            statement = sa.select(_pending.c.address).order_by(_pending.c.address).limit(1)
            return connection.execute(statement).scalar()

    def has(self, address: str) -> bool:
        with translate_errors(self.shown), self._engine.connect() as connection:
            statement = sa.select(_resource.c.address).where(_resource.c.address == address)
            return connection.execute(statement).first() is not None

    def resources(self, kind: str | None = None, *, below: str = "") -> Iterator[StoredResource]:
        """Yield the resources of a kind and below an address, in the order of their addresses."""
        columns = [_resource.c[name] for name in StoredResource._fields]
        statement = sa.select(*columns).where(_is_below(below)).order_by(_resource.c.address)
        if kind is not None:
            statement = statement.where(_resource.c.kind == kind)
        with translate_errors(self.shown), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=_MANY).execute(statement):
                yield StoredResource(*row)

    # Writing

    @contextmanager
    def step(self, server: str, region: str, before: str | None, after: str) -> Iterator["CopyTransaction"]:
        """Open a transaction that moves the cursor. Raises AlreadyRunning if another run has moved it."""
        with translate_errors(self.shown), self._engine.begin() as connection:
            if before is None:
                connection.execute(_cursor.insert().values(server=server, region=region, value=after))
            else:
                statement = sa.update(_cursor).where(_cursor.c.value == before).values(value=after)
                if connection.execute(statement).rowcount != 1:
                    raise AlreadyRunning(file=self.shown)
            yield CopyTransaction(connection)

    @contextmanager
    def take_pending(self, pending: str) -> Iterator["CopyTransaction"]:
        """Open a transaction that takes an address from the queue. Raises AlreadyRunning if another run took it."""
        with translate_errors(self.shown), self._engine.begin() as connection:
            done = connection.execute(sa.delete(_pending).where(_pending.c.address == pending))
            if done.rowcount != 1:
                raise AlreadyRunning(file=self.shown)
            yield CopyTransaction(connection)


class CopyTransaction:
    """One transaction of the copy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, resources: Iterable[StoredResource]) -> None:
        """Insert or replace resources."""
        rows = {resource.address: resource._asdict() for resource in resources}
        self._delete(_resource, rows)
        for part in _split(list(rows.values())):
            self._connection.execute(_resource.insert(), part)

    def drop(self, address: str) -> None:
        """Delete the resource of an address and all below it."""
        self._connection.execute(sa.delete(_resource).where(_is_below(address)))

    def delete_others(
        self, kept: Iterable[str], kinds: Iterable[str], below: str = "", region: str = ""
    ) -> None:
        """Delete the resources of these kinds that are not in `kept`, with all below them."""
        condition = sa.and_(_resource.c.kind.in_(list(kinds)), _is_below(below), _is_within(region))
        stored = self._connection.execute(sa.select(_resource.c.address).where(condition)).scalars()
        for address in set(stored) - set(kept):
            self.drop(address)

    def queue_reads(self, addresses: Iterable[str]) -> None:
        """Queue addresses to read with all below them."""
        rows = {address: {"address": address} for address in addresses}
        self._delete(_pending, rows)
        for part in _split(list(rows.values())):
            self._connection.execute(_pending.insert(), part)

    def _delete(self, table: sa.Table, addresses: Mapping[str, object]) -> None:
        for part in _split(list(addresses)):
            self._connection.execute(sa.delete(table).where(table.c.address.in_(part)))


def dump_compact(value: object) -> str:
    """Return JSON in the service's form: the digests depend on its bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_below(start: str) -> sa.ColumnElement[bool]:
    """Return the predicate: the address is `start` or lies below it. An empty `start` allows all."""
    address = _resource.c.address
    return sa.or_(address == start, address.startswith(f"{start}/", autoescape=True)) if start else sa.true()


def _is_within(region: str) -> sa.ColumnElement[bool]:
    """Return the predicate: the resource is of a region or below it. The nation and an empty region allow all."""
    if region in ("", "0"):
        return sa.true()
    code = _resource.c.region_code
    return sa.or_(code == region, code.startswith(f"{region}.", autoescape=True))


def _split(rows: list[object]) -> Iterator[list[Any]]:
    for at in range(0, len(rows), _MANY):
        yield rows[at : at + _MANY]
