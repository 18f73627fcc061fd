"""The OpenAPI document: routes declare their shapes, this module adds headers, statuses, security and the error shape.

`openapi_extra` of a route may have `x-problems` (statuses of its own), `x-conditional` (a POST on a resource with a
version), `x-stores-nothing` (a POST that only computes), `x-public` (a GET that needs no token in opened regions) and
`x-constant` (a GET outside of `/v1` that has an ETag).
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from app.kit.fields import SOMETIMES
from app.kit.http.constants import Constant, LateConstant
from app.kit.http.routing import HouseRoute, list_query_fields
from app.kit.merge_patch import describe_patch
from app.kit.openapi.schemas import (
    find_names,
    name_forms,
    rename_pages,
    replace_copies,
    require_all,
    sort_deeply,
    tidy_schemas,
)
from app.kit.personal import is_free
from app.kit.problems import Problem, ProblemShape
from app.kit.shipped import find_shipped

COMMITTED = find_shipped("openapi/rata.v1.json")
DOCUMENT = "/openapi.json"
GUIDE = "/docs/guide"
WRITES = ("post", "put", "patch", "delete")

_HEADERS = {
    "ETag": "Strong ETag; a compressed reply has another one. `If-Match` takes the part before the dash too.",
    "Location": "Address of the new resource.",
    "Link": '`rel="next"`: address of the next page; missing on the last one. `rel="version-history"`: address of '
    "later versions.",
    "Repr-Digest": "SHA-256 of the bytes (RFC 9530), to check a copy.",
    "Rata-Rows": "Number of lines in the content.",
    "Rata-Cursor": "Cursor of the feed after this content: `after` of `/v1/changes` with the same `region`.",
    "Accept-Ranges": "`bytes`: `Range` and `If-Range` resume an interrupted transfer.",
    "Content-Range": "Range of bytes in this reply, and number of all bytes.",
    "X-Request-Id": "Id of this request, from the client or new. Quote it when you ask for help.",
    "Idempotency-Replayed": "`true` if this is the stored reply of an earlier request with the same key.",
    "Content-Language": "Language of the messages.",
    "Retry-After": "Seconds to wait before a retry, if a retry helps.",
    "RateLimit": "Remaining requests and seconds of the budget, which all tokens of a principal share, or all callers "
    'of an address without a token: `"reads";r=11999;t=60`. Missing if the operator sets no limit.',
    "RateLimit-Policy": 'The budget in requests and seconds: `"reads";q=12000;w=60`.',
    "WWW-Authenticate": "Scheme of authentication.",
}
_BUDGET = {"RateLimit", "RateLimit-Policy"}
"""Headers of every reply of `/v1`, refusals too."""


def _make_parameter(
    name: str, description: str, place: str = "header", **schema: object
) -> dict[str, object]:
    return {
        "name": name,
        "in": place,
        "required": False,
        "schema": {"type": "string"} | schema,
        "description": description,
    }


_LANGUAGE = _make_parameter("Accept-Language", "Language of messages: `id` (default) or `en`.", default="id")
_IF_NONE_MATCH = _make_parameter(
    "If-None-Match", "ETag that the caller has; without a change the reply is 304."
)
_CREATE_ONLY = _make_parameter("If-None-Match", "`*`: create only; 412 if the resource exists.", enum=["*"])
_IF_MATCH = _make_parameter(
    "If-Match",
    'ETag or `"<version>"` of the resource; required if it exists (428), 412 if stale. `*` overwrites any version.',
)
_IDEMPOTENCY_KEY = _make_parameter(
    "Idempotency-Key",
    "For 24 hours, a retry with an equal key and body gets the stored reply; another body gets 422.",
    minLength=1,
    maxLength=200,
    pattern="^[ -~]+$",
)
_DRY_RUN = _make_parameter(
    "dry_run",
    "Check and run the request, reply as usual, and store nothing.",
    "query",
    type="boolean",
    default=False,
)


_NO_NUMBERS = "Never the number of a person: no NIK, family card or NIP."
_OPEN = "\n\nNeeds no token in regions that the operator opened to the public."

_DONE = {
    "201": "Created.",
    "202": "Accepted.",
    "204": "Deleted.",
    "206": "The requested range.",
    "304": "Unchanged since the ETag of the request.",
    "get": "The requested content.",
    **dict.fromkeys(("put", "patch", "post"), "The new state."),
}
"""Descriptions of successful replies, by status or by method."""


def describe(app: FastAPI) -> dict[str, object]:
    """Return the document of an application, complete and sorted."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=[{"url": "/"}],
        openapi_version="3.1.0",
    )
    document["externalDocs"] = {"description": "Panduan · Guide", "url": GUIDE}  # FastAPI wants a whole URL
    components = document["components"]
    schemas = components["schemas"]
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    _restore_examples(schemas)
    _describe_free_texts(app, document)
    rename_pages(document)
    name_forms(document)
    for operations in document["paths"].values():
        if "put" in operations and "patch" in operations:
            (whole,) = operations["put"]["requestBody"]["content"].values()
            (changes,) = operations["patch"]["requestBody"]["content"].values()
            changes["schema"] = describe_patch(whole["schema"], schemas)
    tidy_schemas(document)
    replace_copies(document)
    require_all(document)
    problem = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    errors = {**problem.pop("$defs"), "Problem": problem}
    tidy_schemas({"components": {"schemas": errors}}, nullable=False)
    schemas.update(errors)
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "Service token, `rata_…`, or a token of the operator's OIDC issuer.",
        }
    }
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
    }
    components["responses"] = {}
    for path, method, operation in list_operations(document):
        _complete_operation(path, method, operation, document)
    described: dict[str, object] = sort_deeply(document)
    return described


