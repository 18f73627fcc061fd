"""A database that hangs, vanishes or refuses writes: 503 in time, no lost thread, and recovery by itself."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from unittest.mock import patch

import httpx2 as httpx
import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from app.kit.database import breaker
from app.kit.database.engine import Database, Timeouts
from app.kit.database.errors import find_problem, is_serialization_failure
from app.kit.problems import Busy
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import ENGINES, own_url
from tests.load.silent_line import SilentLine, count_threads, wait_for_threads
from tests.plans.world import ANY, AT, put_plan

STATEMENT = 0.3
CONNECT = 2
needs_postgres = pytest.mark.skipif("postgres" not in ENGINES, reason="a file has no connection that hangs")
needs_sqlite = pytest.mark.skipif("sqlite" not in ENGINES, reason="only a file is full or read-only")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database of a server with committed writes and a plan."""
    with own_url("postgres") as url:
        with closing(Database(url)) as database:
            put_plan(create_client(database))
        yield url


@pytest.fixture
def line(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentLine]:
    """A proxy to the database, with time-outs of tenths of seconds."""
    for name, seconds in {"SLACK": 0.2, "SILENCE": 0.2, "PAUSE": 0.2, "PING_SECONDS": 0.6}.items():
        monkeypatch.setattr(breaker, name, seconds)
    with SilentLine(url) as line:
        yield line


@pytest.fixture
def database(line: SilentLine) -> Iterator[Database]:
    with closing(Database(line.build_url(connect_timeout=CONNECT), patience=Timeouts(STATEMENT))) as database:
        yield database


def build_app(database: Database) -> FastAPI:
    return create_app(Settings(_env_file=None, database_url="sqlite://"), database)


def create_client(database: Database) -> TestClient:
    headers = {"Authorization": f"Bearer {token_for(database, ('secretariat', '63.02'))}"}
    return TestClient(build_app(database), headers=headers, raise_server_exceptions=False)


