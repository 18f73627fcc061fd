"""The figures of a submitted quarter: nothing but its own correction moves them, on any surface, for any caller."""

import os
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.year.played import PlayedYear

SEEDS = [int(text) for text in os.environ.get("RATA_YEAR_SEEDS", "1 2").split()]
STEPS = int(os.environ.get("RATA_YEAR_STEPS", "25"))


@pytest.mark.both_engines
@pytest.mark.parametrize("seed", SEEDS)
def test_no_figure_of_a_submitted_quarter_moves(
    connect: Callable[..., TestClient], database: OneTransaction, seed: int
) -> None:
    year = PlayedYear(connect, database, seed)
    year.draft()
    year.adopt()
    for _ in range(STEPS):
        changed = year.step()
        assert not (found := year.check(changed)), "\n".join([*year.steps, *found])
