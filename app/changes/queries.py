"""Queries of the journal: the history of a resource, the feed of an actor, and the check of the hash chains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.commands import ACCESS_CHAIN as ACCESS
from app.access.models import TokenScope
from app.access.queries import POSITION, can_see_region, is_in_region, select_token
from app.access.rules import (
    PRINCIPAL_CHAINS,
    SCOPE_CHAINS,
    SCOPE_CHANGED,
    Actor,
    format_scope_chain,
    list_ancestors,
)
from app.changes.models import NOW, Change, ChangesQuery, HistoryEntry, HistoryQuery
from app.changes.rules import (
    BEGINNING,
    WEBHOOK_CHAINS,
    ChainBreak,
    ChainEnd,
    FeedGone,
    FeedPosition,
    decode_cursor,
    encode_cursor,
    expired_cursor,
    find_first_break,
    list_sources,
)
from app.kit.database.engine import get_table
from app.kit.database.journal import FEED, JournalHead, JournalRow
from app.kit.database.json_sql import select_fields, select_json
from app.kit.http.pagination import Listing
from app.kit.problems import FieldError, NotFound

_journal, _heads = get_table(JournalRow), get_table(JournalHead)
_c = _journal.c


# History


def select_history(session: Session, actor: Actor, chain: str, subject: str, query: HistoryQuery) -> Listing:
    """Return the entries of a subject and of the addresses below it that the actor may know of.

    The history outlives a deleted subject. Raises NotFound if the actor may know of no entry.
    """
    statement = sa.select(*_select_entry(HistoryEntry, actor)).where(
        _c.chain == chain,
        sa.or_(_c.subject == subject, _starts_with(_c.subject, f"{subject}/")),
        _is_known_to(actor, None),
    )
    if session.execute(statement.with_only_columns(sa.literal(1)).limit(1)).first() is None:
        raise NotFound()
    return Listing(
        statement.where(_has_kind(query.kind)), {"sequence": _c.position}, {"sequence": _c.position}
    )


def _select_entry(shape: type[BaseModel], actor: Actor) -> list[ColumnElement[Any]]:
    return select_fields(shape, _journal, sequence=_c.position, actor=POSITION, token=select_token(actor))


def _starts_with(column: ColumnElement[str], start: str) -> ColumnElement[bool]:
    """Return the predicate: the text begins with `start`. A range, which an index serves and which needs no escapes."""
    return sa.and_(column >= start, column < start[:-1] + chr(ord(start[-1]) + 1))


def _has_kind(kinds: Sequence[str]) -> ColumnElement[bool]:
    """Return the predicate: the entry has one of these kinds, `noun` or `noun.verb`. No kinds allow all."""
    if not kinds:
        return sa.true()
    return sa.or_(*[_c.kind == kind if "." in kind else _starts_with(_c.kind, f"{kind}.") for kind in kinds])


# The feed


class FeedFilter(NamedTuple):
    """A reader's feed and its filters: region (None: all that the reader sees) and kinds (empty: all)."""

    actor: Actor
    region: str | None
    kinds: Sequence[str]

    @property
    def filters(self) -> list[object]:
        """Filters that a cursor of this feed is valid for."""
        return [self.region, sorted(set(self.kinds))]


@dataclass(frozen=True)
class FeedPage:
    """A page of the feed: items as JSON (`Change`), next cursor, and whether more items follow."""

    items: list[str]
    next: str
    more: bool


