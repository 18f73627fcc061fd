"""Handlers of signals that end a command at once, with one sentence.

Destructors, the import system and SQLAlchemy swallow KeyboardInterrupt or log it, and the command goes on. A command
that runs one transaction needs no clean-up: the database rolls it back when the process ends.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPPED = "Stopped. Unfinished work is not stored; run the command again."
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = "\x1b[?25h"
"""A progress bar hides the cursor of the terminal."""


@contextmanager
def end_when_stopped() -> Iterator[None]:
    """Within the block, end the process with exit code 1 on Ctrl-C, SIGTERM and SIGHUP, without clean-up."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        try:
            os.write(2, f"\n{STOPPED}\n{_SHOW_CURSOR if os.isatty(2) else ''}".encode())
        finally:  # an error of the write, such as a closed standard error, would let the command go on
            os._exit(1)

    with _handle_stops(end):
        yield


@contextmanager
def raise_when_stopped() -> Iterator[None]:
    """Within the block, raise KeyboardInterrupt on Ctrl-C, SIGTERM and SIGHUP, so that the block can clean up."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    with _handle_stops(interrupt):
        yield


@contextmanager
def _handle_stops(handler: Callable[[int, FrameType | None], NoReturn]) -> Iterator[None]:
    # a signal that the parent process has set to SIG_IGN stays ignored: `nohup rata migrate` survives its terminal
    heeded = [number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
