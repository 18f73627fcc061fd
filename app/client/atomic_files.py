"""Atomic files: complete or absent, even after a crash of the process or the machine."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .problems import AlreadyRunning


@contextlib.contextmanager
def open_locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file under an exclusive lock, which the kernel ends with the process.

    Deletes the file at the end if it is empty. Raises AlreadyRunning if another process has the lock.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(file=path) from None
            # the previous owner may have deleted the file before it released the lock
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    continue
            with _deleting_if_empty(path, file):
                yield file
            return


@contextlib.contextmanager
def _deleting_if_empty(path: Path, file: BinaryIO) -> Iterator[None]:
    try:
        yield
    finally:
        if os.fstat(file.fileno()).st_size == 0:
            path.unlink(missing_ok=True)


def write_atomically(path: Path, content: dict[str, object]) -> None:
    """Write a JSON file atomically, by way of `NAME.new`."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)


def flush_to_disk(path: Path) -> None:
    """Flush a file's content, or a folder's renames, to the disk, so that they survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
