"""Values that requests note and a thread writes to the database a moment later.

A read must not become a write, wait for one, or fail because of one. A killed process loses the values that it has
not written, so requests note only values that they can compute or see again.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from app.kit.database.engine import Database
from app.kit.problems import Busy

log = structlog.get_logger("rata")

Key = TypeVar("Key", bound=tuple[str, str | int])
Value = TypeVar("Value")


class WriteBehind(ABC, Generic[Key, Value]):
    """The unwritten values of one process, by key; a newer value replaces an older one."""

    name: ClassVar[str]
    """Name of the thread, and of the values in the log."""
    pause: ClassVar[float]
    """Seconds between the first noted value and the write, which collect more of them."""
    largest: ClassVar[int]
    """Maximum number of waiting values; to stay below it, `add` drops all older ones."""

    def __init__(self) -> None:
        self._noted: dict[Key, Value] = {}
        self._guard = threading.Lock()
        self._is_noted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def save(self, session: Session, values: Mapping[Key, Value]) -> None:
        """Write the values, sorted by their keys."""

    def add(self, values: Mapping[Key, Value]) -> None:
        """Note values for the next write."""
        if not values:
            return
        with self._guard:
            if len(self._noted) + len(values) > self.largest:
                self._noted.clear()
            self._noted |= values
        self._is_noted.set()

    def get(self, key: Key) -> Value | None:
        """Return a value that waits for the write. Returns None if there is none."""
        return self._noted.get(key)

    def write(self, database: Database) -> None:
        """Write the noted values. Those that the database refuses wait for the next write."""
        with self._guard:
            # Sorted, so that two processes that write the same rows do not deadlock.
            noted = dict(sorted(self._noted.items(), key=lambda item: item[0]))
        if not noted:
            return
        try:
            with database.writing() as session:
                self.save(session, noted)
        except (SQLAlchemyError, Busy) as error:
            event = f"{self.name}_not_written"
            log.warning(event, count=len(noted), reason=type(error).__name__)
            return
        with self._guard:
            for key, value in noted.items():
                if self._noted.get(key) is value:
                    del self._noted[key]

    def start(self, database: Database) -> None:
        """Start the thread that writes."""

        def work() -> None:
            while not self._stopped.is_set():
                self._is_noted.wait()
                self._is_noted.clear()
                self._stopped.wait(self.pause)
                self.write(database)

        self._stopped.clear()
        self._thread = threading.Thread(target=work, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, database: Database) -> None:
        """Stop the thread and write the remaining values."""
        self._stopped.set()
        self._is_noted.set()
        if self._thread is not None:
            self._thread.join()
        self.write(database)
