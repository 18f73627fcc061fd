"""Values that requests note and a thread writes to the database a moment later.

A read must not become a write, wait for one, or fail because of one. What a killed process had noted is lost, so
only values that are computed or seen again may be noted.
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
    """The values of one process that are not written yet, by key; a newer value replaces an older one."""

    name: ClassVar[str]
    """Name of the thread, and of the values in the log."""
    pause: ClassVar[float]
    """Seconds in which values are collected after the first of them was noted."""
    largest: ClassVar[int]
    """Number of values that may wait; more, where the database takes no writes, are dropped."""

    def __init__(self) -> None:
        self._noted: dict[Key, Value] = {}
        self._guard = threading.Lock()
        self._is_noted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def save(self, session: Session, values: Mapping[Key, Value]) -> None:
        """Write the values, which come in the order of their keys."""

    def add(self, values: Mapping[Key, Value]) -> None:
        """Note values to be written."""
        if not values:
            return
        with self._guard:
            if len(self._noted) + len(values) > self.largest:
                self._noted.clear()
            self._noted |= values
        self._is_noted.set()

    def get(self, key: Key) -> Value | None:
        """Return a value that is noted and not written yet."""
        return self._noted.get(key)

    def write(self, database: Database) -> None:
        """Write what is noted. What the database does not take now stays noted, for the next time."""
        with self._guard:
            # In one order: two processes that write the same rows must not wait for one another.
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
        """Start the thread."""

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
        """End the thread and write what is left."""
        self._stopped.set()
        self._is_noted.set()
        if self._thread is not None:
            self._thread.join()
        self.write(database)
