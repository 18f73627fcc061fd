"""The FastAPI application: routers of the areas, middleware, and the state that they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import FastAPI

from app.access.actor import authenticate
from app.access.commands import LastUses
from app.access.routes import router as access
from app.agencies.routes import router as agencies
from app.changes.routes import router as changes
from app.changes.webhooks.routes import router as webhooks
from app.client.version import VERSION
from app.convergence.coverage.routes import router as coverage
from app.convergence.editions.routes import choices as chosen_editions
from app.convergence.editions.routes import router as editions
from app.convergence.indicators.analyses.routes import router as analyses
from app.convergence.indicators.routes import router as indicators
from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.routes import router as scorecards
from app.convergence.scorecards.yardsticks.routes import router as yardsticks
from app.convergence.steps.routes import router as steps
from app.convergence.villages.routes import router as villages
from app.exchange.catalogue.routes import router as catalogue
from app.exchange.iati.routes import router as iati
from app.exchange.matrix.routes import router as exchange
from app.exchange.pulls.routes import router as pulls
from app.exchange.templates.routes import router as templates
from app.kit.database.engine import Database
from app.kit.database.replicas import make_database
from app.kit.http.replies import install_problem_handlers
from app.kit.openapi import document as openapi
from app.kit.server.admission import SPARE_THREADS, Admission, Slots
from app.kit.server.compression import Compression
from app.kit.server.documentation import install_docs, service_router
from app.kit.server.graceful_shutdown import ConnectionClosing, delay_stop
from app.kit.server.guide import install_guide
from app.kit.server.health import Probe, health_router
from app.kit.server.middleware import HeadBounds, HeadRequests, RequestLog
from app.kit.server.rate_limit import RateBudgets, RateLimits
from app.kit.server.request_body import RequestBodies
from app.plans.routes import actions, amendments, findings, imports, overlaps, plans, revisions
from app.reference.coordinates.routes import router as coordinates
from app.reference.nomenclature.routes import router as nomenclature
from app.reference.routes import router as reference
from app.reports.routes import router as reports
from app.settings import Settings
from app.startup.configuration import load_settings
from app.startup.database import check_export_cache, check_schema, make_export_cache, read_timeouts
from app.startup.logs import configure_logs
from app.tracking.routes import calendars, completeness, meetings, progress, quarters, snapshots
from app.wiring import wire

if TYPE_CHECKING:
    from app.access.issuer import Issuer

DESCRIPTION = """
Rencana Aksi Tahunan (RAT) penanggulangan kemiskinan sebagai data: disusun, diperiksa, dilaporkan tiap
triwulan, dan ditarik oleh sistem lain.

Annual poverty-reduction action plans as data: offices write and check them and report every quarter, other systems
pull them. Keys are natural (`73.22-2026`, `A-014`, `2026-Q2`), money is whole rupiah, spending is always cumulative to
the end of the period, messages come in Indonesian or English by `Accept-Language`.

Every address that answers GET answers HEAD as well. A compressed reply has an ETag of its own; preconditions take
either.