def get_outcome(reply: httpx.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.headers.get("Retry-After")


BUSY = (503, "1")


@needs_postgres
class TestSilence:
    def test_a_request_during_silence_is_503_and_one_after_it_succeeds(
        self, line: SilentLine, database: Database
    ) -> None:
        client = create_client(database)
        assert client.get(AT).status_code == 200
        before = count_threads()
        line.stop()
        assert get_outcome(client.get(AT)) == BUSY
        assert client.get("/health").status_code == 200
        line.mend(old=False)  # earlier connections stay dead in both pools
        assert client.get(AT).status_code == 200
        assert client.put(AT, json={"title": "Sesudah"}, headers=ANY).status_code == 200
        assert wait_for_threads(before) <= before

    def test_one_request_tries_to_connect_and_the_others_fail_at_once(
        self, line: SilentLine, database: Database
    ) -> None:
        client = create_client(database)
        line.stop()
        attempts, began = line.connections, time.monotonic()
        assert get_outcome(client.get(AT)) == BUSY
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _: get_outcome(client.get(AT)), range(40)))
        assert set(replies) == {BUSY}
        # on a slow machine the first attempt may end and the next begin
        ended = (time.monotonic() - began) // (CONNECT + breaker.PAUSE)
        assert 1 <= line.connections - attempts <= 1 + ended
        line.mend()
        time.sleep(breaker.PAUSE)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: client.get(AT).status_code, range(16))) == {200}

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops packets by socket")
    def test_a_network_that_drops_packets_is_noticed_without_a_statement_time_out(
        self, line: SilentLine
    ) -> None:
        bounds = {"connect_timeout": 2, "tcp_user_timeout": 300, "keepalives_idle": 1}
        with closing(Database(line.build_url(**bounds))) as database:
            client = create_client(database)
            before = count_threads()
            line.swallow()
            assert get_outcome(client.get(AT)) == BUSY
            assert get_outcome(client.put(AT, json={"title": "Hilang"}, headers=ANY)) == BUSY
            line.mend(old=False)
            time.sleep(breaker.PAUSE)
            assert client.put(AT, json={"title": "Kembali"}, headers=ANY).status_code == 200
            assert wait_for_threads(before) <= before

    def test_a_commit_without_a_reply_is_503_and_not_retried(
        self, line: SilentLine, database: Database
    ) -> None:
        client = create_client(database)
        commits: list[object] = []

        def cut(connection: object) -> None:
            commits.append(connection)
            line.stop(requests=False)

        event.listen(database.engine, "commit", cut)
        assert get_outcome(client.put("/v1/plans/63.02-2031", json={"title": "Tanpa kabar"})) == BUSY
        event.remove(database.engine, "commit", cut)
        line.mend(old=False)
        kept = client.get("/v1/plans/63.02-2031")
        assert (kept.status_code, kept.json()["version"], len(commits)) == (200, 1, 1)

    def test_time_outs_apply_to_each_piece_of_a_cursor(self, line: SilentLine, database: Database) -> None:
        numbers = sa.select(sa.func.generate_series(1, 5000)).execution_options(yield_per=500)

        def read() -> None:
            with database.snapshot_session() as session, session.execute(numbers) as rows:
                pieces = rows.partitions()
                assert len(next(pieces)) == 500
                time.sleep(STATEMENT + 2 * breaker.SLACK)  # the reader is slow, not the server
                assert len(next(pieces)) == 500
                line.stop()
                next(pieces)

        with pytest.raises(OperationalError) as cut:
            read()
        assert isinstance(find_problem(cut.value), Busy)

    def test_a_dead_connection_of_the_pool_is_replaced_before_a_request_uses_it(
        self, line: SilentLine, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(breaker, "IDLE_SECONDS", 0)
        client = create_client(database)
        assert client.get(AT).status_code == 200
        line.stop()
        line.mend(old=False)
        assert client.get(AT).status_code == 200
        assert client.put(AT, json={"title": "Tetap"}, headers=ANY).status_code == 200

    def test_a_thousand_requests_for_ready_use_one_thread(self, line: SilentLine, database: Database) -> None:
        app = build_app(database)
        before = count_threads()

        async def send() -> tuple[list[int], int, int, list[int]]:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://rata") as client:

                async def get_status(path: str) -> int:
                    return (await client.get(path)).status_code

                async def wait_until_ready() -> list[int]:
                    statuses = [await get_status("/ready")]
                    while statuses[-1] != 200 and len(statuses) < 500:
                        await asyncio.sleep(0.02)
                        statuses.append(await get_status("/ready"))
                    return statuses

                assert await get_status("/ready") == 200
                count = count_threads()
                line.stop()
                waiting = [asyncio.create_task(get_status("/ready")) for _ in range(1000)]
                await asyncio.sleep(0)
                health = await get_status("/health")
                replies = list(await asyncio.gather(*waiting))
                grown = count_threads() - count
                line.mend(old=False)
                return replies, health, grown, await wait_until_ready()

        replies, health, grown, later = asyncio.run(send())
        assert (set(replies), health, later[-1]) == ({503}, 200, 200)
        assert grown == 0  # one thread pings repeatedly
        assert wait_for_threads(before) <= before

    def test_the_event_loop_does_not_wait_for_a_rollback(self, line: SilentLine, database: Database) -> None:
        client = create_client(database)
        event.listen(database.engine, "rollback", lambda connection: line.stop())

        async def send() -> tuple[int, list[int]]:
            transport = httpx.ASGITransport(client.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://rata", headers=client.headers
            ) as caller:
                refusal = asyncio.create_task(
                    caller.put(AT, json={"title": "X"}, headers={"If-Match": '"99"'})
                )
                while not line.is_silent:
                    await asyncio.sleep(0.01)
                statuses: list[int] = []
                while not refusal.done():
                    statuses.append((await caller.get("/health")).status_code)
                    await asyncio.sleep(0.01)
                return (await refusal).status_code, statuses

        status, statuses = asyncio.run(send())
        assert status in (412, 503)
        assert set(statuses) == {200}
        assert len(statuses) > 2

    def test_ready_is_503_without_a_free_connection(self, url: str) -> None:
        with closing(Database(url, pool_size=1)) as database, TestClient(build_app(database)) as client:
            with database.engine.connect(), database.engine.connect():
                assert client.get("/ready").status_code == 503
                assert client.get("/health").status_code == 200
            assert_ready_again(client)


def assert_ready_again(client: TestClient) -> None:
    """Check that /ready is 200 again within ten seconds."""
    for _ in range(500):
        if client.get("/ready").status_code == 200:
            return
        time.sleep(0.02)
    raise AssertionError("never ready again")


def list_reasons(logs: list[Any]) -> set[str]:
    """Return the reasons of the logged refusals of the database."""
    return {line["reason"] for line in logs if line["event"] == "database_refuses"}


class TestRefusedWrites:
    @needs_postgres
    def test_writes_to_a_read_only_server_are_503(self, url: str) -> None:
        with closing(Database(url, pool_size=1)) as database:
            client = create_client(database)
            for setting, expected in (("on", BUSY), ("off", (200, None))):
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as administrator:
                    administrator.execute("SET default_transaction_read_only = off")
                    name = administrator.info.dbname
                    administrator.execute(
                        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                            sql.Identifier(name), sql.Literal(setting)
                        )
                    )
                if setting == "on":
                    database.engine.dispose()  # the setting applies to new connections
                with capture_logs() as logs:
                    assert get_outcome(client.put(AT, json={"title": setting}, headers=ANY)) == expected
                assert list_reasons(logs) == ({"ReadOnlySqlTransaction"} if setting == "on" else set())
                assert client.get(AT).status_code == 200

    @needs_sqlite
    @pytest.mark.parametrize(
        ("pragma", "reason"), [("query_only = 1", "SQLITE_READONLY"), ("max_page_count = 1", "SQLITE_FULL")]
    )
    def test_writes_to_a_read_only_or_full_file_are_503(self, pragma: str, reason: str) -> None:
        with own_url("sqlite") as file, closing(Database(file)) as database:
            client = create_client(database)
            put_plan(client)

            def restrict(driver: Any, record: Any) -> None:
                driver.execute(f"PRAGMA {pragma}")

            event.listen(database.engine, "connect", restrict)
            database.engine.dispose()
            big = {"title": "Penuh", "note": "x" * 4000}
            with capture_logs() as logs:
                replies = [client.put(AT, json=big | {"title": f"Penuh {n}"}, headers=ANY) for n in range(40)]
            assert list_reasons(logs) == {reason}
            assert {get_outcome(reply) for reply in replies} - {(200, None)} == {BUSY}
            assert client.get(AT).status_code == 200
            event.remove(database.engine, "connect", restrict)
            database.engine.dispose()
            assert client.put(AT, json={"title": "Lega"}, headers=ANY).status_code == 200

    @needs_sqlite
    def test_ready_is_503_while_the_file_is_locked(self) -> None:
        with (
            own_url("sqlite") as file,
            closing(Database(file, patience=Timeouts(lock=0.1))) as database,
            TestClient(build_app(database)) as client,
            closing(sqlite3.connect(str(database.url.database), isolation_level=None)) as other,
        ):
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            assert client.get("/ready").status_code == 503
            assert client.get("/health").status_code == 200
            other.execute("ROLLBACK")
            other.close()
            assert_ready_again(client)


