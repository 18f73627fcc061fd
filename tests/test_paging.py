"""Lists read page by page during writes: each unchanged row appears exactly once, in order.

`make proofs GROUP=pages` does the same with 20,000 rows in pages of 500.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from anyio.from_thread import start_blocking_portal
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.main import create_app
from app.plans.actions.models import ActionRow, BudgetLineRow
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY, AT, HEALTH, LEAN, SOCIAL, furnish, put, put_plan, report

pytestmark = pytest.mark.both_engines

ROWS = 400
PATIENCE = 60
LINES, REPORT = f"{AT}/actions", "/v1/reports/unreported-lines"
LISTS = {
    "by allocation, the largest first": (LINES, {"sort": "-allocation"}, "code", "allocation"),
    "by spending": (LINES, {"sort": "spent"}, "code", "spent"),
    "a province's unreported lines, by agency": (
        REPORT,
        {"sort": "agency_code", "region": "63", "period": "2026-Q3"},
        "action",
        "agency_code",
    ),
}
"""Address, parameters, and the fields of an item with its code and its sort value."""


class World(NamedTuple):
    """A database with committed writes and one very long plan, and two clients."""

    database: Database
    reader: TestClient
    writer: TestClient
    rows: int


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request.param, ROWS) as world:
        yield world


@contextmanager
def open_world(engine: str, rows: int) -> Iterator[World]:
    """Yield a database with a plan of `rows` lines."""
    with ExitStack() as stack:
        database = stack.enter_context(own_database(engine))
        furnish(database)
        app = create_app(Settings(_env_file=None, database_url=str(database.url)), database)
        headers = {"Authorization": f"Bearer {token_for(database, ('administrator', '63'))}"}
        portal = stack.enter_context(start_blocking_portal())
        reader, writer = (Client(app, portal, headers=headers, raise_server_exceptions=False) for _ in "rw")
        put_plan(writer)
        put(writer, "PATTERN", base=LEAN)
        report(writer, "PATTERN", 1, spent=50)
        with database.writing() as session:
            _multiply(session.connection(), rows)
        yield World(database, reader, writer, rows)


def _multiply(connection: sa.Connection, rows: int) -> None:
    """Copy the first line `rows` times, with few distinct values in the sort columns."""
    actions, budgets = get_table(ActionRow), get_table(BudgetLineRow)
    first = sa.select(sa.literal(0).label("n")).cte("numbers", recursive=True)
    numbers = first.union_all(sa.select(first.c.n + 1).where(first.c.n < rows - 1))
    n = numbers.c.n
    other = {
        "code": sa.literal("L-") + sa.cast(100_000 + n, sa.String),
        "allocation": 100 + n * 7 % 13,
        "spent": n * 5 % 11,
        "lead_agency": sa.case((n % 3 == 0, SOCIAL), else_=HEALTH),
    }
    kept = [column for column in actions.c if column.name not in {"id", *other}]
    connection.execute(
        sa.insert(actions).from_select(
            [*other, *[column.name for column in kept]],
            sa.select(*other.values(), *kept).select_from(numbers.join(actions, actions.c.code == "PATTERN")),
            include_defaults=False,
        )
    )
    money = sa.select(
        actions.c.id, sa.literal("APBD"), actions.c.allocation, sa.literal("apbd"), sa.literal(0)
    )
    into = ["action_id", "funding_source", "amount", "stage", "position"]
    connection.execute(
        sa.insert(budgets).from_select(into, money.where(actions.c.code.like("L-%")), include_defaults=False)
    )


class Writer:
    """A thread that inserts, changes and deletes random lines until the block ends."""

    def __init__(self, world: World, name: int) -> None:
        self.client, self.rows, self.name = world.writer, world.rows, name
        self.written, self.wrong = 0, ""
        self._chance = random.Random(name)
        self._turn, self._done = threading.Condition(), False
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done = True
        self._thread.join(PATIENCE)

    def wait_for_write(self) -> None:
        """Wait for the next write."""
        with self._turn:
            seen = self.written
            assert self._turn.wait_for(lambda: self.written > seen or self.wrong, PATIENCE)
            assert not self.wrong, self.wrong

    def _write(self) -> None:
        while not self._done:
            done = self._chance.choice([self._insert, self._change, self._spend, self._delete])()
            with self._turn:
                if done.status_code in (200, 201, 204):
                    self.written += 1
                elif done.status_code not in (404, 409, 428):  # already deleted or reported
                    self.wrong = done.text
                self._turn.notify_all()

    def _insert(self) -> Any:
        amount = self._chance.randrange(90, 120)
        body = {**LEAN, "allocation": amount, "budget_lines": [{"funding_source": "APBD", "amount": amount}]}
        return self.client.put(f"{AT}/actions/L-{self._chance.randrange(10**5)}-{self.name}", json=body)

    def _change(self) -> Any:
        amount = self._chance.randrange(90, 120)
        body = {
            "allocation": amount,
            "budget_lines": [{"funding_source": "APBD", "amount": amount}],
            "lead_agency": self._chance.choice([SOCIAL, HEALTH]),
        }
        return self.client.patch(f"{AT}/actions/{self._choose()}", json=body, headers=ANY)

    def _spend(self) -> Any:
        at = f"{AT}/actions/{self._choose()}/progress/2026-Q3"
        return self.client.put(at, json={"spent": self._chance.randrange(12)})

    def _delete(self) -> Any:
        return self.client.delete(f"{AT}/actions/{self._choose()}", headers=ANY)

    def _choose(self) -> str:
        """Return the code of a line that writers may change."""
        return f"L-{100_000 + 10 * self._chance.randrange(self.rows // 10)}"


def is_untouched(code: str) -> bool:
    return len(code) == 8 and code.startswith("L-1") and not code.endswith("0")


@pytest.mark.parametrize("listed", LISTS)
def test_every_unchanged_row_appears_exactly_once(world: World, listed: str) -> None:
    read_while_others_write(world, listed)


def read_while_others_write(world: World, listed: str) -> None:
    """Read a list page by page with writes in between; check its unchanged rows."""
    path, query, code, value = LISTS[listed]
    is_falling = query["sort"].startswith("-")
    expected = sorted(list_untouched(world.database, value), reverse=is_falling)
    seen: list[tuple[Any, str]] = []
    pages, after = 0, {}
    with Writer(world, [*LISTS].index(listed)) as writer:
        while True:
            reply = world.reader.get(path, params={**query, "limit": min(500, world.rows // 20), **after})
            assert reply.status_code == 200, reply.text
            page = reply.json()
            seen += [(item[value], item[code]) for item in page["items"]]
            pages += 1
            if page["next"] is None:
                break
            after = {"after": page["next"]}
            writer.wait_for_write()
    assert writer.written >= pages - 1 > 15
    assert seen == sorted(set(seen), reverse=is_falling)
    assert [row for row in seen if is_untouched(row[1])] == expected
    assert len(expected) == world.rows * 9 // 10


def list_untouched(database: Database, value: str) -> list[tuple[Any, str]]:
    """List the sort value and the code of each line that no writer changes."""
    actions = get_table(ActionRow)
    column = actions.c["lead_agency" if value == "agency_code" else value]
    with database.read_session() as session:
        rows = session.execute(sa.select(column, actions.c.code))
        return [(value, code) for value, code in rows if is_untouched(code)]
