"""Time-outs of the database are 503, never 500, and release their connections and locks."""

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
on_postgres = pytest.mark.parametrize(
    "url", [engine for engine in ENGINES if engine == "postgres"], indirect=True
)


def open_database(url: str, **patience: float) -> Database:
    return Database(url, pool_size=1, patience=Timeouts(**patience))


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database with committed writes."""
    with own_url(request.param) as url:
        yield url


def create_client(database: Database) -> TestClient:
    settings = Settings(_env_file=None, database_url="sqlite://")
    secret = token_for(database, ("secretariat", "63.02"))
    headers = {"Authorization": f"Bearer {secret}"}
    return TestClient(create_app(settings, database), headers=headers, raise_server_exceptions=False)


def is_busy(client: TestClient) -> bool:
    reply = client.put(AT, json={"title": "Tertahan"}, headers=ANY)
    result = (reply.status_code, reply.json()["code"], reply.headers.get("Retry-After"))
    return result == (503, "busy", "1")


def test_a_lock_time_out_is_503_and_a_retry_succeeds(url: str) -> None:
    holder, database = Database(url), open_database(url, lock=SHORT)
    client = create_client(database)
    put_plan(client)
    with holder.write_session() as session:
        session.execute(sa.text("UPDATE plan SET title = 'Dipegang'"))
        assert is_busy(client)
        session.rollback()
    done = client.put(AT, json={"title": "Kini"}, headers=ANY)
    assert (done.status_code, done.json()["version"]) == (200, 2)
    for opened in (holder, database):
        opened.close()


@on_postgres
def test_a_cancelled_statement_is_503_and_its_connection_stays_usable(url: str) -> None:
    holder, database = Database(url), open_database(url, statement=SHORT)
    client = create_client(database)
    with holder.engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE plan IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as cancelled, database.read_session() as session:
            session.execute(sa.text("SELECT count(*) FROM plan"))
        assert getattr(cancelled.value.orig, "sqlstate", "") == "57014"
        reply = client.get("/v1/plans")
        assert (reply.status_code, reply.json()["code"]) == (503, "busy")
        assert is_busy(client)
    assert client.get("/v1/plans").status_code == 200
    for opened in (holder, database):
        opened.close()


@on_postgres
def test_an_idle_transaction_is_ended_and_the_next_one_works(url: str) -> None:
    database = open_database(url, idle_transaction=SHORT)
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
    database = open_database(url)
    client = create_client(database)
    monkeypatch.setattr(database.reads.pool, "_timeout", SHORT)
    with database.reads.connect(), database.reads.connect():  # all connections of the pool
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
