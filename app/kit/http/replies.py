"""Replies: JSON with its ETag, pages with their links, and every error as a problem."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.kit.database.errors import find_problem
from app.kit.database.json_sql import dump_json
from app.kit.http.anonymous import add_public_headers
from app.kit.http.etags import VARY, answer_unchanged, is_unchanged, make_etag
from app.kit.http.pagination import find_next_link
from app.kit.http.preferences import read_weights
from app.kit.http.unit_of_work import WRITES
from app.kit.http.validation import make_problem, unavailable, unreadable_body
from app.kit.problems import BadRequest, Busy, FieldError, MethodNotAllowed, NotFound, Problem, ServerError
from app.kit.wording import Language

log = structlog.get_logger("rata")


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
    """Return a JSON reply with its ETag; 304 if the client has it already."""
    tag = tag or make_etag(body, version=version)
    if request.method in ("GET", "HEAD") and is_unchanged(request, tag):
        return answer_unchanged(tag)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": VARY}
    if location:
        headers["Location"] = location
    return Response(body, status, headers, media_type=media_type)


def answer_resource(
    request: Request, text: str, version: int | None, address: str, *, status: int = 200, **fields: object
) -> Response:
    """Return the reply for a row, with `fields` appended; with its `Location` if the request created it."""
    location = f"/v1/{address}" if status == 201 else None
    body = append_fields(text, **fields) if fields else text.encode()
    return answer(request, body, status=status, version=version, location=location)


def answer_page(
    request: Request, body: bytes, *, tag: str | None = None, media_type: str = "application/json"
) -> Response:
    response = answer(request, body, tag=tag, media_type=media_type)
    if response.status_code == 200 and (link := find_next_link(request, body)):
        response.headers["Link"] = link
    return response


def answer_no_content() -> Response:
    return Response(status_code=204)


def declare_created(shape: type[BaseModel]) -> dict[int | str, dict[str, object]]:
    """Return the declaration that a PUT may also create: 201 with the `Location` of the resource."""
    return {
        201: {
            "model": shape,
            "description": "Created.",
            "headers": {"Location": {"schema": {"type": "string"}}},
        }
    }


def append_fields(body: str, **fields: object) -> bytes:
    """Return the database's JSON object with fields appended that depend on the request, such as `allowed`."""
    return f"{body[:-1]},{dump_json(fields)[1:]}".encode()


# Languages and problems


def choose_language(request: Request) -> Language:
    """Return the language that `Accept-Language` prefers, by default Indonesian."""
    best: tuple[float, Language] = (0.0, "id")
    for tag, weight in read_weights(request.headers.get("accept-language", "")):
        primary = tag.split("-")[0]
        if primary in ("id", "en") and weight > best[0]:
            best = (weight, "id" if primary == "id" else "en")
    return best[1]


def answer_problem(request: Request, problem: Problem) -> Response:
    language = choose_language(request)
    shape = problem.render(
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
    return add_public_headers(request, response)


def install_problem_handlers(app: FastAPI) -> None:
    """Install handlers that send every error of the application as a problem."""

    @app.exception_handler(Problem)
    def _problem(request: Request, error: Problem) -> Response:
        return answer_problem(request, error)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        return answer_problem(request, make_problem(error.errors(), getattr(request.state, "invalid", None)))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 404:
            return answer_problem(request, NotFound())
        if error.status_code == 405:
            methods = _list_methods(request)
            errors = [FieldError(unavailable, pointer="", value=request.method, allowed=methods)]
            headers = {"Allow": ", ".join(methods)}
            return answer_problem(request, MethodNotAllowed(headers=headers, errors=errors))
        unreadable = FieldError(unreadable_body, pointer="", allowed="JSON, multipart")
        return answer_problem(request, BadRequest(headers=headers, errors=[unreadable]))

    @app.exception_handler(DBAPIError)
    def _database(request: Request, error: DBAPIError) -> Response:
        problem = find_problem(error)
        if problem is None:
            log.error("database_error", request_id=request.scope.get("request_id"), exc_info=error)
            problem = ServerError()
        return answer_problem(request, problem)

    @app.exception_handler(NoConnection)
    def _no_connection(request: Request, error: NoConnection) -> Response:
        return answer_problem(request, Busy(headers={"Retry-After": "1"}))

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> Response:
        # Starlette sends this reply outside the middleware, which logs the error and cannot add the request id.
        response = answer_problem(request, ServerError())
        response.headers["X-Request-Id"] = request.scope.get("request_id", "")
        return response


def _list_methods(request: Request) -> list[str]:
    routes = request.app.router.routes
    methods = [
        method
        for method in ("GET", *sorted(WRITES))
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in routes)
    ]
    return ["GET", "HEAD", *methods[1:]] if methods[:1] == ["GET"] else methods


def format_size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count} byte"
