"""A plan on a primary and its streaming replica."""

import gc
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.kit.database.engine import Database, Timeouts
from app.kit.database.replicas import ReplicatedDatabase
from tests.database import ENGINES, prepare
from tests.plans.world import LEAN, furnish, put_many, put_plan
from tests.pulls.test_transfers import client_of
from tests.replicas.standby import Standby, start_replica


def build(url: str) -> None:
    prepare(url).close()
    fill(url)


def fill(url: str) -> None:
    """Write a plan with 40 lines."""
    database = Database(url)
    furnish(database)
    writer = client_of(database)
    put_plan(writer)
    put_many(writer, [{**LEAN, "code": f"L-{n:02d}"} for n in range(40)])
    database.close()


@pytest.fixture(scope="session", params=[engine for engine in ENGINES if engine == "postgres"])
def standby() -> Iterator[Standby]:
    with start_replica(build) as standby:
        yield standby


@pytest.fixture
def database(standby: Standby) -> Iterator[ReplicatedDatabase]:
    """The database of a service with the replica."""
    with closing(
        ReplicatedDatabase(standby.primary, standby.url, pool_size=10, patience=Timeouts())
    ) as database:
        yield database
    if standby.was_killed:
        # its open cursors fail to close: psycopg warns here instead of in a later test
        gc.collect()
        standby.was_killed = False
    standby.restore()
