"""The world of reports, made once for a module and engine."""

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
def made(
    request: pytest.FixtureRequest, built_app: FastAPI, portal: BlockingPortal
) -> Iterator[OneTransaction]:
    with rolled_back(request.getfixturevalue(f"{request.param}_template")) as database:
        built_app.state.database, built_app.state.last_uses = database, LastUses()

        def secretariat_of(region: str) -> TestClient:
            secret = token_for(database, ("secretariat", region))
            return Client(built_app, portal, headers={"Authorization": f"Bearer {secret}"})

        world.make(database, *map(secretariat_of, ("63.02", "63.03", "63")))
        yield database


@pytest.fixture
def database(made: OneTransaction) -> Iterator[OneTransaction]:
    """The world as it was made, whatever a test does to it."""
    point = made.connection.begin_nested()
    yield made
    point.rollback()
