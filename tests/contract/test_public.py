"""Where regions are opened, exactly the operations that the document says need no token answer without one."""

import pytest

from tests.contract.operations import ADOPTED
from tests.contract.world import World

pytestmark = pytest.mark.one_engine

#: Whoever adds one has looked at each field that it shows: nothing of a draft, and no report that is not frozen.
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
#: What is opened of the world: its plan of the examples is a draft, of which one quarter is frozen.
KEYS = {"read_plan": {"plan": ADOPTED}} | {
    id: {"period": "2026-Q1"} for id in ("read_pull", "read_pull_as", "read_digests")
}


def test_the_document_says_which(world: World) -> None:
    said = {one.id: one.spec["security"] for one in world.v1}
    assert {id for id, security in said.items() if security == [{}, {"token": []}]} == PUBLIC
    assert all(security == [{"token": []}] for id, security in said.items() if id not in PUBLIC)
    assert all(one.method == "get" for one in world.v1 if one.id in PUBLIC)


def test_these_answer_without_a_token_and_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody, stranger = world.connect(), world.caller()
    before = world.rows()
    monkeypatch.setattr(world.app.state.settings, "public_regions", "63.02")
    for operation in world.v1:
        is_open, keys = operation.id in PUBLIC, KEYS.get(operation.id)
        reply = world.call(operation, nobody, keys=keys)
        assert reply.status_code == (200 if is_open else 401), f"{operation}: {reply.text}"
        if is_open:
            assert reply.content == world.call(operation, stranger, keys=keys).content, operation
    assert world.rows() == before


def test_a_token_that_does_not_hold_stays_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.app.state.settings, "public_regions", "0")
    for sent in (f"Bearer {'rata_' + 'x' * 43}", "Basic Og=="):
        caller = world.connect(Authorization=sent)
        for operation in world.v1:
            if operation.id in PUBLIC:
                assert world.call(operation, caller, keys=KEYS.get(operation.id)).status_code == 401
