"""The application: areas put together, nothing of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.gzip import GZipMiddleware

import app.plans.moves
import app.schema
from app.access.routes import router as access
from app.agencies.routes import router as agencies
from app.changes.routes import router as changes
from app.exchange.routes import router as exchange
from app.kit import openapi
from app.kit.db import Database
from app.kit.problems import Kind, NotFound, Problem
from app.kit.requests import HouseRoute, RequestLog, install_problem_handlers, language_of
from app.reference.nomenclature.routes import router as nomenclature
from app.reference.routes import router as reference
from app.plans.routes import router as plans
from app.settings import Settings
from app.tracking.routes import router as tracking

VERSION = "1.0.0"

DESCRIPTION = """
Rencana Aksi Tahunan (RAT) penanggulangan kemiskinan sebagai data: disusun, diperiksa, dilaporkan tiap
triwulan, dan ditarik oleh sistem lain.

Annual poverty-reduction action plans as data: written, checked, reported every quarter, pulled by other
systems. Keys are natural (`73.22-2026`, `A-014`, `2026-Q2`), money is whole rupiah, spending is always
cumulative to the end of the period, messages come in Indonesian or English by `Accept-Language`.
"""


class OldSchema(SystemExit):
    """The service does not start on a database whose tables are not those of its code."""


def check_schema(database: Database) -> None:
    current, newest = database.schema_state()
    if current != newest:
        raise OldSchema(
            f"The database is at revision {current or 'none'}, the code needs {newest}. Run: rata migrate"
        )


def create_app(settings: Settings | None = None, database: Database | None = None) -> FastAPI:
    """The application over one database; `database` is given by tests and by the command line."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        if database is None:
            check_schema(app.state.database)
        yield
        if database is None:
            app.state.database.close()

    app = FastAPI(
        title="Rata",
        version=VERSION,
        summary="Rencana Aksi Tahunan penanggulangan kemiskinan: satu rencana, satu data, setiap triwulan.",
        description=DESCRIPTION,
        lifespan=lifespan,
        generate_unique_id_function=openapi.operation_id,
        max_body_size=settings.max_body_bytes,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = database or Database(settings.database_url, pool_size=settings.database_pool)
    v1 = APIRouter(prefix="/v1")
    for router in (access, reference, nomenclature, agencies, plans, tracking, changes, exchange):
        v1.include_router(router)
    app.include_router(v1)
    app.include_router(_service_router())
    openapi.install(app)
    install_problem_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(RequestLog)
    return app


def _service_router() -> APIRouter:
    router = APIRouter(route_class=HouseRoute, tags=["service"])

    @router.get("/health", response_class=JSONResponse)
    def read_health() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok", "version": VERSION}

    @router.get("/ready", response_class=JSONResponse)
    def read_ready(request: Request) -> dict[str, str]:
        """The database answers too; 503 while it does not."""
        request.app.state.database.ping()
        return {"status": "ok"}

    @router.get("/problems/{code}", response_class=JSONResponse)
    def read_problem(request: Request, code: str) -> Response:
        """What a problem's or a field error's code means, in both languages."""
        problem, kind = Problem.known.get(code), Kind.known.get(code)
        if problem is not None:
            body = {"code": code, "status": problem.status, "title": problem.title._asdict(),
                    "detail": problem.detail._asdict()}
        elif kind is not None:
            body = {"code": code, "message": kind.text._asdict()}
        else:
            raise NotFound()
        return JSONResponse(body, headers={"Content-Language": language_of(request)})

    return router
