"""Kotabaru of `furnish_world`, built once per module and engine; a rollback undoes the changes of each test."""

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
from tests.plans.world import furnish, put, put_plan, report
from tests.scorecards.world import OTHER_PLAN, STRATEGIES, adopt, furnish_world, make_line, observe


class World:
    """The database and its callers, each created on first use."""

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
def built_world(request: pytest.FixtureRequest, portal: BlockingPortal) -> Iterator[World]:
    template = request.getfixturevalue(f"{request.param}_template")
    with rolled_back(template) as database:
        world = World(database, portal)
        for _ in (world.secretariat, world.province, world.nation, world.reader):
            pass  # created before the first test, so that no rollback removes them
        furnish_world(database, world.secretariat)
        observe(world.nation, 4.03)
        yield world


@pytest.fixture
def world(built_world: World) -> Iterator[World]:
    point = built_world.database.connection.begin_nested()
    built_world.app.state.figures_cache = FiguresCache()
    try:
        yield built_world
    finally:
        point.rollback()


@pytest.fixture
def world_of_two(world: World) -> World:
    """Kotabaru and Banjar, which spent half of its money, all of it directly."""
    furnish(world.database, "63.03")
    put_plan(world.nation, OTHER_PLAN)
    put(world.nation, "A-1", plan=OTHER_PLAN, base=make_line(STRATEGIES[0], 100, []))
    report(world.nation, "A-1", 2, plan=OTHER_PLAN, spent=50)
    adopt(world.database, OTHER_PLAN)
    return world
