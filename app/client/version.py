"""Version and revision of this code, for the service and for the separate client."""

import subprocess
from pathlib import Path

VERSION = "1.0.0"

_DIGITS = 12
_ARCHIVED = "$Format:%H$"
"""The commit, which `git archive` fills in."""


def find_revision() -> str | None:
    """Return the commit of this code, with `-dirty` if files differ from it. Returns None if unknown.

    A wheel and an image have it in the file `revision`; a checkout has git.
    """
    carried = Path(__file__).with_name("revision")
    if carried.is_file():
        return carried.read_text().strip() or None
    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED[:_DIGITS]
    return _ask_git(Path(__file__))


def _ask_git(file: Path) -> str | None:
    def run(*words: str) -> str:
        command = ["git", "-C", str(file.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # an untracked file lies in the checkout of another project
        run("ls-files", "--error-unmatch", file.name)
        return run("describe", "--always", "--dirty", f"--abbrev={_DIGITS}", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
