"""When tokens and persons were last used: told by requests, written in the background.

A read must not become a write, wait for one, or fail because of one. So a request only notes what it saw, and only
where what is stored is older than a few minutes; a thread of the process writes it down now and then, and once more
when the service stops. What a killed process had noted is lost: less than the time between.
"""

import threading
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.access.models import Principal, Token
from app.access.queries import Bearer
from app.kit.database.engine import Database, table_of
from app.kit.problems import Busy

log = structlog.get_logger("rata")

GRAIN = timedelta(minutes=5)
"""How old the stored instant may be before a use is noted again."""
PAUSE = 30.0
"""Seconds between two writings."""

_TABLES = {"service": table_of(Token), "person": table_of(Principal)}
_UPDATES = {
    kind: sa.update(table)
    .where(
        table.c.id == sa.bindparam("used"),
        sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("at")),
    )
    .values(last_used_at=sa.bindparam("at"))
    for kind, table in _TABLES.items()
}


class Uses:
    """The uses of one process that are not written yet."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, int], datetime] = {}
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, bearer: Bearer, now: datetime) -> None:
        """Remember a use, where the stored one is not of these minutes."""
        if bearer.last_used_at is None or now - bearer.last_used_at >= GRAIN:
            with self._guard:
                self._noted[bearer.kind, bearer.id] = now

    def write(self, database: Database) -> None:
        """Write down what was noted; what cannot be written now stays noted."""
        with self._guard:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            with database.writing() as session:
                for kind, update in _UPDATES.items():
                    # In one order: two processes that write the same tokens must not wait for one another.
                    used = sorted((id, at) for (of, id), at in noted.items() if of == kind)
                    if used:
                        session.connection().execute(update, [{"used": id, "at": at} for id, at in used])
        except (SQLAlchemyError, Busy) as error:
            log.warning("uses_not_written", count=len(noted), reason=type(error).__name__)
            with self._guard:
                self._noted = {**noted, **self._noted}

    def start(self, database: Database) -> None:
        def work() -> None:
            while not self._stopped.wait(PAUSE):
                self.write(database)

        self._stopped.clear()
        self._thread = threading.Thread(target=work, name="uses", daemon=True)
        self._thread.start()

    def stop(self, database: Database) -> None:
        """End the thread and write what is left."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.write(database)
