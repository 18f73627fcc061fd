"""The document as tools of others see it: how it reads, and whether it breaks what was built on the last release."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import DOCUMENT, RELEASED, ROOT, run_node

RULES = ROOT / "openapi" / "spectral.yaml"
LEVELS = ROOT / "openapi" / "breaking.txt"
"""What breaks here though it is only a warning elsewhere: a field or parameter that is unknown is refused."""

#: A document that is valid and does everything that ours must not.
UNLIKE_OURS = {
    "openapi": "3.1.0",
    "info": {"title": "Another", "version": "1", "description": "Written by somebody else."},
    "servers": [{"url": "https://rata.example"}],
    "tags": [{"name": "plans", "description": "Plans."}],
    "paths": {
        "/v1/fundingSources": {
            "get": {
                "operationId": "list_sources",
                "description": "All of them.",
                "tags": ["plans"],
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 1000}},
                    {"name": "fundingSource", "in": "query", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "description": "The list.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/List"}}},
                    },
                    "400": {"description": "Refused.", "headers": {"X-Request-Id": {}}},
                },
            }
        }
    },
    "components": {
        "schemas": {"List": {"type": "object", "properties": {"fundingSource": {"type": "string"}}}}
    },
}
OWN_RULES = [
    "failure-is-a-problem",
    "field-is-snake-case",
    "list-is-bounded",
    "parameter-is-snake-case",
    "path-is-kebab-case",
    "reply-can-be-quoted",
]


def style_of(document: Path) -> list[dict[str, Any]]:
    """What the linter has to say, down to its hints."""
    done = run_node("spectral", "lint", "--format", "json", "--quiet", "--ruleset", RULES, document)
    assert done.returncode in (0, 1), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_style_is_that_of_the_house() -> None:
    found = [
        f"{'/'.join(map(str, one['path']))}: {one['code']}: {one['message']}" for one in style_of(DOCUMENT)
    ]
    assert not found, "\n".join(found[:20])


def test_each_rule_of_ours_finds_what_it_is_for(tmp_path: Path) -> None:
    document = tmp_path / "unlike.json"
    document.write_text(json.dumps(UNLIKE_OURS))
    assert sorted({one["code"] for one in style_of(document)} & set(OWN_RULES)) == OWN_RULES


def breaks(released: Path, current: Path) -> list[str]:
    """What a client of the released document would stumble over in the current one: `place: kind: sentence`."""
    options = ["--format", "json", "--fail-on", "ERR", "--severity-levels", LEVELS]
    done = run_node("oasdiff", "breaking", *options, released, current)
    assert done.returncode in (0, 1), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.returncode else []
    return [
        f"{one['operation']} {one['path']}: {one['id']}: {one['text']}" for one in found if one["level"] == 3
    ]


def test_nothing_breaks_what_was_built_on_the_last_release() -> None:
    found = breaks(RELEASED, DOCUMENT)
    if found:
        why = (
            "Within /v1 changes only add: keep what was there and mark it deprecated. Only a document that nobody "
            "has got yet may be replaced: make release-document"
        )
        pytest.fail("\n".join([why, *found[:20]]), pytrace=False)


def test_the_comparison_finds_what_breaks(tmp_path: Path) -> None:
    document = json.loads(RELEASED.read_bytes())
    shapes = document["components"]["schemas"]
    del shapes["ActionOut"]["properties"]["spent"]
    shapes["ActionOut"]["required"].remove("spent")
    del shapes["ActionIn"]["properties"]["note"]
    shapes["ActionIn"]["properties"]["approved_by"] = {"type": "string"}
    shapes["ActionIn"]["required"].append("approved_by")
    del document["paths"]["/v1/me"]
    found = breaks(RELEASED, written(document, tmp_path))
    for what in (
        "GET /v1/plans/{plan}/actions: response-required-property-removed",
        "PUT /v1/plans/{plan}/actions/{action}: request-property-removed",
        "PUT /v1/plans/{plan}/actions/{action}: new-required-request-property",
        "GET /v1/me: api-path-removed-without-deprecation",
    ):
        assert any(one.startswith(f"{what}: ") for one in found), f"{what} was not found in\n{found}"


def test_what_is_added_breaks_nothing(tmp_path: Path) -> None:
    document = json.loads(RELEASED.read_bytes())
    shapes = document["components"]["schemas"]
    shapes["ActionOut"]["properties"]["rank"] = {"type": "integer"}
    shapes["ActionIn"]["properties"]["rank"] = {"type": "integer"}
    document["paths"]["/v1/you"] = document["paths"]["/v1/me"]
    assert breaks(RELEASED, written(document, tmp_path)) == []


def written(document: dict[str, Any], folder: Path) -> Path:
    file = folder / "changed.json"
    file.write_text(json.dumps(document))
    return file
