"""What was computed for scorecards is kept: noted by requests that had to compute it, written behind them.

A write of reports must not pay for scorecards. So a request that meets figures that are not of the journal's present
state computes them and notes them. Until they are written, this process answers from what is noted. What a killed
process had noted is computed again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from sqlmodel import Session

from app.convergence.scorecards.models import ScorecardFiguresRow
from app.kit.database.engine import table_of
from app.kit.database.upsert import upsert
from app.kit.write_behind import WriteBehind

ANSWERS = 512
"""Replies that a process keeps at hand; the one that was asked for longest ago goes first."""

Row = dict[str, Any]


class Kept(WriteBehind[tuple[str, str], Row]):
    """What one process has computed: figures that are not written yet, by period and region, and replies."""

    name = "figures"
    pause = 0.5
    largest = 5_000

    def __init__(self) -> None:
        super().__init__()
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._guard_of_answers = threading.Lock()

    def note(self, rows: Collection[Row]) -> None:
        """Remember figures that were computed: columns of `scorecard_figures`, as JSON has them."""
        self.add({(row["period"], row["region_code"]): row for row in rows})

    def save(self, session: Session, values: Mapping[tuple[str, str], Row]) -> None:
        """Write the figures in place of those of an older state."""
        upsert(session, table_of(ScorecardFiguresRow), list(values.values()), key=["period", "region_code"])

    def find(self, region: str, period: str, stamp: str) -> Row | None:
        """Figures that are noted and of that state."""
        row = self.get((period, region))
        return row if row is not None and row["stamp"] == stamp else None

    def answered(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The reply that was made of this state before, else a new one. The key holds all that decides its bytes."""
        with self._guard_of_answers:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
                return found
        made = make()
        with self._guard_of_answers:
            self._answers[key] = made
            while len(self._answers) > ANSWERS:
                self._answers.popitem(last=False)
        return made
