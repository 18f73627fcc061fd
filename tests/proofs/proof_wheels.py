"""Both packages installed from an archive of the checkout, with what an index has: one serves, the other pulls."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2 as httpx
import pytest

from app.client.version import VERSION
from tests.packaging.environments import ROOT, Environment, build_wheels
from tests.test_demo import free_port

READY = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, as a forge offers it to download: without git."""
    folder = tmp_path_factory.mktemp("source")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


@pytest.fixture(scope="module")
def revision() -> str:
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def install(environment: Environment, *sources: str | Path) -> None:
    """Install from the index, and print what that takes."""
    before = os.times()
    environment.install(*sources)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{sources[0]}: {environment.count()} packages, {seconds:.0f} s of processor time")


@contextmanager
def running(environment: Environment, port: int) -> Iterator[str]:
    """Run the demo of an environment until it is ready; yields its address."""
    address = f"http://127.0.0.1:{port}"
    process = environment.start("rata", "demo", RATA_PORT=str(port))
    try:
        until = time.monotonic() + READY
        while True:
            assert process.poll() is None, process.communicate()
            with suppress(httpx.TransportError):
                if httpx.get(f"{address}/ready").status_code == 200:
                    break
            assert time.monotonic() < until
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_service_migrates_and_serves_and_the_client_pulls_from_it(
    source: Path, revision: str, tmp_path: Path
) -> None:
    service, client = Environment(tmp_path / "service"), Environment(tmp_path / "client")
    install(service, source)
    install(client, source / "app" / "client")
    assert service.run("rata", "--version").out.startswith(f"rata {VERSION}, revision {revision}, schema ")
    assert client.run("rata", "--version").out == f"rata-client {VERSION}, revision {revision}\n"
    seconds = min(client.run("rata", "pull", "--help").seconds for _ in range(3))
    print(f"rata pull --help: {seconds:.2f} s of processor time")
    assert seconds < 0.4
    assert service.run("rata", "migrate").code == 0
    as_parquet = ["pull", "2025-Q2", "--region", "63", "--format", "parquet"]
    with running(service, free_port()) as address:
        token = (service.folder / "var" / "demo.token").read_text().strip()
        settings = {"RATA_SERVER": address, "RATA_TOKEN": token}
        assert "rata[parquet]" in client.run("rata", *as_parquet, **settings).err
        for words in (
            ["pull", "2025-Q2", "--region", "63"],
            ["pull", "2025-Q2", "--region", "63", "--verify"],
            ["pull", "2025-Q2", "--region", "63", "--format", "sqlite"],
            ["follow", "copy.db", "--region", "63.02", "--once"],
            ["follow", "copy.db", "--region", "63.02", "--verify", "2025-Q2"],
        ):
            done = client.run("rata", *words, **settings)
            assert done.code == 0, done.err
            print(done.err.strip())
    install(service, f"{source}[parquet]")
    with running(service, free_port()) as address:
        done = client.run("rata", *as_parquet, RATA_SERVER=address, RATA_TOKEN=token)
        assert done.code == 0, done.err
    assert len((client.folder / "rata-2025-Q2-63.ndjson").read_bytes().splitlines()) == 156


@pytest.mark.parametrize("order", ["service first", "client first"])
def test_command_is_the_service_in_either_order(order: str, source: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    sources = [source, source / "app" / "client"]
    for one in sources if order == "service first" else reversed(sources):
        install(environment, one)
    assert environment.run("rata", "--version").out.startswith(f"rata {VERSION}, ")
    assert environment.run("rata", "migrate").code == 0
    assert environment.run("rata", "pull", "--help").out.startswith("usage: rata pull")


def test_same_source_makes_the_same_wheels(source: Path, tmp_path: Path) -> None:
    first = build_wheels(tmp_path / "first", source)
    for file in source.rglob("*"):
        file.touch()
    again = build_wheels(tmp_path / "again", source)
    for one, other in zip(first, again, strict=True):
        assert one.name == other.name
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
