"""No reader of the feed loses a row or gets one twice, whichever its rights and filters."""

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
    read_journal,
    readers,
    transactions,
    write_all,
)
from tests.database import rolled_back


class Feed(NamedTuple):
    """A feed by its reader, filters and page size."""

    actor: Actor
    filters: dict[str, Any]
    limit: int


class Reader:
    """A reader of one feed that keeps its items and its cursor."""

    def __init__(self, database: Database, actor: Actor, filters: dict[str, Any], limit: int) -> None:
        self._database, self._actor, self._filters, self._limit = database, actor, filters, limit
        self._cursor: str | None = None
        self.items: list[dict[str, Any]] = []

    def read_page(self) -> bool:
        """Read one page; True if it reports more."""
        query = ChangesQuery(after=self._cursor, limit=self._limit, **self._filters)
        with self._database.read_session() as session:
            result = read_feed(session, self._actor, query, now=datetime.now(UTC), days=400)
        self._cursor = result.next
        self.items += [json.loads(item) for item in result.items]
        return result.more

    def read_all(self) -> None:
        while self.read_page():
            pass

    def begin_now(self) -> None:
        self._cursor = NOW
        assert not self.read_page()
        assert self.items == []


def find_visible_rows(database: Database, feed: Feed) -> list[Row]:
    """Return the rows of the journal that the reader may see, by the rule in plain Python."""
    region, kinds = feed.filters["region"], feed.filters["kind"]
    return [
        row for row in read_journal(database) if may_know(feed.actor, row, region) and is_of_kind(row, kinds)
    ]


def show_rows(rows: list[Row], feed: Feed) -> list[dict[str, Any]]:
    """Return the rows as the feed shows them, without their instant."""
    optional = ("changes",) if feed.filters["changes"] else ()
    names = ("kind", "region_code", "subject", "version", *optional)
    token = feed.actor.may("read_access", "0")
    return [
        {
            "sequence": row["position"],
            "actor": row["principal"],
            "token": row["actor"] if token else None,
            **{name: row[name] for name in names},
        }
        for row in rows
    ]


feeds = st.lists(st.builds(Feed, readers, filters, st.integers(1, 5)), min_size=1, max_size=5)


class Readers:
    """Three readers of one feed: at once, a page after each write, and from half of the writes on."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database, self._feed = database, feed
        self._prompt, self._slow, self._late = (Reader(database, *feed) for _ in range(3))
        self._before = 0

    def begin_late(self) -> None:
        self._late.begin_now()
        self._before = len(find_visible_rows(self._database, self._feed))

    def read(self) -> None:
        self._prompt.read_all()
        self._slow.read_page()

    def check(self) -> None:
        self._slow.read_all()
        self._late.read_all()
        whole = show_rows(find_visible_rows(self._database, self._feed), self._feed)
        expected = ((self._prompt, whole), (self._slow, whole), (self._late, whole[self._before :]))
        for reader, rows in expected:
            assert [{name: item[name] for name in item if name != "at"} for item in reader.items] == rows


def check_webhook(database: Database, feed: Feed) -> None:
    """Compare what a webhook counts in each stretch of the feed, and where it ends."""
    watch = FeedFilter(feed.actor, feed.filters["region"], feed.filters["kind"])
    rows = find_visible_rows(database, feed)
    with database.read_session() as session:
        end = read_last_number(session)
        last = rows[-1] if rows else {"chain": "", "position": 0, "hash": ""}
        place = (last["chain"], last["position"], last["hash"])
        assert tuple(find_feed_end(session, watch)) == place
        for after, until in ((0, end), (end // 2, end), (0, end // 2)):
            expected = [row for row in rows if after < row["sequence"] <= until]
            result = count_entries(session, watch, after=after, until=until)
            assert (result.total, result.kinds) == (len(expected), sorted({row["kind"] for row in expected}))
            assert result.last is None or result.last.hash == expected[-1]["hash"]


ALL = {"kind": [], "changes": False}
OF_PROVINCE = Actor("dasbor", "token", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
NATION_FIRST = [
    Write("reference", NATION, "reference.loaded", False),
    Write("plan:63-2026", "63", "plan.changed", False),
]


def test_every_reader_gets_every_row_that_it_may_know_once_in_order(template: Database) -> None:
    try_worlds(template, 10, (Phase.explicit, Phase.generate))


def try_worlds(template: Database, count: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Read random journals by random readers. Shrinking a failure takes minutes."""

    @settings(max_examples=count, deadline=None, phases=phases)
    @given(feeds, st.lists(transactions, min_size=1, max_size=6))
    @example([Feed(OF_PROVINCE, {**ALL, "region": NATION}, 1)], [NATION_FIRST])
    def read_world(feeds: list[Feed], written: list[list[Write]]) -> None:
        with rolled_back(template) as database:
            empty_journal(database)
            readers = [Readers(database, feed) for feed in feeds]
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
            for feed in feeds:
                check_webhook(database, feed)

    read_world()