Every failure has one shape, `Problem`, with two exceptions: bytes that are not HTTP get 400 as plain text, and a proxy
in front answers by itself to too many connections and to slow clients.
"""

AREAS = {
    "access": "Identity and rights of the caller; for administrators: principals, roles and tokens.",
    "agencies": "Bodies of a region that lead or support its actions: create, retire, merge.",
    "changes": "Feed of all changes in the order of their commits, by which other systems keep a copy up to date.",
    "convergence": "Results of the plans: coverage of services, outcome indicators, targets, convergence steps, "
    "scorecards, priority villages, comparisons of regions.",
    "exchange": "Import and export of the offices' spreadsheet matrix; whole quarters to pull.",
    "plans": "Plans of a region and year, and their actions with all parts.",
    "reference": "Regions, nomenclature, funding sources, strategies, equal for every caller.",
    "reports": "Reports of a region, a province or the nation for every quarter, as pages or as CSV.",
    "service": "Health of the service, and meaning of its error codes.",
    "tracking": "Progress quarter by quarter, always cumulative from January, with its sums; coordination meetings "
    "and their commitments.",
}
"""Tag → its description in the document."""


def create_app(settings: Settings | None = None, database: Database | None = None) -> FastAPI:
    """Return the application over one database, that of the settings unless the caller passes another.

    The lifespan starts and stops background threads only for the database of the settings.
    """
    wire()
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads + SPARE_THREADS
        if database is None:
            check_schema(app.state.database)
            check_export_cache(app.state.export_cache)
            app.state.last_uses.start(app.state.database)
            app.state.figures_cache.start(app.state.database)
            if app.state.issuer is not None:
                app.state.issuer.start()
            if settings.metrics == "port":
                app.state.metrics.serve(settings.host, settings.metrics_port)
        yield
        if app.state.traces is not None:
            app.state.traces.close()
        if database is None:
            if app.state.issuer is not None:
                app.state.issuer.stop()
            if app.state.metrics is not None:
                app.state.metrics.close()
            app.state.figures_cache.stop(app.state.database)
            app.state.last_uses.stop(app.state.database)
            app.state.export_cache.close()
            app.state.database.close()

    app = FastAPI(
        title="Rata",
        version=VERSION,
        summary="Rencana Aksi Tahunan penanggulangan kemiskinan: satu rencana, satu data, setiap triwulan.",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_tags=[{"name": name, "description": text} for name, text in AREAS.items()],
        # the framework's own spans have query strings
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url=None,  # `openapi.install` adds its own route
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.authenticate = authenticate
    app.state.issuer = _make_issuer(settings)
    app.state.last_uses = LastUses()
    app.state.rates = RateBudgets(
        reads=settings.reads_per_minute,
        writes=settings.writes_per_minute,
        failures=settings.failures_per_minute,
    )
    app.state.export_cache = make_export_cache(settings)
    app.state.figures_cache = FiguresCache()
    app.state.database = database or make_database(
        settings.database_url,
        settings.database_read_url,
        pool_size=settings.database_pool,
        patience=read_timeouts(settings),
    )
    app.state.database.log_refusals()
    app.state.probe = Probe(lambda: app.state.database.ping())
    slots = Slots(settings.threads, length=settings.queue_length, seconds=settings.queue_seconds)
    # Starlette tries routes in this order: first those that must answer under any load, then the most frequent.
    for router in (
        health_router(VERSION),
        actions.router,
        progress.router,
        findings.router,
        overlaps.router,
        plans.router,
        revisions.router,
        amendments.router,
        imports.router,
        changes,
        webhooks,
        quarters.router,
        snapshots.router,
        calendars.router,
        completeness.router,
        exchange,
        templates,
        scorecards,
        yardsticks,
        reports,
        pulls,
        iati,
        catalogue,
        coverage,
        chosen_editions,
        steps,
        indicators,
        analyses,
        villages,
        agencies,
        meetings.router,
        reference,
        coordinates,
        nomenclature,
        editions,
        access,
        service_router(),
        findings.documents,
    ):
        app.routes.extend(router.routes)
    openapi.install(app)
    install_docs(app)
    install_guide(app)
    install_problem_handlers(app)
    app.add_middleware(Compression, compresslevel=5)
    app.add_middleware(Admission, places=slots)
    app.add_middleware(RequestBodies, limit=settings.max_body_bytes, together=settings.bodies_max_bytes)
    app.add_middleware(RateLimits, rates=app.state.rates)
    app.add_middleware(HeadRequests)
    app.add_middleware(HeadBounds)
    app.add_middleware(RequestLog)
    app.add_middleware(ConnectionClosing)
    _add_metrics(app, settings, slots)
    _add_traces(app, settings)
    return app


def make_worker() -> FastAPI:
    """Return the application of a worker process, and configure its logs and its shutdown by the settings."""
    settings = load_settings()
    configure_logs(settings.log_format)
    delay_stop(settings.leave_seconds)
    return create_app(settings)


# The functions below import an extra only if a setting needs it: the service starts without it, and sooner.


def _make_issuer(settings: Settings) -> "Issuer | None":
    if settings.oidc_issuer is None:
        return None
    from app.access.issuer import create_issuer

    return create_issuer(settings)


def _add_metrics(app: FastAPI, settings: Settings, slots: Slots) -> None:
    app.state.metrics = None
    if settings.metrics == "off":
        return
    from app.kit.server.metrics import Metrics, RequestMetrics, install_metrics

    app.state.metrics = Metrics(lambda: app.state.database, slots)
    if settings.metrics == "public":
        install_metrics(app, app.state.metrics)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)


def _add_traces(app: FastAPI, settings: Settings) -> None:
    app.state.traces = None
    if not settings.traces:
        return
    from app.kit.server.tracing import RequestSpans, SpanSender  # takes half a second and 20 MB

    app.state.traces = SpanSender(VERSION)
    app.state.traces.watch(app.state.database)
    app.add_middleware(RequestSpans, traces=app.state.traces)
