"""Both packages from an archive of the checkout, with dependencies from an index: one serves, the other pulls.

And each wheel alone, over the packages of the suite.
"""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest

from app.client.version import VERSION, find_revision
from tests.docs.server import free_port
from tests.packaging.environments import LIGHTLY, ROOT, Environment, Wheels, build_wheels

READY = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed files without git, like the download of a forge."""
    folder = tmp_path_factory.mktemp("source")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


@pytest.fixture(scope="module")
def revision() -> str:
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def install_from_index(environment: Environment, *sources: str | Path) -> None:
    """Install from the index; print the number of packages and the time."""
    before = os.times()
    environment.install(*sources)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{sources[0]}: {environment.count()} packages, {seconds:.0f} s of processor time")


@contextmanager
def run_demo(environment: Environment, port: int) -> Iterator[str]:
    """Run the demo of an environment; yield its address once it is ready."""
    address = f"http://127.0.0.1:{port}"
    process = environment.start("rata", "demo", RATA_PORT=str(port))
    try:
        deadline = time.monotonic() + READY
        while True:
            assert process.poll() is None, process.communicate()
            with suppress(httpx.TransportError):
                if httpx.get(f"{address}/ready").status_code == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_service_serves_and_client_pulls(source: Path, revision: str, tmp_path: Path) -> None:
    service, client = Environment(tmp_path / "service"), Environment(tmp_path / "client")
    install_from_index(service, source)
    install_from_index(client, source / "app" / "client")
    assert service.run("rata", "--version").out.startswith(f"rata {VERSION}, revision {revision}, schema ")
    assert client.run("rata", "--version").out == f"rata-client {VERSION}, revision {revision}\n"
    seconds = min(client.run("rata", "pull", "--help").seconds for _ in range(3))
    print(f"rata pull --help: {seconds:.2f} s of processor time")
    assert seconds < 0.4
    assert service.run("rata", "migrate").code == 0
    as_parquet = ["pull", "2025-Q2", "--region", "63", "--format", "parquet"]
    with run_demo(service, free_port()) as address:
        token = (service.folder / "var" / "demo.token").read_text().strip()
        settings = {"RATA_SERVER": address, "RATA_TOKEN": token}
        assert "rata[parquet]" in client.run("rata", *as_parquet, **settings).err
        for words in (
            ["pull", "2025-Q2", "--region", "63"],
            ["pull", "2025-Q2", "--region", "63", "--verify"],
            ["pull", "2025-Q2", "--region", "63", "--format", "sqlite"],
            ["follow", "copy.db", "--region", "63.02", "--once"],
            ["follow", "copy.db", "--region", "63.02", "--verify", "2025-Q2"],
        ):
            done = client.run("rata", *words, **settings)
            assert done.code == 0, done.err
            print(done.err.strip())
    install_from_index(service, f"{source}[parquet]")
    with run_demo(service, free_port()) as address:
        done = client.run("rata", *as_parquet, RATA_SERVER=address, RATA_TOKEN=token)
        assert done.code == 0, done.err
    assert len((client.folder / "rata-2025-Q2-63.ndjson").read_bytes().splitlines()) == 156


@pytest.mark.parametrize("order", ["service first", "client first"])
def test_command_is_the_service_in_either_order(order: str, source: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    sources = [source, source / "app" / "client"]
    for path in sources if order == "service first" else reversed(sources):
        install_from_index(environment, path)
    assert environment.run("rata", "--version").out.startswith(f"rata {VERSION}, ")
    assert environment.run("rata", "migrate").code == 0
    assert environment.run("rata", "pull", "--help").out.startswith("usage: rata pull")


def test_same_source_makes_the_same_wheels(source: Path, tmp_path: Path) -> None:
    first = build_wheels(tmp_path / "first", source)
    for file in source.rglob("*"):
        file.touch()
    again = build_wheels(tmp_path / "again", source)
    for wheel, rebuilt in zip(first, again, strict=True):
        assert wheel.name == rebuilt.name
        assert hashlib.sha256(wheel.read_bytes()).digest() == hashlib.sha256(rebuilt.read_bytes()).digest()


# Each wheel alone


START = 0.4
"""Processor seconds that the client may take to start."""
LINE = b'{"plan":"63.02-2025","action":"A-001"}\n'


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def install(folder: Path, wheel: Path) -> Environment:
    """Return an environment with a wheel over the packages of the suite."""
    environment = Environment(folder)
    environment.install(*LIGHTLY, wheel)
    environment.borrow()
    return environment


@pytest.fixture(scope="module")
def service(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("service"), wheels.service)


@pytest.fixture(scope="module")
def client_alone(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("client"), wheels.client)


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers each request with a pull of one line."""
    end = {"rows": 1, "sha256": hashlib.sha256(LINE).hexdigest(), "period": "2025-Q2", "region": None}
    content = LINE + json.dumps({"end": {**end, "cursor": "c", "plans": []}}).encode() + b"\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name of the base class
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


