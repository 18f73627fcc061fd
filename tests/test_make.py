"""Dry runs of the Makefile: the locks that a target installs, and its help."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME, TEST = "requirements/base.txt", "requirements/test.txt"


def run_make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile and the files that it reads, as after a clone."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv").mkdir()
    return tmp_path


def list_locks(folder: Path, target: str) -> list[str]:
    """List the locks that a target installs, as a dry run prints them."""
    printed = run_make(folder, "--dry-run", target)
    assert printed.returncode == 0, printed.stderr
    return [lock for lock in (RUNTIME, TEST) if f"-r {lock}" in printed.stdout]


def touch_later(file: Path) -> None:
    """Make a file newer than all others, also with a coarse clock."""
    later = time.time() + 60
    os.utime(file, (later, later))


def test_the_demo_installs_the_runtime_lock_alone(checkout: Path) -> None:
    assert list_locks(checkout, "demo") == [RUNTIME]
    assert list_locks(checkout, "test") == [RUNTIME, TEST]


def test_tests_after_the_demo_install_their_lock_alone(checkout: Path) -> None:
    (checkout / ".venv/.runtime").touch()
    assert list_locks(checkout, "demo") == []
    assert list_locks(checkout, "test") == [TEST]
    (checkout / ".venv/.installed").touch()
    assert list_locks(checkout, "test") == list_locks(checkout, "demo") == []


def test_a_changed_lock_is_installed_by_the_targets_that_use_it(checkout: Path) -> None:
    for stamp in (".runtime", ".installed"):
        (checkout / ".venv" / stamp).touch()
    touch_later(checkout / TEST)
    assert (list_locks(checkout, "demo"), list_locks(checkout, "test")) == ([], [TEST])
    touch_later(checkout / RUNTIME)
    assert (list_locks(checkout, "demo"), list_locks(checkout, "test")) == ([RUNTIME], [RUNTIME, TEST])


def test_the_lock_of_the_demo_is_a_variable(checkout: Path) -> None:
    (checkout / "other.txt").touch()
    printed = run_make(checkout, "--dry-run", "demo", "RUNTIME_LOCK=other.txt").stdout
    assert "-r other.txt" in printed
    assert RUNTIME not in printed


def test_an_unknown_group_of_proofs_lists_the_known_ones() -> None:
    done = run_make(ROOT, "proofs", "GROUP=faults none")
    assert done.returncode != 0
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert sentence.startswith("No such group: none. Groups: ")
    groups = sentence.removesuffix(".").rpartition(": ")[2].split()
    assert groups == sorted(groups)
    assert {"cut-network", "faults", "fuzz", "hostile", "kills", "pages", "upgrade-rehearsal"} <= set(groups)
    page = (ROOT / "docs/contributing.md").read_text()
    assert [group for group in groups if f"`{group}`" not in page] == []


def test_help_groups_every_target() -> None:
    lines = run_make(ROOT, "help").stdout.splitlines()
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == ["Use", "Develop", "Prove", "Release"]
    assert "demo" in lines[lines.index("Use") + 1]
    assert not any(len(line) > 140 for line in lines)
