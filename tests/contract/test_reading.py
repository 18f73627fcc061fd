"""GET of all operations: ETags, HEAD, compression, query parameters and cursors."""

import re
from itertools import cycle
from typing import Any

import pytest

from tests.contract.operations import Operation
from tests.contract.world import World

pytestmark = pytest.mark.both_engines


def list_reads(world: World) -> list[Operation]:
    return [operation for operation in world.v1 if operation.method == "get"]


def test_callers_of_equal_rights_share_the_etag_and_head_equals_get(world: World) -> None:
    twins = {client: world.connect_as(role) for role, client in world.clients.items()}
    plain = {"Accept-Encoding": "identity"}
    for turn, operation in enumerate(world.share(list_reads(world))):
        first = world.call(operation, headers=plain)
        # the reply differs for each token
        twin = None if operation.path == "/v1/me" else twins[world.get_client(operation)]
        again = world.call(operation, twin, headers=plain)
        assert first.status_code == 200
        assert (first.content, first.headers["ETag"]) == (again.content, again.headers["ETag"]), operation
        tag = first.headers["ETag"]
        sent = (tag, f'"other", {tag}', f"W/{tag}", "*")[turn % 4]
        reply = world.call(operation, headers={**plain, "If-None-Match": sent})
        assert (reply.status_code, reply.headers["ETag"]) == (304, tag), f"{operation}: {sent}"
        assert reply.headers["Vary"] == first.headers["Vary"]
        check_head(world, operation, first, {**plain, "If-None-Match": '"other"'})


def test_the_etag_changes_with_the_content(world: World) -> None:
    named = ("read_plan", "read_action", "list_actions", "read_summary", "list_agencies")
    before = {
        id: world.call(world.operations[id])
        for id in {*named, *(operation.id for operation in world.share(list_reads(world)))}
    }
    for operation in world.writes:
        if operation.method in ("put", "patch"):
            assert world.call(operation).status_code == 200, operation
    changed = set()
    for id, old in before.items():
        operation = world.operations[id]
        after = world.call(operation)
        if after.content != old.content:
            changed.add(id)
            assert after.headers["ETag"] != old.headers["ETag"], operation
    assert set(named) <= changed


def check_head(world: World, operation: Operation, get: Any, headers: dict[str, str]) -> None:
    """Check that HEAD returns the headers of GET without its body."""
    head = world.get_client(operation).head(operation.address(), params=operation.needed, headers=headers)
    assert (head.status_code, head.content) == (200, b""), operation
    # each request has its id and uses the rate limit
    own = {"ratelimit", "x-request-id"}
    theirs, ours = ({k: v for k, v in reply.headers.items() if k not in own} for reply in (get, head))
    assert ours == theirs, operation
    assert head.headers["X-Request-Id"], operation


def test_head_of_the_service_is_get_without_body(one_world: World) -> None:
    for operation in one_world:
        if operation.method == "get" and not operation.is_v1:
            check_head(one_world, operation, one_world.call(operation), {})


