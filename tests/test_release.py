"""`make release` in a small project: refusals, files, build and tag."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "rata"
version = "1.2.0"
requires-python = ">=3.11"
[tool.hatch.build.targets.wheel]
packages = ["app"]
"""
COMMAND = """
import pathlib, sys
def main():
    assert sys.argv[1:] == ["openapi", "--write"]
    pathlib.Path("openapi/rata.v1.json").write_text('{"version": "1.2.0"}')
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "app/main.py": 'VERSION = "1.2.0"\n',
        "app/cli.py": COMMAND,
        "app/__init__.py": "",
        "openapi/rata.v1.json": "{}",
        "openapi/released/rata.v1.json": "{}",
        "pyproject.toml": PROJECT,
        "CHANGELOG.md": "# Changelog\n\n## [1.2.0] – unreleased\n\n## [1.1.0] – 2026-01-31\n",
        ".gitignore": "dist/\n__pycache__/\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    run_git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    run_git(tmp_path, "add", "--all")
    run_git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def build_environment() -> dict[str, str]:
    identity = {
        f"GIT_{role}_{field}": "rata" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | identity | {"GIT_CONFIG_GLOBAL": os.devnull, "PYTHON": sys.executable}


def run_git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=build_environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def run_release(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / ".ci" / "release", "."],
        cwd=folder,
        env=build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_makes_a_commit_a_tag_and_files_with_hashes(project: Path) -> None:
    done = run_release(project)
    assert done.returncode == 0, done.stderr
    assert run_git(project, "status", "--porcelain") == ""
    assert run_git(project, "log", "-1", "--format=%s") == "release: publish 1.2.0"
    assert run_git(project, "rev-parse", "v1.2.0^{commit}") == run_git(project, "rev-parse", "HEAD")
    assert (project / "openapi/released/rata.v1.json").read_text() == '{"version": "1.2.0"}'
    assert re.search(
        r"^## \[1\.2\.0\] – \d{4}-\d\d-\d\d$", (project / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    hashes = dict(reversed(line.split()) for line in (project / "dist/SHA256SUMS").read_text().splitlines())
    assert set(hashes) == {"rata-1.2.0-py3-none-any.whl", "rata-1.2.0.v1.json"}
    for name, digest in hashes.items():
        assert hashlib.sha256((project / "dist" / name).read_bytes()).hexdigest() == digest
    again = run_release(project)
    assert (again.returncode, again.stderr) == (1, "v1.2.0 exists: name the next version first.\n")


def test_a_release_without_a_commit_or_a_changelog_entry_is_refused(project: Path) -> None:
    (project / "left").touch()
    done = run_release(project)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not committed" in done.stderr
    (project / "left").unlink()
    (project / "CHANGELOG.md").write_text("## [1.1.0] – 2026-01-31\n")
    run_git(project, "commit", "--all", "--quiet", "--message", "second")
    assert "begins with 1.1.0 and the code is 1.2.0" in run_release(project).stderr
    assert run_git(project, "tag") == ""
