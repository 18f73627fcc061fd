"""Metrics for Prometheus: by operation and status, without content of requests, and off by default."""

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


def parse_figures(text: str) -> Figures:
    """Map (name, values of labels …) to values."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def build_settings(**changes: object) -> Settings:
    return Settings(_env_file=None, **{"database_url": "sqlite://", "metrics": "public", **changes})


def test_metrics_count_requests_by_operation_without_their_content(database: OneTransaction) -> None:
    secret = token_for(database, ("secretariat", "63.02"))
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(create_app(build_settings(), database), headers=headers) as client:
        before = parse_figures(client.get("/metrics").text)
        put_plan(client)
        for _ in range(2):
            client.head(AT, headers={"If-None-Match": '"x-gzip"'})
        client.get("/v1/plans/99.99-2026")
        client.get("/v1/nowhere/sangatrahasia")
        reply = client.get("/metrics")
    figures = parse_figures(reply.text)
    assert figures["rata_requests_total", "put_plan", "2xx"] == 1
    assert figures["rata_requests_total", "read_plan", "2xx"] == 2
    assert figures["rata_requests_total", "read_plan", "4xx"] == 1
    assert figures["rata_requests_total", "none", "4xx"] == 1
    assert figures["rata_request_seconds_count", "read_plan"] == 3
    assert figures["rata_request_seconds_bucket", "+Inf", "read_plan"] == 3
    assert (figures["rata_requests_in_work",], figures["rata_requests_waiting",]) == (1, 0)  # this request
    assert figures["rata_database_up",] == 1
    assert figures["rata_journal_height",] == before["rata_journal_height",] + 1
    for text in ("63.02", "99.99", "sangatrahasia", "rata_ey", secret, "/v1"):
        assert text not in reply.text


def test_metrics_count_connections_by_pool(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path, "empty"), creates=True)
    with TestClient(create_app(build_settings(), database)) as client, database.engine.connect():
        figures = parse_figures(client.get("/metrics").text)
    assert figures["rata_database_connections", "writes", "in_use"] >= 1
    assert (figures["rata_database_up",], ("rata_journal_height",) in figures) == (
        0,
        False,
    )  # no tables, no height
    database.close()


def test_metrics_are_off_by_default_and_outside_the_document(database: OneTransaction) -> None:
    with TestClient(create_app(build_settings(metrics="off"), database)) as client:
        assert client.get("/metrics").status_code == 404
    (route,) = [
        route
        for route in create_app(build_settings(), database).routes
        if getattr(route, "path", "") == "/metrics"
    ]
    assert isinstance(route, APIRoute)
    assert not route.include_in_schema


def test_a_separate_port_serves_metrics_alone(sqlite_template: Database, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path, "own")
    with closing(sqlite3.connect(sqlite_template.url.database or "")) as template:
        template.execute("VACUUM INTO ?", (str(tmp_path / "own.db"),))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = create_app(build_settings(database_url=url, metrics="port", metrics_port=port))
    with TestClient(app) as client:
        client.get("/health")
        assert client.get("/metrics").status_code == 404
        figures = parse_figures(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    assert figures["rata_requests_total", "read_health", "2xx"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_metrics_are_refused_with_several_workers() -> None:
    with pytest.raises(ValidationError, match=re.escape("RATA_WORKERS=1")):
        build_settings(workers=2)
