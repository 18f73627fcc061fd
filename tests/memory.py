"""Bounds on the memory of the suite and rare garbage collections; pytest loads this module first."""

import gc
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

# Scanning modules and compiled statements took a tenth of the run and a fifth of its imports.
gc.set_threshold(100_000, 50, 50)

LARGEST_PROCESS = 5 * 2**28
"""Bytes of memory that a process of the suite may take at its peak.

Half of 5,400 tests took 980 to 1,054 MB, without a step: modules, documents and compiled statements.
"""
GROWTH = 150 * 2**20
"""Bytes by which a process may grow before it collects garbage."""
PEAKS = pytest.StashKey[dict[str, int]]()
"""Bytes that each process of the run took at its peak."""
_collected = [0]


def pytest_collection_finish() -> None:
    """Exempt the imported modules from garbage collection: scanning them takes a second."""
    _collect()


def _collect() -> None:
    """Collect garbage and exempt the surviving objects from later collections."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Collect reference cycles when memory has grown; the thresholds above alone would keep them for ever."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    resident = int(statm.read_text().split()[1]) * resource.getpagesize()
    if resident > _collected[0] + GROWTH:
        _collect()
        _collected[0] = int(statm.read_text().split()[1]) * resource.getpagesize()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Record the peak that a worker reports when it ends."""
    peaks = node.config.stash.setdefault(PEAKS, {})
    peaks[node.gateway.id] = getattr(node, "workeroutput", {}).get("peak", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a process exceeds its bound: a test then keeps objects that it should release."""
    _collect()  # pytest collects five times to find unclosed resources
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
