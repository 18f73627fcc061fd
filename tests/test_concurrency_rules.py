"""Rules of docs/concurrency.md that no test of behaviour holds: order of locks, cached rows, instants of the clock."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from app.kit.database.journal import FEED
from tests.areas import AREAS
from tests.coverage.world import ANY, AT, SEKAPUNG, add_villages, item
from tests.database import OneTransaction
from tests.plans.world import PLAN, furnish, put, put_plan
from tests.quarters.world import Office
from tests.scorecards.world import measure_fairly

APP = Path(__file__).parents[1] / "app"
OF_THE_CLIENT = "client"
"""A program of its own, with databases of its own."""
READ_THE_CLOCK = {
    "changes/webhooks/worker.py",  # works outside of requests, and takes its clock as an argument
    "reference/commands.py",  # loads reference data, also outside of requests
}
CLOCKS = {"datetime.now", "datetime.utcnow", "date.today", "sa.func.now", "func.now", "time.time"}

OF_ONE_ENGINE = re.compile(
    r"(sa\.)?func\.(jsonb?_\w+|row_to_json|to_jsonb?|array_agg|string_agg|group_concat|julianday|strftime|date_trunc|to_char)"
)


@pytest.fixture
def locked(database: OneTransaction) -> Iterator[list[str]]:
    """The chains that a request locks, in the order of its first lock of each."""
    names: list[str] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        if statement.startswith("UPDATE journal_head"):
            values = parameters.values() if isinstance(parameters, dict) else parameters
            assert isinstance(values, type({}.values()) | tuple)
            names.extend(value for value in values if isinstance(value, str) and value not in names)

    event.listen(database.connection, "before_cursor_execute", note)
    yield names
    event.remove(database.connection, "before_cursor_execute", note)


def test_chains_are_locked_in_their_order_and_the_feed_last(
    connect: Callable[..., TestClient], database: OneTransaction, locked: list[str]
) -> None:
    items = [item(village) for village in (*add_villages(database, "63.03", 1, 2), SEKAPUNG)]
    administrator = connect(("administrator", "63"))
    locked.clear()
    done = administrator.put(AT, json={"items": items}, headers=ANY)
    assert done.status_code == 200, done.text
    chains = [name for name in locked if name.startswith("coverage:")]
    assert chains == ["coverage:63.02", "coverage:63.03"]
    assert locked[0] == chains[0]
    assert locked[-1] == FEED


def test_a_freeze_locks_its_plan_then_the_yardstick(
    connect: Callable[..., TestClient], database: OneTransaction, locked: list[str]
) -> None:
    measure_fairly(database)
    office = Office(connect)
    furnish(database)
    put_plan(office.secretariat)
    put(office.secretariat, "A-1")
    office.move("submit", "verify")
    locked.clear()
    office.move("freeze")
    hashes = 64  # letters of a hash, which the end of each chain gets
    assert [name for name in locked if len(name) != hashes] == [f"plan:{PLAN}", "yardstick:63", FEED]


def test_no_cached_function_reads_the_database() -> None:
    wrong = list[str]()
    for file, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and _is_cached(node):
                words = {child.id for child in ast.walk(node.args) if isinstance(child, ast.Name)}
                words |= {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
                if words & {"Session", "session", "Connection", "connection", "Database", "database"}:
                    wrong.append(f"{file}:{node.lineno} {node.name}")
    assert not wrong, f"cache statements and texts, never rows: other processes change them. {wrong}"


def test_areas_take_the_instant_of_the_request() -> None:
    wrong = [
        f"{file}:{node.lineno} {ast.unparse(node.func)}"
        for file, tree in _trees()
        if file.startswith(AREAS) and file not in READ_THE_CLOCK
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKS
    ]
    assert not wrong, f"take `call.now` or `author.at`; a clock of its own goes to READ_THE_CLOCK. {wrong}"


def test_areas_call_no_function_of_one_engine() -> None:
    wrong = [
        f"{file}:{node.lineno} {ast.unparse(node.func)}"
        for file, tree in _trees()
        if file.startswith(AREAS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and OF_ONE_ENGINE.fullmatch(ast.unparse(node.func))
    ]
    assert not wrong, f"app/kit/database/json_sql.py has it for both engines, or takes it. {wrong}"


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(APP.rglob("*.py")):
        name = path.relative_to(APP).as_posix()
        if not name.startswith(OF_THE_CLIENT):
            yield name, ast.parse(path.read_text(), name)


def _is_cached(function: ast.FunctionDef) -> bool:
    return any("cache" in ast.unparse(decorator).lower() for decorator in function.decorator_list)