def list_operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield (path, method, operation) for every operation."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _restore_examples(schemas: dict[str, Any]) -> None:
    """Put the nulls back into examples: FastAPI drops every null from the document."""
    for model in _list_shapes():
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in schemas.get(model.__name__, {}):
            examples: Any = extra["examples"]
            schemas[model.__name__]["examples"] = [_add_defaults(model, example) for example in examples]


def _list_shapes() -> Iterator[type[BaseModel]]:
    waiting = [BaseModel]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        yield model


def _add_sentence(described: dict[str, Any]) -> None:
    described["description"] = f"{described.get('description', '')} {_NO_NUMBERS}".strip()


def _add_defaults(model: type[BaseModel], example: object) -> object:
    """Return an example with the defaults of fields that it leaves out: a new field needs no new example."""
    if not isinstance(example, dict):
        return example
    defaults = {
        name: to_jsonable_python(field.get_default(call_default_factory=True, validated_data=example))
        for name, field in model.model_fields.items()
        if not field.is_required() and name not in example and field.json_schema_extra is not SOMETIMES
    }
    return {**example, **defaults}


def _describe_free_texts(app: FastAPI, document: dict[str, Any]) -> None:
    """Add the sentence on numbers of persons to the free texts of requests: their fields and their parameters."""
    operations = [operation for _, _, operation in list_operations(document)]
    schemas = document["components"]["schemas"]
    sent = set(find_names([operation.get("requestBody", {}) for operation in operations], schemas))
    for model in _list_shapes():
        if model.__name__ in sent:
            properties = schemas[model.__name__]["properties"]
            for name, field in model.model_fields.items():
                if is_free(field):
                    _add_sentence(properties[name])
    for route in app.routes:
        if isinstance(route, HouseRoute):
            free = {name for name, field in list_query_fields(route.dependant) if is_free(field)}
            for method, operation in document["paths"].get(route.path, {}).items():
                for parameter in operation.get("parameters", ()) if method in WRITES else ():
                    if parameter["name"] in free:
                        _add_sentence(parameter)


