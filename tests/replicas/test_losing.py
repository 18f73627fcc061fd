"""A replica that dies, cancels queries, lags or is no replica fails no request; the service uses one that returns."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.kit.database import replicas
from app.kit.database.engine import Timeouts
from app.kit.database.replicas import ASIDE_SECONDS, ReplicatedDatabase
from app.main import create_app
from app.settings import Settings
from tests.database import sqlite_url
from tests.load.test_metrics import parse_figures
from tests.plans.world import AT, LEAN, put
from tests.pulls.test_transfers import between_pieces, client_of
from tests.pulls.test_transfers import small_pieces as small_pieces
from tests.pulls.world import forget, pull
from tests.replicas.standby import Standby, wait_until
from tests.replicas.test_reading import DIGEST, REPORT

LINE = f"{AT}/actions/L-02"

# a server dies with an open cursor: psycopg warns at its garbage collection
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <function ServerCursorMixin:pytest.PytestUnraisableExceptionWarning"
)


def list_events(logs: list[Any]) -> list[tuple[str, str | None]]:
    return [(line["event"], line.get("reason")) for line in logs if line["event"].startswith("replica")]


def test_a_replica_killed_during_reads_fails_no_request_and_is_used_again(
    database: ReplicatedDatabase, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "ASIDE_SECONDS", 0.5)
    client = client_of(database)
    done: list[int] = []

    def read(number: int) -> None:
        paths = [LINE, DIGEST, f"{AT}/summary?period=2026-Q2", REPORT]
        reply = client.get(paths[number % len(paths)])
        done.append(reply.status_code)

    with capture_logs() as logs, ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(read, number) for number in range(60)]
        wait_until(lambda: len(done) > 20, "a third of the reads")
        standby.kill()
        for future in waiting:
            future.result()
        assert set(done) == {200}, [repr(line["exc_info"]) for line in logs if "exc_info" in line]
        served = database.reads_by["replica"]
        assert 0 < served < 30
        standby.start()

        def is_back() -> bool:
            assert client.get(REPORT).status_code == 200
            return database.reads_by["replica"] > served

        wait_until(is_back, "in use again")
    events = [event for event, _ in list_events(logs)]
    assert (events[0], events[-1]) == ("replica_aside", "replica_in_use")


def pull_with_fault(
    client: TestClient, standby: Standby, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> tuple[list[Any], list[Any]]:
    """Pull with a fault between the second and the third piece, so the server begins again; return rows and logs."""
    put(client, "L-02", base=LEAN, title="Sebelum")
    standby.catch_up()
    pieces: list[int] = []

    def inject(number: int) -> None:
        pieces.append(number)
        if len(pieces) == 2:
            fault()

    between_pieces(monkeypatch, inject)
    forget(client)
    with capture_logs() as logs:
        rows = pull(client).rows
    assert len(rows) == 40
    assert (pieces[:2], 0 in pieces[2:]) == ([0, 1], True)  # after the prefetched piece
    return rows, logs


@pytest.mark.usefixtures("small_pieces")
def test_a_pull_with_a_killed_replica_is_complete(
    database: ReplicatedDatabase, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(database)

    def kill() -> None:
        put(client, "L-02", base=LEAN, title="Sesudah")
        standby.kill()

    rows, _ = pull_with_fault(client, standby, monkeypatch, kill)
    assert [row["title"] for row in rows if row["action"] == "L-02"] == ["Sesudah"]


@pytest.mark.usefixtures("small_pieces")
def test_a_pull_that_blocks_the_replay_is_retried(
    database: ReplicatedDatabase, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock() -> None:
        standby.run_on_primary("ALTER TABLE action RENAME COLUMN title TO titel")
        standby.run_on_primary("ALTER TABLE action RENAME COLUMN titel TO title")
        standby.catch_up()

    _, logs = pull_with_fault(client_of(database), standby, monkeypatch, lock)
    assert list_events(logs) == []  # the replica stays in use


def test_columns_that_the_replica_lacks_are_read_from_the_primary(
    database: ReplicatedDatabase, standby: Standby
) -> None:
    """The new code runs while the replica has not replayed the migration."""
    client = client_of(database)
    rename = "ALTER TABLE action RENAME COLUMN {} TO {}".format
    standby.run_on_primary(rename("title", "titel"))
    standby.catch_up()
    standby.pause()
    standby.run_on_primary(rename("titel", "title"))
    forget(client)
    with capture_logs() as logs:
        assert len(pull(client).rows) == 40
    assert list_events(logs) == [("replica_aside", "UndefinedColumn")]
    assert not database.is_replica_in_use


def test_an_unreachable_replica_is_tried_and_logged_once(standby: Standby) -> None:
    with socket.socket() as silent:  # accepts connections and sends no bytes
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = f"postgresql+psycopg://nobody@127.0.0.1:{silent.getsockname()[1]}/none?connect_timeout=1"
        with capture_logs() as logs:
            database = ReplicatedDatabase(standby.primary, address, pool_size=2, patience=Timeouts())
            client = client_of(database)
            began = time.monotonic()
            assert {client.get(REPORT).status_code for _ in range(5)} == {200}
            assert time.monotonic() - began < ASIDE_SECONDS
            database.close()
        assert list_events(logs) == [("replica_aside", "OperationalError")]
        assert database.reads_by == {"primary": 5, "replica": 0}


def test_the_primary_is_no_replica_of_itself(standby: Standby) -> None:
    with capture_logs() as logs:
        database = ReplicatedDatabase(standby.primary, standby.primary, pool_size=2, patience=Timeouts())
        assert client_of(database).get(REPORT).status_code == 200
        database.close()
    assert list_events(logs) == [("replica_aside", "OtherDatabase")]
    assert database.reads_by == {"primary": 1, "replica": 0}


def test_metrics_report_the_replica(database: ReplicatedDatabase, standby: Standby) -> None:
    settings = Settings(_env_file=None, database_url=standby.primary, metrics="public")
    reader = client_of(database)
    with TestClient(create_app(settings, database)) as client:
        reader.get(REPORT)
        figures = parse_figures(client.get("/metrics").text)
        assert (figures["rata_replica_in_use",], figures["rata_replica_rows_behind",]) == (1, 0)
        assert figures["rata_reads_total", "replica"] == 1
        assert figures["rata_database_connections", "replica", "idle"] >= 1
        standby.pause()
        put(reader, "L-02", base=LEAN, title="Tertinggal")
        reader.get(REPORT)
        figures = parse_figures(client.get("/metrics").text)
        assert (figures["rata_replica_in_use",], figures["rata_replica_rows_behind",]) == (1, 1)
        assert figures["rata_reads_total", "primary"] == 1
        standby.kill()
        reader.get(REPORT)
        assert parse_figures(client.get("/metrics").text)["rata_replica_in_use",] == 0
        assert client.get("/ready").status_code == 200


def test_settings_refuse_a_replica_of_another_engine(tmp_path: Path) -> None:
    address = "postgresql+psycopg://rata@replica/rata"
    with pytest.raises(ValidationError, match="a SQLite file has no replicas"):
        Settings(_env_file=None, database_url=sqlite_url(tmp_path, "x"), database_read_url=address)
    with pytest.raises(ValidationError, match=r"postgresql\+psycopg"):
        Settings(_env_file=None, database_url=address, database_read_url="postgres://replica/rata")
    settings = Settings(_env_file=None, database_url=address, database_read_url="")
    assert settings.database_read_url is None
