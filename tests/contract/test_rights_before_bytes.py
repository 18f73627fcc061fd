"""The service checks the right of a caller before it parses the body."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.formparsers import MultiPartParser

from app.kit.files import reader
from app.kit.http import bodies
from tests.contract.world import World

pytestmark = pytest.mark.one_engine


@contextmanager
def watch_parsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield the names of the parsers that run in the block."""
    called: list[str] = []

    def watch(holder: Any, name: str) -> None:
        inner = getattr(holder, name)

        def run(*args: Any, **options: Any) -> Any:
            called.append(name)
            return inner(*args, **options)

        patch.setattr(holder, name, run)

    with monkeypatch.context() as patch:
        watch(MultiPartParser, "parse")
        watch(reader, "open_workbook")
        watch(reader, "read_delimited")
        watch(bodies, "from_json")
        yield called


def test_uploads_of_callers_without_the_right_are_not_parsed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = [operation for operation in world.v1 if operation.body is not None and not operation.takes_json]
    assert len(uploads) >= 4
    callers = [
        world.connect(),
        world.connect(Authorization="Bearer rata_unknown"),
        world.connect_as(),
        world.connect_as(("reader", "0")),
        world.connect_as(("reviewer", "63")),
        world.connect_as(("operator", "63.02", "1.06.0.00.0.00.08.0000")),
    ]
    for operation in uploads:
        for caller in callers:
            with watch_parsers(monkeypatch) as called:
                reply = world.call(operation, caller, params={"dry_run": "true"})
            assert reply.status_code in (401, 403, 404), f"{operation}: {reply.text}"
            assert called == [], f"{operation}: {reply.status_code}"
        with watch_parsers(monkeypatch) as called, world.savepoint():
            assert world.call(operation).status_code == 200
        assert called == ["parse", "read_delimited"], operation


def test_json_of_callers_without_a_token_is_not_parsed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = [world.connect(), world.connect(Authorization="Bearer rata_unknown")]
    for operation in world.v1:
        if not operation.takes_json:
            continue
        assert operation.body is not None
        kind = {"Content-Type": operation.body[0]}
        for caller in callers:
            with watch_parsers(monkeypatch) as called:
                reply = caller.request(
                    operation.method.upper(), operation.address(), content=b"{", headers=kind
                )
            world.check(operation, reply)
            assert (reply.status_code, called) == (401, []), operation
