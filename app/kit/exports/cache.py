"""Contents that are made once, kept as files, and read while they are still being made.

Making a large content holds a connection to the database; sending it may take as long as the slowest line
does. So it is made as fast as the database gives it, into a file, by few at a time and in the order in which
they came, and whoever asked reads along at a speed of its own. Who comes later, or goes on after a cut, reads
the very same bytes. The folder is bounded; what was not read for longest goes first.
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

from app.kit.spans import step

log = structlog.get_logger("rata")

_ABOUT = ".json"
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class About:
    """What is known of a content beside its bytes."""

    tag: str
    """Its entity tag, quotes included."""
    headers: dict[str, str]
    is_long: bool
    """Sent while it is being made; what is not is made first, so that its length and digest can be told."""
    sha256: str | None = None
    """Hex, of all bytes; known at the end."""


@dataclass(frozen=True)
class Kept:
    """A whole content, open for reading."""

    file: int
    size: int
    about: About


class Making:
    """A content that is being made: written by one thread, read along by any number of requests."""

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(_UNFINISHED, dir=folder)
        self.path, self._out, self._in = Path(name), handle, os.open(name, os.O_RDONLY)
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._hash = hashlib.sha256()
        self.size = 0
        self.about: About | None = None
        self.failure: BaseException | None = None
        self.is_whole = False
        self.readers = 0

    # The thread that makes it

    def begin(self, about: About) -> None:
        """Say what it is; from here on it can be read. Said again of one that was not long, it is begun anew."""
        if self.about is not None:
            assert not self.about.is_long
            os.ftruncate(self._out, 0)
            os.lseek(self._out, 0, os.SEEK_SET)
            self._hash, self.size = hashlib.sha256(), 0
        self.about = about
        self._tell()

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[os.write(self._out, left) :]
        self._hash.update(data)
        self.size += len(data)
        if data:
            self._tell()
        return len(data)

    def finish(self) -> None:
        """Nothing more comes."""
        os.close(self._out)
        if self.about is not None:
            self.about = replace(self.about, sha256=self._hash.hexdigest())

    def end(self, failure: BaseException | None = None) -> None:
        self.failure, self.is_whole = failure, failure is None
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, woken in waiting:
            with contextlib.suppress(RuntimeError):  # that loop, and who waited in it, is gone
                loop.call_soon_threadsafe(_wake, woken)

    # Who reads along

    def open(self) -> int:
        """The file, open for reading, also where it has gone from the folder; the caller closes it."""
        return os.dup(self._in)

    def close(self) -> None:
        """Nobody reads along any more."""
        os.close(self._in)

    async def begun(self) -> None:
        """Wait until it is said what it is."""
        await self._until(lambda: self.about is not None)

    async def beyond(self, at: int) -> None:
        """Wait until there is more than `at` bytes, or it ended; raises what it failed by."""
        await self._until(lambda: self.size > at)

    async def ended(self) -> None:
        await self._until(lambda: False)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            woken: asyncio.Future[None] = loop.create_future()
            with self._lock:
                self._waiting.append((loop, woken))
            # looked at only now: what happens from here on wakes us
            if self.failure is not None:
                raise self.failure
            if self.is_whole or is_so():
                return
            await woken


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():  # who waited may have gone
        waiting.set_result(None)


class Written(io.RawIOBase):
    """The same as a file, for libraries that write into one; closing it ends nothing."""

    def __init__(self, making: Making) -> None:
        super().__init__()
        self._making = making

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._making.write(bytes(data))


class Spool:
    """A bounded folder of whole contents by name, and those that are being made."""

    def __init__(self, folder: str | None, *, limit: int, at_once: int) -> None:
        self.folder = Path(folder or Path(tempfile.gettempdir()) / f"rata-spool-{os.getuid()}")
        self.limit = limit
        self._makers = ThreadPoolExecutor(at_once, "spool")
        self._making: dict[str, tuple[Making, Future[None]]] = {}
        self._lock = threading.Lock()

    def check_writable(self) -> None:
        """Raise OSError if no file can be made in the folder."""
        tempfile.TemporaryFile(dir=self._own_folder()).close()

    def find(self, name: str) -> Kept | None:
        """A whole content; the caller closes its file."""
        path = self.folder / name
        try:
            about = About(**json.loads(path.with_name(name + _ABOUT).read_text()))
            file = os.open(path, os.O_RDONLY)
        except (OSError, ValueError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # read just now
        return Kept(file, os.fstat(file).st_size, about)

    def make(self, name: str, write: Callable[[Making], str]) -> Making:
        """Make a content, or join who is making it already. `write` gives the name under which to keep it."""
        with self._lock:
            if name in self._making:
                making, _ = self._making[name]
            else:
                making = Making(self._own_folder())
                # the trace that asked for it tells of it too
                run = contextvars.copy_context().run
                self._making[name] = (making, self._makers.submit(run, self._run, name, making, write))
            making.readers += 1
            return making

    def leave(self, name: str, making: Making) -> None:
        """Who asked waits no longer; what nobody waits for and nobody began is not made."""
        with self._lock:
            making.readers -= 1
            if making.readers:
                return
            found = self._making.get(name)
            if found is None or found[0] is not making:
                making.close()
            elif found[1].cancel():
                making.finish()
                making.path.unlink()
                self._drop(name, making)

    def _drop(self, name: str, making: Making) -> None:
        """It is made no longer."""
        del self._making[name]
        if not making.readers:
            making.close()

    def close(self) -> None:
        self._makers.shutdown(wait=True, cancel_futures=True)

    def _run(self, name: str, making: Making, write: Callable[[Making], str]) -> None:
        failure = None
        try:
            try:
                with step("write export"):
                    kept = write(making)
            finally:
                making.finish()
        except BaseException as error:
            failure = error
        else:
            try:
                self._keep(making, kept)
            except Exception as error:
                # it is whole, and is sent; the next who asks has it made again
                log.error("spool_not_kept", exc_info=error)
        if failure is not None and not making.readers:
            log.error("spool_failed", exc_info=failure)  # otherwise said by whoever reads it
        making.path.unlink(missing_ok=True)
        with self._lock:  # a request that follows a failure has it made again
            making.end(failure)
            self._drop(name, making)

    def _keep(self, making: Making, name: str) -> None:
        assert making.about is not None
        path = self.folder / name
        about = making.path.with_name(making.path.name + _ABOUT)
        about.write_text(json.dumps(asdict(making.about)))
        about.replace(path.with_name(name + _ABOUT))
        making.path.replace(path)
        self._make_room(path)

    def _make_room(self, newest: Path) -> None:
        """Let go of what was read longest ago, down to the limit; the newest stays, however large."""
        found = []
        for one in self.folder.iterdir():
            with contextlib.suppress(OSError):
                found.append((one.stat(), one))
        now = max((state.st_mtime for state, _ in found), default=0.0)
        for state, one in found:
            if one.suffix == _UNFINISHED and now - state.st_mtime > _ABANDONED_SECONDS:
                one.unlink(missing_ok=True)
        whole = sorted(
            ((state, one) for state, one in found if one.suffix not in (_ABOUT, _UNFINISHED)),
            key=lambda pair: pair[0].st_mtime,
        )
        size = sum(state.st_size for state, _ in whole)
        for state, one in whole:
            if size <= self.limit or one == newest:
                break
            one.with_name(one.name + _ABOUT).unlink(missing_ok=True)
            one.unlink(missing_ok=True)
            size -= state.st_size

    def _own_folder(self) -> Path:
        """Return the folder, made if it is missing.

        Raises PermissionError if it belongs to another user, who could put anything into it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            raise PermissionError("the folder belongs to another user")
        return self.folder
