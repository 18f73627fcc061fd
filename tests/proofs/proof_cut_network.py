"""Pulls between two network namespaces over a link that goes down in the middle; needs root and iproute2.

The suite uses a proxy instead (`test_faults`).
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import prepare, sqlite_url
from tests.plans.world import LEAN, furnish, put_many, put_plan
from tests.proofs import read_number
from tests.proofs.programs import find_program
from tests.test_cli import ROOT, environment

LOCAL, REMOTE, PORT = "10.231.0.1", "10.231.0.2", 8231
LINK = "rata-line"
NAME = "rata-2026-Q2-63.parquet"


class Server(NamedTuple):
    """The service at the local end, its token and its pull of a quarter."""

    url: str
    token: str
    content: bytes


def run_ip(*words: str) -> None:
    subprocess.run([find_program("ip", "iproute2"), *words], check=True)


def create_namespaces(stack: ExitStack) -> None:
    """Create a link of 8 Mbit/s into a network namespace."""
    run_ip("netns", "add", LINK)
    stack.callback(run_ip, "netns", "del", LINK)
    run_ip("link", "add", LINK, "type", "veth", "peer", "name", "line", "netns", LINK)
    run_ip("address", "add", f"{LOCAL}/30", "dev", LINK)
    run_ip("link", "set", LINK, "up")
    run_ip("-n", LINK, "address", "add", f"{REMOTE}/30", "dev", "line")
    run_ip("-n", LINK, "link", "set", "line", "up")
    slow = ["root", "tbf", "rate", "8mbit", "burst", "16kb", "latency", "100ms"]
    subprocess.run([find_program("tc", "iproute2"), "qdisc", "add", "dev", LINK, *slow], check=True)


def serve(stack: ExitStack, folder: Path) -> Server:
    """Start a service at the local end with a plan of two megabytes."""
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
    settings = environment(RATA_DATABASE_URL=str(database.url), RATA_HOST=LOCAL, RATA_PORT=str(PORT))
    words = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    serving = subprocess.Popen(words, cwd=ROOT, env=settings)
    stack.callback(serving.wait)
    stack.callback(serving.terminate)
    url = f"http://{LOCAL}:{PORT}"
    while serving.poll() is None:
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            headers = {"Authorization": f"Bearer {secret}"}
            reply = httpx.get(f"{url}/v1/pulls/2026-Q2.parquet?region=63", headers=headers, timeout=60)
            return Server(url, secret, reply.raise_for_status().content)
    pytest.fail("the service did not start", pytrace=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if os.geteuid():
        pytest.fail("network namespaces need root", pytrace=False)
    with ExitStack() as stack:
        create_namespaces(stack)
        yield serve(stack, tmp_path_factory.mktemp("served"))


@contextmanager
def take_link_down() -> Iterator[None]:
    """Take the link down for the block."""
    run_ip("link", "set", LINK, "down")
    try:
        yield
    finally:
        run_ip("link", "set", LINK, "up")


@pytest.mark.parametrize("run", range(read_number("COUNT", 12)))
def test_a_pull_over_a_broken_link_completes(server: Server, run: int, tmp_path: Path) -> None:
    chance = random.Random(run)
    before = None if run % 2 else b"an earlier pull"
    file, part = tmp_path / NAME, tmp_path / f"{NAME}.part"
    if before:
        file.write_bytes(before)
    words = ["pull", "2026-Q2", "--region", "63", "--out", str(tmp_path), "--format", "parquet"]
    pulling = ["ip", "netns", "exec", LINK, sys.executable, "-c", _PULL, *words]
    settings = environment(RATA_SERVER=server.url, RATA_TOKEN=server.token)
    began, cuts = time.monotonic(), []
    process = subprocess.Popen(pulling, cwd=ROOT, env=settings)
    for _ in range(chance.randrange(1, 4)):
        size = chance.randrange(len(server.content))
        while process.poll() is None and (not part.exists() or part.stat().st_size < size):
            time.sleep(0.01)
        if process.poll() is not None:
            break
        with take_link_down():
            # the last bytes may have arrived before
            if process.poll() is not None or not part.exists():
                break
            cuts.append(part.stat().st_size)
            time.sleep(chance.random() * 4)
            assert not part.exists() or (file.read_bytes() if file.exists() else None) == before
            if chance.random() < 0.5:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                process = subprocess.Popen(pulling, cwd=ROOT, env=settings)
    assert process.wait() == 0
    assert file.read_bytes() == server.content
    print(f"{len(server.content)} bytes, cut at {cuts}, whole after {time.monotonic() - began:.1f} s")


_PULL = "import sys; from app.client import cli; cli.main()"
