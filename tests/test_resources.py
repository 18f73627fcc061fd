"""Rows that a client replaces whole, tested on coordinates."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.kit.database.engine import get_table
from app.kit.database.journal import Author, JournalRow, lock_chain
from app.kit.database.resources import StoredRow
from app.kit.problems import PreconditionFailed
from app.reference.coordinates.queries import COORDINATES
from tests.database import OneTransaction

AUTHOR = Author("test", datetime(2026, 3, 1, tzinfo=UTC))
OFFICE, HILL, SHORE = (
    {"longitude": 116.2, "latitude": latitude, "source": "Bappeda"} for latitude in (-3.2, -3.3, -3.4)
)
FIRST, SECOND = ("63.02",), ("63.03",)


def put(database: OneTransaction, drafts: dict[Any, Any], stored: dict[Any, StoredRow] | None = None) -> Any:
    with database.writing() as session:
        chain = lock_chain(session, "coordinates")
        before = COORDINATES.read(session, drafts) if stored is None else stored
        return COORDINATES.put(session, AUTHOR, chain, drafts, before)


def read(database: OneTransaction) -> dict[Any, StoredRow]:
    with database.read_session() as session:
        return COORDINATES.read(session, [FIRST, SECOND])


def read_journal(database: OneTransaction) -> list[tuple[str, str, int]]:
    c = get_table(JournalRow).c
    rows = sa.select(c.kind, c.subject, c.version).where(c.chain == "coordinates").order_by(c.sequence)
    with database.read_session() as session:
        return [tuple(row) for row in session.execute(rows)]


def test_each_draft_is_created_updated_or_left_unchanged(database: OneTransaction) -> None:
    assert put(database, {FIRST: OFFICE, SECOND: HILL}) == {FIRST: "created", SECOND: "created"}
    assert put(database, {FIRST: OFFICE, SECOND: SHORE}) == {FIRST: "unchanged", SECOND: "updated"}
    assert read(database) == {FIRST: StoredRow(OFFICE, 1), SECOND: StoredRow(SHORE, 2)}
    second = "regions/63.03/coordinates"
    assert read_journal(database) == [
        ("coordinates.created", "regions/63.02/coordinates", 1),
        ("coordinates.created", second, 1),
        ("coordinates.changed", second, 2),
    ]


def test_a_row_created_again_continues_the_versions_of_the_deleted_one(database: OneTransaction) -> None:
    put(database, {FIRST: OFFICE})
    with database.writing() as session:
        chain = lock_chain(session, "coordinates")
        COORDINATES.delete(session, AUTHOR, chain, FIRST, StoredRow(OFFICE, 1))
    assert read(database) == {}
    put(database, {FIRST: OFFICE})
    assert [version for _, _, version in read_journal(database)] == [1, 2, 3]


def test_a_stale_row_is_not_replaced(database: OneTransaction) -> None:
    put(database, {FIRST: OFFICE})
    put(database, {FIRST: HILL})
    with pytest.raises(PreconditionFailed):
        put(database, {FIRST: SHORE, SECOND: SHORE}, {FIRST: StoredRow(OFFICE, 1)})
    assert read(database) == {FIRST: StoredRow(HILL, 2)}
