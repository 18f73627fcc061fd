"""The document is OpenAPI 3.1, and each walk over it takes every operation on every engine.

The suite divides the operations between the engines.
"""

from collections.abc import Iterator

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.contract import test_problems, test_reading, test_writing
from tests.contract.conftest import (  # noqa: F401 - fixtures
    one_world,
    postgres_world,
    sqlite_world,
)
from tests.contract.test_problems import test_log_tells_no_query_no_token_no_body  # noqa: F401 - a test
from tests.contract.test_reading import (  # noqa: F401 - tests
    test_pages_in_every_order_miss_nothing,
    test_same_rights_same_tag_304_and_head,
    test_tag_changes_with_what_is_shown,
)
from tests.contract.test_versions import (  # noqa: F401 - a test
    test_deleted_and_created_again_it_fits_no_tag_of_before,
)
from tests.contract.test_writing import (  # noqa: F401 - tests
    test_allowed_is_what_is_allowed,
    test_conditions_of_every_write,
    test_creating,
    test_idempotency_key_on_every_post,
    test_refused_write_leaves_nothing,
    test_trial_run_keeps_nothing_and_the_real_one_is_journaled_once,
)
from tests.contract.world import World, declared
from tests.database import ENGINES


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made: World = request.getfixturevalue(f"{request.param}_world")
    made.turn = (0, 1)
    with made.afresh():
        yield made


@pytest.fixture(autouse=True)
def _everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_writing, "EVERY", 1)
    monkeypatch.setattr(test_writing, "EVERY_UNPREPARED", 1)
    monkeypatch.setattr(test_writing, "EVERY_CONDITION", 1)
    monkeypatch.setattr(test_reading, "EVERY_ORDER", 1)
    monkeypatch.setattr(test_problems, "EVERY_LOGGED", 1)


def test_the_document_is_openapi() -> None:
    document, _ = declared()
    assert document["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []  # type: ignore[arg-type]
