"""A service that listens, made once for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.client.world import Served, listening
from tests.database import ENGINES, prepare, sqlite_url
from tests.postgres import worker_database


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        database = prepare(sqlite_url(folder, "served"))
        with listening(database, folder / "spool") as served:
            yield served
        database.close()
        return
    with worker_database() as url:
        database = prepare(url)
        with listening(database, folder / "spool") as served:
            yield served
        database.close()
