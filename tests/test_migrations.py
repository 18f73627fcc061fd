"""One migration tree for both engines: up, nothing left to migrate, down and up again with data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from app.kit.db import Database, alembic_config
from app.main import OldSchema, check_schema
from app.schema import Table
from tests.database import ENGINES, sqlite_url


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path, "empty")
        return
    from tests.postgres import worker_database

    with worker_database() as url:
        yield url


def test_up_check_down_and_up(empty_url: str) -> None:
    config = alembic_config(empty_url)
    command.upgrade(config, "head")
    command.check(config)
    command.downgrade(config, "base")
    database = Database(empty_url)
    left = set(sa.inspect(database.engine).get_table_names()) - {"alembic_version"}
    assert left == set()
    command.upgrade(config, "head")
    assert set(sa.inspect(database.engine).get_table_names()) - {"alembic_version"} == set(Table.metadata.tables)
    database.close()


def test_service_refuses_an_old_schema_and_says_the_command(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(OldSchema, match="rata migrate"):
        check_schema(database)
    command.upgrade(alembic_config(empty_url), "head")
    check_schema(database)
    database.close()
