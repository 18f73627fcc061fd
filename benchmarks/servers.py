"""The variants, each in one uvicorn worker of its own with the settings that the service itself has."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from app import serving
from app.settings import Settings

APPLICATIONS = {"raw": "benchmarks.raw:application", "naive": "benchmarks.naive:application"}
VARIANTS = ("service", *APPLICATIONS)


@contextlib.contextmanager
def serve(variant: str, url: str, secret: str) -> Iterator[int]:
    """A variant over the database at `url`; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "RATA_DATABASE_URL": url,
        "RATA_PORT": str(port),
        "RATA_BENCH_SECRET": secret,
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.servers", variant],
        env=environment,
        cwd=Path(__file__).parents[1],
        # a log line is part of the service's work; where it goes is not
        stderr=subprocess.PIPE if variant != "service" else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(worker, port)
        yield port
    finally:
        worker.terminate()
        worker.wait()


def _wait_for(worker: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and worker.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    worker.kill()
    raise RuntimeError((worker.stderr.read().decode() if worker.stderr else "") or "the server did not start")


def _run(variant: str) -> None:
    settings = Settings(_env_file=None)
    if variant == "service":
        serving.run(settings)
        return
    uvicorn.run(
        APPLICATIONS[variant], factory=True, host=settings.host, port=settings.port, access_log=False,
        log_level="error", server_header=False, timeout_keep_alive=30,
    )


if __name__ == "__main__":
    _run(sys.argv[1])
