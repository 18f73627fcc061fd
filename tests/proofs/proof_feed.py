"""The feed over hundreds of journals by chance, shrunk where a reader loses a row; the suite tries a few."""

from app.kit.db import Database
from tests.changes.test_whole_feed import try_worlds


def test_no_reader_loses_a_row(template: Database) -> None:
    try_worlds(template, 200)
