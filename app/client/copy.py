"""A local copy: what is kept, how far it reaches, what is still to be read. SQLite or PostgreSQL.

Each change of the copy is one transaction with the cursor that it leads to, so that it is whole at any instant
at which its process may end.
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


class Resource(NamedTuple):
    """What is kept of an address."""

    kind: str
    address: str
    region_code: str
    version: int
    body: dict[str, object]


class Copy:
    """A database with a copy in it; its tables are made where they are missing, and only in an empty one."""

    def __init__(self, url: str) -> None:
        address = read_address(url)
        self.shown = url if "://" not in url else address.render_as_string(hide_password=True)
        self._engine = open_database(address, self.shown, _tables, json_serializer=compact)
        with translate_errors(self.shown):
            _tables.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    # Reading

    def cursor(self, server: str, region: str) -> str | None:
        """How far the copy reaches; None: it is empty. OtherCopy: it is of something else."""
        with translate_errors(self.shown), self._engine.connect() as connection:
            row = connection.execute(sa.select(_cursor)).one_or_none()
        if row is None:
            return None
        if (row.server, row.region) != (server, region):
            raise OtherCopy(server=row.server, region=row.region or "0")
        return str(row.value)

    def pending(self) -> str | None:
        """Something that is to be read whole; None: nothing is."""
        with translate_errors(self.shown), self._engine.connect() as connection:
            statement = sa.select(_pending.c.address).order_by(_pending.c.address).limit(1)
            return connection.execute(statement).scalar()

    def has(self, address: str) -> bool:
        with translate_errors(self.shown), self._engine.connect() as connection:
            statement = sa.select(_resource.c.address).where(_resource.c.address == address)
            return connection.execute(statement).first() is not None

    def resources(self, kind: str | None = None, *, below: str = "") -> Iterator[Resource]:
        """What is kept, by address."""
        columns = [_resource.c[name] for name in Resource._fields]
        statement = sa.select(*columns).where(_below(below)).order_by(_resource.c.address)
        if kind is not None:
            statement = statement.where(_resource.c.kind == kind)
        with translate_errors(self.shown), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=_MANY).execute(statement):
                yield Resource(*row)

    # Writing

    @contextmanager
    def step(self, server: str, region: str, before: str | None, after: str) -> Iterator["Step"]:
        """One transaction that moves the cursor. AlreadyRunning: it is not where it was any more."""
        with translate_errors(self.shown), self._engine.begin() as connection:
            if before is None:
                connection.execute(_cursor.insert().values(server=server, region=region, value=after))
            else:
                moved = sa.update(_cursor).where(_cursor.c.value == before).values(value=after)
                if connection.execute(moved).rowcount != 1:
                    raise AlreadyRunning(file=self.shown)
            yield Step(connection)

    @contextmanager
    def settled(self, pending: str) -> Iterator["Step"]:
        """One transaction that puts in place what was to be read whole. AlreadyRunning: another did."""
        with translate_errors(self.shown), self._engine.begin() as connection:
            done = connection.execute(sa.delete(_pending).where(_pending.c.address == pending))
            if done.rowcount != 1:
                raise AlreadyRunning(file=self.shown)
            yield Step(connection)


class Step:
    """What is done to the copy in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, found: Iterable[Resource]) -> None:
        """Keep these, in the place of what was there."""
        rows = {one.address: one._asdict() for one in found}
        self._drop(_resource, rows)
        for part in _parts(list(rows.values())):
            self._connection.execute(_resource.insert(), part)

    def drop(self, address: str) -> None:
        """It is gone, and all that hung on it."""
        self._connection.execute(sa.delete(_resource).where(_below(address)))

    def drop_but(self, kept: Iterable[str], kinds: Iterable[str], below: str = "", region: str = "") -> None:
        """Of these kinds, what is not among `kept` is gone, with all that hung on it."""
        chosen = sa.and_(_resource.c.kind.in_(list(kinds)), _below(below), _within(region))
        there = self._connection.execute(sa.select(_resource.c.address).where(chosen)).scalars()
        for address in set(there) - set(kept):
            self.drop(address)

    def read_whole(self, addresses: Iterable[str]) -> None:
        """These are to be read whole, soon."""
        rows = {address: {"address": address} for address in addresses}
        self._drop(_pending, rows)
        for part in _parts(list(rows.values())):
            self._connection.execute(_pending.insert(), part)

    def _drop(self, table: sa.Table, addresses: Mapping[str, object]) -> None:
        for part in _parts(list(addresses)):
            self._connection.execute(sa.delete(table).where(table.c.address.in_(part)))


def compact(value: object) -> str:
    """JSON as the service writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _below(start: str) -> sa.ColumnElement[bool]:
    """Predicate: it is this address, or one below it."""
    address = _resource.c.address
    return sa.or_(address == start, address.startswith(f"{start}/", autoescape=True)) if start else sa.true()


def _within(region: str) -> sa.ColumnElement[bool]:
    """Predicate: of that region or below it; the nation's, and no region, are all."""
    if region in ("", "0"):
        return sa.true()
    code = _resource.c.region_code
    return sa.or_(code == region, code.startswith(f"{region}.", autoescape=True))


def _parts(rows: list[object]) -> Iterator[list[Any]]:
    for at in range(0, len(rows), _MANY):
        yield rows[at : at + _MANY]