#: Migrates and serves in one process, since imports take seconds.
_MIGRATE_AND_SERVE = """
import contextlib, sys
from app.cli import main
sys.argv = ["rata", "migrate"]
with contextlib.suppress(SystemExit):
    main()
from fastapi.testclient import TestClient
from app.kit.openapi.document import COMMITTED
from app.main import create_app
from app.settings import Settings
client = TestClient(create_app(Settings()))
print(client.get("/ready").status_code, COMMITTED.is_file(), COMMITTED)
"""


def test_service_migrates_and_serves_without_a_checkout(service: Environment) -> None:
    done = service.run("rata", "--version")
    newest = max(file.name[:4] for file in (ROOT / "migrations" / "versions").glob("0*.py"))
    assert done.out == f"rata {VERSION}, revision {find_revision()}, schema {newest}\n"
    done = service.run("python", "-W", "ignore", "-c", _MIGRATE_AND_SERVE)
    assert done.code == 0, done.err
    status, is_carried, document = done.out.splitlines()[-1].split()
    assert (status, is_carried, "site-packages" in document) == ("200", "True", True)
    assert [file.name for file in service.folder.iterdir()] == ["var"]


def test_client_pulls_alone_and_starts_fast(client_alone: Environment, address: str) -> None:
    assert client_alone.run("rata", "--version").out == f"rata-client {VERSION}, revision {find_revision()}\n"
    results = [client_alone.run("rata", "pull", "--help") for _ in range(8)]
    assert results[0].out.startswith("usage: rata pull")
    assert min(result.seconds for result in results) < START
    pulled = client_alone.run("rata", "pull", "2025-Q2", "--server", address, RATA_TOKEN="rata_x")
    assert pulled.code == 0, pulled.err
    assert (client_alone.folder / "rata-2025-Q2.ndjson").read_bytes() == LINE
    package = "import rata_client; print(rata_client.__file__, rata_client.Rata.__module__)"
    assert (
        "site-packages/rata_client/__init__.py rata_client.service"
        in client_alone.run("python", "-c", package).out
    )


@pytest.mark.parametrize("first", ["service", "client_alone"])
def test_command_of_the_service_precedes_in_either_order(
    first: str, wheels: Wheels, request: pytest.FixtureRequest
) -> None:
    """It adds the other wheel, so it runs after the tests of each wheel alone."""
    environment: Environment = request.getfixturevalue(first)
    environment.install(*LIGHTLY, wheels.client if first == "service" else wheels.service)
    environment.borrow()
    assert environment.run("rata", "--version").out.startswith(f"rata {VERSION}, ")
    both = environment.run(
        "python", "-c", "import app.client, rata_client; print(rata_client.Rata.__module__)"
    )
    assert (both.code, both.out) == (0, "rata_client.service\n")


#: Follows into PostgreSQL by a Python that lacks psycopg.
_FOLLOW_WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from rata_client.cli import main
main(["follow", "postgresql+psycopg://h/x", "--once", "--lang", "en"])
"""


def test_client_names_its_own_extra(client_alone: Environment) -> None:
    done = client_alone.run(
        "python", "-c", _FOLLOW_WITHOUT_DRIVER, RATA_SERVER="http://[::1]:9", RATA_TOKEN="rata_x"
    )
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "postgresql+psycopg://h/x needs a package that is not installed: pip install 'rata-client[postgres]'\n"
    )
