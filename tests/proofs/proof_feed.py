"""The feed over hundreds of journals by chance, shrunk where a reader loses a row; and copies over long walks of a
plan by chance. The suite tries a few of each."""

import pytest

from app.kit.database.engine import Database
from tests.changes.test_copies import walk_by_chance
from tests.changes.test_whole_feed import try_worlds
from tests.database import OneTransaction
from tests.workflow.moves import Connect


def test_no_reader_loses_a_row(template: Database) -> None:
    try_worlds(template, 200)


@pytest.mark.parametrize("seed", range(10))
def test_copies_hold_what_the_feed_says_was_there(
    connect: Connect, database: OneTransaction, seed: int
) -> None:
    walk_by_chance(connect, database, seed=seed, steps=150)
