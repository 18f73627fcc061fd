"""Each operation with every wrong body, key, field, value and header; the suite sends each once, then one each time."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract import test_bad_input
from tests.contract.conftest import (  # noqa: F401 - fixtures
    one_world,
    postgres_world,
    sqlite_world,
)
from tests.contract.test_bad_input import (  # noqa: F401 - tests and their fixture
    test_bodies_that_are_none,
    test_body_of_another_kind,
    test_each_field_wrong_in_turn,
    test_headers_that_are_none,
    test_keys_that_are_none,
    test_values_that_are_none,
    world,
)


@pytest.fixture(autouse=True)
def _all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_all(values: Sequence[Any], met: set[str], what: Any) -> Sequence[Any]:
        return values

    monkeypatch.setattr(test_bad_input, "some", take_all)
