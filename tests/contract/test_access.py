"""Callers without a right learn nothing of its object, for every operation."""

import io
import re
from itertools import cycle

import openpyxl
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.models import Token, TokenScope
from app.kit.database.engine import get_table
from tests.contract.operations import Operation
from tests.contract.world import World

pytestmark = pytest.mark.both_engines

#: Paths of convergence that need a right in the region.
_OF_REGIONS = re.compile("target|coverage|editions|steps|step-templates|villages|scorecard|yardstick")


def is_open(operation: Operation) -> bool:
    """Return whether every token may call an operation: reference data, templates, the caller, the list of reports."""
    return (
        operation.spec["tags"] == ["reference"]
        or operation.path.startswith("/v1/templates")
        or operation.path in ("/v1/me", "/v1/reports")
        or (operation.spec["tags"] == ["convergence"] and not _OF_REGIONS.search(operation.path))
    )


def test_strangers_and_neighbours_see_nothing(one_world: World) -> None:
    world = one_world
    stranger, reader = world.connect_as(), world.connect_as(("reader", "73"))
    neighbours = cycle([world.connect_as(("secretariat", "63.03")), reader])
    for operation in world.v1:
        for caller in (stranger, next(neighbours)):
            reply = world.call(operation, caller)
            if is_open(operation):
                # A caller without memberships sees no history.
                has_history = caller is not stranger or not operation.path.endswith("/history")
                expected = 403 if operation.is_write else 200 if has_history else 404
            elif operation.is_list and not operation.keys:
                # Every token sees the changes of the nation.
                items = [item for item in reply.json()["items"] if item["region_code"] != "0"]
                assert items == [], operation
                expected = 200
            elif operation.spec["tags"] == ["reports"]:
                if operation.path.endswith(".xlsx"):
                    sheet = openpyxl.load_workbook(io.BytesIO(reply.content)).active
                    rows = [row for row in sheet.values if row[1] is not None]
                else:
                    rows = reply.text.splitlines()
                assert len(rows) == 1, f"{operation}: more than the header"
                expected = 200
            else:
                # the service does not read the file, which names the regions, for a caller without any write right
                expected = 403 if caller is reader and operation.id == "import_coverage" else 404
            assert reply.status_code == expected, f"{operation}: {reply.text}"


def test_hidden_and_missing_objects_have_equal_replies(one_world: World) -> None:
    world = one_world
    stranger = world.connect_as()
    absent = {"plan": "63.03-2026", "region": "63.03"}
    for operation in world.v1:
        if is_open(operation) or not absent.keys() & operation.keys.keys():
            continue
        keys = {name: key for name, key in absent.items() if name in operation.keys}
        hidden, missing = (
            world.call(operation, stranger).json(),
            world.call(operation, stranger, keys=keys).json(),
        )
        for reply in (hidden, missing):
            del reply["instance"], reply["request_id"]
        assert hidden == missing, operation


def test_every_operation_without_a_valid_token_is_401(one_world: World) -> None:
    world = one_world
    secretariat = ("secretariat", "63.02")
    revoked = world.connect_as(secretariat)
    tokens = get_table(Token)
    newest = sa.select(sa.func.max(tokens.c.id)).scalar_subquery()
    world.database.connection.execute(
        sa.update(tokens).where(tokens.c.id == newest).values(revoked_at=sa.func.current_timestamp())
    )
    valid = world.client.headers["Authorization"]
    callers = {
        "none": world.connect(),
        "expired": world.connect_as(secretariat, days=-1),
        "revoked": revoked,
        "from elsewhere": world.connect_as(secretariat, networks=("203.0.113.0/24",)),
        "unknown": world.connect(Authorization="Bearer rata_unknown"),
        "other scheme": world.connect(Authorization=valid.replace("Bearer", "Basic")),
        "cut": world.connect(Authorization=valid[:-1]),
    }
    before = world.count_rows()
    turns = cycle(callers)
    for operation in world.v1:
        for name in callers if operation.id == "read_me" else ("none", next(turns)):
            reply = world.call(operation, callers[name])
            assert reply.status_code == 401, f"{operation} with token {name}: {reply.text}"
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.count_rows() == before


def test_a_token_is_valid_in_its_network_alone(world: World) -> None:
    secret = world.connect_as(("reader", "63"), networks=("192.0.2.0/24",)).headers["Authorization"]
    for address, status in (("192.0.2.7", 200), ("198.51.100.7", 401)):
        client = TestClient(world.app, headers={"Authorization": secret}, client=(address, 50000))
        assert client.get("/v1/me").status_code == status


def test_a_token_with_the_scope_read_reads_all_and_writes_nothing(one_world: World) -> None:
    world = one_world
    # A yardstick is the province's.
    reader = world.connect_as(("secretariat", "63.02"), ("reader", "63"), scopes=(TokenScope.read,))
    before = world.count_rows()
    for operation in world.v1:
        reply = world.call(operation, reader)
        if operation.is_of_administrators:
            expected = 404 if operation.keys else 200
        else:
            expected = 403 if operation.is_write else 200
        assert reply.status_code == expected, f"{operation}: {reply.text}"
    assert world.count_rows() == before


def test_operations_outside_v1_need_no_token(world: World) -> None:
    caller = world.connect()
    for operation in world:
        if not operation.is_v1:
            assert world.call(operation, caller).status_code == 200, operation
