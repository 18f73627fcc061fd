"""Each wheel installed on its own, without the checkout: the service's migrates and serves, the client's pulls."""

import hashlib
import json
import threading
import tomllib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from app.client.version import VERSION, find_revision
from tests.packaging.environments import LIGHTLY, ROOT, Environment, Wheels, build_wheels

START = 0.4
"""Seconds of processor time that the client may take until it does its work."""
LINE = b'{"plan":"63.02-2025","action":"A-001"}\n'


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def install(folder: Path, wheel: Path) -> Environment:
    """Return an environment with this wheel, which finds what it needs among the suite's packages."""
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


def test_client_pulls_alone_and_starts_at_once(client_alone: Environment, address: str) -> None:
    assert client_alone.run("rata", "--version").out == f"rata-client {VERSION}, revision {find_revision()}\n"
    ended = [client_alone.run("rata", "pull", "--help") for _ in range(8)]
    assert ended[0].out.startswith("usage: rata pull")
    assert min(one.seconds for one in ended) < START
    pulled = client_alone.run("rata", "pull", "2025-Q2", "--server", address, RATA_TOKEN="rata_x")
    assert pulled.code == 0, pulled.err
    assert (client_alone.folder / "rata-2025-Q2.ndjson").read_bytes() == LINE
    package = "import rata_client; print(rata_client.__file__, rata_client.Rata.__module__)"
    assert (
        "site-packages/rata_client/__init__.py rata_client.service"
        in client_alone.run("python", "-c", package).out
    )


@pytest.mark.parametrize("first", ["service", "client_alone"])
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


#: Follows into PostgreSQL by a Python that lacks psycopg.
_FOLLOW_WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from rata_client.cli import main
main(["follow", "postgresql+psycopg://h/x", "--once", "--lang", "en"])
"""


def read_metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return message_from_bytes(archive.read(name))


def test_client_names_its_own_extra(client_alone: Environment) -> None:
    done = client_alone.run(
        "python", "-c", _FOLLOW_WITHOUT_DRIVER, RATA_SERVER="http://[::1]:9", RATA_TOKEN="rata_x"
    )
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "postgresql+psycopg://h/x needs a package that is not installed: pip install 'rata-client[postgres]'\n"
    )


def test_neither_wheel_asks_for_the_other_and_both_record_the_revision(wheels: Wheels) -> None:
    for wheel, folder in ((wheels.service, "app/client"), (wheels.client, "rata_client")):
        with ZipFile(wheel) as archive:
            assert archive.read(f"{folder}/revision").decode().strip() == (find_revision() or "")
            assert archive.read(f"{folder}/py.typed") == b""
        asked = read_metadata(wheel).get_all("Requires-Dist", [])
        assert asked
        assert [wanted for wanted in asked if wanted.startswith(("rata", "hatchling"))] == []


def test_both_wheels_carry_the_licence_and_name_the_same_pythons(wheels: Wheels) -> None:
    client, service = read_metadata(wheels.client), read_metadata(wheels.service)
    for wheel, metadata in ((wheels.client, client), (wheels.service, service)):
        assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("Apache-2.0", ">=3.11")
        assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
        with ZipFile(wheel) as archive:
            for name in ("LICENSE", "NOTICE"):
                (path,) = (path for path in archive.namelist() if path.endswith(name))
                assert path.endswith(f".dist-info/licenses/{name}")
                assert archive.read(path) == (ROOT / name).read_bytes()
    own, all_of_service = (
        {line for line in metadata.get_all("Classifier", []) if line.startswith("Programming Language")}
        for metadata in (client, service)
    )
    assert own == all_of_service
    assert client["Description-Content-Type"] == "text/markdown"
    assert client.get_payload() == (ROOT / "docs" / "client.md").read_text()


def test_client_asks_for_the_versions_that_the_service_asks_for() -> None:
    projects = [
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        for folder in (".", "app/client")
    ]
    service, client = (
        {
            Requirement(line).name: line
            for lines in (p["dependencies"], *p["optional-dependencies"].values())
            for line in lines
        }
        for p in projects
    )
    assert {name: service.get(name) for name in client} == client
    assert all(Requirement(line).specifier for line in client.values())


def test_wheel_of_the_service_carries_every_file_of_the_package(wheels: Wheels) -> None:
    with ZipFile(wheels.service) as archive:
        carried = set(archive.namelist())
    package = {
        path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {path.relative_to(ROOT).as_posix() for path in package} - {
        f"app/client/{name}" for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
    }
    migrations = {f"app/shipped/migrations/{path.name}" for path in (ROOT / "migrations").glob("*.*")}
    assert wanted | migrations <= carried
    assert [name for name in carried if not name.startswith(("app/", "rata-"))] == []
