"""All operations with every invalid body, key, field, value and header; the suite samples them."""

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
    test_a_body_of_another_media_type_is_415,
    test_each_field_with_wrong_values_is_no_server_error,
    test_invalid_bodies_are_refused,
    test_invalid_headers_are_no_server_error,
    test_invalid_keys_are_refused,
    test_invalid_parameters_are_no_server_error,
    world,
)


@pytest.fixture(autouse=True)
def _all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_all(values: Sequence[Any], met: set[str], declaration: Any) -> Sequence[Any]:
        return values

    monkeypatch.setattr(test_bad_input, "choose", take_all)
