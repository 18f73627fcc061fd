"""The figures of a submitted quarter: nothing but its own correction moves them, on any surface, for any caller."""

import os
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.year.played import QUARTERS, PlayedYear

SEEDS = [int(text) for text in os.environ.get("RATA_YEAR_SEEDS", "2").split()]
STEPS = int(os.environ.get("RATA_YEAR_STEPS", "10"))


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
        assert not (found := year.check(changed, for_all=False)), "\n".join([*year.steps, *found])
    assert year.check(None) == []


def test_a_year_with_an_ended_line_late_coverage_and_a_correction(
    connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    """The plan is entered long after its decree, so its first quarters have its first revision."""
    year = PlayedYear(connect, database, 7)
    first, second, third, _ = QUARTERS
    year.draft()
    year.adopt()
    for quarter in (first, second):
        year.report(quarter)
        assert year.submit(quarter)
        for verb in ("verify", "freeze"):
            year.move(quarter, verb)
        assert year.check(quarter, for_all=False) == []
    year.amend(signed="2025-09-02", ends="A-001")
    assert year.read_line("A-001")["ends_after"] in (f"{int(first[:4]) - 1}-Q4", first, second)
    assert year.check(None, for_all=False) == []
    year.cover(first)
    assert year.check(None, for_all=False) == [], "the coverage of a frozen quarter is closed"
    year.report(third)
    assert year.submit(third)
    year.merge()
    assert year.check(third, for_all=False) == []
    year.correct(first)
    year.cover(first)
    assert year.submit(first)
    for verb in ("verify", "freeze"):
        year.move(first, verb)
    assert year.check(first) == []
    revisions = {quarter: year.read_revision(quarter) for quarter in QUARTERS}
    assert list(revisions.values()) == [0, 0, 1, 1]
