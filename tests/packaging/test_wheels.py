"""The content and the requirements of the wheels; `make proofs GROUP=wheels` installs and uses them."""

import tomllib
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from app.client.version import find_revision
from tests.packaging.environments import ROOT, Wheels, build_wheels


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def read_metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return message_from_bytes(archive.read(name))


def test_neither_wheel_requires_the_other_and_both_record_the_revision(wheels: Wheels) -> None:
    for wheel, folder in ((wheels.service, "app/client"), (wheels.client, "rata_client")):
        with ZipFile(wheel) as archive:
            assert archive.read(f"{folder}/revision").decode().strip() == (find_revision() or "")
            assert archive.read(f"{folder}/py.typed") == b""
        requirements = read_metadata(wheel).get_all("Requires-Dist", [])
        assert requirements
        assert [line for line in requirements if line.startswith(("rata", "hatchling"))] == []


def test_both_wheels_have_the_licence_and_the_same_python_versions(wheels: Wheels) -> None:
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
    assert client.get_payload() == (ROOT / "app" / "client" / "README.md").read_text()


def test_client_and_service_require_equal_versions() -> None:
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


def test_wheel_of_the_service_has_every_file_of_the_package(wheels: Wheels) -> None:
    with ZipFile(wheels.service) as archive:
        names = set(archive.namelist())
    package = {
        path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    files = {path.relative_to(ROOT).as_posix() for path in package} - {
        f"app/client/{name}" for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
    }
    migrations = {f"app/shipped/migrations/{path.name}" for path in (ROOT / "migrations").glob("*.*")}
    pages = {f"app/shipped/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "docs").rglob("*.md")}
    assert files | migrations | pages <= names
    assert [name for name in names if not name.startswith(("app/", "rata-"))] == []
