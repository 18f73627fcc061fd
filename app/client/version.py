"""Version and revision of this code: of the service, and of the client where it is installed alone."""

import subprocess
from pathlib import Path

VERSION = "1.0.0"

_DIGITS = 12
_ARCHIVED = "$Format:%H$"
"""`git archive` writes the commit here."""


def find_revision() -> str | None:
    """Return the commit of this code, with `-dirty` behind it where files differ from it. Returns None if unknown.

    A wheel and an image carry it in the file `revision`; a checkout has git.
    """
    carried = Path(__file__).with_name("revision")
    if carried.is_file():
        return carried.read_text().strip() or None
    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED[:_DIGITS]
    return _ask_git(Path(__file__))


def _ask_git(file: Path) -> str | None:
    """Return the commit of the checkout that has `file`. Returns None if no checkout has it, or git is missing."""

    def run(*words: str) -> str:
        command = ["git", "-C", str(file.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # a file that is not tracked lies in somebody else's checkout
        run("ls-files", "--error-unmatch", file.name)
        return run("describe", "--always", "--dirty", f"--abbrev={_DIGITS}", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
