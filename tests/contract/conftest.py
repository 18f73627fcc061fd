from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.world import World
from tests.database import ENGINES, own_database


@pytest.fixture(scope="session")
def sqlite_world() -> Iterator[World]:
    yield from _made("sqlite")


@pytest.fixture(scope="session")
def postgres_world() -> Iterator[World]:
    yield from _made("postgres")


def _made(engine: str) -> Iterator[World]:
    """Made once, in a database of its own, and kept there."""
    with own_database(engine) as own, World(own) as world:
        yield world


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The world as it was made, whatever the test before did to it; a walk shares its operations with the others."""
    yield from _as_made(request, request.param, (ENGINES.index(request.param), len(ENGINES)))


@pytest.fixture
def one_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same on one engine, PostgreSQL where it is among them: for walks of thousands of requests."""
    yield from _as_made(request, ENGINES[-1])


@pytest.fixture
def worlds(request: pytest.FixtureRequest) -> Iterator[list[World]]:
    """One of each engine, for requests that are made once and sent to all."""
    made = [request.getfixturevalue(f"{engine}_world") for engine in ENGINES]
    with ExitStack() as opened:
        for world in made:
            opened.enter_context(world.afresh())
        yield made


def _as_made(request: pytest.FixtureRequest, engine: str, turn: tuple[int, int] = (0, 1)) -> Iterator[World]:
    made: World = request.getfixturevalue(f"{engine}_world")
    made.turn = turn
    with made.afresh():
        yield made