def test_a_compressed_reply_has_its_own_etag(world: World) -> None:
    operation = world.operations["list_actions"]
    plain = world.call(operation, headers={"Accept-Encoding": "identity"})
    packed = world.call(operation, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for reply in (plain, packed):
        assert "Accept-Encoding" in reply.headers["Vary"]
        for coding in ("gzip", "identity"):
            headers = {"If-None-Match": reply.headers["ETag"], "Accept-Encoding": coding}
            again = world.call(operation, headers=headers)
            assert (again.status_code, again.headers["ETag"]) == (304, reply.headers["ETag"])
    sent = world.call(world.operations["put_actions"], conditions={"If-Match": packed.headers["ETag"]})
    assert sent.status_code == 200


def test_unknown_parameter_names_the_allowed_ones_and_the_nearest(one_world: World) -> None:
    world = one_world  # no engine sees these parameters
    for operation in world:
        for name in (f"{parameter}x" for parameter in (*list(operation.query)[-2:], "nothing_like_any")):
            reply = world.call(operation, params={name: "1"})
            assert reply.status_code == 400, f"{operation}: {name}"
            (error,) = reply.json()["errors"]
            assert (error["code"], error["parameter"]) == ("unknown_parameter", name)
            assert error["allowed"] == sorted(operation.query), operation
            if name[:-1] in operation.query:
                assert error["nearest"][0] == name[:-1], operation


def test_a_repeated_parameter_is_400(one_world: World) -> None:
    world = one_world  # no engine sees these parameters
    for operation in world:
        for name, declared in operation.query.items():
            value = operation.needed.get(name, str(declared["schema"].get("default", "1")))
            twice = [*operation.needed.items(), (name, value), (name, value)]
            reply = world.call(operation, params=twice)
            if declared["schema"].get("type") == "array":
                continue
            assert reply.status_code == 400, f"{operation}: {name}"
            assert {e["parameter"] for e in reply.json()["errors"] if e["code"] == "repeated_parameter"} == {
                name
            }


def list_lists(world: World) -> list[Operation]:
    return [operation for operation in list_reads(world) if operation.is_list]


def walk_pages(world: World, operation: Operation, **params: Any) -> list[Any]:
    """Return up to four items, page by page."""
    items: list[Any] = []
    after: dict[str, str] = {}
    while len(items) < 4:
        reply = world.call(operation, params={**params, **after})
        page = reply.json()
        items += page["items"]
        link = re.fullmatch(r'<(.+)>; rel="next"', reply.headers.get("Link", ""))
        assert (page["next"] is None) == (link is None), operation
        if link is None:
            return items
        if not after:
            assert world.get_client(operation).head(link[1]).status_code == 200
        after = {"after": page["next"]}
    return items


EVERY_ORDER = 3
"""Step between the tested orders of a list; `make proofs GROUP=contract` tests all."""


def test_pages_in_every_order_have_every_item(world: World) -> None:
    several = 0
    for turn, operation in enumerate(world.share(list_lists(world))):
        if operation.id == "list_changes":
            continue  # it has one order and no end: tests/changes
        sorts = operation.query.get("sort", {"schema": {"enum": [None]}})["schema"]["enum"]
        for sort in sorts[turn % EVERY_ORDER :: EVERY_ORDER] or sorts:
            params = {"sort": sort} if sort else {}
            whole = world.call(operation, params={**params, "limit": 4, "count": "exact"}).json()
            assert whole["count"] >= len(whole["items"]) > 0, operation
            items = walk_pages(world, operation, limit=1, **params)
            assert items == whole["items"][: len(items)], f"{operation} by {sort}"
            assert len(items) == min(4, len(whole["items"]))
            several += len(items) > 1
    assert several > 30 / world.turn[1] / EVERY_ORDER


def test_a_cursor_of_another_list_is_400(one_world: World) -> None:
    world = one_world  # no engine sees these parameters
    cursors = {}
    for operation in list_lists(world):
        cursor = world.call(operation, params={"limit": 1}).json()["next"]
        if cursor is not None:
            cursors[operation.id] = cursor
    assert len(cursors) > 5
    turns = cycle(["", "x", "é", "=" * 9, "bnVsbA", "W10", "A" * 1999])
    for id, cursor in cursors.items():
        operation = world.operations[id]
        foreign = next(value for name, value in cursors.items() if name != id)
        turned = cursor[:-3] + ("A" if cursor[-3] != "A" else "B") + cursor[-2:]
        strange = (cursor[:-1], f"{cursor}AAAA", "", "x", "é", "=" * 9, "bnVsbA", "W10", "A" * 1999)
        for wrong in (foreign, turned, *(strange if operation.id == "list_plans" else [next(turns)])):
            reply = world.call(operation, params={"limit": 1, "after": wrong})
            assert reply.status_code == 400, f"{operation}: {wrong}"
            assert reply.json()["errors"][0]["parameter"] == "after"
        if "sort" in operation.query:
            sorts = operation.query["sort"]["schema"]
            other = next(sort for sort in sorts["enum"] if sort != sorts["default"])
            assert world.call(operation, params={"sort": other, "after": cursor}).status_code == 400, (
                operation
            )
        assert world.call(operation, params={"limit": 2, "after": cursor}).status_code == 200, operation
