"""A replica that goes, cancels, is behind, or is none costs nobody an answer; one that comes back is used again."""

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
from tests.load.test_metrics import figures
from tests.plans.world import AT, LEAN, put
from tests.pulls.test_transfers import between_pieces, client_of
from tests.pulls.test_transfers import small_pieces as small_pieces
from tests.pulls.world import forget, pull
from tests.replicas.standby import Standby, until
from tests.replicas.test_reading import DIGEST, REPORT

LINE = f"{AT}/actions/L-02"

# a server dies with a cursor open: psycopg cannot close it any more, and says so when it is collected
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <function ServerCursorMixin:pytest.PytestUnraisableExceptionWarning"
)


def told(logs: list[Any]) -> list[tuple[str, str | None]]:
    return [(one["event"], one.get("reason")) for one in logs if one["event"].startswith("replica")]


def test_killed_amid_readers_it_costs_nobody_an_answer_and_comes_back(
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
        until(lambda: len(done) > 20, "a third is read")
        standby.kill()
        for one in waiting:
            one.result()
        assert set(done) == {200}, [repr(one["exc_info"]) for one in logs if "exc_info" in one]
        served = database.reads_by["replica"]
        assert 0 < served < 30
        standby.start()

        def is_back() -> bool:
            assert client.get(REPORT).status_code == 200
            return database.reads_by["replica"] > served

        until(is_back, "in use again")
    events = [event for event, _ in told(logs)]
    assert (events[0], events[-1]) == ("replica_aside", "replica_in_use")


def pulled_amid(
    client: TestClient, standby: Standby, monkeypatch: pytest.MonkeyPatch, befalls: Callable[[], None]
) -> tuple[list[Any], list[Any]]:
    """The lines of a pull that something befalls between its second piece and its third, and what was logged: it is
    begun anew."""
    put(client, "L-02", base=LEAN, title="Sebelum")
    standby.catch_up()
    pieces: list[int] = []

    def strike(number: int) -> None:
        pieces.append(number)
        if len(pieces) == 2:
            befalls()

    between_pieces(monkeypatch, strike)
    forget(client)
    with capture_logs() as logs:
        rows = pull(client).rows
    assert len(rows) == 40
    assert (pieces[:2], 0 in pieces[2:]) == ([0, 1], True)  # behind what was fetched ahead
    return rows, logs


@pytest.mark.usefixtures("small_pieces")
def test_a_pull_whose_replica_is_killed_is_whole(
    database: ReplicatedDatabase, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(database)

    def kill() -> None:
        put(client, "L-02", base=LEAN, title="Sesudah")
        standby.kill()

    rows, _ = pulled_amid(client, standby, monkeypatch, kill)
    assert [row["title"] for row in rows if row["action"] == "L-02"] == ["Sesudah"]


@pytest.mark.usefixtures("small_pieces")
def test_a_pull_that_stands_in_the_way_of_replaying_is_made_anew(
    database: ReplicatedDatabase, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock() -> None:
        standby.do("ALTER TABLE action RENAME COLUMN title TO titel")
        standby.do("ALTER TABLE action RENAME COLUMN titel TO title")
        standby.catch_up()

    _, logs = pulled_amid(client_of(database), standby, monkeypatch, lock)
    assert told(logs) == []  # it is as good as before


def test_what_it_does_not_know_yet_is_read_from_the_primary(
    database: ReplicatedDatabase, standby: Standby
) -> None:
    """A migration was done on the primary, and its code runs already; the replica has still to replay it."""
    client = client_of(database)
    renamed = "ALTER TABLE action RENAME COLUMN {} TO {}".format
    standby.do(renamed("title", "titel"))
    standby.catch_up()
    standby.pause()
    standby.do(renamed("titel", "title"))
    forget(client)
    with capture_logs() as logs:
        assert len(pull(client).rows) == 40
    assert told(logs) == [("replica_aside", "UndefinedColumn")]
    assert not database.is_replica_in_use


def test_one_that_cannot_be_reached_is_logged_once_and_asked_once(standby: Standby) -> None:
    with socket.socket() as silent:  # takes connections and says nothing
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
        assert told(logs) == [("replica_aside", "OperationalError")]
        assert database.reads_by == {"primary": 5, "replica": 0}


def test_the_primary_is_no_replica_of_itself(standby: Standby) -> None:
    with capture_logs() as logs:
        database = ReplicatedDatabase(standby.primary, standby.primary, pool_size=2, patience=Timeouts())
        assert client_of(database).get(REPORT).status_code == 200
        database.close()
    assert told(logs) == [("replica_aside", "OtherDatabase")]
    assert database.reads_by == {"primary": 1, "replica": 0}


def test_metrics_report_it(database: ReplicatedDatabase, standby: Standby) -> None:
    settings = Settings(_env_file=None, database_url=standby.primary, metrics="public")
    reader = client_of(database)
    with TestClient(create_app(settings, database)) as client:
        reader.get(REPORT)
        found = figures(client.get("/metrics").text)
        assert (found["rata_replica_in_use",], found["rata_replica_rows_behind",]) == (1, 0)
        assert found["rata_reads_total", "replica"] == 1
        assert found["rata_database_connections", "replica", "idle"] >= 1
        standby.pause()
        put(reader, "L-02", base=LEAN, title="Tertinggal")
        reader.get(REPORT)
        found = figures(client.get("/metrics").text)
        assert (found["rata_replica_in_use",], found["rata_replica_rows_behind",]) == (1, 1)
        assert found["rata_reads_total", "primary"] == 1
        standby.kill()
        reader.get(REPORT)
        assert figures(client.get("/metrics").text)["rata_replica_in_use",] == 0
        assert client.get("/ready").status_code == 200


def test_settings_say_what_a_replica_is_of(tmp_path: Path) -> None:
    address = "postgresql+psycopg://rata@replica/rata"
    with pytest.raises(ValidationError, match="a SQLite file has no replicas"):
        Settings(_env_file=None, database_url=sqlite_url(tmp_path, "x"), database_read_url=address)
    with pytest.raises(ValidationError, match=r"postgresql\+psycopg"):
        Settings(_env_file=None, database_url=address, database_read_url="postgres://replica/rata")
    settings = Settings(_env_file=None, database_url=address, database_read_url="")
    assert settings.database_read_url is None
