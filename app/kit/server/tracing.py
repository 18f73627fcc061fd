"""Spans for an OpenTelemetry collector: requests by operation, their statements, what works behind them.

A span says what is done and how long it took: operation ids, templates of addresses, names of tables, kinds of
errors. Never a key, a query string, a parameter, a text of anybody, or the text of a statement. Nothing here is
imported unless it is switched on; where to send, and how much, is said by OpenTelemetry's own variables.
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
from app.kit.server.middleware import Layer, at_start
from app.kit.spans import TRACER, failed

log = structlog.get_logger("rata")

CLOSE_SECONDS = 3.0
"""How long a process that stops waits for its last spans to arrive."""


# Statements: opentelemetry-instrumentation-sqlalchemy takes the place of `watch` and `_named` once it can. In its
# version 0.66b2, looked at in November 2026, it wants SQLAlchemy below 2.1, sends the text of each statement, and
# takes the first word alone, not the table, for the name of a span.
class Traces:
    """The spans of a process on their way to the collector: a bounded queue, and a thread that empties it."""

    def __init__(self, version: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.version": version})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "rata"}))
        self._exporter = _Telling(exporter or OTLPSpanExporter())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        # it would say of every batch, and of every span that finds no room, that the collector is away
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._watched: list[Engine] = []
        self.tracer = self._provider.get_tracer("rata", version)

    def watch(self, database: Database) -> None:
        """Tell of each statement that is executed within a span."""
        for engine in set(database.engines.values()):
            for name, told in self._listeners():
                event.listen(engine, name, told)
            self._watched.append(engine)

    def _listeners(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            ("before_cursor_execute", self._begin),
            ("after_cursor_execute", self._end),
            ("handle_error", self._fail),
        ]

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what waits, if that is soon; what a collector that is away does not take is lost."""
        for engine in self._watched:
            for name, told in self._listeners():
                event.remove(engine, name, told)
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
        known: Any,
        many: bool,
    ) -> None:
        if trace.get_current_span().is_recording():
            operation, table = _named(statement)
            told = {"db.system.name": connection.dialect.name, "db.operation.name": operation}
            if table:
                told["db.collection.name"] = table
            name = f"{operation} {table}".rstrip()
            known.rata_span = self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=told)

    def _end(
        self,
        connection: Connection,
        cursor: object,
        statement: str,
        parameters: object,
        known: object,
        many: bool,
    ) -> None:
        if span := getattr(known, "rata_span", None):
            span.end()

    def _fail(self, told: ExceptionContext) -> None:
        if span := getattr(told.execution_context, "rata_span", None):
            failed(span, told.original_exception)
            span.end()


class _Telling(SpanExporter):
    """Says once that spans are lost, and once that they arrive again."""

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


class Traced(Layer):
    """A span of each request, named by the operation that its route wrote into `scope["operation"]`.

    It goes on with the trace that the caller names (`traceparent`). Other layers find its id in `scope["trace_id"]`.
    """

    def __init__(self, app: ASGIApp, *, traces: Traces) -> None:
        self.app, self._tracer = app, traces.tracer
        self._caller = TraceContextTextMapPropagator()
        self._paths: dict[str, str] = {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["operation"] = told = [NO_OPERATION]
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(method, self._parent(scope), SpanKind.SERVER)
        scope["trace_id"] = f"{span.get_span_context().trace_id:032x}"
        if not span.is_recording():
            # still the one that is under way: what is below is not recorded either
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
            await self.app(scope, receive, at_start(send, note))
        except BaseException as error:
            failed(span, error)
            raise
        finally:
            context.detach(token)
            span.set_attributes({"http.request.method": method, "http.response.status_code": status})
            self._tell(span, scope, told[-1], status)
            span.end()

    def _parent(self, scope: Scope) -> context.Context:
        """The caller's span. Its `tracestate` is left: it is a text of anybody's."""
        for name, value in scope["headers"]:
            if name == b"traceparent":
                return self._caller.extract({"traceparent": value.decode("latin-1")}, context.Context())
        return context.Context()

    def _tell(self, span: Span, scope: Scope, operation: str, status: int) -> None:
        told = {"url.scheme": scope["scheme"], "rata.request_id": scope.get("request_id", "")}
        if operation != NO_OPERATION:
            span.update_name(operation)
            told["http.route"] = self._path(scope, operation)
        span.set_attributes(told)
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    def _path(self, scope: Scope, operation: str) -> str:
        if not self._paths:
            self._paths = {route.name: route.path for route in scope["app"].routes}
        return self._paths[operation]


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|\w+""")


@lru_cache(2000)
def _named(statement: str) -> tuple[str, str]:
    """(operation, table) of a statement: the table of its outermost FROM, else of its first; empty: it has none."""
    depth, operation, inner, is_next = 0, "", "", False
    for found in _WORDS.finditer(statement):
        word = found[0]
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
