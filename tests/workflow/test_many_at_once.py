"""Concurrent moves and writes of a plan, with real commits: one move wins and happens once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient

from app.changes.queries import verify_journal
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow
from app.main import create_app
from app.plans.revisions.models import PlanRevisionRow
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY, furnish, put, put_plan, read_rows
from tests.workflow.moves import CODED, SIGNED, Movers, move

pytestmark = pytest.mark.both_engines

THREADS = 8
YEARS = count(2015)
"""A new plan for each test, as these databases keep adopted plans."""


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    with own_database(request.param) as database:
        furnish(database)
        yield database


@pytest.fixture
def connect(committed: Database, portal: BlockingPortal) -> Iterator[Callable[..., TestClient]]:
    app = create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)
    opened: list[TestClient] = []

    def connect_as(*roles: Any) -> TestClient:
        headers = {"Authorization": f"Bearer {token_for(committed, *roles)}"}
        opened.append(Client(app, portal, headers=headers, raise_server_exceptions=False))
        return opened[-1]

    yield connect_as
    for client in opened:
        client.close()


@pytest.fixture
def plan(connect: Callable[..., TestClient]) -> str:
    """A first draft with a line ready for submission."""
    writer, plan = connect(("secretariat", "63.02")), f"63.02-{next(YEARS)}"
    put_plan(writer, plan)
    put(writer, "A-1", plan=plan, base=CODED, milestones=[])
    return plan


def sign(plan: str, number: int = 0) -> dict[str, str]:
    return {**SIGNED, "number": str(number), "date": f"{int(plan[-4:]) - 1}-12-19"}


def run_concurrently(works: list[Callable[[], Any]]) -> list[Any]:
    gate = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        gate.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


@pytest.mark.parametrize("is_same", [True, False], ids=["same instrument", "each its own"])
def test_one_of_many_concurrent_adoptions_succeeds(
    committed: Database, connect: Callable[..., TestClient], plan: str, is_same: bool
) -> None:
    movers = Movers(connect)
    for verb in ("submit", "endorse"):
        assert movers.move(verb, plan=plan).status_code == 200
    tag = movers.chair.get(f"/v1/plans/{plan}").headers["ETag"]
    chairs = [connect(("chair", "63.02")) for _ in range(THREADS)]
    replies = run_concurrently(
        [
            lambda client=client, n=n: move(
                client, "adopt", plan=plan, body=sign(plan, 0 if is_same else n), headers={"If-Match": tag}
            )
            for n, client in enumerate(chairs)
        ]
    )
    statuses = Counter(reply.status_code for reply in replies)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 412}
    (winner,) = [n for n, reply in enumerate(replies) if reply.status_code == 200]
    revision = get_table(PlanRevisionRow).c
    frozen = movers.chair.get(f"/v1/plans/{plan}/revisions").json()["items"]
    assert [revision["instrument_number"] for revision in frozen] == [str(0 if is_same else winner)]
    journal = get_table(JournalRow).c
    count_adopted = sa.select(sa.func.count()).where(
        journal.subject == f"plans/{plan}", journal.kind == "plan.adopted"
    )
    assert read_rows(committed, count_adopted)[0][0] == 1
    assert read_rows(committed, sa.select(revision.number).where(revision.sha256 == frozen[0]["sha256"]))
    assert movers.chair.get(f"/v1/plans/{plan}").json()["version"] == 4
    with committed.read_session() as session:
        assert verify_journal(session).breaks == []


def test_if_match_any_does_not_adopt_a_second_time(connect: Callable[..., TestClient], plan: str) -> None:
    movers = Movers(connect)
    for verb in ("submit", "endorse"):
        assert movers.move(verb, plan=plan).status_code == 200
    chairs = [connect(("chair", "63.02")) for _ in range(THREADS)]
    replies = run_concurrently(
        [
            lambda client=client, n=n: move(client, "adopt", plan=plan, body=sign(plan, n))
            for n, client in enumerate(chairs)
        ]
    )
    assert Counter(reply.status_code for reply in replies) == {200: 1, 409: THREADS - 1}
    assert {reply.json()["code"] for reply in replies if reply.status_code == 409} == {"already_moved"}
    assert len(movers.chair.get(f"/v1/plans/{plan}/revisions").json()["items"]) == 1


def test_no_concurrent_line_enters_a_submitted_plan(connect: Callable[..., TestClient], plan: str) -> None:
    movers, writers = Movers(connect), [connect(("secretariat", "63.02")) for _ in range(THREADS - 1)]
    path = f"/v1/plans/{plan}/actions"
    line = {**CODED, "milestones": []}
    replies = run_concurrently(
        [
            lambda: movers.move("submit", plan=plan),
            *(
                lambda client=client, n=n: client.put(f"{path}/B-{n}", json=line)
                for n, client in enumerate(writers)
            ),
        ]
    )
    assert replies[0].status_code == 200
    created = [reply for reply in replies[1:] if reply.status_code == 201]
    refused = [reply for reply in replies[1:] if reply.status_code == 409]
    assert len(created) + len(refused) == THREADS - 1
    assert {reply.json()["code"] for reply in refused} <= {"plan_not_editable"}
    submitted = replies[0].json()["action_count"]
    assert submitted == 1 + len(created)
    assert movers.chair.get(f"/v1/plans/{plan}").json()["action_count"] == submitted
    late = writers[0].patch(f"{path}/A-1", json={"note": "x"}, headers=ANY)
    assert late.status_code == 409
