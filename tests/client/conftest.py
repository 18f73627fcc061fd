"""A fixture: a service on a port, one for each module of tests."""

from collections.abc import Iterator

import pytest

from tests.client.world import Served, listening
from tests.database import ENGINES, own_database


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    spool = tmp_path_factory.mktemp("served") / "spool"
    with own_database(request.param) as database, listening(database, spool) as served:
        yield served
