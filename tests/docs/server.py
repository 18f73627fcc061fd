"""`rata demo` as a reader starts it: its own process, a free port, a database in its own folder."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from app.startup.demo import DATABASE, TOKEN
from tests.clients.tools import NODE, with_node
from tests.docs.pages import ROOT
from tests.forked import RATA, python_with_service

START_SECONDS = 120
ADDRESS, POSTGRES = "http://127.0.0.1:8000", "postgresql+psycopg://rata:secret@localhost/rata"
"""Addresses of service and database in the pages."""


@dataclass(frozen=True)
class Demo:
    """A running demo, its output, and the folder of its files."""

    address: str
    token: str
    greeting: str
    folder: Path
    environment: Mapping[str, str]
    """The variables of a reader's shell before any set-up."""


class Reader:
    """A reader's shell next to a running demo, in its own checkout: each text sees earlier exports."""

    def __init__(self, demo: Demo, checkout: Path) -> None:
        self.checkout, self.examples = checkout, checkout / "var" / "examples"
        self._demo, self._state = demo, checkout.with_name("exported")
        self._at = checkout
        self.examples.mkdir(parents=True)
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / "bin").symlink_to(demo.folder / "bin")
        (checkout / "deploy").symlink_to(ROOT / "deploy")
        for name in (DATABASE, TOKEN):
            (checkout / "var" / name).symlink_to(demo.folder / "var" / name)
        self._there = self.list_files()
        self._state.touch()

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a text of a page with the addresses of the demo."""
        for shown, real in (
            (ADDRESS, self._demo.address),
            (POSTGRES, f"sqlite:///{self._demo.folder}/var/demo.db"),
        ):
            text = text.replace(shown, real)
        place = self._state.with_name("place")
        done = self._sh(
            f". {shlex.quote(str(self._state))}\n{text}\nexport -p > {shlex.quote(str(self._state))}\n"
            f"pwd -P > {shlex.quote(str(place))}",
            self._at,
            self._demo.environment,
        )
        if done.returncode == 0:
            self._at = Path(place.read_text().rstrip("\n"))
        return done

    def run_by_cron(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a crontab as cron does: at home, without the shell's exports."""
        names = ("HOME", "LANG", "PYTHONPATH", "PYTHONPYCACHEPREFIX")
        environment = {name: self._demo.environment[name] for name in names if name in self._demo.environment}
        return self._sh(command, Path(environment["HOME"]), environment | {"PATH": "/usr/bin:/bin"})

    def list_files(self) -> set[str]:
        """Return the files in the checkout, except those that examples may write."""
        names = (Path(folder, name) for folder, _, files in os.walk(self.checkout) for name in files)
        return {str(name) for name in names if not name.is_relative_to(self.examples)}

    def list_added_files(self) -> set[str]:
        return self.list_files() - self._there

    def _sh(
        self, text: str, folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", text],
            cwd=folder,
            env=dict(environment),
            text=True,
            check=False,
            capture_output=True,
            timeout=120,
        )


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    environment = _environment(folder)
    port, output = free_port(), folder / "demo.out"
    own = {"RATA_PORT": str(port), "RATA_SECRETS_KEY": Fernet.generate_key().decode()}
    with (
        output.open("w") as out,
        subprocess.Popen(
            [folder / "bin" / "rata", "demo"],
            cwd=folder,
            env=environment | own,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(server, address, output)
            token = (folder / "var" / TOKEN).read_text()
            yield Demo(address, token, output.read_text(), folder, environment)
        finally:
            server.terminate()
            server.wait(60)


def _environment(folder: Path) -> dict[str, str]:
    """Return a reader's variables: node, and a curl that fails on HTTP errors; create the `.venv/bin`."""
    binaries, home = folder / "bin", folder / "home"
    binaries.mkdir()
    home.mkdir()
    (home / ".curlrc").write_text("fail-with-body\n")
    python, npx = shlex.quote(sys.executable), NODE / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
    commands = {
        "python": python,
        "npx": f"node {shlex.quote(str(npx))} --offline",
        "rata": shlex.join([python_with_service(), "-c", RATA]),
    }
    for name, words in commands.items():
        (binaries / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (binaries / name).chmod(0o755)
    environment = {
        name: value for name, value in with_node().items() if not name.startswith(("RATA_", "PYTHON", "npm_"))
    }
    return environment | {
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),  # spares each command the compilation
        "HOME": str(home),
        "CURL_HOME": str(home),
        "COLUMNS": "120",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], address: str, output: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=5) as reply:  # noqa: S310
                json.load(reply)
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"rata demo does not answer at {address}:\n{output.read_text()[-3000:]}")


def find_curls(greeting: str) -> list[str]:
    return re.findall(r"^ *(curl .+)$", greeting, re.MULTILINE)


def has_curl() -> bool:
    return shutil.which("curl") is not None