class _Refusal(Exception):
    """An exception of a driver, with an SQLSTATE of a server or a code of a file."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


def build_error(**attributes: object) -> DBAPIError:
    return sa.exc.InternalError("SELECT", None, _Refusal(**attributes))


LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@given(st.sampled_from(["08", "53"]), st.text(LETTERS, min_size=3, max_size=3))
def test_each_sqlstate_of_connections_and_resources_is_busy_and_not_retried(kind: str, rest: str) -> None:
    error = build_error(sqlstate=kind + rest)
    assert isinstance(find_problem(error), Busy)
    assert not is_serialization_failure(error)


@given(st.integers(0, 255), st.sampled_from([5, 6, 8, 10, 13, 14, 15]))
def test_extended_codes_of_sqlite_have_the_meaning_of_their_primary_code(extension: int, code: int) -> None:
    error = build_error(sqlite_errorcode=code | extension << 8)
    assert isinstance(find_problem(error), Busy)
    assert is_serialization_failure(error) == (code == 5)


@given(st.sampled_from(["22", "23", "42", "XX"]), st.text(LETTERS, min_size=3, max_size=3))
def test_an_error_of_the_service_is_no_problem_of_the_database(kind: str, rest: str) -> None:
    assert find_problem(build_error(sqlstate=kind + rest)) is None


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_an_open_breaker_allows_one_attempt_at_a_time_and_closes_on_success(
    outcomes: list[bool],
) -> None:
    with patch.multiple(breaker, SILENCE=0, PAUSE=0):
        gate = breaker.Breaker()
        gate.note_failure(0)
        for is_good in outcomes:
            assert gate.is_open
            assert gate.may_connect()
            assert not gate.may_connect()
            if is_good:
                gate.note_connection()
                break
            gate.note_failure(0)
        assert gate.is_open != any(outcomes)
        assert gate.may_connect()


@given(st.floats(0, 1e6), st.sampled_from(["lost", "failed"]))
def test_a_failed_wait_opens_no_breaker_while_other_requests_succeed(waited: float, kind: str) -> None:
    gate = breaker.Breaker()
    gate.answered_at = time.monotonic()
    gate.note_loss(0, waited) if kind == "lost" else gate.note_failure(waited)
    assert not gate.is_open
    gate.answered_at -= breaker.SILENCE
    gate.note_loss(0, waited) if kind == "lost" else gate.note_failure(waited)
    assert gate.is_open == (waited >= breaker.SILENCE)
