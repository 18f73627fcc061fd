"""How much memory the suite takes, and how seldom it looks for garbage; pytest loads this before everything else."""

import gc
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

# Modules and compiled statements stay: looking through them took a tenth of the run, and a fifth of its imports.
gc.set_threshold(100_000, 50, 50)

LARGEST_PROCESS = 2**30
"""Bytes of memory that a process of the suite may take at its peak."""
GROWTH = 150 * 2**20
"""Bytes by which a process may grow until its garbage is collected."""
PEAKS = pytest.StashKey[dict[str, int]]()
"""Bytes that each process of the run took at its peak."""
_collected = [0]


def pytest_collection_finish() -> None:
    """Leave what was imported out of every collection: it stays to the end, and looking through it takes a second."""
    _collect()


def _collect() -> None:
    """Collect, and look through what is left no more."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Collect the rings that tests leave behind, which the thresholds above would keep for ever, as memory grows."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    resident = int(statm.read_text().split()[1]) * resource.getpagesize()
    if resident > _collected[0] + GROWTH:
        _collect()
        _collected[0] = int(statm.read_text().split()[1]) * resource.getpagesize()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Note what a worker told of itself when it ended."""
    peaks = node.config.stash.setdefault(PEAKS, {})
    peaks[node.gateway.id] = getattr(node, "workeroutput", {}).get("peak", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of which a process outgrew its bound: a test keeps what it should let go."""
    _collect()  # pytest looks five times for what was not closed
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = peak  # the controller decides
        return
    peaks = session.config.stash.setdefault(PEAKS, {})
    peaks["main"] = peak
    if max(peaks.values()) > LARGEST_PROCESS:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, peak in config.stash.get(PEAKS, {}).items():
        is_large = peak > LARGEST_PROCESS
        bound = f", more than {LARGEST_PROCESS / 2**20:,.0f}" if is_large else ""
        terminalreporter.write_line(
            f"Memory at the peak of {name}: {peak / 2**20:,.0f} MB{bound}", red=is_large
        )
