"""A Python client is generated from the document without a warning, and does an office's work with the service."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import DOCUMENT, ROOT, run_python
from tests.docs.server import Demo

CONFIG = ROOT / "openapi" / "python-client.yaml"
PROGRAM = Path(__file__).with_name("office.py")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package `rata_client` lies. A warning would be an operation or a reply left out."""
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


def test_every_operation_is_there(generated: Path) -> None:
    document = json.loads(DOCUMENT.read_bytes())
    known = {one["operationId"] for operations in document["paths"].values() for one in operations.values()}
    assert known == {file.stem for file in generated.glob("rata_client/api/*/[a-z]*.py")}


def test_an_office_works_with_it(generated: Path, demo: Demo) -> None:
    done = run_python(PROGRAM, path=(generated,), RATA_SERVER=demo.address, RATA_TOKEN=demo.token)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["plans with ours"] == ["63.02-2027", *told["plans before"]]
    assert "63.02-2025" in told["plans before"]
    version, amount, findings = told["line"]
    assert (version, amount) == (1, 250_000_000)
    assert "E02" in findings
    assert told["late"] == [412, "precondition_failed"]
    assert told["refused"] == [["/allocation", "out_of_range", -5]]
    assert told["plans after"] == told["plans before"]
