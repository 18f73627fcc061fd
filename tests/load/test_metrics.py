"""What Prometheus reads: by operation and status, nothing of what was asked, and nothing at all unless told so."""

import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import OneTransaction, sqlite_url
from tests.plans.world import AT, put_plan

Figures = dict[tuple[str, ...], float]


def figures(text: str) -> Figures:
    """(name, values of labels …) → value."""
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def settings(**changes: object) -> Settings:
    return Settings(_env_file=None, **{"database_url": "sqlite://", "metrics": "public", **changes})


def test_requests_are_counted_by_operation_and_nothing_of_them_is_told(database: OneTransaction) -> None:
    secret = token_for(database, ("secretariat", "63.02"))
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(create_app(settings(), database), headers=headers) as client:
        before = figures(client.get("/metrics").text)
        put_plan(client)
        for _ in range(2):
            client.head(AT, headers={"If-None-Match": '"x-gzip"'})
        client.get("/v1/plans/99.99-2026")
        client.get("/v1/nowhere/sangatrahasia")
        reply = client.get("/metrics")
    found = figures(reply.text)
    assert found["rata_requests_total", "put_plan", "2xx"] == 1
    assert found["rata_requests_total", "read_plan", "2xx"] == 2
    assert found["rata_requests_total", "read_plan", "4xx"] == 1
    assert found["rata_requests_total", "none", "4xx"] == 1
    assert found["rata_request_seconds_count", "read_plan"] == 3
    assert found["rata_request_seconds_bucket", "+Inf", "read_plan"] == 3
    assert (found["rata_requests_in_work",], found["rata_requests_waiting",]) == (1, 0)  # this one itself
    assert found["rata_database_up",] == 1
    assert found["rata_journal_height",] == before["rata_journal_height",] + 1
    for told in ("63.02", "99.99", "sangatrahasia", "rata_ey", secret, "/v1"):
        assert told not in reply.text


def test_connections_are_told_by_pool(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path, "empty"), creates=True)
    with TestClient(create_app(settings(), database)) as client, database.engine.connect():
        found = figures(client.get("/metrics").text)
    assert found["rata_database_connections", "writes", "in_use"] >= 1
    assert (found["rata_database_up",], ("rata_journal_height",) in found) == (
        0,
        False,
    )  # no tables: no figure
    database.close()


def test_they_are_off_until_asked_for_and_no_part_of_the_contract(database: OneTransaction) -> None:
    with TestClient(create_app(settings(metrics="off"), database)) as client:
        assert client.get("/metrics").status_code == 404
    (route,) = [
        one for one in create_app(settings(), database).routes if getattr(one, "path", "") == "/metrics"
    ]
    assert isinstance(route, APIRoute)
    assert not route.include_in_schema


def test_a_port_of_their_own_is_theirs_alone(sqlite_template: Database, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path, "own")
    with closing(sqlite3.connect(sqlite_template.url.database or "")) as template:
        template.execute("VACUUM INTO ?", (str(tmp_path / "own.db"),))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = create_app(settings(database_url=url, metrics="port", metrics_port=port))
    with TestClient(app) as client:
        client.get("/health")
        assert client.get("/metrics").status_code == 404
        found = figures(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    assert found["rata_requests_total", "read_health", "2xx"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_several_workers_would_each_tell_a_part() -> None:
    with pytest.raises(ValidationError, match=re.escape("RATA_WORKERS=1")):
        settings(workers=2)
