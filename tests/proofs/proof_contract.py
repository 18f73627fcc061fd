"""The document is OpenAPI 3.1, and each walk over it tries every operation on every engine.

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
from tests.contract.test_problems import test_the_log_has_no_query_token_or_body  # noqa: F401 - a test
from tests.contract.test_reading import (  # noqa: F401 - tests
    test_callers_of_equal_rights_share_the_etag_and_head_equals_get,
    test_pages_in_every_order_have_every_item,
    test_the_etag_changes_with_the_content,
)
from tests.contract.test_versions import (  # noqa: F401 - a test
    test_a_row_created_again_matches_no_old_etag,
)
from tests.contract.test_writing import (  # noqa: F401 - tests
    test_a_dry_run_keeps_nothing_and_a_write_is_journaled_once,
    test_a_put_creates_under_its_conditions,
    test_a_refused_write_keeps_nothing,
    test_allowed_lists_exactly_the_verbs_that_succeed,
    test_every_post_with_the_same_key_returns_the_first_reply,
    test_every_write_checks_its_preconditions,
)
from tests.contract.world import World, declared
from tests.database import ENGINES


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world: World = request.getfixturevalue(f"{request.param}_world")
    world.turn = (0, 1)
    with world.begin():
        yield world


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
