"""Each wheel installed on its own, without the checkout: the service's migrates and serves, the client's pulls."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from zipfile import ZipFile

import pytest

from app.client.version import VERSION, find_revision
from tests.packaging.environments import LIGHTLY, ROOT, Environment, Wheels, build_wheels

START = 0.4
"""Seconds of processor time that the client may take until it does its work."""
LINE = b'{"plan":"63.02-2025","action":"A-001"}\n'


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def service(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("service"))
    environment.install(*LIGHTLY, wheels.service)
    environment.borrow()
    return environment


@pytest.fixture(scope="module")
def client(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("client"))
    environment.install(*LIGHTLY, wheels.client)
    environment.borrow()
    return environment


@pytest.fixture
def address() -> Iterator[str]:
    """A service that answers every request with a pull of one line."""
    end = {"rows": 1, "sha256": hashlib.sha256(LINE).hexdigest(), "period": "2025-Q2", "region": None}
    content = LINE + json.dumps({"end": {**end, "cursor": "c", "plans": []}}).encode() + b"\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
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


#: Migrates and serves in one process, since the service takes seconds to import.
_MIGRATE_AND_SERVE = """
import contextlib, sys
from app.cli import main
sys.argv = ["rata", "migrate"]
with contextlib.suppress(SystemExit):
    main()
from fastapi.testclient import TestClient
from app.kit.openapi import COMMITTED
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


def test_client_pulls_alone_and_starts_at_once(client: Environment, address: str) -> None:
    assert client.run("rata", "--version").out == f"rata-client {VERSION}, revision {find_revision()}\n"
    ended = [client.run("rata", "pull", "--help") for _ in range(2)]
    assert ended[0].out.startswith("usage: rata pull")
    assert min(one.seconds for one in ended) < START
    pulled = client.run("rata", "pull", "2025-Q2", "--server", address, RATA_TOKEN="rata_x")
    assert pulled.code == 0, pulled.err
    assert (client.folder / "rata-2025-Q2.ndjson").read_bytes() == LINE
    package = "import rata_client; print(rata_client.__file__, rata_client.Rata.__module__)"
    assert (
        "site-packages/rata_client/__init__.py rata_client.service" in client.run("python", "-c", package).out
    )


@pytest.mark.parametrize("first", ["service", "client"])
def test_command_of_the_service_goes_first_in_either_order(
    first: str, wheels: Wheels, request: pytest.FixtureRequest
) -> None:
    """Comes after the tests of each wheel alone: it adds the other."""
    environment: Environment = request.getfixturevalue(first)
    environment.install(*LIGHTLY, wheels.client if first == "service" else wheels.service)
    environment.borrow()
    assert environment.run("rata", "--version").out.startswith(f"rata {VERSION}, ")
    both = environment.run(
        "python", "-c", "import app.client, rata_client; print(rata_client.Rata.__module__)"
    )
    assert (both.code, both.out) == (0, "rata_client.service\n")


def test_neither_wheel_asks_for_the_other_and_both_record_the_revision(wheels: Wheels) -> None:
    for wheel, folder in ((wheels.service, "app/client"), (wheels.client, "rata_client")):
        with ZipFile(wheel) as archive:
            (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
            asked = [
                line.partition(": ")[2]
                for line in archive.read(metadata).decode().splitlines()
                if line.startswith("Requires-Dist")
            ]
            assert archive.read(f"{folder}/revision").decode().strip() == (find_revision() or "")
            assert archive.read(f"{folder}/py.typed") == b""
        assert asked
        assert [wanted for wanted in asked if wanted.startswith(("rata", "hatchling"))] == []


def test_wheel_of_the_service_carries_every_file_of_the_package(wheels: Wheels) -> None:
    with ZipFile(wheels.service) as archive:
        carried = set(archive.namelist())
    package = {
        path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {path.relative_to(ROOT).as_posix() for path in package} - {"app/client/pyproject.toml"}
    migrations = {f"app/shipped/migrations/{path.name}" for path in (ROOT / "migrations").glob("*.*")}
    assert wanted | migrations <= carried
    assert [name for name in carried if not name.startswith(("app/", "rata-"))] == []