def read_feed(session: Session, actor: Actor, query: ChangesQuery, *, now: datetime, days: int) -> FeedPage:
    """Return the page after a cursor of the changes that an actor may know of, in the order of their commits.

    Raises FeedGone if the first change is older than `days`, or if the cursor's row is gone, as after the restore of a
    backup.
    """
    feed = FeedFilter(actor, query.region, query.kind)
    filters = feed.filters
    if query.after == NOW:
        return FeedPage([], encode_cursor(find_feed_end(session, feed), filters), more=False)
    place = BEGINNING if query.after is None else decode_cursor(query.after, filters)
    start = find_number(session, place)
    span = None if start is None else _find_span(session, start, actor, query.region)
    rows = [] if span is None else _read_span(session, span, feed, query)
    if start is None or (rows and rows[0][1] < now - timedelta(days=days)):
        error = FieldError(
            expired_cursor, parameter="after", value=query.after, allowed=list_sources(query.region)
        )
        raise FeedGone(errors=[error], days=days)
    page = rows[: query.limit]
    if page:
        place = FeedPosition(*page[-1][2:])
    return FeedPage([row[0] for row in page], encode_cursor(place, filters), more=len(rows) > len(page))


class FeedRange(NamedTuple):
    """A range of numbers in the feed, both ends included; `last` None: to the end."""

    first: int
    last: int | None


def _match_feed(feed: FeedFilter) -> list[ColumnElement[bool]]:
    return [_is_known_to(feed.actor, feed.region), sa.or_(_has_kind(feed.kinds), _c.kind == SCOPE_CHANGED)]


def find_feed_end(session: Session, feed: FeedFilter) -> FeedPosition:
    """Return the last row of a reader's feed. Returns BEGINNING if it is empty."""
    span = _find_span(session, 0, feed.actor, feed.region)
    if span is None:
        return BEGINNING
    ends = sa.select(_c.chain, _c.position, _c.hash).where(_is_in_span(span), *_match_feed(feed))
    row = session.execute(ends.order_by(_c.sequence.desc()).limit(1)).one_or_none()
    return FeedPosition(*row) if row else BEGINNING


def _find_span(session: Session, start: int, actor: Actor, region: str | None) -> FeedRange | None:
    """Return a range after a number that contains all rows for this reader. Returns None without any.

    Without it, the database would read the whole feed to find a page for a reader that sees little of it. Two index
    look-ups for each region in the journal find the range.
    """
    if region in (None, "0") and any(grant.is_below and grant.region == "0" for grant in actor.grants):
        return FeedRange(start + 1, None)
    known = _list_regions()
    here = _journal.alias("here")
    key = (here.c.region_code, here.c.sequence)

    def nearest(
        condition: ColumnElement[bool], *order: sa.SQLColumnExpression[object]
    ) -> sa.SQLColumnExpression[object]:
        # By both columns: an order by the number alone tempts PostgreSQL to read the feed along its key.
        number = sa.case((here.c.region_code == known.c.code, here.c.sequence))
        statement = sa.select(number).where(condition).order_by(*order).limit(1)
        return statement.correlate(known).scalar_subquery()

    at_start, at_end = (sa.tuple_(known.c.code, sa.literal(number)) for number in (start, _ENDLESS))
    firsts = nearest(sa.tuple_(*key) > at_start, *key)
    lasts = nearest(sa.tuple_(*key) <= at_end, *[column.desc() for column in key])
    ends = sa.select(sa.func.min(firsts), sa.func.max(lasts)).where(_reaches(actor, known.c.code, region))
    first, last = session.execute(ends).one()
    own = sa.select(_c.sequence).where(_c.chain == format_scope_chain(actor.principal), _c.sequence > start)
    numbers = [*session.scalars(own), *([first, last] if first is not None else [])]
    return FeedRange(min(numbers), max(numbers)) if numbers else None


_ENDLESS = 2**63 - 1


def _list_regions() -> sa.CTE:
    """Return the regions in the journal and a final null, with one index look-up for each."""
    known = sa.select(sa.func.min(_c.region_code).label("code")).cte("known", recursive=True)
    further = _journal.alias("further")
    following = sa.select(sa.func.min(further.c.region_code)).where(further.c.region_code > known.c.code)
    return known.union_all(sa.select(following.scalar_subquery()).where(known.c.code.is_not(None)))


