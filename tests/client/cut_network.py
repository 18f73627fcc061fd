"""Pulls between two network namespaces whose line is taken down in the middle: `make cut-network`, as root.

It needs iproute2 and says what it saw. The suite has a proxy instead (`test_faults`), which needs nothing of a
machine.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.conftest import token_for
from tests.database import prepare, sqlite_url
from tests.plans.world import LEAN, furnish, put_many, put_plan
from tests.test_cli import ROOT, environment

HERE, THERE, PORT = "10.231.0.1", "10.231.0.2", 8231
LINK = "rata-line"
RUNS = 12
NAME = "rata-2026-Q2-63.parquet"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def namespaces(stack: ExitStack) -> None:
    """Two ends of a line of 8 Mbit/s: one here, one in a namespace of its own."""
    ip("netns", "add", LINK)
    stack.callback(ip, "netns", "del", LINK)
    ip("link", "add", LINK, "type", "veth", "peer", "name", "line", "netns", LINK)
    ip("address", "add", f"{HERE}/30", "dev", LINK)
    ip("link", "set", LINK, "up")
    ip("-n", LINK, "address", "add", f"{THERE}/30", "dev", "line")
    ip("-n", LINK, "link", "set", "line", "up")
    slow = ["root", "tbf", "rate", "8mbit", "burst", "16kb", "latency", "100ms"]
    subprocess.run(["tc", "qdisc", "add", "dev", LINK, *slow], check=True)


def service(stack: ExitStack, folder: Path) -> str:
    """A service at this end, with a plan of two megabytes; a token for it."""
    database = prepare(sqlite_url(folder, "cut"))
    furnish(database)
    app = create_app(Settings(_env_file=None, database_url=str(database.url)), database)
    secret = token_for(database, ("secretariat", "63.02"))
    chance = random.Random(1)
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        put_plan(client)
        put_many(
            client, [{**LEAN, "code": f"A-{n}", "note": chance.randbytes(4900).hex()} for n in range(400)]
        )
    database.close()
    settings = environment(RATA_DATABASE_URL=str(database.url), RATA_HOST=HERE, RATA_PORT=str(PORT))
    words = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    serving = subprocess.Popen(words, cwd=ROOT, env=settings)
    stack.callback(serving.wait)
    stack.callback(serving.terminate)
    while serving.poll() is None:
        try:
            httpx.get(f"http://{HERE}:{PORT}/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return secret
    raise SystemExit("the service did not start")


def main() -> None:
    chance = random.Random(2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        namespaces(stack)
        token = service(stack, folder)
        url = f"http://{HERE}:{PORT}"
        asked = {"Authorization": f"Bearer {token}"}
        right = httpx.get(f"{url}/v1/pulls/2026-Q2.parquet?region=63", headers=asked, timeout=60).content
        settings = environment(RATA_SERVER=url, RATA_TOKEN=token)
        for run in range(RUNS):
            out = folder / str(run)
            before = None if run % 2 else b"what was there before"
            out.mkdir()
            file, part = out / NAME, out / f"{NAME}.part"
            if before:
                file.write_bytes(before)
            words = ["pull", "2026-Q2", "--region", "63", "--out", str(out), "--format", "parquet"]
            pulling = ["ip", "netns", "exec", LINK, sys.executable, "-c", _PULL, *words]
            began, cuts = time.monotonic(), []
            process = subprocess.Popen(pulling, cwd=ROOT, env=settings)
            for _ in range(chance.randrange(1, 4)):
                wanted = chance.randrange(len(right))
                while process.poll() is None and (not part.exists() or part.stat().st_size < wanted):
                    time.sleep(0.01)
                if process.poll() is not None:
                    break
                cuts.append(part.stat().st_size)
                ip("link", "set", LINK, "down")
                time.sleep(chance.random() * 4)
                assert (file.read_bytes() if file.exists() else None) == before
                if chance.random() < 0.5:
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    process = subprocess.Popen(pulling, cwd=ROOT, env=settings)
                ip("link", "set", LINK, "up")
            assert process.wait() == 0
            assert file.read_bytes() == right
            took = time.monotonic() - began
            sys.stdout.write(f"run {run}: {len(right)} bytes, cut at {cuts}, whole after {took:.1f} s\n")


_PULL = "import sys; from app.client import cli; cli.main()"

if __name__ == "__main__":
    main()
