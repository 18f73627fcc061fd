"""The helpers with which a migration reads rows and fills a table that it creates."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations

from app.kit.database.engine import BigInt
from app.kit.database.migrations import CHUNK, fill_created, read_rows
from tests.database import OneTransaction

pytestmark = pytest.mark.both_engines


@pytest.mark.parametrize("count", [0, 1, CHUNK, 2 * CHUNK + 1])
def test_a_created_table_gets_rows_that_the_database_has(database: OneTransaction, count: int) -> None:
    with Operations.context(MigrationContext.configure(database.connection)):
        first = op.create_table("first_made", sa.Column("id", BigInt), sa.Column("items", sa.JSON))
        fill_created(first, ({"id": n, "items": [n]} for n in range(count)))
        then = op.create_table("then_made", sa.Column("number", BigInt), sa.Column("items", sa.JSON))
        database.statements.clear()
        # reads the first table while it fills the second one
        rows = read_rows(sa.select(first.c.id, first.c["items"]).order_by(first.c.id))
        fill_created(then, ({"number": -row.id, "items": row.items} for row in rows))
        assert len(database.statements) <= 2 + -(-count // CHUNK)
        stored = list(read_rows(sa.select(then.c.number, then.c["items"]).order_by(then.c.number.desc())))
    assert [tuple(row) for row in stored] == [(-n, [n]) for n in range(count)]


def test_a_table_with_rows_is_refused(database: OneTransaction) -> None:
    with Operations.context(MigrationContext.configure(database.connection)):
        made = op.create_table("made", sa.Column("id", BigInt))
        fill_created(made, [{"id": 1}])
        with pytest.raises(ValueError, match="made has rows"):
            fill_created(made, [{"id": 2}])
        assert [tuple(row) for row in read_rows(sa.select(made.c.id))] == [(1,)]


@pytest.mark.parametrize("statement", [sa.text("SELECT 1"), sa.delete(sa.table("region"))])
def test_a_migration_reads_by_select_alone(database: OneTransaction, statement: Any) -> None:
    with (
        Operations.context(MigrationContext.configure(database.connection)),
        pytest.raises(TypeError, match=r"sa\.select"),
    ):
        next(read_rows(statement))
