"""With public regions, exactly the operations that the document marks so need no token."""

import pytest

from tests.contract.operations import ADOPTED, FROZEN
from tests.contract.world import World

pytestmark = pytest.mark.one_engine

#: Before adding one, check each field of its reply: no draft and no report before its freeze.
PUBLIC = {
    "read_catalogue",
    "read_iati_export",
    "read_plan",
    "list_revisions",
    "read_revision",
    "read_revision_differences",
    "list_snapshots",
    "read_snapshot",
    "list_snapshot_amendments",
    "read_snapshot_amendment",
    "read_pull",
    "read_pull_as",
    "read_digests",
    "list_regions",
    "read_region",
    "list_region_children",
    "list_funding_sources",
    "read_funding_source",
    "list_strategies",
    "read_strategy",
    "list_nomenclatures",
    "list_subactivities",
    "read_subactivity",
}
#: Keys of public data: the plan of the examples is a draft with one frozen quarter.
KEYS = {"read_plan": {"plan": ADOPTED}} | {
    id: {"period": FROZEN} for id in ("read_pull", "read_pull_as", "read_digests")
}


def test_the_document_marks_the_public_operations(world: World) -> None:
    security_of = {operation.id: operation.spec["security"] for operation in world.v1}
    assert {id for id, security in security_of.items() if security == [{}, {"token": []}]} == PUBLIC
    assert all(security == [{"token": []}] for id, security in security_of.items() if id not in PUBLIC)
    assert all(operation.method == "get" for operation in world.v1 if operation.id in PUBLIC)


def test_public_operations_alone_need_no_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    anonymous, stranger = world.connect(), world.connect_as()
    before = world.count_rows()
    monkeypatch.setattr(world.app.state.settings, "public_regions", "63.02")
    for operation in world.v1:
        is_open, keys = operation.id in PUBLIC, KEYS.get(operation.id)
        reply = world.call(operation, anonymous, keys=keys)
        assert reply.status_code == (200 if is_open else 401), f"{operation}: {reply.text}"
        if is_open:
            assert reply.content == world.call(operation, stranger, keys=keys).content, operation
    assert world.count_rows() == before


def test_public_operations_refuse_an_invalid_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.app.state.settings, "public_regions", "0")
    for sent in (f"Bearer {'rata_' + 'x' * 43}", "Basic Og=="):
        caller = world.connect(Authorization=sent)
        for operation in world.v1:
            if operation.id in PUBLIC:
                assert world.call(operation, caller, keys=KEYS.get(operation.id)).status_code == 401
