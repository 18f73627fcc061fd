"""Last freezes of a province at the same time, and settlements by workers, with real commits: one yardstick."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.convergence.scorecards.yardsticks.commands import settle_due
from app.convergence.scorecards.yardsticks.queries import yardsticks
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY, LEAN, furnish, put, put_plan
from tests.quarters.world import ACCEPTED
from tests.scorecards.world import adopt, measure_fairly
from tests.test_concurrency import at_once

pytestmark = pytest.mark.both_engines

REGIONS = ("63.02", "63.03")
FAR = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    with own_database(request.param) as database:
        for region in REGIONS:
            furnish(database, region)
        measure_fairly(database)
        yield database


@pytest.fixture(scope="module")
def callers(committed: Database) -> list[TestClient]:
    app = create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)
    secrets = [token_for(committed, ("administrator", "0"), ("reviewer", "63")) for _ in range(3)]
    return [TestClient(app, headers={"Authorization": f"Bearer {secret}"}) for secret in secrets]


def verify_both(callers: list[TestClient], database: Database, period: str) -> None:
    """Bring the quarter of both regencies to the state before the freeze; it is due long after today."""
    days = {"opens_on": "2019-01-01", "due_on": "2098-01-10", "issued_by": "Gubernur"}
    assert callers[0].put(f"/v1/regions/63/calendar/{period}", json=days).status_code == 201
    for region in REGIONS:
        plan = f"{region}-{period[:4]}"
        put_plan(callers[0], plan)
        put(callers[0], "A-1", plan=plan, base=LEAN)
        adopt(database, plan)
        for verb in ("submit", "verify"):
            path = f"/v1/regions/{region}/quarters/{period}/{verb}"
            reply = callers[0].post(path, headers=ANY, json=ACCEPTED if verb == "submit" else None)
            assert reply.status_code == 200, reply.text


def count_settled(database: Database, period: str) -> tuple[int, int]:
    """Return the number of yardsticks of a quarter, and of their entries in the journal."""
    journal = get_table(JournalRow)
    with database.read_session() as session:
        rows = session.scalars(sa.select(yardsticks.c.period).where(yardsticks.c.period == period)).all()
        subject = f"regions/63/yardsticks/{period}"
        entries = session.scalars(sa.select(journal.c.kind).where(journal.c.subject == subject)).all()
    return len(rows), len(entries)


@pytest.mark.parametrize("year", range(2026, 2029))
def test_two_last_freezes_settle_one_yardstick(
    committed: Database, callers: list[TestClient], year: int
) -> None:
    period = f"{year}-Q2"
    verify_both(callers, committed, period)

    def freeze(caller: TestClient, number: int) -> int:
        return caller.post(f"/v1/regions/{REGIONS[number]}/quarters/{period}/freeze", headers=ANY).status_code

    assert at_once(callers[:2], freeze) == [200, 200]
    assert count_settled(committed, period) == (1, 1)


def test_a_freeze_and_workers_settle_one_yardstick(committed: Database, callers: list[TestClient]) -> None:
    period = "2029-Q2"
    verify_both(callers, committed, period)
    path = "/v1/regions/63.02/quarters/2029-Q2/freeze"
    assert callers[0].post(path, headers=ANY).status_code == 200

    def freeze_or_settle(caller: TestClient, number: int) -> int:
        if number:
            settle_due(committed, FAR + timedelta(days=number))
            return 200
        return caller.post(path.replace("63.02", "63.03"), headers=ANY).status_code

    assert at_once(callers, freeze_or_settle) == [200, 200, 200]
    assert count_settled(committed, period) == (1, 1)
    settle_due(committed, FAR)
    assert count_settled(committed, period) == (1, 1)
