from collections.abc import Iterator

import pytest

from app.main import create_app
from app.settings import Settings
from tests.contract.world import World
from tests.database import ENGINES, rolled_back


@pytest.fixture(scope="module", params=ENGINES)
def made_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Made once for a module and engine, inside one transaction that is taken back at the end."""
    template = request.getfixturevalue(f"{request.param}_template")
    with rolled_back(template) as database:
        app = create_app(Settings(_env_file=None, database_url="sqlite://"), database)
        with World(app, database) as world:
            yield world


@pytest.fixture
def world(made_world: World) -> Iterator[World]:
    """The world as it was made, whatever the test before did to it."""
    with made_world.undone():
        yield made_world
