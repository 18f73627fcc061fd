"""Pulls, digests and files of reports come from a replica without lag; all other reads from the primary."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import Database
from app.kit.database.replicas import ReplicatedDatabase
from tests.plans.world import AT, LEAN, put
from tests.pulls.test_transfers import client_of
from tests.pulls.world import forget, pull
from tests.replicas.standby import Standby

LINE = f"{AT}/actions/L-01"
DIGEST = "/v1/digests/2026-Q2?region=63.02"
REPORT = "/v1/reports/absorption.csv?period=2026-Q2&region=63.02"


def mark(database: Database, title: str) -> None:
    """Write a title without a journal row: a paused replica lacks it at an equal journal height."""
    with database.writing() as session:
        session.execute(sa.text("UPDATE action SET title = :title WHERE code = 'L-01'"), {"title": title})


def pull_title(client: TestClient) -> str:
    forget(client)
    (title,) = [row["title"] for row in pull(client).rows if row["action"] == "L-01"]
    return str(title)


@pytest.fixture
def client(database: ReplicatedDatabase, standby: Standby) -> TestClient:
    client = client_of(database)
    put(client, "L-01", base=LEAN, title="Lama")
    standby.catch_up()
    return client


def test_pulls_digests_and_reports_use_the_replica_and_other_reads_the_primary(
    database: ReplicatedDatabase, standby: Standby, client: TestClient
) -> None:
    standby.pause()
    mark(database, "Baru")
    assert pull_title(client) == "Lama"
    for path in (DIGEST, REPORT):
        assert client.get(path).status_code == 200
    assert database.reads_by == {"primary": 0, "replica": 3}
    assert client.get(LINE).json()["title"] == "Baru"
    assert database.reads_by == {"primary": 0, "replica": 3}
    standby.resume()
    standby.catch_up()
    assert pull_title(client) == "Baru"


def test_a_pull_has_all_earlier_writes_despite_lag(
    database: ReplicatedDatabase, standby: Standby, client: TestClient
) -> None:
    tag = pull(client).tag
    digest = client.get(DIGEST).json()
    standby.pause()
    put(client, "L-01", base=LEAN, title="Sesudah")
    assert pull_title(client) == "Sesudah"
    assert pull(client).tag != tag
    assert client.get(DIGEST).json() != digest
    assert client.get(REPORT).status_code == 200
    assert (database.reads_by, database.rows_behind) == ({"primary": 3, "replica": 2}, 1)
    standby.resume()
    standby.catch_up()
    assert pull_title(client) == "Sesudah"
    assert database.reads_by["replica"] == 3


def test_a_revoked_token_is_refused_despite_lag(database: ReplicatedDatabase, standby: Standby) -> None:
    admin, doomed = client_of(database, role=("administrator", "0")), client_of(database)
    caller = doomed.get("/v1/me").json()
    standby.catch_up()
    standby.pause()
    revoke = f"/v1/principals/{caller['principal']}/tokens/{caller['token']}/revoke"
    assert admin.post(revoke).status_code == 200
    assert doomed.get(DIGEST).status_code == 401
