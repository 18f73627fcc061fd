"""No reader of the feed loses a row or gets one twice, whatever it may see and whatever it asks for."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from app.access.models import Role, TokenScope
from app.access.rules import Actor, Grant
from app.changes.models import NOW, ChangesQuery
from app.changes.queries import FeedFilter, count_entries, find_feed_end, read_feed, read_last_number
from app.kit.database.engine import Database
from tests.changes.worlds import (
    NATION,
    Row,
    Write,
    empty_journal,
    filters,
    is_of_kind,
    may_know,
    readers,
    transactions,
    whole_journal,
    write_all,
)
from tests.database import rolled_back


class Asked(NamedTuple):
    """A feed: who reads it, by which filters, in pages of how many."""

    actor: Actor
    filters: dict[str, Any]
    limit: int


class Reader:
    """A reader of one feed that keeps what it read and where to go on."""

    def __init__(self, database: Database, actor: Actor, filters: dict[str, Any], limit: int) -> None:
        self._database, self._actor, self._filters, self._limit = database, actor, filters, limit
        self._cursor: str | None = None
        self.items: list[dict[str, Any]] = []

    def read_page(self) -> bool:
        """Read one page; True if it reports more."""
        query = ChangesQuery(after=self._cursor, limit=self._limit, **self._filters)
        with self._database.read_session() as session:
            found = read_feed(session, self._actor, query, now=datetime.now(UTC), days=400)
        self._cursor = found.next
        self.items += [json.loads(item) for item in found.items]
        return found.more

    def read_all(self) -> None:
        while self.read_page():
            pass

    def begin_now(self) -> None:
        self._cursor = NOW
        assert not self.read_page()
        assert self.items == []


def known(database: Database, asked: Asked) -> list[Row]:
    """The rows of the journal that the reader may know of, by the rule in plain Python."""
    region, kinds = asked.filters["region"], asked.filters["kind"]
    return [
        row
        for row in whole_journal(database)
        if may_know(asked.actor, row, region) and is_of_kind(row, kinds)
    ]


def shown(rows: list[Row], asked: Asked) -> list[dict[str, Any]]:
    """The rows as the feed shows them, their instant aside."""
    beside = ("changes",) if asked.filters["changes"] else ()
    names = ("kind", "region_code", "subject", "version", "actor", *beside)
    return [{"sequence": row["position"], **{name: row[name] for name in names}} for row in rows]


feeds = st.lists(st.builds(Asked, readers, filters, st.integers(1, 5)), min_size=1, max_size=5)


class Readers:
    """Three readers of the same feed: at once, page by page between the writes, and from half of the writes on."""

    def __init__(self, database: Database, asked: Asked) -> None:
        self._database, self._asked = database, asked
        self._prompt, self._slow, self._late = (Reader(database, *asked) for _ in range(3))
        self._before = 0

    def begin_late(self) -> None:
        self._late.begin_now()
        self._before = len(known(self._database, self._asked))

    def read(self) -> None:
        self._prompt.read_all()
        self._slow.read_page()

    def check(self) -> None:
        self._slow.read_all()
        self._late.read_all()
        whole = shown(known(self._database, self._asked), self._asked)
        expected = ((self._prompt, whole), (self._slow, whole), (self._late, whole[self._before :]))
        for reader, rows in expected:
            assert [{name: item[name] for name in item if name != "at"} for item in reader.items] == rows


def check_webhook(database: Database, asked: Asked) -> None:
    """What a webhook counts, of each stretch of the feed, and where it ends."""
    watch = FeedFilter(asked.actor, asked.filters["region"], asked.filters["kind"])
    rows = known(database, asked)
    with database.read_session() as session:
        end = read_last_number(session)
        last = rows[-1] if rows else {"chain": "", "position": 0, "hash": ""}
        place = (last["chain"], last["position"], last["hash"])
        assert tuple(find_feed_end(session, watch)) == place
        for after, until in ((0, end), (end // 2, end), (0, end // 2)):
            there = [row for row in rows if after < row["sequence"] <= until]
            found = count_entries(session, watch, after=after, until=until)
            assert (found.total, found.kinds) == (len(there), sorted({row["kind"] for row in there}))
            assert found.last is None or found.last.hash == there[-1]["hash"]


ALL = {"kind": [], "changes": False}
OF_PROVINCE = Actor("dasbor", "token", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
NATION_FIRST = [
    Write("reference", NATION, "reference.loaded", False),
    Write("plan:63-2026", "63", "plan.changed", False),
]


def test_every_reader_gets_every_row_that_it_may_know_once_in_order(template: Database) -> None:
    try_worlds(template, 10, (Phase.explicit, Phase.generate))


def try_worlds(template: Database, count: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Read so many journals by so many readers by chance. To shrink one that fails takes minutes."""

    @settings(max_examples=count, deadline=None, phases=phases)
    @given(feeds, st.lists(transactions, min_size=1, max_size=6))
    @example([Asked(OF_PROVINCE, {**ALL, "region": NATION}, 1)], [NATION_FIRST])
    def read_world(asked: list[Asked], written: list[list[Write]]) -> None:
        with rolled_back(template) as database:
            empty_journal(database)
            readers = [Readers(database, one) for one in asked]
            number = 0
            for n, rows in enumerate(written):
                for reader in readers if n == len(written) // 2 else ():
                    reader.begin_late()
                write_all(database, rows, number)
                number += len(rows)
                for reader in readers:
                    reader.read()
            for reader in readers:
                reader.check()
            for one in asked:
                check_webhook(database, one)

    read_world()
