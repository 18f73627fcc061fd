from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.world import World
from tests.database import ENGINES, own_database


@pytest.fixture(scope="session")
def sqlite_world() -> Iterator[World]:
    yield from _build_world("sqlite")


@pytest.fixture(scope="session")
def postgres_world() -> Iterator[World]:
    yield from _build_world("postgres")


def _build_world(engine: str) -> Iterator[World]:
    """Yield a world that a session builds and commits once."""
    with own_database(engine) as own, World(own) as world:
        yield world


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The committed world in a transaction that rolls back; the engines divide the operations of a walk."""
    yield from _reset_world(request, request.param, (ENGINES.index(request.param), len(ENGINES)))


@pytest.fixture
def one_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The committed world on one engine, PostgreSQL if available, for walks of thousands of requests."""
    yield from _reset_world(request, ENGINES[-1])


@pytest.fixture
def worlds(request: pytest.FixtureRequest) -> Iterator[list[World]]:
    """A world of each engine, for requests that go to all."""
    worlds = [request.getfixturevalue(f"{engine}_world") for engine in ENGINES]
    with ExitStack() as opened:
        for world in worlds:
            opened.enter_context(world.begin())
        yield worlds


def _reset_world(
    request: pytest.FixtureRequest, engine: str, turn: tuple[int, int] = (0, 1)
) -> Iterator[World]:
    world: World = request.getfixturevalue(f"{engine}_world")
    world.turn = turn
    with world.begin():
        yield world
