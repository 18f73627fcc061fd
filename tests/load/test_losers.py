"""The server retries a request after a serialization failure, from its beginning and a bounded number of times."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from structlog.testing import capture_logs

from app.kit.database.engine import Database, Timeouts
from app.kit.http import routing
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import ENGINES, own_url
from tests.plans.world import ANY, AT, put_plan
from tests.postgres import WAITING

ATTEMPTS = len(routing.PAUSES) + 1
IMPORT = "/v1/coordinates/import?code_system=kemendagri"
POINTS = {"file": ("titik.csv", b"region_code,longitude,latitude,source\n63.02,116.218,-3.2889,Bappeda\n")}


class Rival:
    """A connection of another service that locks rows that the requests write."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.session = self.database.write_session()

    def lock_plans(self) -> None:
        self.session.execute(sa.text("UPDATE plan SET title = title"))

    def release(self) -> None:
        self.session.rollback()

    def close(self) -> None:
        self.session.close()
        self.database.close()


@pytest.fixture
def rival(database: Database) -> Iterator[Rival]:
    rival = Rival(database.url.render_as_string(hide_password=False))
    yield rival
    rival.close()


def open_database(engine: str) -> Iterator[Database]:
    with own_url(engine) as url:
        database = Database(url, patience=Timeouts(lock=0.02 if engine == "sqlite" else 0))
        yield database
        database.close()


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Database]:
    yield from open_database("sqlite")


@pytest.fixture(scope="module", params=[engine for engine in ENGINES if engine == "postgres"])
def on_postgres() -> Iterator[Database]:
    yield from open_database("postgres")


@pytest.fixture
def failures(database: Database) -> Iterator[list[Callable[[], None]]]:
    """Callbacks for the first errors of the database; each error appends None."""
    planned: list[Any] = []

    def note(context: ExceptionContext) -> None:
        if planned and planned[0] is not None:
            planned.pop(0)()
        planned.append(None)

    event.listen(database.engine, "handle_error", note)
    yield planned
    event.remove(database.engine, "handle_error", note)


def create_client(database: Database, role: tuple[str, str] = ("secretariat", "63.02")) -> TestClient:
    app = create_app(Settings(_env_file=None, database_url="sqlite://"), database)
    headers = {"Authorization": f"Bearer {token_for(database, role)}"}
    return TestClient(app, headers=headers, raise_server_exceptions=False)


class TestOnSqlite:
    @pytest.fixture
    def database(self, on_sqlite: Database) -> Database:
        return on_sqlite

    def test_a_write_to_a_busy_file_succeeds_once_it_is_free(
        self, database: Database, rival: Rival, failures: list[Any]
    ) -> None:
        client = create_client(database)
        put_plan(client)
        rival.lock_plans()
        failures.append(rival.release)
        done = client.put(AT, json={"title": "Akhirnya"}, headers=ANY)
        assert (done.status_code, done.json()["version"], len(failures)) == (200, 2, 1)
        rows = client.get("/v1/changes", params={"region": "63.02"}).json()["items"]
        assert [row["version"] for row in rows if row["kind"].startswith("plan.")] == [1, 2]

    def test_a_request_that_keeps_failing_is_503(
        self, database: Database, rival: Rival, failures: list[Any]
    ) -> None:
        client = create_client(database, ("administrator", "0"))
        rival.lock_plans()
        reply = client.put("/v1/plans/63.02-2027", json={"title": "RAT"})
        result = (reply.status_code, reply.json()["code"], reply.headers["Retry-After"])
        assert (*result, len(failures)) == (503, "busy", "1", ATTEMPTS)

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
    def test_a_form_is_retried(
        self, database: Database, rival: Rival, failures: list[Any], headers: dict[str, str]
    ) -> None:
        client = create_client(database, ("administrator", "0"))
        rival.lock_plans()
        reply = client.post(IMPORT, files=POINTS, headers=headers)
        assert (reply.status_code, reply.json()["code"], len(failures)) == (503, "busy", ATTEMPTS)
        rival.release()
        done = client.post(IMPORT, files=POINTS, headers=headers)
        assert (done.status_code, done.headers.get("Idempotency-Replayed")) == (200, None)


class TestOnPostgres:
    @pytest.fixture
    def database(self, on_postgres: Database) -> Database:
        return on_postgres

    def test_the_victim_of_a_deadlock_is_retried(
        self, database: Database, rival: Rival, failures: list[Any]
    ) -> None:
        client = create_client(database)
        put_plan(client)
        rival.session.execute(sa.text("SET deadlock_timeout = '20s'"))  # so that the request is the victim
        rival.lock_plans()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.put, AT, json={"title": "Akhirnya"}, headers=ANY)
            wait_for_lock(database)
            rival.session.execute(sa.text("UPDATE journal_head SET position = position"))
            rival.release()
            done = waiting.result(20)
        assert (done.status_code, done.json()["version"], len(failures)) == (200, 2, 1)

    def test_statements_outdated_by_a_migration_are_prepared_again(self, database: Database) -> None:
        """A prepared statement fails after a change of a column type; the server retries the request."""
        client = create_client(database)
        put_plan(client, "63.02-2028")
        at = "/v1/plans/63.02-2028"
        for _ in range(6):  # prepared from the third on
            assert client.get(at).status_code == 200
        with database.writing() as session:
            session.execute(sa.text('ALTER TABLE token ALTER COLUMN name TYPE varchar(99) COLLATE "C"'))
        with capture_logs() as logs:
            assert client.get(at).status_code == 200
            assert client.put(at, json={"title": "Sesudah"}, headers=ANY).status_code == 200
        assert [line["event"] for line in logs if line["event"] != "request"] == ["lost"]


def wait_for_lock(database: Database) -> None:
    waits = sa.text(WAITING)
    for _ in range(500):
        with database.read_session() as session:
            if session.scalar(waits):
                return
        time.sleep(0.01)
    raise AssertionError("no connection waits for a lock")
