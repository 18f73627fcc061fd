"""The variants, each in a uvicorn worker with the settings of the service."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from app.settings import Settings
from app.startup import serving

APPLICATIONS = {"raw": "benchmarks.raw:application", "naive": "benchmarks.naive:application"}
VARIANTS = ("service", *APPLICATIONS)


@contextlib.contextmanager
def serve(variant: str, url: str, secret: str, workers: list[int] | None = None) -> Iterator[int]:
    """Serve a variant over the database at `url`; yield its port. Adds the process id to `workers`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "RATA_DATABASE_URL": url,
        "RATA_PORT": str(port),
        "RATA_BENCH_SECRET": secret,
        # a single token sends all requests, so the rate limits must never apply
        "RATA_READS_PER_MINUTE": "100000000",
        "RATA_WRITES_PER_MINUTE": "100000000",
    }
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", variant],
            env=environment,
            cwd=Path(__file__).parents[1],
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_ready(worker, port)
            if workers is not None:
                workers.append(worker.pid)
            yield port
        except Exception as error:
            time.sleep(0.2)
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            error.add_note(f"The last lines of {variant}:\n" + "\n".join(lines[-30:]))
            raise
        finally:
            worker.terminate()
            worker.wait()


def read_peak(pid: int, *, reset: bool = False) -> float:
    """Return the peak memory of a process in MB; with `reset`, restart the peak and return the current memory."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{pid}/status").read_text()
    name = "VmRSS:" if reset else "VmHWM:"
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name))) / 1024


def _wait_until_ready(worker: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and worker.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def _run(variant: str) -> None:
    settings = Settings(_env_file=None)
    if variant == "service":
        serving.run(settings)
        return
    uvicorn.run(
        APPLICATIONS[variant],
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_keep_alive=30,
    )


if __name__ == "__main__":
    _run(sys.argv[1])
