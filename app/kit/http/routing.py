"""One request: its route, its unit of work, its answers.

`HouseRoute` is where the rules that hold for every operation live, so that none can be forgotten:
unknown parameters, trial runs, the one transaction that is committed before the response leaves, and
stored replies. What happens outside of a route (request id, log line, limits) stands in `layers`.
"""

import secrets as random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.kit.database.engine import Database, finish
from app.kit.database.errors import is_lost, problem_of
from app.kit.database.json_sql import to_json
from app.kit.http.anonymous import shared
from app.kit.http.bodies import Body, HouseRequest, JsonShape, check_plain
from app.kit.http.etags import VARY, is_unchanged, tag_of, unchanged
from app.kit.http.idempotency import Attempt, Replay
from app.kit.http.pagination import next_link
from app.kit.http.preferences import read_weights
from app.kit.http.validation import (
    nearest,
    problem_from,
    repeated_parameter,
    unknown_parameter,
    unknown_value,
    unreadable_body,
)
from app.kit.problems import (
    BadRequest,
    Busy,
    FieldError,
    Language,
    MethodNotAllowed,
    NotFound,
    Problem,
    ServerError,
    UnknownParameter,
)

log = structlog.get_logger("rata")

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
STORES_NOTHING = {"x-stores-nothing": True}
"""`openapi_extra` of a POST that only computes: no trial run, no stored reply, nothing in the journal."""

NO_OPERATION = "none"
"""Operation of a request without a route: unknown addresses, spent budgets, large bodies, files of `/docs`."""

PAUSES = (0.02, 0.1, 0.5)
"""Longest pauses, in seconds, before further attempts of a request whose transaction lost; jitter parts the losers."""
REPEAT_SECONDS = 5
"""After these no further attempt begins: who waited as long is told so."""


class Unit:
    """A request's unit of work: at most one writing session and one that it reads by, ended by the route."""

    def __init__(self, request: Request) -> None:
        self.database: Database = request.app.state.database
        self.request = request
        self.now = datetime.now(UTC)
        self.is_write = request.method in WRITES
        self.dry_run = self.is_write and _flag(request, "dry_run")
        self.attempt: Attempt | None = None
        self.call: object | None = None
        """Who asks, once that is known."""
        self._read: Session | None = None
        self._write: Session | None = None

    @property
    def reading(self) -> Session:
        """The session that reads; a write reads by it what need not be of its transaction."""
        if self._read is None:
            self._read = self.database.read_session()
        return self._read

    @property
    def session(self) -> Session:
        """The session of the work itself. On a write it begins at its first statement, in the thread
        of the endpoint: a thread that waits for its turn must not hold one that others need."""
        if not self.is_write:
            return self.reading
        if self._write is None:
            self._write = self.database.write_session()
        return self._write

    def rest(self) -> None:
        """Give the reading connection back. A request that waits for a thread must not hold one
        meanwhile, or those that have a thread find the pool empty."""
        if self._read is not None:
            self._read.close()

    def keep(self, response: Response) -> None:
        if self._write is None:
            return
        if self.attempt and not self.dry_run:
            self.attempt.store(self._write, response, self.now)
        finish(self._write, dry_run=self.dry_run)

    async def end(self) -> None:
        """Close what is open. A thread waits for the database to undo a write, the event loop does not."""
        if self._write is not None and self._write.in_transaction():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._write.close, limiter=anyio.CapacityLimiter(1))
        self.close()

    def close(self) -> None:
        if self._write is not None:
            self._write.close()
        self.rest()
        if self.attempt:
            self.attempt.end()


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise BadRequest(
            errors=[FieldError(unknown_value, parameter=name, value=value, allowed=["true", "false"])]
        )
    return value == "true"


EarlyTag = Callable[[HouseRequest], str]
"""The tag that the answer to a request would have, found without its parameters being read; it
authenticates, and raises what the request itself would."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def revalidated(tag: EarlyTag) -> Callable[[Endpoint], Endpoint]:
    """Declares a GET whose tag costs less than its parameters: a reader that polls pays for the tag alone.

    The tag covers the whole address, so one that matches was given for these very parameters.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.early_tag = tag  # type: ignore[attr-defined]  # read by HouseRoute
        return endpoint

    return declare


