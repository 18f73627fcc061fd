"""What was computed for scorecards is kept: told by requests that had to compute it, written in the background.

A read must not become a write, wait for one, or fail because of one; and a write of reports must not pay for
scorecards. So a request that meets figures that are not of the journal's present state computes them anew and
only notes them; a thread of the process writes them down a moment later. Until then this process answers from
what is noted. What a killed process had noted is computed again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.convergence.scorecards.models import ScorecardFiguresRow
from app.kit.database.engine import Database, table_of
from app.kit.database.json_sql import upsert
from app.kit.problems import Busy

log = structlog.get_logger("rata")

PAUSE = 0.5
"""Seconds in which what several requests computed is collected."""

LARGEST = 5_000
"""Rows that wait to be written; more are forgotten, and computed again when they are asked for."""

ANSWERS = 512
"""Replies that a process keeps at hand; the one that was asked for longest ago goes first."""

Row = dict[str, Any]


class Kept:
    """What one process has computed: figures that are not written yet, and replies."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], Row] = {}
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._guard = threading.Lock()
        self._is_noted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, rows: Collection[Row]) -> None:
        """Remember figures that were computed: columns of `scorecard_figures`, as JSON has them."""
        if not rows:
            return
        with self._guard:
            if len(self._noted) + len(rows) > LARGEST:
                self._noted.clear()
            self._noted |= {(row["period"], row["region_code"]): row for row in rows}
        self._is_noted.set()

    def find(self, region: str, period: str, stamp: str) -> Row | None:
        """Figures that are noted and of that state."""
        found = self._noted.get((period, region))
        return found if found is not None and found["stamp"] == stamp else None

    def answered(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The reply that was made of this state before, else a new one. The key holds all that decides its bytes."""
        with self._guard:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
                return found
        made = make()
        with self._guard:
            self._answers[key] = made
            while len(self._answers) > ANSWERS:
                self._answers.popitem(last=False)
        return made

    def write(self, database: Database) -> None:
        """Write down what was noted; what cannot be written now stays noted."""
        with self._guard:
            noted = dict(self._noted)
        if not noted:
            return
        rows = [
            noted[key] for key in sorted(noted)
        ]  # in one order: two processes must not wait for one another
        try:
            with database.writing() as session:
                upsert(session, table_of(ScorecardFiguresRow), rows, key=["period", "region_code"])
        except (SQLAlchemyError, Busy) as error:
            log.warning("figures_not_written", count=len(rows), reason=type(error).__name__)
            return
        with self._guard:
            for key, row in noted.items():
                if self._noted.get(key) is row:
                    del self._noted[key]

    def start(self, database: Database) -> None:
        def work() -> None:
            while not self._stopped.is_set():
                self._is_noted.wait()
                self._is_noted.clear()
                self._stopped.wait(PAUSE)
                self.write(database)

        self._stopped.clear()
        self._thread = threading.Thread(target=work, name="scorecards", daemon=True)
        self._thread.start()

    def stop(self, database: Database) -> None:
        """End the thread and write what is left."""
        self._stopped.set()
        self._is_noted.set()
        if self._thread is not None:
            self._thread.join()
        self.write(database)