def _complete_operation(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> None:
    secured = path.startswith("/v1")
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    is_conditional = operation.pop("x-conditional", False) or method in ("put", "patch", "delete")
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        parameter.setdefault("description", parameter["schema"].pop("description", None))
        if parameter["name"] == "sort":
            parameter["description"] = "Field to sort by; a dash in front reverses the order."
    is_public = operation.pop("x-public", False)
    if secured:
        operation["security"] = [{}, {"token": []}] if is_public else [{"token": []}]
        operation["description"] += _OPEN if is_public else ""
        parameters.append(_LANGUAGE)
    is_constant = operation.pop("x-constant", False)
    is_tagged = method == "get" and (secured or is_constant)
    stores = method in WRITES and not operation.pop("x-stores-nothing", False)
    if stores:
        parameters.append(_DRY_RUN)
        parameters += [_IF_MATCH] if is_conditional else []
        parameters += {"put": [_CREATE_ONLY], "post": [_IDEMPOTENCY_KEY]}.get(method, [])
    elif is_tagged:
        parameters.append(_IF_NONE_MATCH)
    statuses = _list_failures(path, method, operation)
    _complete_responses(
        method, operation, secured, is_conditional, statuses, is_tagged=is_tagged, stores=stores
    )
    for status in operation["responses"]:
        if status[0] in "45":
            operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
            document["components"]["responses"].setdefault(f"Problem{status}", _describe_problem(int(status)))
    for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
        _exemplify(holder, document)


def _list_failures(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    statuses = {400, 500, *operation.pop("x-problems", [])}
    if "{" in path:
        statuses.add(404)
    if path.startswith("/v1"):
        statuses |= {401, 403, 429, 503}
    if method in WRITES:
        statuses.add(409)
    if method == "post":
        statuses.add(422)
    if "requestBody" in operation:
        statuses |= {413, 415, 422}
    return statuses


def _complete_responses(
    method: str,
    operation: dict[str, Any],
    secured: bool,
    is_conditional: bool,
    statuses: set[int],
    *,
    is_tagged: bool,
    stores: bool,
) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if is_conditional:
        statuses |= {412, 428}
    if is_tagged:
        responses["304"] = {}
    for status, response in responses.items():
        names = {"X-Request-Id"} | set(response.pop("headers", {}))
        if secured:
            names |= _BUDGET
        if is_tagged or (secured and status != "204"):
            names.add("ETag")
        if status.startswith("2") and method == "post" and stores:
            names.add("Idempotency-Replayed")
        if status == "200" and _is_page(response):
            names.add("Link")
        response["description"] = (
            _DONE.get(status) or _DONE["get" if method == "post" and not stores else method]
        )
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    responses.update({str(status): {} for status in statuses})


def _is_page(response: dict[str, Any]) -> bool:
    content = response.get("content", {}).values()
    return any(media.get("schema", {}).get("$ref", "").endswith("Page") for media in content)


def _describe_problem(status: int) -> dict[str, object]:
    names = ["X-Request-Id", "Content-Language", *_BUDGET]
    own = {401: "WWW-Authenticate", 416: "Content-Range", **dict.fromkeys((409, 429, 503), "Retry-After")}
    names += [own[status]] if status in own else []
    # The general problem first, then by code: the order of imports must not change the document.
    known = sorted(
        (problem for problem in Problem.known.values() if problem.status == status),
        key=lambda problem: (problem.__module__ != Problem.__module__, problem.code),
    )
    return {
        "description": "; ".join(f"`{p.code}`: {p.title.en}" for p in known) + ".",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": _make_example(known[0]),
            }
        },
    }


def _make_example(problem: type[Problem]) -> dict[str, object]:
    values: dict[str, Any] = dict.fromkeys(("names", "allowed", "sent"), "…")
    values["package"] = "rata[parquet]"
    shown = problem(**values).render(
        "id", base="https://rata.example", instance="/v1/plans/63.02-2026", request_id="5f0c6a7e"
    )
    return shown.model_dump(mode="json", exclude_none=True)


def _exemplify(holder: dict[str, Any], document: dict[str, object]) -> None:
    """Give each JSON body the example of its schema, unless the route has an example of its own."""
    for kind, media in holder.get("content", {}).items():
        if "example" in media or "examples" in media or "json" not in kind:
            continue
        example = find_example(media.get("schema", {}), document)
        if example is not None:
            media["example"] = example


def find_example(schema: dict[str, Any], document: dict[str, Any]) -> object:
    """Return the example of a schema: for a page, a page with one item; for alternatives, the first one's."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return find_example(schema["anyOf"][0], document)
    properties = schema.get("properties", {})
    if "items" in properties and "next" in properties:
        return {"items": [find_example(properties["items"]["items"], document)], "next": None}
    return None


def render_document(app: FastAPI) -> bytes:
    """Return the document in the format of the committed file."""
    return (json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n").encode()


def install(app: FastAPI) -> None:
    """Serve the completed document at `/openapi.json`, cached per path prefix."""

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    @cache
    def find_document(root_path: str) -> LateConstant:
        def make() -> Constant:
            # the committed file, which a test compares with `describe`: that takes seconds and blocks other threads
            document = json.loads(COMMITTED.read_bytes())
            if root_path:
                document = {**document, "servers": [{"url": root_path}, *document["servers"]]}
                document["externalDocs"] = {**document["externalDocs"], "url": f"{root_path}{GUIDE}"}
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            return Constant(text.encode(), "application/json")

        return LateConstant(make)

    async def read_document(request: Request) -> Response:
        return await find_document(request.scope.get("root_path", "").rstrip("/")).answer(request)

    app.add_route(DOCUMENT, read_document, include_in_schema=False)
