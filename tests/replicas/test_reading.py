"""A replica takes the reads, and nobody can tell by the answers: not by what was just written, nor by what was read."""

import threading
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy import event
from structlog.testing import capture_logs

from app.kit.database.engine import Database
from app.kit.database.replicas import Replicated
from tests.changes.feed import now, page
from tests.plans.world import AT, LEAN, put
from tests.pulls.test_transfers import client_of
from tests.pulls.world import forget, pull
from tests.replicas.conftest import in_use
from tests.replicas.standby import Standby, until

LINE = f"{AT}/actions/L-01"


def mark(database: Database, title: str) -> None:
    """A title that the journal knows nothing of: who reads the replica while it rests does not see it."""
    with database.writing() as session:
        session.execute(sa.text("UPDATE action SET title = :title WHERE code = 'L-01'"), {"title": title})


def titled(client: TestClient) -> str:
    reply = client.get(LINE)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["title"])


@pytest.fixture
def client(database: Replicated) -> TestClient:
    client = client_of(database)
    titled(client)
    return client


def catch_up(standby: Standby, database: Replicated) -> None:
    """The replica keeps up again, and a connection to it is at hand."""
    standby.resume()
    standby.catch_up()
    until(lambda: database.replica.is_in_use, "in use again")


def test_reads_are_the_replicas_and_cost_the_primary_one_statement(
    database: Replicated, standby: Standby, client: TestClient
) -> None:
    put(client, "L-01", base=LEAN, title="Lama")
    standby.catch_up()
    standby.pause()
    mark(database, "Baru")
    asked: list[str] = []

    def note(*told: Any) -> None:
        if threading.current_thread().name != "replica":  # which looks after it
            asked.append(told[2])

    event.listen(database.reads, "before_cursor_execute", note)
    before = dict(database.reads_by)
    assert titled(client) == "Lama"
    found = pull(client)
    assert "Lama" in [row["title"] for row in found.rows]
    report = client.get("/v1/reports/absorption.csv?period=2026-Q2&region=63.02")
    assert report.status_code == 200, report.text
    assert database.reads_by == {"primary": before["primary"], "replica": before["replica"] + 3}
    # who calls, three times; where the journal stands, for the two that are made in one state
    assert len(asked) == 5
    assert sum("FROM token" in one for one in asked) == 3
    catch_up(standby, database)
    forget(client)
    assert titled(client) == "Baru"


def test_who_writes_reads_it_at_once(database: Replicated, client: TestClient) -> None:
    before = database.reads_by["replica"]
    for n in range(10):
        put(client, "L-01", base=LEAN, title=f"Ke-{n}")
        assert titled(client) == f"Ke-{n}"
    assert database.reads_by["replica"] > before


def test_while_it_rests_nothing_is_answered_of_what_was(
    database: Replicated, standby: Standby, client: TestClient
) -> None:
    put(client, "L-01", base=LEAN, title="Lama")
    standby.catch_up()
    old, cursor = client.get(LINE), now(client)
    before_all = pull(client)
    listed = client.get(f"{AT}/actions")
    other = client_of(database)
    assert titled(other) == "Lama"
    standby.pause()
    with capture_logs() as logs:
        put(client, "L-01", base=LEAN, title="Baru")
        assert titled(client) == "Baru"
        again = client.get(LINE, headers={"If-None-Match": old.headers["ETag"]})
        assert (again.status_code, again.json()["title"]) == (200, "Baru")
        assert client.get(LINE, headers={"If-None-Match": again.headers["ETag"]}).status_code == 304
        # a tag that is found before the parameters are read
        assert (
            client.get(f"{AT}/actions", headers={"If-None-Match": listed.headers["ETag"]}).status_code == 200
        )
        found = page(client, cursor)
        assert [one["kind"] for one in found["items"]] == ["action.changed"]
        assert page(client, found["next"])["items"] == []
        newest = now(client)
        assert newest == found["next"]
        forget(client)
        assert pull(client).tag != before_all.tag
        served = database.reads_by["replica"]
        for _ in range(5):
            titled(client)
        assert database.reads_by["replica"] == served
    assert [(one["event"], one["reason"]) for one in logs if "replica" in one["event"]] == [
        ("replica_aside", "behind")
    ]
    catch_up(standby, database)
    assert page(client, newest)["items"] == []
    assert titled(client) == "Baru"
    assert database.reads_by["replica"] > served


def test_a_token_that_was_revoked_is_refused_though_the_replica_still_has_it(
    database: Replicated, standby: Standby
) -> None:
    admin, doomed = client_of(database, role=("administrator", "0")), client_of(database)
    who = doomed.get("/v1/me").json()
    standby.catch_up()
    assert titled(doomed)
    standby.pause()
    assert titled(doomed)
    revoke = f"/v1/principals/{who['principal']}/tokens/{who['token']}/revoke"
    assert admin.post(revoke).status_code == 200
    assert doomed.get(LINE).status_code == 401
    catch_up(standby, database)
    assert doomed.get(LINE).status_code == 401


def test_what_the_journal_does_not_tell_is_read_from_the_primary(
    database: Replicated, standby: Standby
) -> None:
    admin = client_of(database, role=("administrator", "0"))
    who = admin.get("/v1/me").json()
    at = f"/v1/principals/{who['principal']}/tokens"
    assert admin.get(at).json()["items"][0]["last_used_at"] is None
    standby.catch_up()
    standby.pause()
    admin.app.state.uses.write(database)  # type: ignore[attr-defined]  # an ASGI application has it
    assert database.replica.is_in_use
    assert admin.get(at).json()["items"][0]["last_used_at"] is not None
    assert admin.get(f"{at}/{who['token']}").json()["last_used_at"] is not None
    catch_up(standby, database)


def test_what_the_primary_does_not_show_yet_is_not_shown_either(
    database: Replicated, client: TestClient, standby: Standby
) -> None:
    """As while a commit waits for a synchronous replica, which another replica need not wait for."""
    put(client, "L-01", base=LEAN, title="Terlihat")
    step = sa.text("UPDATE journal_head SET position = position + :by WHERE chain = 'feed'")
    with closing(in_use(standby)) as other:
        caller = client_of(other)
        standby.catch_up()
        standby.pause()
        with database.writing() as session:
            session.execute(step, {"by": -1})
        assert titled(caller) == "Terlihat"
        assert other.reads_by == {"primary": 1, "replica": 0}
        assert other.replica.is_in_use
    with database.writing() as session:
        session.execute(step, {"by": 1})
