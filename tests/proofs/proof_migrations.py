"""All migrations down and up again on both engines with data in every table; the suite goes back three."""

import pytest

from tests import test_migrations
from tests.test_migrations import (  # noqa: F401 - a test and its fixture
    prepared_url,
    test_downgrades_and_upgrades_keep_the_rows_of_every_table,
)


@pytest.fixture(autouse=True)
def _all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_migrations, "STEPS", None)
