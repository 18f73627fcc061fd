"""The route of a request, and its attempts.

`HouseRoute` applies the rules of every operation, so that no operation lacks one: unknown parameters, dry runs, the
one transaction that commits before the response leaves (`unit_of_work`), and stored replies. Request ids, log lines
and rate limits are in `kit.server`.
"""

import secrets as random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from enum import Enum
from functools import cached_property
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.kit.database.errors import is_serialization_failure
from app.kit.http.anonymous import add_public_headers
from app.kit.http.bodies import Body, HouseRequest, JsonShape, check_url
from app.kit.http.etags import answer_unchanged, is_unchanged
from app.kit.http.idempotency import Replay
from app.kit.http.unit_of_work import WRITES, UnitOfWork
from app.kit.http.validation import find_nearest, repeated_parameter, unknown_parameter
from app.kit.personal import PersonNumber, is_free
from app.kit.problems import BadRequest, FieldError, Problem, UnknownParameter

log = structlog.get_logger("rata")

STORES_NOTHING = {"x-stores-nothing": True}
"""`openapi_extra` of a POST that only computes: no dry run, no stored reply, no row in the journal."""

NO_OPERATION = "none"
"""Operation of a request without a route: unknown paths, exceeded rate limits, large bodies, files of `/docs`."""

PAUSES = (0.02, 0.1, 0.5)
"""Maximum pauses, in seconds, before each retry after a serialization failure; jitter separates concurrent retries."""
RETRY_SECONDS = 5
"""No retry starts after this many seconds; the client gets 503."""


EarlyTag = Callable[[HouseRequest], str]
"""Returns the ETag of the reply without reading the parameters; authenticates, and raises as the request itself."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
Parameters = TypeVar("Parameters")
FromQuery = Annotated[Parameters, Query()]
"""All query parameters, as one shape."""


def revalidate_by(tag: EarlyTag) -> Callable[[Endpoint], Endpoint]:
    """Declare a GET with an ETag that costs less than its parameters: a polling client pays only for the ETag.

    The ETag covers the whole URL, so a match implies the same parameters.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.early_tag = tag  # type: ignore[attr-defined]  # read by HouseRoute
        return endpoint

    return declare


class HouseRoute(APIRoute):
    """A route under the house rules."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Compare the beginning of the path and its number of segments first: the pattern costs three times as much."""
        path = scope["path"]
        if scope.get("root_path") or (path.startswith(self._beginning) and path.count("/") == self._depth):
            return super().matches(scope)
        return Match.NONE, {}

    @cached_property
    def _beginning(self) -> str:
        return self.path.partition("{")[0]

    @cached_property
    def _depth(self) -> int:
        return self.path.count("/")

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        inner = super().get_route_handler()
        early_tag: EarlyTag | None = getattr(self.endpoint, "early_tag", None)
        known: dict[str, bool] = {}
        free: list[str] = []
        body = Body.of(self)
        shape = body.shape if body else None

        async def handle(request: Request) -> Response:
            if "operation" in request.scope:
                request.scope["operation"].append(self.name)
            if not known:
                known.update(_list_parameters(self))
                fields = list_query_fields(self.dependant)
                free.extend(name for name, field in fields if is_free(field))
            check_url(request)
            _refuse_unknown(request, known)
            if body is not None:
                body.check_media_type(request)
            return add_public_headers(request, await _run_with_retries(request, run))

        async def run(request: HouseRequest) -> Response:
            unit = request.state.unit = UnitOfWork(request)
            request.numbers = [
                number
                for name in free
                for number in PersonNumber.find(
                    f"/{name}", request.query_params.get(name, ""), {"parameter": name}
                )
            ]
            try:
                if early_tag is not None and "if-none-match" in request.headers:
                    tag = await anyio.to_thread.run_sync(early_tag, request)
                    if is_unchanged(request, tag):
                        return answer_unchanged(tag)
                    unit.rest()
                if shape is not None:
                    await anyio.to_thread.run_sync(_validate, request, shape)
                response = await inner(request)
                if unit.is_write:
                    # Its own limiter, so that a commit never waits for the threads that wait for it.
                    await anyio.to_thread.run_sync(unit.keep, response, limiter=anyio.CapacityLimiter(1))
            except Replay as replay:
                response = replay.response
            finally:
                await unit.end()
            return response

        return handle


def _validate(request: HouseRequest, shape: JsonShape) -> None:
    """Authenticate the caller, and then parse and validate the body, both in this thread."""
    request.app.state.authenticate(request)
    request.validate(shape)
    if request.invalid is not None:
        request.state.invalid = request.invalid


Run = Callable[[HouseRequest], Awaitable[Response]]


async def _run_with_retries(request: Request, run: Run) -> Response:
    """Run a request, and retry it after each serialization failure. A failed attempt leaves nothing behind.

    Each attempt has its own request object over the same body.
    """
    give_up_at = time.monotonic() + RETRY_SECONDS
    for pause in PAUSES:
        try:
            return await _run_once(HouseRequest(request.scope, request.receive), run)
        except DBAPIError as error:
            if not is_serialization_failure(error) or time.monotonic() > give_up_at:
                raise
        log.warning("lost", request_id=request.scope.get("request_id"), path=request.scope["path"])
        await anyio.sleep(pause * (500 + random.randbelow(500)) / 1000)
    return await _run_once(HouseRequest(request.scope, request.receive), run)


async def _run_once(request: HouseRequest, run: Run) -> Response:
    """Run one attempt. A worker thread frees a large parsed body, which would block the event loop."""
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


def _list_parameters(route: APIRoute) -> dict[str, bool]:
    """Return query parameter → whether it may repeat, for the parameters of a route."""
    stores = (route.methods or set()) & WRITES and not STORES_NOTHING.keys() & (route.openapi_extra or {})
    known = {"dry_run": False} if stores else {}
    for name, field in list_query_fields(route.dependant):
        known[name] = "list[" in str(field.annotation)
    return known


def list_query_fields(dependant: Dependant) -> Iterator[tuple[str, FieldInfo]]:
    """Yield (name in the URL, field) of the query parameters, those of a query model one by one."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from ((field.alias or name, field) for name, field in model.model_fields.items())
        else:
            yield parameter.alias, parameter.field_info
    for inner in dependant.dependencies:
        yield from list_query_fields(inner)


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
                    nearest=find_nearest(name, known),
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


def make_router(prefix: str = "", *, tags: list[str | Enum], root: str = "/v1") -> APIRouter:
    """Return a router of `HouseRoute`s with their whole path, so that an application adds them directly.

    FastAPI's `include_router` would match each of them in a copied scope: half the time of a small request.
    """
    return APIRouter(
        route_class=HouseRoute,
        prefix=root + prefix,
        tags=tags,
        generate_unique_id_function=lambda route: route.name,
    )
