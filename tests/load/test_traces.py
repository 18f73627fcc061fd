"""What a collector is told: what was done and how long it took, never what was asked; nothing unless told so."""

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
from app.kit.server import tracing as traces
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
    """Everything that would be sent."""
    kept = InMemorySpanExporter()
    monkeypatch.setattr(traces, "OTLPSpanExporter", lambda: kept)
    return kept


class Service(NamedTuple):
    """The application, traced."""

    asgi: traces.RequestSpans
    database: Database
    traces: traces.SpanSender
    kept: InMemorySpanExporter

    def secretariat(self) -> TestClient:
        headers = {"Authorization": f"Bearer {token_for(self.database, ('secretariat', '63.02'))}"}
        return TestClient(self.asgi, headers=headers, raise_server_exceptions=False)

    def spans(self) -> list[ReadableSpan]:
        """Those since the last time."""
        self.traces.flush()
        found = list(self.kept.get_finished_spans())
        self.kept.clear()
        return found


@contextmanager
def service(app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter) -> Iterator[Service]:
    told = traces.SpanSender(VERSION)
    told.watch(database)
    yield Service(traces.RequestSpans(app, traces=told), database, told, kept)
    told.close()


@pytest.fixture
def traced(app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter) -> Iterator[Service]:
    with service(app, database, kept) as traced:
        yield traced


def test_a_request_is_a_span_of_the_callers_trace_with_its_statements_below(
    traced: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    client = traced.secretariat()
    furnish(traced.database)
    put_plan(client)
    put(client, "A-1", note=SECRET)
    traced.spans()
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": f"vendor={SECRET}"}
    reply = client.get(f"/v1/plans/{PLAN}/actions", params={"q": SECRET}, headers=headers)
    assert reply.status_code == 200
    *statements, request = traced.spans()
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
    assert {one.name for one in statements} >= {"SELECT token", "SELECT action"}
    for one in statements:
        assert one.parent is not None
        assert one.parent.span_id == request.context.span_id
        assert one.kind.name == "CLIENT"
        assert set(one.attributes or {}) <= {"db.system.name", "db.operation.name", "db.collection.name"}
    assert TRACE in capsys.readouterr().out
    resource = request.resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("rata", VERSION)


def test_nothing_that_anybody_wrote_is_told(traced: Service) -> None:
    client = traced.secretariat()
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
    found = traced.spans()
    assert {one.name for one in found if one.kind.name == "SERVER"} >= {
        "put_action",
        "read_action",
        "GET",
        "_OTHER",
    }
    for one in found:
        assert SECRET not in one.to_json().lower()
        assert PLAN not in one.to_json()


def test_a_defect_is_told_by_its_kind(traced: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise ArithmeticError(SECRET)

    client = traced.secretariat()
    monkeypatch.setattr("app.kit.http.routing.check_url", broken)
    with capture_logs():  # whose printing of a traceback takes seconds
        assert client.get("/v1/me").status_code == 500
    (request,) = traced.spans()
    told = request.attributes or {}
    assert (request.name, told["http.response.status_code"], told["error.type"]) == (
        "read_me",
        500,
        "ArithmeticError",
    )
    assert (request.status.status_code.name, request.status.description, request.events) == (
        "ERROR",
        None,
        (),
    )


def test_a_statement_that_fails_is_told_by_its_kind(kept: InMemorySpanExporter, tmp_path: Path) -> None:
    database, told = Database(sqlite_url(tmp_path, "empty"), creates=True), traces.SpanSender("1")
    told.watch(database)
    with database.read_session() as session, open_span("outside"):
        session.execute(sa.text("SELECT 1"))
        assert kept.get_finished_spans() == ()
        with pytest.raises(sa.exc.OperationalError), open_span("look", told.tracer):
            session.execute(sa.text(f"SELECT '{SECRET}' FROM nowhere"))
    told.close()
    with database.read_session() as session, open_span("look", told.tracer):
        session.execute(sa.text("SELECT 1"))  # not watched any more
    statement, look = kept.get_finished_spans()[-2:]
    assert (statement.name, look.name) == ("SELECT nowhere", "look")
    for one in (statement, look):
        assert (one.status.status_code.name, SECRET in one.to_json()) == ("ERROR", False)
    database.close()


def test_what_makes_an_export_stands_below_who_asked_first(traced: Service) -> None:
    client = traced.secretariat()
    furnish(traced.database)
    put_plan(client)
    put(client, "A-1")
    traced.spans()
    assert client.get("/v1/pulls/2026-Q2?region=63.02").status_code == 200
    found = {one.name: one for one in traced.spans()}
    made, asked = found["write export"], found["read_pull"]
    assert made.parent is not None
    assert made.parent.span_id == asked.context.span_id
    below = [one.name for one in found.values() if one.parent and one.parent.span_id == made.context.span_id]
    assert below


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
def test_a_statement_is_named_by_what_it_does_to_which_table(statement: str, named: tuple[str, str]) -> None:
    assert traces.parse_statement(statement) == named


def test_what_is_not_sampled_is_not_recorded(
    app: FastAPI, database: OneTransaction, kept: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    with service(app, database, kept) as traced:
        client = traced.secretariat()
        assert client.get("/v1/me").status_code == 200
        assert client.get("/v1/me", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}).status_code == 200
        assert {one.context.trace_id for one in traced.spans()} == {int(TRACE, 16)}


def test_metrics_and_traces_know_the_same_operation(
    database: OneTransaction, kept: InMemorySpanExporter
) -> None:
    settings = Settings(_env_file=None, database_url="sqlite://", traces=True, metrics="public")
    token = token_for(database, ("reader", "63"))
    with TestClient(create_app(settings, database)) as client:
        client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert 'rata_requests_total{operation="read_me",status="2xx"} 1.0' in client.get("/metrics").text
    # what waited was sent when it stopped
    assert "read_me" in {one.name for one in kept.get_finished_spans()}


def test_without_the_setting_nothing_is_there(built_app: FastAPI, root: Path) -> None:
    assert built_app.state.traces is None
    assert traces.RequestSpans not in [one.cls for one in built_app.user_middleware]
    for file in (root / "app").rglob("*.py"):
        imported = re.search(r"^(from|import) app\.kit\.traces", file.read_text(), re.MULTILINE)
        assert not imported, f"{file}: import it where it is switched on"


def test_a_collector_that_is_away_costs_spans_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setattr(traces, "CLOSE_SECONDS", 0.1)
    away = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2)
    told = traces.SpanSender("1", away)
    for _ in range(100):
        with open_span("look", told.tracer):
            pass
    told.flush()
    told.close()
    said = capsys.readouterr()
    assert (said.out + said.err).count("traces_lost") == 1
    assert (said.out + said.err).count("\n") == 1


# From outside


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP as a collector does."""

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


def test_a_running_service_tells_a_real_collector(
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
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # what waits is sent when it stops
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
    told = {one.key: one.value.string_value for one in sent.resource.attributes}
    assert told["service.name"] == "rata-kalsel"
    found = [span for scope in sent.scope_spans for span in scope.spans]
    (request,) = [one for one in found if one.name == "read_me"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, CALLER)
    statements = [one for one in found if one.parent_span_id == request.span_id]
    assert "SELECT token" in {one.name for one in statements}
    assert f'"trace_id": "{TRACE}"' in log.read_text()
