"""Spans for a collector: operations and durations without content of requests, and off by default."""

import gzip
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from app.kit.database.engine import Database
from app.kit.server import tracing
from app.kit.spans import open_span
from app.main import VERSION, create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import OneTransaction, sqlite_url
from tests.docs.server import free_port
from tests.forked import RATA, python_with_service
from tests.plans.world import LEAN, PLAN, furnish, put, put_plan

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "sangatrahasia"
SECONDS = 120


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """An exporter that keeps all spans."""
    kept = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda: kept)
    return kept


class Service(NamedTuple):
    """The application with tracing."""

    asgi: tracing.RequestSpans
    database: Database
    traces: tracing.SpanSender
    kept: InMemorySpanExporter

    def connect(self) -> TestClient:
        headers = {"Authorization": f"Bearer {token_for(self.database, ('secretariat', '63.02'))}"}
        return TestClient(self.asgi, headers=headers, raise_server_exceptions=False)

    def take_spans(self) -> list[ReadableSpan]:
        """Return the spans since the last call."""
        self.traces.flush()
        spans = list(self.kept.get_finished_spans())
        self.kept.clear()
        return spans


@contextmanager
def trace_service(app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter) -> Iterator[Service]:
    sender = tracing.SpanSender(VERSION)
    sender.watch(database)
    yield Service(tracing.RequestSpans(app, traces=sender), database, sender, kept)
    sender.close()


@pytest.fixture
def traced(app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter) -> Iterator[Service]:
    with trace_service(app, database, kept) as traced:
        yield traced


def test_a_request_is_a_span_of_the_callers_trace_with_its_statements(
    traced: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    client = traced.connect()
    furnish(traced.database)
    put_plan(client)
    put(client, "A-1", note=SECRET)
    traced.take_spans()
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": f"vendor={SECRET}"}
    reply = client.get(f"/v1/plans/{PLAN}/actions", params={"q": SECRET}, headers=headers)
    assert reply.status_code == 200
    *statements, request = traced.take_spans()
    assert (request.name, request.kind.name, request.status.status_code.name) == (
        "list_actions",
        "SERVER",
        "UNSET",
    )
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/plans/{plan}/actions",
        "url.scheme": "http",
        "rata.request_id": reply.headers["x-request-id"],
    }
    assert request.parent is not None
    assert (f"{request.parent.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, CALLER)
    assert {span.name for span in statements} >= {"SELECT token", "SELECT action"}
    for span in statements:
        assert span.parent is not None
        assert span.parent.span_id == request.context.span_id
        assert span.kind.name == "CLIENT"
        assert set(span.attributes or {}) <= {"db.system.name", "db.operation.name", "db.collection.name"}
    assert TRACE in capsys.readouterr().out
    resource = request.resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("rata", VERSION)


def test_spans_have_no_content_of_requests(traced: Service) -> None:
    client = traced.connect()
    furnish(traced.database)
    put_plan(client)
    put(client, f"A-{SECRET}", title=SECRET, note=SECRET)
    client.get(
        f"/v1/{SECRET}", params={SECRET: SECRET}, headers={"User-Agent": SECRET, "baggage": f"a={SECRET}"}
    )
    client.get(f"/v1/plans/{PLAN}/actions/{SECRET}", headers={"traceparent": SECRET})
    client.request(SECRET.upper(), f"/v1/plans/{PLAN}")
    client.put(
        f"/v1/plans/{PLAN}/actions/A-9", json={**LEAN, "title": 7, "note": SECRET}, headers={"If-Match": "*"}
    )
    spans = traced.take_spans()
    assert {span.name for span in spans if span.kind.name == "SERVER"} >= {
        "put_action",
        "read_action",
        "GET",
        "_OTHER",
    }
    for span in spans:
        assert SECRET not in span.to_json().lower()
        assert PLAN not in span.to_json()


def test_the_span_of_a_server_error_has_the_type_alone(
    traced: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ArithmeticError(SECRET)

    client = traced.connect()
    monkeypatch.setattr("app.kit.http.routing.check_url", fail)
    with capture_logs():  # printing the traceback takes seconds
        assert client.get("/v1/me").status_code == 500
    (request,) = traced.take_spans()
    attributes = request.attributes or {}
    assert (request.name, attributes["http.response.status_code"], attributes["error.type"]) == (
        "read_me",
        500,
        "ArithmeticError",
    )
    assert (request.status.status_code.name, request.status.description, request.events) == (
        "ERROR",
        None,
        (),
    )


def test_the_span_of_a_failed_statement_has_the_type_alone(
    kept: InMemorySpanExporter, tmp_path: Path
) -> None:
    database, sender = Database(sqlite_url(tmp_path, "empty"), creates=True), tracing.SpanSender("1")
    sender.watch(database)
    with database.read_session() as session, open_span("outside"):
        session.execute(sa.text("SELECT 1"))
        assert kept.get_finished_spans() == ()
        with pytest.raises(sa.exc.OperationalError), open_span("look", sender.tracer):
            session.execute(sa.text(f"SELECT '{SECRET}' FROM nowhere"))
    sender.close()
    with database.read_session() as session, open_span("look", sender.tracer):
        session.execute(sa.text("SELECT 1"))  # no longer traced
    statement, look = kept.get_finished_spans()[-2:]
    assert (statement.name, look.name) == ("SELECT nowhere", "look")
    for span in (statement, look):
        assert (span.status.status_code.name, SECRET in span.to_json()) == ("ERROR", False)
    database.close()


def test_the_span_of_an_export_is_a_child_of_its_first_request(traced: Service) -> None:
    client = traced.connect()
    furnish(traced.database)
    put_plan(client)
    put(client, "A-1")
    traced.take_spans()
    assert client.get("/v1/pulls/2026-Q2?region=63.02").status_code == 200
    spans = {span.name: span for span in traced.take_spans()}
    export, request = spans["write export"], spans["read_pull"]
    assert export.parent is not None
    assert export.parent.span_id == request.context.span_id
    assert any(span.parent and span.parent.span_id == export.context.span_id for span in spans.values())


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT a, (SELECT max(b) FROM x) FROM plan JOIN y ON true", ("SELECT", "plan")),
        ("WITH w AS (SELECT 1 FROM x) UPDATE action SET a = (SELECT 1 FROM y)", ("UPDATE", "action")),
        ("SELECT ' FROM it''s', \"FROM\" FROM (SELECT 1 FROM \"order\")", ("SELECT", "order")),
        ("INSERT INTO plan_revision (a) SELECT 1 FROM x", ("INSERT", "plan_revision")),
        ("DELETE FROM tag WHERE a IN (1)", ("DELETE", "tag")),
        ("SELECT coalesce(a, 1)", ("SELECT", "")),
        ("BEGIN IMMEDIATE", ("BEGIN", "")),
        ("", ("", "")),
    ],
)
def test_the_span_of_a_statement_is_named_by_verb_and_table(statement: str, named: tuple[str, str]) -> None:
    assert tracing.parse_statement(statement) == named