class HouseRoute(APIRoute):
    """A route under the house rules."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        early_tag: EarlyTag | None = getattr(self.endpoint, "early_tag", None)
        known: dict[str, bool] = {}
        body = Body.of(self)
        shape = body.shape if body else None

        async def handle(request: Request) -> Response:
            if "operation" in request.scope:
                request.scope["operation"].append(self.name)
            if not known:
                known.update(_parameters(self))
            _check(request, known, body)
            return shared(request, await _until_won(request, run))

        async def run(request: HouseRequest) -> Response:
            unit = request.state.unit = Unit(request)
            try:
                if early_tag is not None and "if-none-match" in request.headers:
                    tag = await anyio.to_thread.run_sync(early_tag, request)
                    if is_unchanged(request, tag):
                        return unchanged(tag)
                    unit.rest()
                if shape is not None:
                    await anyio.to_thread.run_sync(_validate, request, shape)
                response = await inner(request)
                if unit.is_write:
                    # A limiter of its own: a commit never waits for the threads that wait for it.
                    await anyio.to_thread.run_sync(unit.keep, response, limiter=anyio.CapacityLimiter(1))
            except Replay as replay:
                response = replay.response
            finally:
                await unit.end()
            return response

        return handle


def _check(request: Request, known: dict[str, bool], body: Body | None) -> None:
    """Hold a request to what its route takes, as far as address and headers tell."""
    check_plain(request)
    _refuse_unknown(request, known)
    if body is not None:
        body.check_media_type(request)


def _validate(request: HouseRequest, shape: JsonShape) -> None:
    """Authenticate the caller, then parse and validate the body: both in this thread, in this order."""
    request.app.state.authenticate(request)
    request.validate(shape)
    if request.invalid is not None:
        request.state.invalid = request.invalid


Run = Callable[[HouseRequest], Coroutine[Any, Any, Response]]


async def _until_won(request: Request, run: Run) -> Response:
    """The reply of the first attempt that does not lose its transaction to others; an attempt leaves nothing behind.

    Each attempt has a request of its own over the same body.
    """
    give_up_at = time.monotonic() + REPEAT_SECONDS
    for pause in PAUSES:
        try:
            return await _attempt(HouseRequest(request.scope, request.receive), run)
        except DBAPIError as error:
            if not is_lost(error) or time.monotonic() > give_up_at:
                raise
        log.warning("lost", request_id=request.scope.get("request_id"), path=request.scope["path"])
        await anyio.sleep(pause * (500 + random.randbelow(500)) / 1000)
    return await _attempt(HouseRequest(request.scope, request.receive), run)


async def _attempt(request: HouseRequest, run: Run) -> Response:
    """Return the reply of one attempt. A worker thread frees what it made of a large body; in the loop others wait."""
    refused: Exception | None = None
    try:
        return await run(request)
    except (Problem, RequestValidationError) as error:
        refused = error
        raise
    finally:
        if request.is_large:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(request.let_go, refused, limiter=anyio.CapacityLimiter(1))
        refused = None  # its traceback holds this frame


def _parameters(route: APIRoute) -> dict[str, bool]:
    """Query parameters that a route knows → whether it may be given several times."""
    stores = (route.methods or set()) & WRITES and not STORES_NOTHING.keys() & (route.openapi_extra or {})
    known = {"dry_run": False} if stores else {}
    for name, field in _query_fields(route.dependant):
        known[name] = "list[" in str(field.annotation)
    return known


def _query_fields(dependant: Dependant) -> Iterator[tuple[str, FieldInfo]]:
    """(name in the address, field) of the query parameters; those of a query model one by one."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from ((field.alias or name, field) for name, field in model.model_fields.items())
        else:
            yield parameter.alias, parameter.field_info
    for inner in dependant.dependencies:
        yield from _query_fields(inner)


def _refuse_unknown(request: Request, known: dict[str, bool]) -> None:
    sent = Counter(name for name, _ in request.query_params.multi_items())
    unknown = [name for name in sent if name not in known]
    if unknown:
        raise UnknownParameter(
            names=", ".join(unknown),
            errors=[
                FieldError(
                    unknown_parameter,
                    parameter=name,
                    allowed=sorted(known),
                    nearest=nearest(name, known),
                    values={"parameter": name},
                )
                for name in unknown
            ],
        )
    repeated = sorted(name for name, count in sent.items() if count > 1 and not known[name])
    if repeated:
        raise BadRequest(
            errors=[
                FieldError(repeated_parameter, parameter=name, values={"parameter": name})
                for name in repeated
            ]
        )


