"""`rata demo` as a reader starts it: a process of its own, on a free port, over a database in a folder of its own."""

import json
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

from tests.clients.tools import NODE, with_node
from tests.docs.pages import ROOT

START_SECONDS = 120


@dataclass(frozen=True)
class Demo:
    """A running demo, the words it greeted with, and the environment of a reader's shell beside it."""

    address: str
    token: str
    greeting: str
    environment: Mapping[str, str]

    def shell(self, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", text],
            cwd=folder,
            env=dict(self.environment),
            text=True,
            check=False,
            capture_output=True,
            timeout=120,
        )


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    port = free_port()
    environment = _environment(folder) | {"RATA_PORT": str(port)}
    output = folder / "demo.out"
    with (
        output.open("w") as out,
        subprocess.Popen(
            [folder / "bin" / "rata", "demo"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(server, address, output)
            token = (folder / "demo.token").read_text()
            yield Demo(address, token, output.read_text(), environment | {"RATA": address, "TOKEN": token})
        finally:
            server.terminate()
            server.wait(60)


def _environment(folder: Path) -> dict[str, str]:
    """What a reader has: `rata`, its Python, node and npx, and a curl whose failures show in its exit code."""
    binaries, home = folder / "bin", folder / "home"
    binaries.mkdir()
    home.mkdir()
    (home / ".curlrc").write_text("fail-with-body\n")
    python, npx = shlex.quote(sys.executable), NODE / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
    commands = {
        "rata": f"{python} -c 'from app.cli import main; main()'",
        "python": python,
        "npx": f"node {shlex.quote(str(npx))} --offline",
    }
    for name, words in commands.items():
        (binaries / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (binaries / name).chmod(0o755)
    kept = {
        name: value for name, value in with_node().items() if not name.startswith(("RATA_", "PYTHON", "npm_"))
    }
    return kept | {
        "PATH": f"{binaries}:{kept['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),  # each command would compile everything anew
        "HOME": str(home),
        "CURL_HOME": str(home),
        "COLUMNS": "120",
        "RATA_SECRETS_KEY": Fernet.generate_key().decode(),
        "RATA_DATABASE_URL": f"sqlite:///{folder}/rata.db",
        "RATA_DEMO_TOKEN_FILE": str(folder / "demo.token"),
        "RATA_SPOOL_FOLDER": str(folder / "spool"),
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


def printed_curls(greeting: str) -> list[str]:
    return re.findall(r"^ *(curl .+)$", greeting, re.MULTILINE)


def has_curl() -> bool:
    return shutil.which("curl") is not None
