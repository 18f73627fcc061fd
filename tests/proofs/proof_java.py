"""Java's `HttpClient` and `curl --http2`, which offer `Upgrade: h2c` over plain HTTP, lose no body.

Each writes and reads back, directly at `rata serve` and through the shipped proxy.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit.database.engine import Database
from tests.hostile.service import Service, run_service
from tests.proofs.programs import find_program
from tests.proofs.proxies import run_proxy

ROUNDS = 20
YEARS = {"direct": 2031, "proxied": 2032}


@pytest.fixture(scope="module")
def direct(sqlite_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_service(sqlite_template, tmp_path_factory.mktemp("served")) as service:
        yield service


@pytest.fixture(scope="module")
def proxied(direct: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_proxy(direct, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture(params=YEARS)
def target(request: pytest.FixtureRequest) -> tuple[Service, int]:
    """The service, direct or behind the proxy, and a year of its own writes."""
    return request.getfixturevalue(request.param), YEARS[request.param]


def test_java_loses_no_body(target: tuple[Service, int], direct: Service) -> None:
    service, year = target
    java = find_program("java", "default-jdk-headless")
    source = Path(__file__).with_name("Office.java")
    command = [java, source, f"http://127.0.0.1:{service.port}", service.token, str(year)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    counts = Counter(done.stdout.splitlines())
    assert counts == {
        "PUT 201 HTTP_1_1": 1,
        "PUT 200 HTTP_1_1": ROUNDS - 1,
        "PATCH 200 HTTP_1_1": ROUNDS,
        "PATCH 412 HTTP_1_1": ROUNDS,
        "GET 200 HTTP_1_1": 2 * ROUNDS - 1,
        "POST 422 HTTP_1_1": ROUNDS,
        "stored": ROUNDS,
        "judged": ROUNDS,
    }
    assert direct.list_faults() == []


def test_curl_with_an_offer_of_http2_loses_no_body(target: tuple[Service, int], tmp_path: Path) -> None:
    service, year = target
    url = f"http://127.0.0.1:{service.port}/v1/plans/63.02-{year + 4}"
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"title": "RAT", "note": "z" * 100_000}))
    curl = [find_program("curl", "curl"), "--http2", "--silent", "--show-error", "--max-time", "60"]
    curl += [
        "--header",
        f"Authorization: Bearer {service.token}",
        "--header",
        "Content-Type: application/json",
    ]
    shown = ["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"]
    small = ["--request", "PUT", "--data", '{"title": "RAT"}', *shown, url]
    steps = [
        *small,
        "--next",
        *curl[1:],
        "--request",
        "PUT",
        "--data",
        f"@{body}",
        *shown,
        f"{url}?dry_run=true",
    ]
    steps += ["--next", *curl[1:], *shown, url]
    done = subprocess.run([*curl, *steps], capture_output=True, text=True, check=True)
    # created; refused for an unknown field, so the service read the body; read; all on one connection
    assert done.stdout.splitlines() == ["201 1", "422 0", "200 0"]
