"""Files that are whole or not there at all, whenever the process or the machine may end."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .problems import AlreadyRunning


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """The part, open and ours alone; the kernel lets go of it however we end. AlreadyRunning: another has it."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(file=path) from None
            # who had it may have ended meanwhile and taken its file away
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    continue
            with _gone_if_empty(path, file):
                yield file
            return


@contextlib.contextmanager
def _gone_if_empty(path: Path, file: BinaryIO) -> Iterator[None]:
    try:
        yield
    finally:
        if os.fstat(file.fileno()).st_size == 0:
            path.unlink(missing_ok=True)


def replace(path: Path, content: dict[str, object]) -> None:
    """A small file written beside and renamed: what is there is always whole."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)


def synchronise(path: Path) -> None:
    """Make a file's content, or a folder's renames, last through a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