def test_unsampled_requests_have_no_spans(
    app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    with trace_service(app, database, kept) as traced:
        client = traced.connect()
        assert client.get("/v1/me").status_code == 200
        assert client.get("/v1/me", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}).status_code == 200
        assert {span.context.trace_id for span in traced.take_spans()} == {int(TRACE, 16)}


def test_metrics_and_traces_name_the_same_operation(
    database: OneTransaction, kept: InMemorySpanExporter
) -> None:
    settings = Settings(_env_file=None, database_url="sqlite://", traces=True, metrics="public")
    token = token_for(database, ("reader", "63"))
    with TestClient(create_app(settings, database)) as client:
        client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert 'rata_requests_total{operation="read_me",status="2xx"} 1.0' in client.get("/metrics").text
    # the shutdown sends waiting spans
    assert "read_me" in {span.name for span in kept.get_finished_spans()}


def test_tracing_is_off_and_not_imported_by_default(built_app: FastAPI, root: Path) -> None:
    assert built_app.state.traces is None
    assert tracing.RequestSpans not in [middleware.cls for middleware in built_app.user_middleware]
    for file in (root / "app").rglob("*.py"):
        imported = re.search(r"^(from|import) app\.kit\.server\.tracing", file.read_text(), re.MULTILINE)
        assert not imported, f"{file}: import it inside the function that enables it"


def test_an_unreachable_collector_costs_spans_and_one_log_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.1)
    away = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2)
    sender = tracing.SpanSender("1", away)
    for _ in range(100):
        with open_span("look", sender.tracer):
            pass
    sender.flush()
    sender.close()
    output = capsys.readouterr()
    assert (output.out + output.err).count("traces_lost") == 1
    assert (output.out + output.err).count("\n") == 1


# From outside


class Collector(BaseHTTPRequestHandler):
    """A collector for OTLP over HTTP."""

    taken: "Queue[ExportTraceServiceRequest]"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        is_right = self.path == "/v1/traces" and self.headers["X-Tenant"] == "rata"
        self.send_response(200 if is_right else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if is_right:
            self.taken.put(ExportTraceServiceRequest.FromString(body))

    def log_message(self, format: str, *values: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, "Queue[ExportTraceServiceRequest]"]]:
    taken: Queue[ExportTraceServiceRequest] = Queue()
    handler = type("Taking", (Collector,), {"taken": taken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_a_running_service_sends_spans_to_a_collector(
    collector: tuple[str, "Queue[ExportTraceServiceRequest]"], sqlite_template: Database, tmp_path: Path
) -> None:
    address, taken = collector
    url, port, log = sqlite_url(tmp_path, "served"), free_port(), tmp_path / "log"
    with closing(sqlite3.connect(str(sqlite_template.url.database))) as template:
        template.execute("VACUUM INTO ?", [str(tmp_path / "served.db")])
    database = Database(url)
    token = token_for(database, ("reader", "63.02"))
    database.close()
    environment = os.environ | {
        "RATA_DATABASE_URL": url,
        "RATA_PORT": str(port),
        "RATA_TRACES": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=rata",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "rata-kalsel",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # the shutdown sends the spans
    }
    command = [python_with_service(), "-c", RATA, "serve"]
    with (
        log.open("w") as out,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out) as server,
    ):
        try:
            wait_until(lambda: "startup complete" in log.read_text(), server, log)
            reply = httpx.get(
                f"http://127.0.0.1:{port}/v1/me",
                headers={"Authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-{CALLER}-01"},
                timeout=SECONDS,
            )
            assert reply.status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(SECONDS) == 0, log.read_text()
    (sent,) = taken.get_nowait().resource_spans
    attributes = {item.key: item.value.string_value for item in sent.resource.attributes}
    assert attributes["service.name"] == "rata-kalsel"
    spans = [span for scope in sent.scope_spans for span in scope.spans]
    (request,) = [span for span in spans if span.name == "read_me"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, CALLER)
    statements = [span for span in spans if span.parent_span_id == request.span_id]
    assert "SELECT token" in {span.name for span in statements}
    assert f'"trace_id": "{TRACE}"' in log.read_text()
