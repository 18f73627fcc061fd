"""Cache of exports: a thread writes each export once into a file, and requests read it meanwhile and later.

Writing an export holds a connection to the database, so a few threads write at its speed and each request reads at a
speed of its own. A later request, or one that resumes a transfer, reads the same bytes. The folder has a limit: the
cache evicts the least recently read export first.
"""

import asyncio
import contextlib
import contextvars
import hashlib
import io
import json
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from app.kit.spans import open_span

log = structlog.get_logger("rata")

_ABOUT = ".json"
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class ExportMetadata:
    """The metadata of an export: its ETag, headers and digest."""

    tag: str
    """The entity tag, quotes included."""
    headers: dict[str, str]
    is_long: bool
    """A long export streams while its thread writes; a short one waits for its end, so its length and digest go out."""
    sha256: str | None = None
    """Hex digest of all bytes; None until the export is whole."""


@dataclass(frozen=True)
class WholeExport:
    """A whole export, open for reading."""

    file: int
    size: int
    about: ExportMetadata


class PendingExport:
    """An export in progress: one thread writes it, any number of requests read it meanwhile."""

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(_UNFINISHED, dir=folder)
        self.path, self._out, self._in = Path(name), handle, os.open(name, os.O_RDONLY)
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._hash = hashlib.sha256()
        self.size = 0
        self.about: ExportMetadata | None = None
        self.failure: BaseException | None = None
        self.is_whole = False
        self.readers = 0

    # For the thread that writes

    def begin(self, about: ExportMetadata) -> None:
        """Set the metadata and let readers start. A second call restarts a short export from its first byte."""
        if self.about is not None:
            assert not self.about.is_long
            os.ftruncate(self._out, 0)
            os.lseek(self._out, 0, os.SEEK_SET)
            self._hash, self.size = hashlib.sha256(), 0
        self.about = about
        self._wake_readers()

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[os.write(self._out, left) :]
        self._hash.update(data)
        self.size += len(data)
        if data:
            self._wake_readers()
        return len(data)

    def finish(self) -> None:
        """Close the file for writing and store its digest."""
        os.close(self._out)
        if self.about is not None:
            self.about = replace(self.about, sha256=self._hash.hexdigest())

    def end(self, failure: BaseException | None = None) -> None:
        """Mark the export as whole, or as failed, and wake its readers."""
        self.failure, self.is_whole = failure, failure is None
        self._wake_readers()

    def _wake_readers(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, woken in waiting:
            with contextlib.suppress(RuntimeError):  # the event loop has closed
                loop.call_soon_threadsafe(_resolve, woken)

    # For the readers

    def open(self) -> int:
        """Return the file, open for reading, even if the folder no longer has it; the caller closes it."""
        return os.dup(self._in)

    def close(self) -> None:
        """Close the file for reading, after the last reader."""
        os.close(self._in)

    async def wait_begun(self) -> None:
        """Wait until the export has its metadata. Raises the failure of the thread that writes."""
        await self._wait_until(lambda: self.about is not None)

    async def wait_beyond(self, at: int) -> None:
        """Wait until the file has more than `at` bytes or is whole. Raises the failure of the thread that writes."""
        await self._wait_until(lambda: self.size > at)

    async def wait_ended(self) -> None:
        """Wait until the export is whole. Raises the failure of the thread that writes."""
        await self._wait_until(lambda: False)

    async def _wait_until(self, is_met: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            woken: asyncio.Future[None] = loop.create_future()
            with self._lock:
                self._waiting.append((loop, woken))
            # check only now: every later change wakes this future
            if self.failure is not None:
                raise self.failure
            if self.is_whole or is_met():
                return
            await woken


def _resolve(woken: "asyncio.Future[None]") -> None:
    if not woken.done():  # its reader may have cancelled it
        woken.set_result(None)


class ExportWriter(io.RawIOBase):
    """A pending export as a writable file, for libraries that need one; closing it does not end the export."""

    def __init__(self, export: PendingExport) -> None:
        super().__init__()
        self._export = export

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._export.write(bytes(data))


class ExportCache:
    """A bounded folder of whole exports by name, and the pending ones."""

    def __init__(self, folder: str | None, *, limit: int, at_once: int) -> None:
        self.folder = Path(folder or Path(tempfile.gettempdir()) / f"rata-spool-{os.getuid()}")
        self.limit = limit
        self._writers = ThreadPoolExecutor(at_once, "spool")
        self._pending: dict[str, tuple[PendingExport, Future[None]]] = {}
        self._lock = threading.Lock()

    def check_writable(self) -> None:
        """Raise OSError if the process cannot create a file in the folder."""
        tempfile.TemporaryFile(dir=self._prepare_folder()).close()

    def find(self, name: str) -> WholeExport | None:
        """Return a whole export; the caller closes its file. Returns None if the folder lacks it."""
        path = self.folder / name
        try:
            about = ExportMetadata(**json.loads(path.with_name(name + _ABOUT).read_text()))
            file = os.open(path, os.O_RDONLY)
        except (OSError, ValueError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the order of eviction
        return WholeExport(file, os.fstat(file).st_size, about)

    def make(self, name: str, write: Callable[[PendingExport], str]) -> PendingExport:
        """Start an export, or join the pending one of that name. `write` returns the name to keep it under."""
        with self._lock:
            if name in self._pending:
                export, _ = self._pending[name]
            else:
                export = PendingExport(self._prepare_folder())
                # the span of the export belongs to the trace of the request that starts it
                run = contextvars.copy_context().run
                self._pending[name] = (export, self._writers.submit(run, self._run, name, export, write))
            export.readers += 1
            return export

    def leave(self, name: str, export: PendingExport) -> None:
        """Drop one reader. Cancels an export without readers that has not started."""
        with self._lock:
            export.readers -= 1
            if export.readers:
                return
            pending = self._pending.get(name)
            if pending is None or pending[0] is not export:
                export.close()
            elif pending[1].cancel():
                export.finish()
                export.path.unlink()
                self._drop(name, export)

    def _drop(self, name: str, export: PendingExport) -> None:
        """Forget a pending export, and close its file unless a reader has it."""
        del self._pending[name]
        if not export.readers:
            export.close()

    def close(self) -> None:
        """Cancel the exports that have not started, and wait for the others."""
        self._writers.shutdown(wait=True, cancel_futures=True)

    def _run(self, name: str, export: PendingExport, write: Callable[[PendingExport], str]) -> None:
        failure = None
        try:
            try:
                with open_span("write export"):
                    kept = write(export)
            finally:
                export.finish()
        except BaseException as error:
            failure = error
        else:
            try:
                self._keep(export, kept)
            except Exception as error:
                # the readers get the whole export all the same; the next request starts it again
                log.error("spool_not_kept", exc_info=error)
        if failure is not None and not export.readers:
            log.error("spool_failed", exc_info=failure)  # a reader reports it otherwise
        export.path.unlink(missing_ok=True)
        with self._lock:  # after a failure, the next request starts the export again
            export.end(failure)
            self._drop(name, export)

    def _keep(self, export: PendingExport, name: str) -> None:
        assert export.about is not None
        path = self.folder / name
        about = export.path.with_name(export.path.name + _ABOUT)
        about.write_text(json.dumps(asdict(export.about)))
        about.replace(path.with_name(name + _ABOUT))
        export.path.replace(path)
        self._make_room(path)

    def _make_room(self, newest: Path) -> None:
        """Evict the least recently read exports down to the limit; the newest stays, however large."""
        files = []
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                files.append((path.stat(), path))
        now = max((state.st_mtime for state, _ in files), default=0.0)
        for state, path in files:
            if path.suffix == _UNFINISHED and now - state.st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)
        whole = sorted(
            ((state, path) for state, path in files if path.suffix not in (_ABOUT, _UNFINISHED)),
            key=lambda pair: pair[0].st_mtime,
        )
        size = sum(state.st_size for state, _ in whole)
        for state, path in whole:
            if size <= self.limit or path == newest:
                break
            path.with_name(path.name + _ABOUT).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            size -= state.st_size

    def _prepare_folder(self) -> Path:
        """Return the folder, created if it is missing.

        Raises PermissionError if it belongs to another user: that user could forge exports.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            raise PermissionError("the folder belongs to another user")
        return self.folder
