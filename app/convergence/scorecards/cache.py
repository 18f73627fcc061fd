"""Write-behind cache of the figures of scorecards, and cache of replies.

A write of reports must not pay for scorecards. So a request that meets stale figures computes them and adds them to
the cache; a thread writes them to the database. Until then this process answers from the cache. When a process dies,
the next one computes its unwritten figures again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from sqlmodel import Session

from app.convergence.scorecards.models import ScorecardFiguresRow
from app.kit.database.engine import get_table
from app.kit.database.upsert import upsert
from app.kit.write_behind import WriteBehind

REPLIES = 512
"""Size of the cache of replies of a process; the least recently used reply leaves first."""

JsonRow = dict[str, Any]


class FiguresCache(WriteBehind[tuple[str, str], JsonRow]):
    """Cache of one process: unwritten figures by period and region, and replies by cache key."""

    name = "figures"
    pause = 0.5
    largest = 5_000

    def __init__(self) -> None:
        super().__init__()
        self._replies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._reply_guard = threading.Lock()

    def note(self, rows: Collection[JsonRow]) -> None:
        """Add computed figures: columns of `scorecard_figures`, with values as in JSON."""
        self.add({(row["period"], row["region_code"]): row for row in rows})

    def save(self, session: Session, values: Mapping[tuple[str, str], JsonRow]) -> None:
        """Upsert the figures."""
        upsert(session, get_table(ScorecardFiguresRow), list(values.values()), key=["period", "region_code"])

    def find(self, region: str, period: str, stamp: str) -> JsonRow | None:
        """Return unwritten figures, None if there are none with this stamp."""
        row = self.get((period, region))
        return row if row is not None and row["stamp"] == stamp else None

    def get_reply(self, key: Hashable, compute: Callable[[], bytes]) -> bytes:
        """Return the cached reply, else compute and cache it. The key must hold everything that decides its bytes."""
        with self._reply_guard:
            reply = self._replies.get(key)
            if reply is not None:
                self._replies.move_to_end(key)
                return reply
        made = compute()
        with self._reply_guard:
            self._replies[key] = made
            while len(self._replies) > REPLIES:
                self._replies.popitem(last=False)
        return made
