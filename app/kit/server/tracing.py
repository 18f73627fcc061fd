"""Spans for an OpenTelemetry collector: requests by operation, their statements, and the work of threads behind them.

A span has a name and a duration: operation ids, templates of paths, names of tables, kinds of errors. It never has
a key, a query string, a parameter, a user's text or the text of a statement. The service imports this module only
if `RATA_TRACES` is on; OpenTelemetry's own variables choose the collector and the sampling.
"""

import logging
import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.database.engine import Database
from app.kit.http.routing import NO_OPERATION
from app.kit.server.middleware import HttpMiddleware, wrap_send
from app.kit.spans import TRACER, mark_failed

log = structlog.get_logger("rata")

CLOSE_SECONDS = 3.0
"""Time-out for the last spans when the process stops."""


# opentelemetry-instrumentation-sqlalchemy can replace `watch` and `parse_statement` once it fits. Version 0.66b2
# (November 2026) needs SQLAlchemy below 2.1, sends the text of each statement, and names a span by the first word
# alone, without the table.
class SpanSender:
    """The exporter of a process: a bounded queue of spans, and a thread that sends them to the collector."""

    def __init__(self, version: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.version": version})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "rata"}))
        self._exporter = _LoggingExporter(exporter or OTLPSpanExporter())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        # OpenTelemetry would log each batch that the collector does not take, and each span beyond the queue
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._watched: list[Engine] = []
        self.tracer = self._provider.get_tracer("rata", version)

    def watch(self, database: Database) -> None:
        """Record a span for each statement that runs within another span."""
        for engine in set(database.engines.values()):
            for name, listener in self._list_listeners():
                event.listen(engine, name, listener)
            self._watched.append(engine)

    def _list_listeners(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            ("before_cursor_execute", self._begin),
            ("after_cursor_execute", self._end),
            ("handle_error", self._fail),
        ]

    def flush(self) -> None:
        """Send the queued spans."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send the queued spans for at most `CLOSE_SECONDS`; a collector that does not answer loses them."""
        for engine in self._watched:
            for name, listener in self._list_listeners():
                event.remove(engine, name, listener)
        self._watched.clear()
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_SECONDS)
        self._exporter.shutdown()  # also ends the pauses between attempts

    def _begin(
        self,
        connection: Connection,
        cursor: object,
        statement: str,
        parameters: object,
        execution: Any,
        many: bool,
    ) -> None:
        if trace.get_current_span().is_recording():
            operation, table = parse_statement(statement)
            attributes = {"db.system.name": connection.dialect.name, "db.operation.name": operation}
            if table:
                attributes["db.collection.name"] = table
            name = f"{operation} {table}".rstrip()
            execution.rata_span = self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def _end(
        self,
        connection: Connection,
        cursor: object,
        statement: str,
        parameters: object,
        execution: object,
        many: bool,
    ) -> None:
        if span := getattr(execution, "rata_span", None):
            span.end()

    def _fail(self, failure: ExceptionContext) -> None:
        if span := getattr(failure.execution_context, "rata_span", None):
            mark_failed(span, failure.original_exception)
            span.end()


class _LoggingExporter(SpanExporter):
    """An exporter that logs once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter, self._is_well = exporter, True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_well = result is SpanExportResult.SUCCESS
        if is_well != self._is_well:
            self._is_well = is_well
            if is_well:
                log.info("traces_arrive")
            else:
                log.warning("traces_lost", spans=len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class RequestSpans(HttpMiddleware):
    """Middleware that records a span per request, named by the operation that the route puts in `scope["operation"]`.

    It continues the caller's trace (`traceparent`), and puts the trace id in `scope["trace_id"]` for other middleware.
    """

    def __init__(self, app: ASGIApp, *, traces: SpanSender) -> None:
        self.app, self._tracer = app, traces.tracer
        self._caller = TraceContextTextMapPropagator()
        self._paths: dict[str, str] = {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["operation"] = operations = [NO_OPERATION]
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(method, self._read_parent(scope), SpanKind.SERVER)
        scope["trace_id"] = f"{span.get_span_context().trace_id:032x}"
        if not span.is_recording():
            # still the current span, so that no span below it records either
            token = context.attach(trace.set_span_in_context(span))
            try:
                await self.app(scope, receive, send)
            finally:
                context.detach(token)
            return
        status = 500

        def note(message: Message) -> None:
            nonlocal status
            status = message["status"]

        token = context.attach(context.set_value(TRACER, self._tracer, trace.set_span_in_context(span)))
        try:
            await self.app(scope, receive, wrap_send(send, note))
        except BaseException as error:
            mark_failed(span, error)
            raise
        finally:
            context.detach(token)
            span.set_attributes({"http.request.method": method, "http.response.status_code": status})
            self._describe(span, scope, operations[-1], status)
            span.end()

    def _read_parent(self, scope: Scope) -> context.Context:
        """Return the caller's span, without its `tracestate`, which is untrusted text."""
        for name, value in scope["headers"]:
            if name == b"traceparent":
                return self._caller.extract({"traceparent": value.decode("latin-1")}, context.Context())
        return context.Context()

    def _describe(self, span: Span, scope: Scope, operation: str, status: int) -> None:
        attributes = {"url.scheme": scope["scheme"], "rata.request_id": scope.get("request_id", "")}
        if operation != NO_OPERATION:
            span.update_name(operation)
            attributes["http.route"] = self._find_path(scope, operation)
        span.set_attributes(attributes)
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    def _find_path(self, scope: Scope, operation: str) -> str:
        if not self._paths:
            self._paths = {route.name: route.path for route in scope["app"].routes}
        return self._paths[operation]


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|\w+""")


@lru_cache(2000)
def parse_statement(statement: str) -> tuple[str, str]:
    """Return (operation, table) of a statement: the table of its outermost FROM, else of its first, else empty."""
    depth, operation, inner, is_next = 0, "", "", False
    for match in _WORDS.finditer(statement):
        word = match[0]
        if word in ("(", ")"):
            depth += 1 if word == "(" else -1
            is_next = False
            continue
        if is_next and not depth:
            return operation, word.strip('"')
        if is_next:
            inner = inner or word.strip('"')
        upper = word.upper()
        is_verb = upper in ("SELECT", "INSERT", "UPDATE", "DELETE")
        if not operation or (operation == "WITH" and is_verb and not depth):
            operation = upper
        is_next = upper in ("FROM", "INTO") or (upper == "UPDATE" and operation == "UPDATE")
    return operation, inner
