"""The document in other programs: a linter, a client generator with its client, a mock for frontends."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.clients.tools import DOCUMENT, ROOT, fetch_node_modules, run_node, run_python
from tests.docs.server import Demo, Reader, free_port
from tests.docs.test_examples import COMPILED, run_page

CONFIG = ROOT / "openapi" / "python-client.yaml"
PROGRAM = ROOT / "tests" / "clients" / "office.py"
RULES = ROOT / "openapi" / "spectral.yaml"
START_SECONDS = 120

#: A valid document that breaks every rule of the project.
BREAKS_ALL_RULES = {
    "openapi": "3.1.0",
    "info": {"title": "Another", "version": "1", "description": "Written elsewhere."},
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


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package `rata_client`. A warning would mean a missing operation or reply."""
    folder = tmp_path_factory.mktemp("generated")
    options = [
        "--config",
        CONFIG,
        "--meta",
        "none",
        "--output-path",
        folder / "rata_client",
        "--fail-on-warning",
    ]
    done = run_python("-m", "openapi_python_client", "generate", "--path", DOCUMENT, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_client_has_every_operation(generated: Path) -> None:
    document = json.loads(DOCUMENT.read_bytes())
    known = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    assert known == {file.stem for file in generated.glob("rata_client/api/*/[a-z]*.py")}


def test_a_program_works_with_the_client(generated: Path, demo: Demo) -> None:
    done = run_python(PROGRAM, path=(generated,), RATA_SERVER=demo.address, RATA_TOKEN=demo.token)
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, Any] = json.loads(done.stdout)
    assert results["plans with ours"] == ["63.02-2027", *results["plans before"]]
    assert "63.02-2025" in results["plans before"]
    version, amount, findings = results["line"]
    assert (version, amount) == (1, 250_000_000)
    assert "E02" in findings
    assert results["late"] == [412, "precondition_failed"]
    assert results["refused"] == [["/allocation", "out_of_range", -5]]
    assert results["plans after"] == results["plans before"]


def find_codes(document: Path) -> set[str]:
    """Return the codes of the findings of the linter, including hints."""
    done = run_node("spectral", "lint", "--format", "json", "--quiet", "--ruleset", RULES, document)
    assert done.returncode in (0, 1), done.stderr
    return {finding["code"] for finding in json.loads(done.stdout)}


def test_each_rule_of_the_project_finds_its_violation(tmp_path: Path) -> None:
    document = tmp_path / "unlike.json"
    document.write_text(json.dumps(BREAKS_ALL_RULES))
    assert set(OWN_RULES) <= find_codes(document)


@pytest.fixture(scope="module")
def mock() -> Iterator[httpx.Client]:
    fetch_node_modules()
    port = free_port()
    command = [sys.executable, "-m", "tests.clients.tools", "prism", "mock", "--port", str(port), DOCUMENT]
    with (
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "Bearer any"}, timeout=30
        ) as client,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
    ):
        try:
            _wait(server, client)
            yield client
        finally:
            server.terminate()
            server.wait(60)


def _wait(server: subprocess.Popen[bytes], client: httpx.Client) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            client.get("/v1/me")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the mock does not answer")


def test_the_mock_returns_the_example_of_the_document(mock: httpx.Client) -> None:
    plan = mock.get("/v1/plans/63.02-2026")
    assert plan.status_code == 200
    assert plan.json()["plan"] == "63.02-2026"
    assert plan.json()["region_name"] == "Kabupaten Kotabaru"
    lines = mock.get("/v1/plans/63.02-2026/actions", params={"limit": 2})
    assert lines.json()["items"][0]["budget_lines"]


def test_the_mock_returns_a_problem_for_invalid_requests(mock: httpx.Client) -> None:
    wrong = mock.put("/v1/plans/63.02-2026", json={"title": 5})
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    assert {"code", "title", "status"} <= wrong.json().keys()
    assert mock.get("/v1/plans/63.02-2026", headers={"Authorization": ""}).status_code == 401


def test_typescript_of_the_pages_compiles_and_runs(demo: Demo, tmp_path: Path) -> None:
    reader = Reader(demo, tmp_path / "checkout")
    (reader.examples / "node_modules").symlink_to(fetch_node_modules())
    assert COMPILED
    for page in COMPILED:
        run_page(page, reader)
