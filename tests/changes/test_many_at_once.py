"""The feed under concurrent commits: no gap, no repetition, the order of the commits."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind
from app.changes.queries import verify_journal
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import FEED, Author, JournalHead, JournalRow
from app.main import create_app
from app.settings import Settings
from tests.calling import Client
from tests.changes.feed import follow, now, page
from tests.common import token_for
from tests.pages import walk
from tests.plans.world import ANY, LEAN, put_plan

pytestmark = pytest.mark.both_engines

WRITERS = 4
PLANS = ("63.02-2026", "63.03-2026")
PATIENCE = 60


@pytest.fixture
def connect(committed: Database, portal: BlockingPortal) -> Iterator[Callable[..., TestClient]]:
    app = create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)
    opened: list[TestClient] = []

    def connect_as(*roles: tuple[str, str]) -> TestClient:
        secret = token_for(committed, *roles)
        opened.append(
            Client(app, portal, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)
        )
        return opened[-1]

    yield connect_as
    for client in opened:
        client.close()


def write(session: Session, region: str, code: str) -> None:
    content = AgencyIn(name=f"Dinas {code}", kind=AgencyKind.dinas)
    put_agency(Write(session, Author("test", datetime.now(UTC)), CONSOLE), region, code, content)


def list_codes(changes: Any) -> list[str]:
    return [change["subject"].rpartition("/")[2] for change in changes]


def test_the_first_of_two_open_transactions_commits_last(
    committed: Database, connect: Callable[..., TestClient]
) -> None:
    """On PostgreSQL the second commits while the first is open; on SQLite it waits. The feed has both."""
    reader = connect(("reviewer", "63"))
    cursor, seen = now(reader), []

    def poll() -> None:
        nonlocal cursor
        result = page(reader, cursor)
        seen.extend(list_codes(result["items"]))
        cursor = result["next"]

    def second() -> None:
        with committed.writing() as session:
            write(session, "63.03", "SECOND")

    with ThreadPoolExecutor(1) as pool:
        with committed.write_session() as first:
            write(first, "63.02", "FIRST")
            other = pool.submit(second)
            if not committed.is_sqlite:
                other.result(PATIENCE)
            poll()
            assert seen == ([] if committed.is_sqlite else ["SECOND"])
            first.commit()
        other.result(PATIENCE)
    poll()
    assert sorted(seen) == ["FIRST", "SECOND"]
    assert list_codes(follow(reader, cursor)) == []
    assert seen == (["FIRST", "SECOND"] if committed.is_sqlite else ["SECOND", "FIRST"])


def write_and_fail(database: Database) -> None:
    with database.writing() as session:
        write(session, "63.02", "GONE")
        raise ZeroDivisionError


def test_a_rollback_leaves_no_gap(committed: Database, connect: Callable[..., TestClient]) -> None:
    reader = connect(("reviewer", "63"))
    start = now(reader)
    heads = get_table(JournalHead)

    def end() -> Any:
        with committed.read_session() as session:
            return session.execute(sa.select(heads).where(heads.c.chain == FEED)).one()

    before = end()
    with committed.write_session() as session:
        write(session, "63.02", "GONE")
        session.rollback()
    with pytest.raises(ZeroDivisionError):
        write_and_fail(committed)
    with committed.writing(dry_run=True) as session:
        write(session, "63.02", "GONE")
    assert (end(), page(reader, start)["items"]) == (before, [])
    with committed.writing() as session:
        write(session, "63.02", "KEPT")
    assert list_codes(follow(reader, start)) == ["KEPT"]
    with committed.read_session() as session:
        assert verify_journal(session).breaks == []


class Copy:
    """An integrator's copy: each subject as last read, updated by the feed alone."""

    def __init__(self, client: TestClient) -> None:
        self.client, self.cursor = client, now(client)
        self.kept: dict[str, Any] = {}
        self.seen: list[tuple[str, int]] = []

    def poll(self) -> None:
        result = page(self.client, self.cursor, limit=7)
        paths = dict[str, None]()
        for change in result["items"]:
            self.seen.append((change["subject"].split("/")[1], change["sequence"]))
            paths |= dict.fromkeys(find_paths(change["subject"]))
        for path in paths:
            self._read(path)
        self.cursor = result["next"]

    def _read(self, path: str) -> None:
        reply = self.client.get(path)
        if reply.status_code == 404:
            self.kept.pop(path, None)
        else:
            self.kept[path] = read_content(reply)


def find_paths(subject: str) -> list[str]:
    """Return the paths of an action, its reports and its plan: they show figures of one another."""
    steps = subject.split("/")
    if steps[0] != "plans":
        return []
    action = "/v1/" + "/".join(steps[:4])
    return [f"/v1/plans/{steps[1]}", *([action, f"{action}/progress"] if len(steps) > 2 else [])]


