"""Who may not see or do something learns nothing of it: every operation, asked by everyone it is not for."""

import re
from itertools import cycle

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.models import Token, TokenScope
from app.kit.database.engine import get_table
from tests.contract.operations import Operation
from tests.contract.world import World

pytestmark = pytest.mark.both_engines

#: What of convergence is only for whoever sees the region.
_OF_REGIONS = re.compile("target|coverage|editions|steps|step-templates|villages|scorecard")


def is_everybodys(operation: Operation) -> bool:
    """Reference data, what is published, which reports there are, and what one is oneself."""
    return (
        operation.spec["tags"] == ["reference"]
        or operation.path in ("/v1/me", "/v1/reports")
        or (operation.spec["tags"] == ["convergence"] and not _OF_REGIONS.search(operation.path))
    )


def test_stranger_and_neighbour_find_nothing(one_world: World) -> None:
    world = one_world
    stranger, reader = world.caller(), world.caller(("reader", "73"))
    neighbours = cycle([world.caller(("secretariat", "63.03")), reader])
    for operation in world.v1:
        for caller in (stranger, next(neighbours)):
            reply = world.call(operation, caller)
            if is_everybodys(operation):
                # Who is a member of nothing is told of no write.
                is_told = caller is not stranger or not operation.path.endswith("/history")
                expected = 403 if operation.is_write else 200 if is_told else 404
            elif operation.is_list and not operation.keys:
                # The feed tells everybody of what is the nation's.
                items = [one for one in reply.json()["items"] if one["region_code"] != "0"]
                assert items == [], operation
                expected = 200
            elif operation.spec["tags"] == ["reports"]:
                assert len(reply.text.splitlines()) == 1, f"{operation}: more than the names of the columns"
                expected = 200
            else:
                # the file that names the regions is not read for a caller who may write in none
                expected = 403 if caller is reader and operation.id == "import_coverage" else 404
            assert reply.status_code == expected, f"{operation}: {reply.text}"


def test_what_is_hidden_and_what_is_not_there_look_the_same(one_world: World) -> None:
    world = one_world
    stranger = world.caller()
    absent = {"plan": "63.03-2026", "region": "63.03"}
    for operation in world.v1:
        if is_everybodys(operation) or not absent.keys() & operation.keys.keys():
            continue
        keys = {name: key for name, key in absent.items() if name in operation.keys}
        hidden, missing = (
            world.call(operation, stranger).json(),
            world.call(operation, stranger, keys=keys).json(),
        )
        for reply in (hidden, missing):
            del reply["instance"], reply["request_id"]
        assert hidden == missing, operation


def test_without_a_valid_token_nothing_answers(one_world: World) -> None:
    world = one_world
    secretariat = ("secretariat", "63.02")
    revoked = world.caller(secretariat)
    tokens = get_table(Token)
    newest = sa.select(sa.func.max(tokens.c.id)).scalar_subquery()
    world.database.connection.execute(
        sa.update(tokens).where(tokens.c.id == newest).values(revoked_at=sa.func.current_timestamp())
    )
    valid = world.client.headers["Authorization"]
    callers = {
        "none": world.connect(),
        "expired": world.caller(secretariat, days=-1),
        "revoked": revoked,
        "from elsewhere": world.caller(secretariat, networks=("203.0.113.0/24",)),
        "unknown": world.connect(Authorization="Bearer rata_unknown"),
        "other scheme": world.connect(Authorization=valid.replace("Bearer", "Basic")),
        "cut": world.connect(Authorization=valid[:-1]),
    }
    before = world.rows()
    turns = cycle(callers)
    for operation in world.v1:
        for name in callers if operation.id == "read_me" else ("none", next(turns)):
            reply = world.call(operation, callers[name])
            assert reply.status_code == 401, f"{operation} with token {name}: {reply.text}"
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.rows() == before


def test_token_of_its_network_is_valid(world: World) -> None:
    secret = world.caller(("reader", "63"), networks=("192.0.2.0/24",)).headers["Authorization"]
    for address, status in (("192.0.2.7", 200), ("198.51.100.7", 401)):
        client = TestClient(world.app, headers={"Authorization": secret}, client=(address, 50000))
        assert client.get("/v1/me").status_code == status


def test_reading_token_reads_all_and_writes_nothing(one_world: World) -> None:
    world = one_world
    reader = world.caller(("secretariat", "63.02"), scopes=(TokenScope.read,))
    before = world.rows()
    for operation in world.v1:
        reply = world.call(operation, reader)
        if operation.is_of_administrators:
            expected = 404 if operation.keys else 200
        else:
            expected = 403 if operation.is_write else 200
        assert reply.status_code == expected, f"{operation}: {reply.text}"
    assert world.rows() == before


def test_service_answers_without_token(world: World) -> None:
    caller = world.connect()
    for operation in world:
        if not operation.is_v1:
            assert world.call(operation, caller).status_code == 200, operation
