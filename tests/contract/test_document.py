"""The document itself: current, complete, and free of what generators of clients stumble over.

That it is OpenAPI 3.1 `make lint` and `make proofs GROUP=contract` hold.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from app.kit.openapi.document import COMMITTED, render_document
from tests.contract.operations import Operation, operations
from tests.contract.world import declared

DOCUMENT, SCHEMAS = declared()
OPERATIONS = list(operations(DOCUMENT))
SHAPES: dict[str, Any] = DOCUMENT["components"]["schemas"]


def test_committed_file_is_current(built_app: FastAPI) -> None:
    if not COMMITTED.exists() or COMMITTED.read_bytes() != render_document(built_app):
        pytest.fail(
            f"{COMMITTED.name} is not what the service says any more. Run: make openapi", pytrace=False
        )


def schemas_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema below a value; names of fields and examples are none."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name in ("properties", "schemas"):
                for one in inner.values():
                    yield from schemas_in(one)
            elif name not in ("example", "examples", "default", "enum"):
                yield from schemas_in(inner)
    elif isinstance(value, list):
        for one in value:
            yield from schemas_in(one)


def test_nothing_that_generators_stumble_over() -> None:
    for name in SHAPES:
        assert re.fullmatch(r"[A-Z][A-Za-z]*", name), f"{name}: no name for a type"
        assert not name.startswith(("HTTPValidation", "Body_"))
    for schema in schemas_in({"paths": DOCUMENT["paths"], "schemas": SHAPES}):
        extra = [key for key in schema if key.startswith("x-")]
        assert not extra, f"left over: {extra} in {schema}"
        if "anyOf" in schema:
            kinds = ["$ref" in one or one == {"type": "null"} for one in schema["anyOf"]]
            assert all(kinds), f"a choice that no type says: {schema}"
            assert len(kinds) > 1
        assert "nullable" not in schema
        assert not isinstance(schema.get("title"), str) or "version" in schema, f"a title: {schema}"
        if schema.get("type") in ("integer", "number"):
            assert not {"ge", "le", "gt", "lt"} & schema.keys()


def test_every_shape_is_used() -> None:
    used = set(re.findall(r"#/components/(\w+/[\w-]+)", repr(DOCUMENT)))
    there = {
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert there <= used


def test_operation_ids() -> None:
    counted = Counter(operation.id for operation in OPERATIONS)
    assert [id for id, count in counted.items() if count > 1] == []
    for id in counted:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", id), f"{id} reads badly"


def test_tags_are_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for operation in OPERATIONS for tag in operation.spec["tags"]} == described


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_operation_says_everything(operation: Operation) -> None:
    spec = operation.spec
    assert spec["summary"]
    assert len(spec["description"]) > 20
    for parameter in spec["parameters"]:
        assert parameter.get("description"), (
            f"{parameter['name']} is not described: see app.kit.fields.address"
        )
        assert parameter["in"] != "path" or operation.keys[parameter["name"]]
    statuses = {int(status) for status in spec["responses"]}
    assert {400, 500} <= statuses
    if operation.is_v1:
        assert spec["security"][-1] == {"token": []}
        assert {401, 429, 503} <= statuses
    if operation.is_write:
        assert {403, 409} <= statuses
        assert "dry_run" in operation.query
        assert "Idempotency-Key" in operation.headers or operation.method != "post"
        assert {412, 428} <= statuses or not operation.is_conditional
    elif operation.is_v1 and operation.method == "get":
        assert 304 in statuses
        assert "If-None-Match" in operation.headers
    if operation.body:
        assert {413, 415, 422} <= statuses
        assert spec["requestBody"]["required"]
    for status in statuses:
        response = operation.response(status)
        assert response["description"], status
        assert "X-Request-Id" in response["headers"], status
        if status >= 400:
            assert set(response["content"]) == {"application/problem+json"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_examples_validate(operation: Operation) -> None:
    holders = [operation.spec.get("requestBody", {})]
    holders += [operation.response(int(status)) for status in operation.spec["responses"]]
    for holder in holders:
        for kind, media in holder.get("content", {}).items():
            if "json" in kind:
                assert SCHEMAS.errors(media["schema"], media["example"]) == [], f"{operation} {kind}"


def test_examples_of_shapes_validate() -> None:
    for name, schema in SHAPES.items():
        for example in schema.get("examples", ()):
            assert SCHEMAS.errors({"$ref": f"#/components/schemas/{name}"}, example) == [], name


def test_replies_have_all_their_fields() -> None:
    """What a reply always has is required, so that no client asks whether it is there."""
    for name in ("PlanReply", "ActionReply", "ProgressReply", "AgencyReply", "RegionReply", "Summary"):
        assert set(SHAPES[name]["required"]) == set(SHAPES[name]["properties"]), name
        assert "additionalProperties" not in SHAPES[name], f"{name} could never get a field more"
    assert set(SHAPES["PlanPage"]["required"]) == {"items", "next"}
    for name in ("PlanIn", "ActionIn", "ProgressIn", "AgencyIn", "PlanPatch"):
        assert SHAPES[name]["additionalProperties"] is False, f"{name} takes what it does not know"


def test_numbers_are_numbers() -> None:
    for name, schema in SHAPES.items():
        for field, of in schema.get("properties", {}).items():
            kinds = of.get("type", [])
            assert not ({"string"} & set(kinds) and {"number", "integer"} & set(kinds)), f"{name}.{field}"
