"""Compatibility of the document with the last release; `make lint` checks its style."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import DOCUMENT, RELEASED, ROOT, run_node

LEVELS = ROOT / "openapi" / "breaking.txt"
"""Warnings of oasdiff that break clients here, since the service refuses unknown fields and parameters."""


def find_breaks(released: Path, current: Path) -> list[str]:
    """List the breaking changes between two documents as `place: kind: sentence`."""
    options = ["--format", "json", "--fail-on", "ERR", "--severity-levels", LEVELS]
    done = run_node("oasdiff", "breaking", *options, released, current)
    assert done.returncode in (0, 1), done.stderr
    changes: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.returncode else []
    return [
        f"{change['operation']} {change['path']}: {change['id']}: {change['text']}"
        for change in changes
        if change["level"] == 3
    ]


def test_the_document_is_compatible_with_the_last_release() -> None:
    lines = find_breaks(RELEASED, DOCUMENT)
    if lines:
        why = (
            "Within /v1 changes only add: keep removed parts and mark them deprecated. Only an unpublished document "
            "may be replaced: make release-document"
        )
        pytest.fail("\n".join([why, *lines[:20]]), pytrace=False)


def test_the_comparison_finds_breaking_changes(tmp_path: Path) -> None:
    document = json.loads(RELEASED.read_bytes())
    shapes = document["components"]["schemas"]
    del shapes["ActionOut"]["properties"]["spent"]
    shapes["ActionOut"]["required"].remove("spent")
    del shapes["ActionIn"]["properties"]["note"]
    shapes["ActionIn"]["properties"]["approved_by"] = {"type": "string"}
    shapes["ActionIn"]["required"].append("approved_by")
    del document["paths"]["/v1/me"]
    lines = find_breaks(RELEASED, write_document(document, tmp_path))
    for change in (
        "GET /v1/plans/{plan}/actions: response-required-property-removed",
        "PUT /v1/plans/{plan}/actions/{action}: request-property-removed",
        "PUT /v1/plans/{plan}/actions/{action}: new-required-request-property",
        "GET /v1/me: api-path-removed-without-deprecation",
    ):
        assert any(line.startswith(f"{change}: ") for line in lines), f"{change} is missing in\n{lines}"


def test_additions_are_compatible(tmp_path: Path) -> None:
    document = json.loads(RELEASED.read_bytes())
    shapes = document["components"]["schemas"]
    shapes["ActionOut"]["properties"]["rank"] = {"type": "integer"}
    shapes["ActionIn"]["properties"]["rank"] = {"type": "integer"}
    document["paths"]["/v1/you"] = document["paths"]["/v1/me"]
    assert find_breaks(RELEASED, write_document(document, tmp_path)) == []


def write_document(document: dict[str, Any], folder: Path) -> Path:
    file = folder / "changed.json"
    file.write_text(json.dumps(document))
    return file
