"""The service without its extras: it starts, and reports a missing extra when a request or a setting needs it."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from functools import cache
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.testclient import TestClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import ValidationError

from app.extras import EXTRAS
from app.settings import Settings
from tests.plans.world import LEAN, furnish, put, put_plan
from tests.test_house import FILES, name_of

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: Packages that uvicorn imports if it can.
NEVER_IMPORTED = {"uvloop"}


def block_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, module, None)


def parse_names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


EXTRA_PACKAGES = parse_names([line for lines in OPTIONAL.values() for line in lines])


@cache
def map_modules() -> dict[str, set[str]]:
    """Map each top-level module to the packages of pyproject.toml that install it."""
    brought: dict[str, set[str]] = defaultdict(set)
    for name in parse_names(PROJECT["dependencies"]) | EXTRA_PACKAGES - {"rata"}:
        for file in files(name) or ():
            brought[file.parts[0].removesuffix(".py")].add(name)
    return brought


def test_the_project_and_the_service_declare_the_same_extras() -> None:
    assert {*EXTRAS, *NEVER_IMPORTED, "all"} == OPTIONAL.keys()
    (everything,) = OPTIONAL["all"]
    assert Requirement(everything).extras == OPTIONAL.keys() - {"all"}
    for extra, modules in EXTRAS.items():
        # the extra of pyjwt brings cryptography
        declared = parse_names(OPTIONAL[extra]) | ({"cryptography"} if extra == "oidc" else set())
        for module in modules:
            assert map_modules()[module.partition(".")[0]] & declared, f"{extra}: {module}"


def test_page_for_operators_has_every_extra() -> None:
    page = (ROOT / "docs/install.md").read_text().partition("| Extra |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(
        OPTIONAL.keys() - {"all"}
    )


def test_the_project_declares_every_package_that_it_imports() -> None:
    """No module relies on a transitive dependency, and only functions import extras."""
    brought = map_modules()
    needed = parse_names(PROJECT["dependencies"])
    behind_a_switch = {"access/issuer", "kit/server/metrics", "kit/server/tracing"}
    wrong = []
    for file in FILES:
        tree = ast.parse(file.read_text(), str(file))
        name, early = name_of(file), set(tree.body)
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in {module.partition(".")[0] for module in modules} - {
                "app",
                *sys.stdlib_module_names,
            }:
                is_early = node in early and name not in behind_a_switch
                if not brought[module] & (needed if is_early else needed | EXTRA_PACKAGES):
                    wrong.append(f"{name}:{node.lineno} {module}")
    assert wrong == [], "declare it in pyproject.toml, or import it where it is used"


def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    for line in [*PROJECT["dependencies"], *(line for lines in OPTIONAL.values() for line in lines)]:
        requirement = Requirement(line)
        if requirement.name == "rata":
            continue
        assert requirement.specifier.contains(version(requirement.name)), line
        assert [part.operator for part in requirement.specifier] == [">="], line


@pytest.mark.parametrize("extra", ["parquet", "xlsx"])
def test_a_format_without_its_extra_is_501_and_others_are_served(
    secretariat: TestClient, stranger: TestClient, database: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(database)
    put_plan(secretariat)
    put(secretariat, "A-001", base=LEAN)
    block_extra(extra, monkeypatch)
    for kind in ("ndjson", "csv", "parquet", "xlsx"):
        reply = secretariat.get(f"/v1/pulls/2026-Q2.{kind}")
        assert reply.status_code == (501 if kind == extra else 200), kind
        assert stranger.get(f"/v1/pulls/2026-Q2.{kind}").status_code == 404
    matrix = secretariat.get("/v1/plans/63.02-2026/matrix.xlsx")
    assert matrix.status_code == (501 if extra == "xlsx" else 200)
    problem = secretariat.get(f"/v1/pulls/2026-Q2.{extra}", headers={"Accept-Language": "en"}).json()
    assert (problem["code"], problem["status"]) == ("not_installed", 501)
    assert problem["detail"] == f"This service lacks “rata[{extra}]”. Ask its operator to install it."
    assert "Minta operator" in secretariat.get(f"/v1/pulls/2026-Q2.{extra}").json()["detail"]


def test_documentation_without_its_files_is_501(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(app) as client:
        assert client.get("/docs").status_code == 200
        block_extra("docs", monkeypatch)
        reply = client.get("/docs")
        assert (reply.status_code, reply.json()["code"]) == (501, "not_installed")


@pytest.mark.parametrize(
    ("extra", "settings"),
    [
        ("metrics", {"metrics": "public"}),
        ("metrics", {"metrics": "port"}),
        ("oidc", {"oidc_issuer": "https://issuer.example", "oidc_audience": "rata"}),
        ("postgres", {"database_url": "postgresql+psycopg://rata:secret@localhost/rata"}),
        ("traces", {"traces": True}),
        ("webhooks", {"secrets_key": Fernet.generate_key().decode()}),
    ],
)
def test_a_setting_that_needs_a_missing_extra_is_refused(
    extra: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Settings(_env_file=None, **settings)
    block_extra(extra, monkeypatch)
    Settings(_env_file=None)
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **settings)
    (error,) = refused.value.errors()
    assert error["loc"] == (next(iter(settings)),)
    assert re.search(rf"pip install 'rata\[{extra}\]'", error["msg"])
