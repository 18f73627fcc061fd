"""Metrics of the process for Prometheus: requests, the queue, connections, the journal.

Labels are operation ids, classes of statuses and names of pools: never a key, a path or a token. Each process
counts for itself, so the settings allow metrics for one worker alone.
"""

import time
from collections.abc import Callable, Iterator
from http.server import HTTPServer

import sqlalchemy as sa
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.database.breaker import limit_to_ping
from app.kit.database.engine import Database
from app.kit.database.journal import last_sequence
from app.kit.database.replicas import ReplicatedDatabase
from app.kit.http.routing import NO_OPERATION
from app.kit.problems import Busy
from app.kit.server.admission import REASONS, Slots
from app.kit.server.middleware import HttpMiddleware, wrap_send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Buckets from a 304 to an export; a national page under load lies in the middle."""


class Metrics:
    """The metrics of one application, and the server that exposes them on a port of its own, if any."""

    def __init__(self, database: Callable[[], Database], places: Slots) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rata_requests",
            "Requests answered, by operation and class of status.",
            ("operation", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rata_request_seconds",
            "From a request's first byte to its reply's last.",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_work = Gauge("rata_requests_in_work", "Requests under way.", registry=self.registry)
        self.database, self.places = database, places
        self.server: HTTPServer | None = None
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges that the process reads at each scrape."""
        places = self.places
        yield GaugeMetricFamily(
            "rata_requests_waiting", "Requests in line for a place.", value=places.waiting
        )
        yield GaugeMetricFamily("rata_places_free", "Places for further requests.", value=places.free)
        away = CounterMetricFamily(
            "rata_requests_turned_away", "Requests that left the line without a place.", labels=("reason",)
        )
        for reason in REASONS:
            away.add_metric((reason,), places.turned_away[reason])
        yield away
        database = self.database()
        pools = GaugeMetricFamily(
            "rata_database_connections", "Connections, by pool and state.", labels=("pool", "state")
        )
        for name, engine in database.engines.items():
            if isinstance(engine.pool, sa.QueuePool):
                pools.add_metric((name, "in_use"), engine.pool.checkedout())
                pools.add_metric((name, "idle"), engine.pool.checkedin())
        yield pools
        rows = _count_rows(database)
        yield GaugeMetricFamily("rata_database_up", "Whether the database answers.", value=rows is not None)
        if rows is not None:
            yield GaugeMetricFamily("rata_journal_height", "Rows of the journal.", value=rows)
        if isinstance(database, ReplicatedDatabase):
            yield from _collect_replica(database)

    def describe(self) -> list[Metric]:
        return []  # without it `register` would call `collect`, which queries the database

    def page(self) -> bytes:
        return generate_latest(self.registry)

    def serve(self, host: str, port: int) -> None:
        self.server, _ = start_http_server(port, host, self.registry)

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


def _collect_replica(database: ReplicatedDatabase) -> Iterator[Metric]:
    reads = CounterMetricFamily(
        "rata_reads",
        "Pulls, digests and files of reports made, by the server that they were read from.",
        labels=("by",),
    )
    for name, count in database.reads_by.items():
        reads.add_metric((name,), count)
    yield reads
    in_use = database.is_replica_in_use
    yield GaugeMetricFamily("rata_replica_in_use", "1 while reads use the replica, else 0.", value=in_use)
    if (behind := database.rows_behind) is not None:
        yield GaugeMetricFamily(
            "rata_replica_rows_behind", "Rows of the journal that it lacked at the last check.", value=behind
        )


def _count_rows(database: Database) -> int | None:
    try:
        with limit_to_ping(), database.read_session() as session:
            return last_sequence(session)
    except (SQLAlchemyError, Busy):
        return None


class RequestMetrics(HttpMiddleware):
    """Middleware that counts each request at its end, by the operation that its route put in `scope["operation"]`."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics, status = self.metrics, 500
        # a list, since other middleware passes on copies of the scope
        operations = scope.setdefault("operation", [NO_OPERATION])

        def note(message: Message) -> None:
            nonlocal status
            status = message["status"]

        metrics.in_work.inc()
        started = time.perf_counter()
        try:
            await self.app(scope, receive, wrap_send(send, note))
        finally:
            metrics.in_work.dec()
            metrics.seconds.labels(operations[-1]).observe(time.perf_counter() - started)
            metrics.requests.labels(operations[-1], f"{status // 100}xx").inc()


def install_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Serve `/metrics` on the port of the service, without a token."""

    @app.get("/metrics", include_in_schema=False)
    def read_metrics() -> Response:
        return Response(metrics.page(), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_LATEST)