def house_router(**options: Any) -> APIRouter:
    return APIRouter(route_class=HouseRoute, **options)


# Answers


def answer(
    request: Request,
    body: bytes,
    *,
    status: int = 200,
    version: int | str | None = None,
    tag: str | None = None,
    location: str | None = None,
    media_type: str = "application/json",
) -> Response:
    """JSON as it is, with its entity tag; 304 where the caller has it already."""
    tag = tag or tag_of(body, version=version)
    if request.method in ("GET", "HEAD") and is_unchanged(request, tag):
        return unchanged(tag)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": VARY}
    if location:
        headers["Location"] = location
    return Response(body, status, headers, media_type=media_type)


def answer_page(
    request: Request, body: bytes, *, tag: str | None = None, media_type: str = "application/json"
) -> Response:
    response = answer(request, body, tag=tag, media_type=media_type)
    if response.status_code == 200 and (link := next_link(request, body)):
        response.headers["Link"] = link
    return response


def no_content() -> Response:
    return Response(status_code=204)


def created(shape: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Declares that a PUT may also create: 201 with the address of what it made."""
    return {
        201: {
            "model": shape,
            "description": "Created.",
            "headers": {"Location": {"schema": {"type": "string"}}},
        }
    }


def with_fields(body: str, **fields: Any) -> bytes:
    """A JSON object from the database with fields appended that only the request knows (`allowed`)."""
    return f"{body[:-1]},{to_json(fields)[1:]}".encode()


# Languages and problems


def language_of(request: Request) -> Language:
    """Indonesian unless English is preferred in `Accept-Language`."""
    best: tuple[float, Language] = (0.0, "id")
    for tag, weight in read_weights(request.headers.get("accept-language", "")):
        primary = tag.split("-")[0]
        if primary in ("id", "en") and weight > best[0]:
            best = (weight, "id" if primary == "id" else "en")
    return best[1]


def problem_response(request: Request, problem: Problem) -> Response:
    language = language_of(request)
    shape = problem.shown(
        language,
        base=str(request.base_url).rstrip("/"),
        instance=request.url.path,
        request_id=request.scope.get("request_id"),
    )
    response = Response(
        shape.model_dump_json(exclude_none=True),
        problem.status,
        {"Content-Language": language, "Cache-Control": "no-store", "Vary": VARY, **problem.headers},
        media_type="application/problem+json",
    )
    return shared(request, response)


def install_problem_handlers(app: FastAPI) -> None:
    """Every failure of the application leaves in the one shape."""

    @app.exception_handler(Problem)
    def _problem(request: Request, error: Problem) -> Response:
        return problem_response(request, error)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(
            request, problem_from(error.errors(), getattr(request.state, "invalid", None))
        )

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 404:
            return problem_response(request, NotFound())
        if error.status_code == 405:
            methods = ", ".join(_methods_of(request))
            return problem_response(request, MethodNotAllowed(headers={"Allow": methods}, allowed=methods))
        unread = FieldError(unreadable_body, pointer="", allowed="JSON, multipart")
        return problem_response(request, BadRequest(headers=headers, errors=[unread]))

    @app.exception_handler(DBAPIError)
    def _database(request: Request, error: DBAPIError) -> Response:
        problem = problem_of(error)
        if problem is None:
            log.error("database_error", request_id=request.scope.get("request_id"), exc_info=error)
            problem = ServerError()
        return problem_response(request, problem)

    @app.exception_handler(NoConnection)
    def _no_connection(request: Request, error: NoConnection) -> Response:
        return problem_response(request, Busy(headers={"Retry-After": "1"}))

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> Response:
        # Sent from outside of every layer, so the layer that adds the id does not see it; logged there.
        response = problem_response(request, ServerError())
        response.headers["X-Request-Id"] = request.scope.get("request_id", "")
        return response


def _methods_of(request: Request) -> list[str]:
    """What an address answers to; each of its methods is a route of its own."""
    routes = request.app.router.routes
    found = [
        method
        for method in ("GET", *sorted(WRITES))
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in routes)
    ]
    return ["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] else found


def shown_size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count} byte"
