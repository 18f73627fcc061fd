"""What waits or runs too long is cancelled by the database and answered 503: never a 500, and nothing stays behind."""

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from app.kit.database.engine import Database, Timeouts
from app.kit.database.errors import find_problem
from app.kit.problems import Busy
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import ENGINES, own_url
from tests.plans.world import ANY, AT, put_plan

SHORT = 0.2
#: SQLite has no time-outs of statements and transactions.
on_postgres = pytest.mark.parametrize("url", [one for one in ENGINES if one == "postgres"], indirect=True)


def opened(url: str, **patience: float) -> Database:
    return Database(url, pool_size=1, patience=Timeouts(**patience))


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that keeps what is written to it."""
    with own_url(request.param) as found:
        yield found


def client_of(database: Database) -> TestClient:
    settings = Settings(_env_file=None, database_url="sqlite://")
    secret = token_for(database, ("secretariat", "63.02"))
    headers = {"Authorization": f"Bearer {secret}"}
    return TestClient(create_app(settings, database), headers=headers, raise_server_exceptions=False)


def is_busy(client: TestClient) -> bool:
    reply = client.put(AT, json={"title": "Tertahan"}, headers=ANY)
    found = (reply.status_code, reply.json()["code"], reply.headers.get("Retry-After"))
    return found == (503, "busy", "1")


def test_who_waits_too_long_for_a_lock_hears_503_and_may_come_again(url: str) -> None:
    holder, database = Database(url), opened(url, lock=SHORT)
    client = client_of(database)
    put_plan(client)
    with holder.write_session() as session:
        session.execute(sa.text("UPDATE plan SET title = 'Dipegang'"))
        assert is_busy(client)
        session.rollback()
    done = client.put(AT, json={"title": "Kini"}, headers=ANY)
    assert (done.status_code, done.json()["version"]) == (200, 2)
    for one in (holder, database):
        one.close()


@on_postgres
def test_a_cancelled_statement_is_503_and_its_connection_goes_on(url: str) -> None:
    holder, database = Database(url), opened(url, statement=SHORT)
    client = client_of(database)
    with holder.engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE plan IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as cancelled, database.read_session() as session:
            session.execute(sa.text("SELECT count(*) FROM plan"))
        assert getattr(cancelled.value.orig, "sqlstate", "") == "57014"
        reply = client.get("/v1/plans")
        assert (reply.status_code, reply.json()["code"]) == (503, "busy")
        assert is_busy(client)
    assert client.get("/v1/plans").status_code == 200
    for one in (holder, database):
        one.close()


@on_postgres
def test_a_transaction_in_which_nothing_is_asked_is_ended_and_the_next_one_works(url: str) -> None:
    database = opened(url, idle_transaction=SHORT)
    with database.write_session() as session:
        session.execute(sa.text("SELECT 1"))
        time.sleep(3 * SHORT)
        with pytest.raises(DBAPIError) as ended:
            session.execute(sa.text("SELECT 1"))
    assert isinstance(find_problem(ended.value), Busy)
    with database.writing() as session:
        assert session.scalar(sa.text("SELECT 1")) == 1
    database.close()


@on_postgres
def test_a_request_that_finds_no_connection_is_503(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(url)
    client = client_of(database)
    monkeypatch.setattr(database.reads.pool, "_timeout", SHORT)
    with database.reads.connect(), database.reads.connect():  # as many as there are at the most
        reply = client.get("/v1/plans")
    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (503, "busy", "1")
    assert client.get("/v1/plans").status_code == 200
    database.close()


def test_a_database_that_does_not_answer_is_503() -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    settings = Settings(_env_file=None, database_url="sqlite://")
    with TestClient(create_app(settings, away), raise_server_exceptions=False) as client:
        reply = client.get("/ready")
    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (503, "busy", "1")
