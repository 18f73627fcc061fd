"""Whether the document breaks what was built on the last release; `make lint` judges how it reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import DOCUMENT, RELEASED, ROOT, run_node

LEVELS = ROOT / "openapi" / "breaking.txt"
"""What breaks here though it is only a warning elsewhere: a field or parameter that is unknown is refused."""


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