def _read_span(session: Session, span: FeedRange, feed: FeedFilter, query: ChangesQuery) -> Sequence[Any]:
    """Return (JSON, instant, chain, position, hash) of the page's rows and of one more, if it exists."""
    columns = _select_entry(Change, feed.actor)
    fields = [column for column in columns if query.changes or column.name != "changes"]
    extra = [_c[name].label(f"_{name}") for name in ("at", "chain", "position", "hash")]
    statement = sa.select(*fields, *extra).where(_is_in_span(span), *_match_feed(feed))
    statement = statement.order_by(_c.sequence).limit(query.limit + 1)
    return session.execute(select_json(statement, *[column.name for column in extra])).all()


def _is_in_span(span: FeedRange) -> ColumnElement[bool]:
    is_after = _c.sequence >= span.first
    return is_after if span.last is None else sa.and_(is_after, _c.sequence <= span.last)


def find_number(session: Session, place: FeedPosition) -> int | None:
    """Return the number in the feed of a cursor's row, 0 for BEGINNING. Returns None if the row is gone."""
    if place == BEGINNING:
        return 0
    row = session.execute(
        sa.select(_c.sequence, _c.hash).where(_c.chain == place.chain, _c.position == place.position)
    ).one_or_none()
    # A made-up cursor lacks the hash, so it cannot probe chains that its author does not see.
    return row.sequence if row and place.hash and row.hash.startswith(place.hash) else None


def _is_known_to(actor: Actor, region: str | None) -> ColumnElement[bool]:
    """Return the predicate: the actor may know of an entry, and the entry is of `region` or below it.

    An actor may know of the entries of each region that it sees and, if it sees any region, of the reference data
    (region `0`). Entries of principals, tokens and webhooks are for the administrators of their home; a change of
    visibility is for its principal alone.
    """
    if TokenScope.read not in actor.scopes:
        return sa.false()
    is_of_principal = _starts_with(_c.chain, PRINCIPAL_CHAINS)
    is_of_webhook = _starts_with(_c.chain, WEBHOOK_CHAINS)
    is_private = sa.or_(
        _c.chain == ACCESS, is_of_principal, is_of_webhook, _starts_with(_c.chain, SCOPE_CHAINS)
    )
    conditions = [
        sa.and_(sa.not_(is_private), _is_in_force(actor)),
        sa.and_(is_of_principal, can_see_region(actor, _c.region_code, "read_access")),
        sa.and_(is_of_webhook, can_see_region(actor, _c.region_code, "write_webhooks")),
    ]
    if actor.may("read_access", "0"):
        conditions.append(_c.chain == ACCESS)
    own = _c.chain == format_scope_chain(actor.principal)
    if region is not None:
        own = sa.and_(
            own, sa.or_(is_in_region(_c.region_code, region), _c.region_code.in_(list_ancestors(region)))
        )
    return sa.or_(sa.and_(_reaches(actor, _c.region_code, region), sa.or_(*conditions)), own)


def _reaches(actor: Actor, column: ColumnElement[str], region: str | None) -> ColumnElement[bool]:
    """Return the predicate: the actor sees the region in `column`, or it is `0`; and it is `region` or below it.

    `_is_known_to` and `_find_span` share it, so that the span contains every row of the feed (except the actor's own
    scope changes, which the span adds).
    """
    if not actor.grants:
        return sa.false()
    is_seen = sa.or_(can_see_region(actor, column), column == "0")
    return is_seen if region is None else sa.and_(is_seen, is_in_region(column, region))


def _is_in_force(actor: Actor) -> ColumnElement[bool]:
    """Return the predicate: the entry is in force, or the actor may read drafts of its region."""
    if actor.sees_every_draft:
        return sa.true()
    return sa.or_(_c.is_draft.is_(False), can_see_region(actor, _c.region_code, "read_drafts"))


# The feed of a webhook


class FeedCount(NamedTuple):
    """The entries of a range that a reader may know of: number, kinds and last one."""

    total: int
    kinds: list[str]
    last: FeedPosition | None


def read_last_number(session: Session) -> int:
    """Return the number of the newest entry; its transaction and all earlier ones have committed."""
    return session.scalar(sa.select(_heads.c.position).where(_heads.c.chain == FEED)) or 0


