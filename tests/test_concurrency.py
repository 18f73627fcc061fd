"""Concurrent writers with real commits: no lost update and no 500."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow, hash_row
from app.main import create_app
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ACTION, ANY, AT, LEAN, PLAN, furnish, put, put_many, put_plan

pytestmark = pytest.mark.both_engines

THREADS, ROUNDS = 8, 5
A1 = f"{AT}/actions/A-1"


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with committed writes and Kotabaru's agencies."""
    with own_database(request.param) as database:
        furnish(database)
        yield database


@pytest.fixture
def clients(committed: Database, portal: BlockingPortal) -> Iterator[list[TestClient]]:
    """A client of one application for each thread, and an empty plan."""
    app: FastAPI = create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)
    secret = token_for(committed, ("secretariat", "63.02"))
    headers = {"Authorization": f"Bearer {secret}"}
    clients = [Client(app, portal, headers=headers, raise_server_exceptions=False) for _ in range(THREADS)]
    put_plan(clients[0])
    yield clients
    for line in clients[0].get(f"{AT}/actions?limit=500").json()["items"]:
        for saved in clients[0].get(f"{AT}/actions/{line['code']}/progress").json()["items"]:
            clients[0].delete(f"{AT}/actions/{line['code']}/progress/{saved['period']}", headers=ANY)
        clients[0].delete(f"{AT}/actions/{line['code']}", headers=ANY)
    assert clients[0].delete(AT, headers=ANY).status_code == 204
    for client in clients:
        client.close()


def at_once(clients: list[TestClient], work: Callable[[TestClient, int], Any]) -> list[Any]:
    """Call `work(client, number)` in every thread at once; return the results."""
    gate = threading.Barrier(len(clients))

    def begin(number: int) -> Any:
        gate.wait()
        return work(clients[number], number)

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(begin, range(len(clients))))


def test_concurrent_puts_with_one_etag_succeed_once(
    clients: list[TestClient],
) -> None:
    first = put(clients[0], "A-1")["version"]
    for _ in range(2):
        tag = clients[0].get(A1).headers["ETag"]
        bodies = [{**ACTION, "note": f"{tag} {number}"} for number in range(THREADS)]
        done = at_once(clients, lambda c, n: c.put(A1, json=bodies[n], headers={"If-Match": tag}))  # noqa: B023
        assert Counter(reply.status_code for reply in done) == {200: 1, 412: THREADS - 1}
        (winner,) = [body for body, reply in zip(bodies, done, strict=True) if reply.status_code == 200]
        assert clients[0].get(A1).json()["note"] == winner["note"]
    assert clients[0].get(A1).json()["version"] == first + 2


def test_concurrent_creations_of_a_deleted_key_succeed_once_and_continue_its_versions(
    clients: list[TestClient],
) -> None:
    last = put(clients[0], "A-1")["version"]
    for _ in range(2):
        assert clients[0].delete(A1, headers={"If-Match": f'"{last}"'}).status_code == 204
        create = {"If-None-Match": "*"}
        done = at_once(clients, lambda c, n: c.put(A1, json={**ACTION, "note": str(n)}, headers=create))  # noqa: B023
        assert Counter(reply.status_code for reply in done) == {201: 1, 412: THREADS - 1}
        assert clients[0].get(A1).json()["version"] == last + 2
        late = clients[1].put(A1, json=ACTION, headers={"If-Match": f'"{last}"'})
        assert late.status_code == 412
        last += 2


def test_read_modify_write_loses_no_update(clients: list[TestClient]) -> None:
    put(clients[0], "A-1", allocation=0)

    def add(client: TestClient, number: int) -> set[int]:
        seen = set()
        while True:
            line = client.get(A1)
            change = {"allocation": line.json()["allocation"] + 1}
            done = client.patch(A1, json=change, headers={"If-Match": line.headers["ETag"]})
            seen.add(done.status_code)
            if done.status_code != 412:
                return seen

    assert set().union(*at_once(clients, add)) <= {200, 412}
    assert clients[0].get(A1).json()["allocation"] == THREADS


