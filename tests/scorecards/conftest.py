"""Kotabaru as `world.make` makes it, made once for a module and engine; what a test does to it is taken back."""

from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient

from app.convergence.scorecards.cache import FiguresCache
from app.main import create_app
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, OneTransaction, rolled_back
from tests.scorecards.world import make, observe


class World:
    """The database, and callers who are made when they are asked for."""

    def __init__(self, database: OneTransaction, portal: BlockingPortal) -> None:
        self.database = database
        self.app = create_app(Settings(_env_file=None, database_url="sqlite://"), database)
        self._portal = portal
        self._callers: dict[Any, TestClient] = {}

    def __call__(self, *roles: tuple[str, str]) -> TestClient:
        if roles not in self._callers:
            headers = {"Authorization": f"Bearer {token_for(self.database, *roles)}"}
            self._callers[roles] = Client(self.app, self._portal, headers=headers)
        return self._callers[roles]

    @property
    def secretariat(self) -> TestClient:
        return self(("secretariat", "63.02"))

    @property
    def province(self) -> TestClient:
        return self(("reviewer", "63"))

    @property
    def nation(self) -> TestClient:
        return self(("administrator", "0"))

    @property
    def reader(self) -> TestClient:
        return self(("reader", "63"))


@pytest.fixture(scope="module", params=ENGINES)
def made(request: pytest.FixtureRequest, portal: BlockingPortal) -> Iterator[World]:
    template = request.getfixturevalue(f"{request.param}_template")
    with rolled_back(template) as database:
        world = World(database, portal)
        for _ in (world.secretariat, world.province, world.nation, world.reader):
            pass  # made before the first test, so that none of them is taken back with it
        make(database, world.secretariat)
        observe(world.nation, 4.03)
        yield world


@pytest.fixture
def world(made: World) -> Iterator[World]:
    point = made.database.connection.begin_nested()
    made.app.state.figures_cache = FiguresCache()
    try:
        yield made
    finally:
        point.rollback()
