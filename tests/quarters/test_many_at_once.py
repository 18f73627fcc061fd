"""Concurrent freezing, and reporting during a submission, with real commits: no duplicate, no lost report."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow
from app.main import create_app
from app.settings import Settings
from app.tracking.quarters.snapshots.models import SnapshotRow
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY, LEAN, furnish, put_many, put_plan
from tests.quarters.world import ACCEPTED
from tests.test_concurrency import THREADS, at_once

pytestmark = pytest.mark.both_engines

_years = count(2026)


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    with own_database(request.param) as database:
        furnish(database)
        yield database


class Year:
    """A plan of a new year with 20 lines, and one client for each thread."""

    def __init__(self, database: Database) -> None:
        self.year = next(_years)
        self.plan = f"63.02-{self.year}"
        self.quarter = f"/v1/regions/63.02/quarters/{self.year}-Q2"
        app = create_app(Settings(_env_file=None, database_url=str(database.url)), database)
        secrets = [token_for(database, role) for role in (("secretariat", "63.02"), ("reviewer", "63"))]
        self.secretariats, self.reviewers = (
            [
                TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)
                for _ in range(THREADS)
            ]
            for secret in secrets
        )
        put_plan(self.secretariats[0], self.plan)
        put_many(self.secretariats[0], [{**LEAN, "code": f"L-{n}"} for n in range(20)], plan=self.plan)

    def submit(self) -> int:
        return self.secretariats[0].post(f"{self.quarter}/submit", json=ACCEPTED, headers=ANY).status_code


@pytest.fixture
def year(committed: Database) -> Year:
    return Year(committed)


@pytest.mark.parametrize("condition", ["*", "tag"])
def test_one_of_eight_concurrent_freezes_succeeds(year: Year, committed: Database, condition: str) -> None:
    assert year.submit() == 200
    first = year.reviewers[0]
    tag = first.post(f"{year.quarter}/verify", headers=ANY).headers["ETag"]
    match = {"If-Match": tag if condition == "tag" else "*"}
    replies = at_once(year.reviewers, lambda c, n: c.post(f"{year.quarter}/freeze", headers=match))
    statuses = Counter(reply.status_code for reply in replies)
    assert statuses == {200: 1, 412 if condition == "tag" else 409: THREADS - 1}
    table, journal = get_table(SnapshotRow), get_table(JournalRow)
    with committed.read_session() as session:
        frozen = session.execute(sa.select(table.c.amendment).where(table.c.year == year.year)).all()
        kinds = session.scalars(
            sa.select(journal.c.kind).where(
                journal.c.chain == f"plan:{year.plan}",
                journal.c.kind.in_(["quarter.frozen", "snapshot.created"]),
            )
        ).all()
    assert [row.amendment for row in frozen] == [0]
    assert sorted(kinds) == ["quarter.frozen", "snapshot.created"]


def test_a_snapshot_holds_exactly_the_reports_accepted_before_the_submission(year: Year) -> None:

    def report_or_submit(client: TestClient, number: int) -> list[tuple[str, int]]:
        if number == 0:
            return [("", year.submit())]
        statuses = []
        for line in range(number, 20, THREADS):
            path = f"/v1/plans/{year.plan}/actions/L-{line}/progress/{year.year}-Q2"
            statuses.append((f"L-{line}", client.put(path, json={"obstacle": "x"}).status_code))
        return statuses

    results = dict(entry for thread in at_once(year.secretariats, report_or_submit) for entry in thread)
    assert results.pop("") == 200
    assert set(results.values()) <= {201, 409}
    for verb in ("verify", "freeze"):
        assert year.reviewers[0].post(f"{year.quarter}/{verb}", headers=ANY).status_code == 200
    rows = year.reviewers[0].get(f"/v1/snapshots/{year.year}-Q2/63.02").json()["rows"]
    reported = {row["action"] for row in rows if row["report"]}
    assert reported == {line for line, status in results.items() if status == 201}
