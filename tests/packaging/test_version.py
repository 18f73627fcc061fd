"""The revision that a wheel, an archive and a checkout report."""

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.environments import ROOT

VERSION_FILE = ROOT / "app" / "client" / "version.py"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The file in a folder of another checkout, which does not track it."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "site-packages").mkdir()
    return Path(shutil.copy(VERSION_FILE, tmp_path / "site-packages"))


def find_revision(file: Path) -> str | None:
    revision: str | None = runpy.run_path(str(file))["find_revision"]()
    return revision


def test_checkout_without_the_file_has_no_revision(copied: Path) -> None:
    assert find_revision(copied) is None


@pytest.mark.parametrize(("carried", "revision"), [("abc123\n", "abc123"), ("\n", None)])
def test_recorded_revision_precedes_that_of_git(carried: str, revision: str | None, copied: Path) -> None:
    copied.with_name("revision").write_text(carried)
    assert find_revision(copied) == revision


def test_archive_has_the_commit(copied: Path) -> None:
    copied.write_text(copied.read_text().replace("$Format:%H$", COMMIT))
    assert find_revision(copied) == COMMIT[:12]
    attributes = (ROOT / ".gitattributes").read_text().splitlines()
    assert f"{VERSION_FILE.relative_to(ROOT)} export-subst" in attributes


def test_checkout_has_its_commit_and_whether_files_differ(copied: Path) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["add", "."], [*identity, "commit", "--quiet", "--message", "t"]):
        subprocess.run(["git", "-C", copied.parent, *words], check=True)
    clean = find_revision(copied)
    assert clean is not None
    assert len(clean) == 12
    copied.write_text(copied.read_text() + "\n")
    assert find_revision(copied) == f"{clean}-dirty"