def read_content(reply: httpx.Response) -> Any:
    assert reply.status_code == 200, reply.text
    return reply.json()


def read_everything(client: TestClient) -> dict[str, Any]:
    """Read all resources in full."""
    replies: dict[str, Any] = {}
    for plan in PLANS:
        replies[f"/v1/plans/{plan}"] = read_content(client.get(f"/v1/plans/{plan}"))
        for line in walk(client, f"/v1/plans/{plan}/actions?limit=500"):
            action = f"/v1/plans/{plan}/actions/{line['code']}"
            replies[action] = read_content(client.get(action))
            replies[f"{action}/progress"] = read_content(client.get(f"{action}/progress"))
    return replies


def strip_allowed(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the copy without `allowed`, which differs by caller."""
    return {
        path: {name: value for name, value in body.items() if name != "allowed"}
        for path, body in kept.items()
    }


def work(client: TestClient, number: int) -> set[int]:
    """Create, change, report, correct, withdraw and delete, in lines of its own and in one that all share."""
    at = f"/v1/plans/{PLANS[number % 2]}"
    own, shared = f"{at}/actions/W-{number}", f"{at}/actions/SHARED"
    q1, q2 = f"{own}/progress/2026-Q1", f"{own}/progress/2026-Q2"
    trial = {"dry_run": "true"}
    line, rich = {**LEAN, "title": f"Baris {number}"}, {**LEAN, "allocation": 7, "budget_lines": []}
    replies = [
        client.put(own, json=line),
        client.put(q1, json={"spent": number}),
        client.put(f"{at}/actions", json={"items": [{"code": "SHARED", **line}]}, headers=ANY),
        client.put(q2, json={"spent": 50}),
        client.patch(q1, json={"spent": number + 1, "obstacle": "Salah"}, headers=ANY),
        client.put(f"{at}/actions/T-{number}", json=LEAN, params=trial),
        client.put(f"{at}/actions/X-{number}", json=LEAN),
        client.patch(shared, json={"note": f"dari {number}"}, headers=ANY),
        client.delete(q2, headers=ANY),
        client.put(f"{at}/actions/X-{number}", json={**LEAN, "strategy": "none"}, headers=ANY),
        client.patch(own, json=rich, headers=ANY)
        if number < 2
        else client.patch(own, json={"note": "x"}, headers=ANY),
        client.delete(f"{at}/actions/X-{number}", headers=ANY),
        client.patch(at, json={"title": f"RAT {number}"}, headers=ANY),
    ]
    return {reply.status_code for reply in replies}


def test_a_reader_that_polls_during_writes_ends_with_the_state_of_the_database(
    committed: Database, connect: Callable[..., TestClient]
) -> None:
    writers = [connect(("administrator", "63")) for _ in range(WRITERS)]
    reader = connect(("reviewer", "63"))
    copies = [Copy(reader), Copy(connect(("administrator", "0")))]
    for plan in PLANS:
        put_plan(writers[0], plan)
    gate, done = threading.Barrier(WRITERS + len(copies)), threading.Event()

    def begin(number: int) -> set[int]:
        gate.wait(PATIENCE)
        return work(writers[number], number)

    def read(copy: Copy) -> int:
        gate.wait(PATIENCE)
        polls = 0
        while not done.is_set():
            copy.poll()
            polls += 1
            done.wait(0.02)  # polling without a pause would starve the writers
        return polls

    with ThreadPoolExecutor(WRITERS + len(copies)) as pool:
        reading = [pool.submit(read, copy) for copy in copies]
        writing = [pool.submit(begin, number) for number in range(WRITERS)]
        try:
            statuses = set().union(*(future.result(PATIENCE * 3) for future in writing))
        finally:
            done.set()
        assert min(future.result(PATIENCE) for future in reading) > 1
    assert statuses == {200, 201, 204, 409, 422}, statuses

    expected = strip_allowed(read_everything(reader))
    assert len(expected) == 2 + 2 * (WRITERS + 2)
    journal = get_table(JournalRow)
    for copy in copies:
        while page(copy.client, copy.cursor)["items"]:
            copy.poll()
        assert strip_allowed(copy.kept) == expected
        for plan in PLANS:  # each change once, in order
            numbers = [sequence for key, sequence in copy.seen if key == plan]
            with committed.read_session() as session:
                rows = sa.select(sa.func.count()).where(journal.c.chain == f"plan:{plan}")
                assert numbers == list(range(1, (session.scalar(rows) or 0) + 1))
    with committed.read_session() as session:
        assert verify_journal(session).breaks == []
