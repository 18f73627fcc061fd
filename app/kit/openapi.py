"""The OpenAPI document: what the routes declare, completed by the rules that hold for all of them.

A route declares its own shapes; headers, statuses, the security scheme and the error shape are the
same everywhere and are added here, in one place, so they cannot differ from operation to operation.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.kit.patches import describe_patch
from app.kit.problems import Problem, ProblemShape

WRITES = ("post", "put", "patch", "delete")

_IF_NONE_MATCH = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "Entity tag that the caller has; where nothing changed the answer is 304.",
}
_IF_NONE_MATCH_CREATE = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string", "enum": ["*"]},
    "description": "`*`: create only; 412 where it exists.",
}
_IF_MATCH = {
    "name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "Entity tag or `\"<version>\"` of what is changed; required where it exists (428), 412 when "
    "stale. `*` accepts to overwrite.",
}
_DRY_RUN = {
    "name": "dry_run", "in": "query", "required": False, "schema": {"type": "boolean", "default": False},
    "description": "Do all of it, rights included, answer what would be, and keep nothing.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The same key and body get the same reply for 24 hours; another body is 422.",
}
_LANGUAGE = {
    "name": "Accept-Language", "in": "header", "required": False,
    "schema": {"type": "string", "default": "id"}, "description": "Language of messages: `id` (default) or `en`.",
}


def operation_id(route: APIRoute) -> str:
    """The function's name: short, and unique over the whole document (a test holds it)."""
    return route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application, complete and sorted."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description,
        routes=app.routes, tags=app.openapi_tags, openapi_version="3.1.0",
    )
    schemas = document["components"]["schemas"]
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    problem = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem | {"title": "Problem", "examples": [_problem_example(404)]}
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Service token, `rata_…`."}
    }
    for path, operations in document["paths"].items():
        if "put" in operations and "patch" in operations:
            (whole,) = operations["put"]["requestBody"]["content"].values()
            (changes,) = operations["patch"]["requestBody"]["content"].values()
            changes["schema"] = describe_patch(whole["schema"], schemas)
        for method, operation in operations.items():
            _complete(path, method, operation, document)
    return _sorted(document)


def _complete(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> None:
    writes, secured = method in WRITES, path.startswith("/v1")
    parameters = operation.setdefault("parameters", [])
    responses = operation["responses"]
    responses.pop("422", None)
    statuses = {400, 500, 503}
    if "{" in path or secured:
        statuses.add(404)
    if secured:
        operation["security"] = [{"token": []}]
        parameters.append(_LANGUAGE)
        statuses.add(401)
    if writes:
        parameters.append(_DRY_RUN)
        statuses |= {403, 409, 412, 413, 422}
        if method == "post":
            parameters.append(_IDEMPOTENCY_KEY)
        if method != "post" or operation.pop("x-conditional", False):
            parameters.append(_IF_MATCH)
            statuses.add(428)
        if method == "put":
            parameters.append(_IF_NONE_MATCH_CREATE)
    elif secured:
        parameters.append(_IF_NONE_MATCH)
        responses["304"] = {"description": "Not changed since the tag that was sent."}
    statuses |= set(operation.pop("x-problems", []))
    for status in statuses:
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        document["components"].setdefault("responses", {})[f"Problem{status}"] = _problem_response(status)
    for status, response in responses.items():
        if status.startswith("2") and secured:
            headers = response.setdefault("headers", {})
            if status != "204":
                headers["ETag"] = {"description": "Strong entity tag.", "schema": {"type": "string"}}
        _exemplify(response, document)
    _exemplify(operation.get("requestBody", {}), document)


def _problem_response(status: int) -> dict[str, Any]:
    return {
        "description": "; ".join(
            f"`{p.code}`: {p.detail.en}" for p in Problem.known.values() if p.status == status
        ) or "The request failed.",
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}, "example": _problem_example(status)
            }
        },
    }


def _problem_example(status: int) -> dict[str, Any]:
    problem = next((p for p in Problem.known.values() if p.status == status), Problem.known["bad_request"])
    return {
        "type": f"https://rata.example/problems/{problem.code}",
        "title": problem.title.id,
        "status": status,
        "detail": problem.detail.render("id", {}),
        "code": problem.code,
        "instance": "/v1/plans/63.02-2026",
    }


def _exemplify(holder: dict[str, Any], document: dict[str, Any]) -> None:
    """Give each JSON body the example of its schema, where the route gives none of its own."""
    for kind, media in holder.get("content", {}).items():
        if "example" in media or "examples" in media or "json" not in kind:
            continue
        example = example_of(media.get("schema", {}), document)
        if example is not None:
            media["example"] = example


def example_of(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """The example that a schema declares, or one made of its properties' examples."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("type") == "array":
        item = example_of(schema.get("items", {}), document)
        return None if item is None else [item]
    properties = schema.get("properties", {})
    if "items" in properties and "next" in properties:
        return {"items": example_of(properties["items"], document) or [], "next": None}
    return None


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        if value and all(isinstance(v, dict) and "name" in v and "in" in v for v in value):
            value = sorted(value, key=lambda v: (v["in"], v["name"]))
        return [_sorted(v) for v in value]
    return value


def document_bytes(app: FastAPI) -> bytes:
    return (json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n").encode()


def install(app: FastAPI, describe: Callable[[FastAPI], dict[str, Any]] = describe) -> None:
    """Make the application answer `/openapi.json` with the completed document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


COMMITTED = Path(__file__).parents[2] / "openapi" / "rata.v1.json"
