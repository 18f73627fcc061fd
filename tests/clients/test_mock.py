"""The mock that `make mock` starts: a frontend is built on the document alone, and told where it leaves it."""

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.clients.tools import DOCUMENT, ROOT, node_modules
from tests.docs.server import free_port

START_SECONDS = 120


@pytest.fixture(scope="module")
def mock() -> Iterator[httpx.Client]:
    node_modules()
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


def test_a_plan_is_the_example_of_the_document(mock: httpx.Client) -> None:
    plan = mock.get("/v1/plans/63.02-2026")
    assert plan.status_code == 200
    assert plan.json()["plan"] == "63.02-2026"
    assert plan.json()["region_name"] == "Kabupaten Kotabaru"
    lines = mock.get("/v1/plans/63.02-2026/actions", params={"limit": 2})
    assert lines.json()["items"][0]["budget_lines"]


def test_what_the_document_forbids_is_a_problem(mock: httpx.Client) -> None:
    wrong = mock.put("/v1/plans/63.02-2026", json={"title": 5})
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    assert {"code", "title", "status"} <= wrong.json().keys()
    assert mock.get("/v1/plans/63.02-2026", headers={"Authorization": ""}).status_code == 401
