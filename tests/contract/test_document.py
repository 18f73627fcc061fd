"""The document: current, complete and fit for client generators.

`make lint` and `make proofs GROUP=contract` check that it is OpenAPI 3.1.
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
        pytest.fail(f"{COMMITTED.name} is out of date. Run: make openapi", pytrace=False)


def walk_schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas inside a value, without names of fields and examples."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name in ("properties", "schemas"):
                for schema in inner.values():
                    yield from walk_schemas(schema)
            elif name not in ("example", "examples", "default", "enum"):
                yield from walk_schemas(inner)
    elif isinstance(value, list):
        for item in value:
            yield from walk_schemas(item)


def test_schemas_fit_client_generators() -> None:
    for name in SHAPES:
        assert re.fullmatch(r"[A-Z][A-Za-z]*", name), f"{name}: no name for a type"
        assert not name.startswith(("HTTPValidation", "Body_"))
    for schema in walk_schemas({"paths": DOCUMENT["paths"], "schemas": SHAPES}):
        extra = [key for key in schema if key.startswith("x-")]
        assert not extra, f"left over: {extra} in {schema}"
        if "anyOf" in schema:
            kinds = ["$ref" in option or option == {"type": "null"} for option in schema["anyOf"]]
            assert all(kinds), f"a choice without a named type: {schema}"
            assert len(kinds) > 1
        assert "nullable" not in schema
        assert not isinstance(schema.get("title"), str) or "version" in schema, f"a title: {schema}"
        if schema.get("type") in ("integer", "number"):
            assert not {"ge", "le", "gt", "lt"} & schema.keys()


def test_every_schema_is_used() -> None:
    used = set(re.findall(r"#/components/(\w+/[\w-]+)", repr(DOCUMENT)))
    declared = {
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert declared <= used


def test_operation_ids_are_unique_and_readable() -> None:
    counted = Counter(operation.id for operation in OPERATIONS)
    assert [id for id, count in counted.items() if count > 1] == []
    for id in counted:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", id), f"{id} reads badly"


def test_tags_are_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for operation in OPERATIONS for tag in operation.spec["tags"]} == described


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_an_operation_declares_all_parameters_and_statuses(operation: Operation) -> None:
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


def test_examples_of_schemas_validate() -> None:
    for name, schema in SHAPES.items():
        for example in schema.get("examples", ()):
            assert SCHEMAS.errors({"$ref": f"#/components/schemas/{name}"}, example) == [], name


def test_replies_have_all_their_fields() -> None:
    """The document requires all fields that a reply always has, so no client needs to test for them."""
    for name in ("PlanReply", "ActionReply", "ProgressReply", "AgencyReply", "RegionReply", "Summary"):
        assert set(SHAPES[name]["required"]) == set(SHAPES[name]["properties"]), name
        assert "additionalProperties" not in SHAPES[name], f"{name} could never get a field more"
    assert set(SHAPES["PlanPage"]["required"]) == {"items", "next"}
    for name in ("PlanIn", "ActionIn", "ProgressIn", "AgencyIn", "PlanPatch"):
        assert SHAPES[name]["additionalProperties"] is False, f"{name} accepts unknown fields"


def test_numbers_are_no_strings() -> None:
    for name, schema in SHAPES.items():
        for field, of in schema.get("properties", {}).items():
            kinds = of.get("type", [])
            assert not ({"string"} & set(kinds) and {"number", "integer"} & set(kinds)), f"{name}.{field}"
