"""Lists of 20,000 rows read page by page during inserts, changes and deletions, on each engine."""

from collections.abc import Iterator

import pytest

from tests.database import ENGINES
from tests.proofs import read_number
from tests.test_paging import LISTS, World, open_world, read_while_others_write


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request.param, read_number("COUNT", 20_000)) as world:
        yield world


@pytest.mark.parametrize("listed", LISTS)
def test_every_unchanged_row_appears_exactly_once(world: World, listed: str) -> None:
    read_while_others_write(world, listed)
