"""Concurrent adopting and drafting, with real commits: one adoption, no lost or partial write."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.changes.queries import verify_journal
from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from tests.amendments.world import AMENDMENT, HEALTHY, LINES, Movers, because, expect_ok
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY, AT, furnish, put, put_plan, walk
from tests.workflow.moves import CODED, SIGNED

pytestmark = pytest.mark.both_engines

THREADS = 6


@pytest.fixture(params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with Kotabaru's agencies that commits its transactions."""
    with own_database(request.param) as database:
        furnish(database)
        yield database


@pytest.fixture
def app(committed: Database) -> FastAPI:
    return create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)


def test_concurrent_adoptions_and_drafts_are_adopted_or_refused(committed: Database, app: FastAPI) -> None:
    def connect(*roles: Any) -> TestClient:
        secret = token_for(committed, *roles)
        return TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)

    team = connect(("secretariat", "63.02"))
    put_plan(team)
    put(team, "A-1", base=CODED)
    movers = Movers(connect)
    movers.bring("amended")
    items = [{**HEALTHY, "code": f"B-{n}", "title": f"B-{n}", "reasons": [because()]} for n in range(20)]
    gate = threading.Barrier(THREADS)

    def draft(number: int) -> httpx.Response:
        gate.wait()
        return team.put(f"{LINES}?each=true", json={"items": items[number::THREADS]}, headers=ANY)

    with ThreadPoolExecutor(THREADS) as pool:
        replies = list(pool.map(draft, range(THREADS)))
    assert {reply.status_code for reply in replies} == {200}
    assert expect_ok(team.get(AMENDMENT))["created"] == 20
    for verb in ("submit", "endorse"):
        expect_ok(movers.move(verb))
    tag = expect_ok(team.get(AT))["version"]

    def adopt(number: int) -> int:
        gate.wait()
        if number % 2:
            late = {"title": "terlambat", "reasons": [because()]}
            return team.patch(f"{LINES}/B-1", json=late, headers=ANY).status_code
        headers = {"If-Match": f'"{tag}"'}
        return movers.chair.post(f"{AT}/adopt", json=SIGNED, headers=headers).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = Counter(pool.map(adopt, range(THREADS)))
    assert statuses[200] == 1
    assert set(statuses) <= {200, 404, 409, 412}
    assert expect_ok(team.get(AT))["revision"] == 1
    lines = {line["code"]: line["title"] for line in walk(team, f"{AT}/actions")}
    assert lines == {"A-1": CODED["title"], **{item["code"]: item["title"] for item in items}}
    frozen = expect_ok(team.get(f"{AT}/revisions/1"))
    assert {line["code"]: line["title"] for line in frozen["actions"]} == lines
    assert len(frozen["reasons"]) == 20
    with committed.read_session() as session:
        assert verify_journal(session).breaks == []
