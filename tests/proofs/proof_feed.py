"""The feed over hundreds of random journals, and copies over long random walks of a plan; the suite tries a few."""

import pytest

from app.kit.database.engine import Database
from tests.changes.test_copies import walk_by_chance
from tests.changes.test_whole_feed import try_worlds
from tests.database import OneTransaction
from tests.workflow.moves import Connect


def test_no_reader_loses_a_row(template: Database) -> None:
    try_worlds(template, 200)


@pytest.mark.parametrize("seed", range(10))
def test_copies_equal_the_states_of_the_feed(connect: Connect, database: OneTransaction, seed: int) -> None:
    walk_by_chance(connect, database, seed=seed, steps=150)