def test_concurrent_patches_with_any_version_keep_each_others_fields(clients: list[TestClient]) -> None:
    put(clients[0], "A-1")
    clients[0].put(f"{A1}/progress/2026-Q1", json={})

    def patch(client: TestClient, number: int) -> list[int]:
        texts = {"matrix_texts": {f"k{number}": "x"}}
        fields = (
            "obstacle",
            "follow_up",
            "evidence",
            "milestones",
            "outputs",
            "recipients",
            "physical_reported_percent",
            "spent",
        )
        values = (
            "o",
            "f",
            ["https://example.org"],
            [{"code": "M1", "state": "done"}],
            [{"code": "O1", "achieved": 1}],
            [{"code": "R1", "reached": 1}],
            5,
            7,
        )
        report = {fields[number]: values[number]}
        return [
            client.patch(A1, json=texts, headers=ANY).status_code,
            client.patch(f"{A1}/progress/2026-Q1", json=report, headers=ANY).status_code,
        ]

    assert at_once(clients, patch) == [[200, 200]] * THREADS
    assert set(clients[0].get(A1).json()["matrix_texts"]) == {f"k{n}" for n in range(THREADS)}
    stored = clients[0].get(f"{A1}/progress/2026-Q1").json()
    assert (stored["version"], stored["obstacle"], stored["follow_up"], stored["spent"]) == (
        1 + THREADS,
        "o",
        "f",
        7,
    )
    assert all(
        stored[name]
        for name in ("evidence", "milestones", "outputs", "recipients", "physical_reported_percent")
    )


def test_concurrent_creations_succeed_once(clients: list[TestClient]) -> None:
    done = at_once(clients, lambda client, n: client.put(A1, json={**ACTION, "note": str(n)}))
    assert Counter(reply.status_code for reply in done) == {201: 1, 428: THREADS - 1}
    create_only = {"If-None-Match": "*"}
    done = at_once(
        clients, lambda client, n: client.put(f"{AT}/actions/A-2", json=ACTION, headers=create_only)
    )
    assert Counter(reply.status_code for reply in done) == {201: 1, 412: THREADS - 1}
    done = at_once(clients, lambda client, n: client.put("/v1/plans/63.02-2031", json={"title": str(n)}))
    assert Counter(reply.status_code for reply in done) == {201: 1, 428: THREADS - 1}
    assert clients[0].delete("/v1/plans/63.02-2031", headers=ANY).status_code == 204


def test_concurrent_reports_on_different_actions_all_arrive_and_the_journal_is_intact(
    clients: list[TestClient], committed: Database
) -> None:
    put_many(clients[0], [{"code": f"A-{n}", **LEAN} for n in range(THREADS)])

    def report(client: TestClient, number: int) -> list[int]:
        path = f"{AT}/actions/A-{number}/progress/2026-Q"
        return [client.put(f"{path}{quarter}", json={"spent": quarter}).status_code for quarter in (1, 2, 3)]

    assert at_once(clients, report) == [[201] * 3] * THREADS
    assert {line["spent"] for line in clients[0].get(f"{AT}/actions").json()["items"]} == {3}
    assert clients[0].get(f"{AT}/summary?period=2026").json()["spent"] == 3 * THREADS
    check_chain(committed, f"plan:{PLAN}", at_least=1 + THREADS * 4)


def test_readers_see_whole_batches_alone(clients: list[TestClient]) -> None:
    """The batches move money from one line to another; every read has the same sum."""

    def build_batch(first: int) -> list[dict[str, Any]]:
        return [
            {"code": code, **LEAN, "strategy": strategy, "allocation": amount}
            for code, strategy, amount in (
                ("A-1", "raise_income", first),
                ("A-2", "reduce_poverty_pockets", 100 - first),
            )
        ]

    put_many(clients[0], build_batch(0))

    def work(client: TestClient, number: int) -> set[int]:
        if number < 2:
            return {
                client.put(f"{AT}/actions", json={"items": build_batch(n + number)}, headers=ANY).status_code
                for n in range(ROUNDS)
            }
        summaries = [client.get(f"{AT}/summary?period=2026").json() for _ in range(ROUNDS)]
        return {summary["allocated"] for summary in summaries} | {
            sum(part["allocated"] for part in summary["by_strategy"]) for summary in summaries
        }

    assert at_once(clients, work) == [{200}] * 2 + [{100}] * (THREADS - 2)


def check_chain(database: Database, chain: str, *, at_least: int) -> None:
    """Check that each row of a chain has its position and the hash over its predecessor."""
    table = get_table(JournalRow)
    with database.read_session() as session:
        rows = (
            session.execute(sa.select(table).where(table.c.chain == chain).order_by(table.c.position))
            .mappings()
            .all()
        )
    assert len(rows) >= at_least
    link = "0" * 64
    for position, row in enumerate(rows, 1):
        link = hash_row(link, row)
        assert (row["position"], row["hash"]) == (position, link)
