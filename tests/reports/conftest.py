"""The world of reports, built once per module and engine."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import LastUses
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, OneTransaction, rolled_back
from tests.reports import world


@pytest.fixture(scope="module", params=ENGINES)
def built_database(
    request: pytest.FixtureRequest, built_app: FastAPI, portal: BlockingPortal
) -> Iterator[OneTransaction]:
    with rolled_back(request.getfixturevalue(f"{request.param}_template")) as database:
        built_app.state.database, built_app.state.last_uses = database, LastUses()

        def connect_secretariat(region: str) -> TestClient:
            secret = token_for(database, ("secretariat", region))
            return Client(built_app, portal, headers={"Authorization": f"Bearer {secret}"})

        world.furnish_world(database, *map(connect_secretariat, ("63.02", "63.03", "63")))
        yield database


@pytest.fixture
def database(built_database: OneTransaction) -> Iterator[OneTransaction]:
    """The built world; a rollback undoes the changes of each test."""
    point = built_database.connection.begin_nested()
    yield built_database
    point.rollback()