def count_entries(session: Session, feed: FeedFilter, *, after: int, until: int) -> FeedCount:
    """Count the entries in (`after`, `until`] that match a feed, with their kinds and the last entry."""
    conditions = [_c.sequence > after, _c.sequence <= until, *_match_feed(feed)]
    statement = sa.select(_c.kind, sa.func.count(), sa.func.max(_c.sequence)).where(*conditions)
    rows = session.execute(statement.group_by(_c.kind).order_by(_c.kind)).all()
    if not rows:
        return FeedCount(0, [], None)
    last = sa.select(_c.chain, _c.position, _c.hash).where(_c.sequence == max(row[2] for row in rows))
    return FeedCount(
        sum(row[1] for row in rows), [row[0] for row in rows], FeedPosition(*session.execute(last).one())
    )


# Verification of the hash chains


class JournalCheck(NamedTuple):
    """Result of a verification: chains and rows read, and the first break of each chain, the feed's last."""

    chains: int
    rows: int
    breaks: list[ChainBreak]
    blanked: int = 0
    """Rows with blanked values."""


_BATCH = 2000


def verify_journal(session: Session, chain: str | None = None) -> JournalCheck:
    """Recompute the hashes of every chain, or of one, and look for gaps in the feed.

    Ignores entries of later transactions: one SELECT reads all heads first, and each chain ends at its head.
    Raises NotFound if there is no such chain.
    """
    heads = {row.chain: ChainEnd(row.position, row.hash) for row in session.execute(sa.select(_heads)).all()}
    written = heads.pop(FEED, ChainEnd(0, "")).position
    if chain is not None:
        if chain not in heads:
            raise NotFound()
        heads = {chain: heads[chain]}
    breaks, counted, unseen = [], _Counter(), dict(heads)
    rows = counted.each(_read_rows(session, chain, written))
    for name, links in groupby(rows, key=lambda row: str(row["chain"])):
        error = find_first_break(name, links, unseen.pop(name, ChainEnd(0, "")))
        breaks += [error] if error else []
    # A chain that writers have only locked has a head without rows.
    breaks += [
        ChainBreak(name, 1, "missing; the chain has no rows any more")
        for name, end in unseen.items()
        if end.position
    ]
    if chain is None and (gap := _find_gap(session, written)) is not None:
        breaks.append(ChainBreak(FEED, gap, f"missing; the feed has {written} numbers"))
    return JournalCheck(len(heads), counted.count, breaks, counted.blanked)


class _Counter:
    def __init__(self) -> None:
        self.count = self.blanked = 0

    def each(self, rows: Iterator[sa.RowMapping]) -> Iterator[Any]:
        for row in rows:
            self.count += 1
            self.blanked += row["blanked"] is not None
            yield row


def _read_rows(session: Session, chain: str | None, written: int) -> Iterator[sa.RowMapping]:
    """Yield every row up to a number of the feed, chain by chain, in batches: the journal may not fit in memory."""
    statement = (
        sa.select(_journal).where(_c.sequence <= written).order_by(_c.chain, _c.position).limit(_BATCH)
    )
    if chain is not None:
        statement = statement.where(_c.chain == chain)
    rows = session.execute(statement).mappings().all()
    while rows:
        yield from rows
        last = sa.tuple_(sa.literal(rows[-1]["chain"]), sa.literal(rows[-1]["position"]))
        rows = session.execute(statement.where(sa.tuple_(_c.chain, _c.position) > last)).mappings().all()


def _find_gap(session: Session, written: int) -> int | None:
    """Return the first number from 1 to `written` without a row. Returns None if there is no gap."""
    following = _journal.alias("following")
    is_followed = sa.exists().where(following.c.sequence == _c.sequence + 1).correlate(_journal)
    first = session.scalar(sa.select(sa.func.min(_c.sequence)))
    if written and first != 1:
        return 1
    ends = session.scalar(
        sa.select(sa.func.min(_c.sequence)).where(_c.sequence < written, sa.not_(is_followed))
    )
    return None if ends is None else int(ends) + 1
