"""All callers at every state of a plan; the suite tries callers without a view at every second state."""

import pytest

from tests.workflow import test_table
from tests.workflow.conftest import movers, secretariat  # noqa: F401 - fixtures
from tests.workflow.test_table import test_each_role_moves_a_plan_as_the_domain_says  # noqa: F401 - a test


@pytest.fixture(autouse=True)
def _all_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_table, "EVERY_STRANGER", 1)
