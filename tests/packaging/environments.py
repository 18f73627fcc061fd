"""Wheels of both packages, and virtual environments for them."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
OFFLINE = ("--no-deps", "--no-index")
LIGHTLY = (*OFFLINE, "--no-compile")


class Wheels(NamedTuple):
    """The files of both wheels."""

    service: Path
    client: Path


class Result(NamedTuple):
    """The exit code, the output and the processor seconds of a process."""

    code: int
    out: str
    err: str
    seconds: float


def build_wheels(folder: Path, root: Path = ROOT) -> Wheels:
    """Build both wheels with the packages of the suite."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", *OFFLINE]
    subprocess.run([*command, "--wheel-dir", folder, ".", "./app/client"], cwd=root, check=True)
    (service,), (client,) = folder.glob("rata-*.whl"), folder.glob("rata_client-*.whl")
    return Wheels(service, client)


class Environment:
    """A virtual environment without the checkout, and an empty folder to run commands in."""

    def __init__(self, folder: Path) -> None:
        self._environment, self.folder = folder / "environment", folder / "work"
        self.folder.mkdir(parents=True)
        venv.create(self._environment, symlinks=True)
        self._bin = self._environment / "bin"
        (self._packages,) = self._environment.glob("lib/*/site-packages")
        self._borrowed = self._packages / "suite.pth"

    def install(self, *words: str | Path) -> None:
        """Install with pip, without the borrowed packages."""
        self._borrowed.unlink(missing_ok=True)
        pip = [sys.executable, "-m", "pip", "--python", self._bin / "python", "install", "-qq"]
        subprocess.run([*pip, *words], check=True)

    def count(self) -> int:
        """Return the number of installed packages."""
        return len(list(self._packages.glob("*.dist-info")))

    def borrow(self) -> None:
        """Make the packages of the suite importable, without the checkout: Python ignores nested path files."""
        packages = [path for path in sys.path if Path(path).name == "site-packages"]
        self._borrowed.write_text("\n".join(packages))

    def start(self, *words: str | Path, **settings: str) -> subprocess.Popen[str]:
        """Start a command of the environment with the given settings alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RATA_", "PYTHON"))}
        return subprocess.Popen(
            [self._bin / words[0], *words[1:]],
            cwd=self.folder,
            env={**kept, "COLUMNS": "100", "NO_COLOR": "1", "LANG": "C.UTF-8", **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path, **settings: str) -> Result:
        """Run a command of the environment to its end."""
        before = os.times()
        with self.start(*words, **settings) as process:
            out, err = process.communicate(timeout=120)
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        return Result(process.returncode, out, err, seconds)
