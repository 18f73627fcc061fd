"""Many who move a plan, and who write to it meanwhile, with real commits: one wins, nothing is doubled."""

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
from tests.plans.world import ANY, furnish, put, put_plan, rows
from tests.workflow.moves import CODED, SIGNED, Movers, move

pytestmark = pytest.mark.both_engines

THREADS = 8
YEARS = count(2015)
"""Each test has a plan of its own: what was adopted is not taken away again."""


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
    """A first draft with a line that can be submitted."""
    writer, plan = connect(("secretariat", "63.02")), f"63.02-{next(YEARS)}"
    put_plan(writer, plan)
    put(writer, "A-1", plan=plan, base=CODED, milestones=[])
    return plan


def signed(plan: str, number: int = 0) -> dict[str, str]:
    return {**SIGNED, "number": str(number), "date": f"{int(plan[-4:]) - 1}-12-19"}


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    gate = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        gate.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


@pytest.mark.parametrize("is_same", [True, False], ids=["same instrument", "each its own"])
def test_of_many_who_adopt_one_does(
    committed: Database, connect: Callable[..., TestClient], plan: str, is_same: bool
) -> None:
    movers = Movers(connect)
    for verb in ("submit", "endorse"):
        assert movers.move(verb, plan=plan).status_code == 200
    tag = movers.chair.get(f"/v1/plans/{plan}").headers["ETag"]
    chairs = [connect(("chair", "63.02")) for _ in range(THREADS)]
    done = at_once(
        [
            lambda who=who, n=n: move(
                who, "adopt", plan=plan, body=signed(plan, 0 if is_same else n), headers={"If-Match": tag}
            )
            for n, who in enumerate(chairs)
        ]
    )
    statuses = Counter(one.status_code for one in done)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 412}
    (winner,) = [n for n, one in enumerate(done) if one.status_code == 200]
    revision = get_table(PlanRevisionRow).c
    frozen = movers.chair.get(f"/v1/plans/{plan}/revisions").json()["items"]
    assert [one["instrument_number"] for one in frozen] == [str(0 if is_same else winner)]
    journal = get_table(JournalRow).c
    adopted = sa.select(sa.func.count()).where(
        journal.subject == f"plans/{plan}", journal.kind == "plan.adopted"
    )
    assert rows(committed, adopted)[0][0] == 1
    assert rows(committed, sa.select(revision.number).where(revision.sha256 == frozen[0]["sha256"]))
    assert movers.chair.get(f"/v1/plans/{plan}").json()["version"] == 4
    with committed.read_session() as session:
        assert verify_journal(session).breaks == []


def test_who_accepts_to_overwrite_adopts_no_second_time(
    connect: Callable[..., TestClient], plan: str
) -> None:
    movers = Movers(connect)
    for verb in ("submit", "endorse"):
        assert movers.move(verb, plan=plan).status_code == 200
    chairs = [connect(("chair", "63.02")) for _ in range(THREADS)]
    done = at_once(
        [
            lambda who=who, n=n: move(who, "adopt", plan=plan, body=signed(plan, n))
            for n, who in enumerate(chairs)
        ]
    )
    assert Counter(one.status_code for one in done) == {200: 1, 409: THREADS - 1}
    assert {one.json()["code"] for one in done if one.status_code == 409} == {"already_moved"}
    assert len(movers.chair.get(f"/v1/plans/{plan}/revisions").json()["items"]) == 1


def test_no_line_slips_into_a_plan_that_was_submitted(connect: Callable[..., TestClient], plan: str) -> None:
    movers, writers = Movers(connect), [connect(("secretariat", "63.02")) for _ in range(THREADS - 1)]
    at = f"/v1/plans/{plan}/actions"
    line = {**CODED, "milestones": []}
    done = at_once(
        [
            lambda: movers.move("submit", plan=plan),
            *(lambda who=who, n=n: who.put(f"{at}/B-{n}", json=line) for n, who in enumerate(writers)),
        ]
    )
    assert done[0].status_code == 200
    written = [one for one in done[1:] if one.status_code == 201]
    refused = [one for one in done[1:] if one.status_code == 409]
    assert len(written) + len(refused) == THREADS - 1
    assert {one.json()["code"] for one in refused} <= {"plan_not_editable"}
    submitted = done[0].json()["action_count"]
    assert submitted == 1 + len(written)
    assert movers.chair.get(f"/v1/plans/{plan}").json()["action_count"] == submitted
    late = writers[0].patch(f"{at}/A-1", json={"note": "x"}, headers=ANY)
    assert late.status_code == 409
