"""Reading the journal: what an actor may know of it, by resource and as the feed, and whether it is whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.commands import CHAIN as ACCESS
from app.access.models import TokenScope
from app.access.queries import visible, within
from app.access.rules import PRINCIPAL_CHAINS, SCOPE_CHAINS, SCOPE_CHANGED, Actor, ancestors_of, scope_chain
from app.changes.models import NOW, Change, ChangesQuery, HistoryEntry, HistoryQuery
from app.changes.rules import (
    BEGINNING,
    WEBHOOK_CHAINS,
    Break,
    End,
    FeedGone,
    Place,
    cursor_of,
    expired_cursor,
    first_break,
    place_of,
    way_back,
)
from app.kit.database.engine import table_of
from app.kit.database.journal import FEED, JournalHead, JournalRow
from app.kit.database.json_sql import fields_of, json_texts
from app.kit.http.pagination import Listing
from app.kit.problems import FieldError, NotFound

_journal, _heads = table_of(JournalRow), table_of(JournalHead)
_c = _journal.c


# History


def history(session: Session, actor: Actor, chain: str, subject: str, query: HistoryQuery) -> Listing:
    """Every write to a subject and to what lies below it, for whoever may know of it (the nation's: everybody).

    Also after it was deleted. NotFound: nothing that the actor sees was ever there.
    """
    found = sa.select(*fields_of(HistoryEntry, _journal, sequence=_c.position)).where(
        _c.chain == chain,
        sa.or_(_c.subject == subject, _begins(_c.subject, f"{subject}/")),
        _known_to(actor, None),
    )
    if session.execute(found.with_only_columns(sa.literal(1)).limit(1)).first() is None:
        raise NotFound()
    return Listing(found.where(_of_kinds(query.kind)), {"sequence": _c.position}, {"sequence": _c.position})


def _begins(column: ColumnElement[str], start: str) -> ColumnElement[bool]:
    """Predicate: the text begins so; a range, which an index serves, and no pattern characters."""
    return sa.and_(column >= start, column < start[:-1] + chr(ord(start[-1]) + 1))


def _of_kinds(kinds: Sequence[str]) -> ColumnElement[bool]:
    """Predicate: of one of these kinds, each `noun` or `noun.verb`; no kinds, no condition."""
    if not kinds:
        return sa.true()
    return sa.or_(*[_c.kind == kind if "." in kind else _begins(_c.kind, f"{kind}.") for kind in kinds])


# The feed


class Watch(NamedTuple):
    """A feed: whose, of which region (None: all that its reader sees) and kinds (none: all)."""

    actor: Actor
    region: str | None
    kinds: Sequence[str]

    @property
    def filters(self) -> list[object]:
        """What a cursor of this feed is bound to."""
        return [self.region, sorted(set(self.kinds))]


@dataclass(frozen=True)
class FeedPage:
    """A page of the feed: its items as JSON (`Change`), the cursor to go on from, whether there is more."""

    items: list[str]
    next: str
    more: bool


def feed(session: Session, actor: Actor, query: ChangesQuery, *, now: datetime, days: int) -> FeedPage:
    """The changes that an actor may know of, behind a cursor, in the order of their commits.

    FeedGone: the first of them is older than the feed reaches back, `days`; or the cursor's row is not there
    (any more: a backup was restored).
    """
    watch = Watch(actor, query.region, query.kind)
    filters = watch.filters
    if query.after == NOW:
        return FeedPage([], cursor_of(end_for(session, watch), filters), more=False)
    place = BEGINNING if query.after is None else place_of(query.after, filters)
    start = number_of(session, place)
    span = None if start is None else _span_behind(session, start, actor, query.region)
    rows = [] if span is None else _rows_within(session, span, _chosen(watch), query)
    if start is None or (rows and rows[0][1] < now - timedelta(days=days)):
        error = FieldError(
            expired_cursor, parameter="after", value=query.after, allowed=way_back(query.region)
        )
        raise FeedGone(errors=[error], days=days)
    shown = rows[: query.limit]
    if shown:
        place = Place(*shown[-1][2:])
    return FeedPage([row[0] for row in shown], cursor_of(place, filters), more=len(rows) > len(shown))


class Span(NamedTuple):
    """A part of the feed, from and to a number; to the end: None."""

    first: int
    last: int | None


def _chosen(watch: Watch) -> list[ColumnElement[bool]]:
    return [_known_to(watch.actor, watch.region), sa.or_(_of_kinds(watch.kinds), _c.kind == SCOPE_CHANGED)]


def end_for(session: Session, watch: Watch) -> Place:
    """Where the feed of a reader ends."""
    span = _span_behind(session, 0, watch.actor, watch.region)
    if span is None:
        return BEGINNING
    behind = sa.select(_c.chain, _c.position, _c.hash).where(_within(span), *_chosen(watch))
    row = session.execute(behind.order_by(_c.sequence.desc()).limit(1)).one_or_none()
    return Place(*row) if row else BEGINNING


def _span_behind(session: Session, start: int, actor: Actor, region: str | None) -> Span | None:
    """Where behind a number there may be something for this reader; None: nowhere.

    Where little happens that a reader sees and much that it does not, the database would read all of the
    feed to find a page. Two looks into the index for each region that the journal knows find the span.
    """
    if region in (None, "0") and any(grant.is_below and grant.region == "0" for grant in actor.grants):
        return Span(start + 1, None)
    known = _known_regions()
    here = _journal.alias("here")
    key = (here.c.region_code, here.c.sequence)

    def nearest(
        behind: ColumnElement[bool], *order: sa.SQLColumnExpression[object]
    ) -> sa.SQLColumnExpression[object]:
        # By both columns: an order by the number alone tempts PostgreSQL to read the feed along its key.
        number = sa.case((here.c.region_code == known.c.code, here.c.sequence))
        found = sa.select(number).where(behind).order_by(*order).limit(1)
        return found.correlate(known).scalar_subquery()

    at_start, at_end = (sa.tuple_(known.c.code, sa.literal(number)) for number in (start, _ENDLESS))
    firsts = nearest(sa.tuple_(*key) > at_start, *key)
    lasts = nearest(sa.tuple_(*key) <= at_end, *[column.desc() for column in key])
    ends = sa.select(sa.func.min(firsts), sa.func.max(lasts)).where(_reaches(actor, known.c.code, region))
    first, last = session.execute(ends).one()
    own = sa.select(_c.sequence).where(_c.chain == scope_chain(actor.principal), _c.sequence > start)
    numbers = [*session.scalars(own), *([first, last] if first is not None else [])]
    return Span(min(numbers), max(numbers)) if numbers else None


_ENDLESS = 2**63 - 1


def _known_regions() -> sa.CTE:
    """The regions of which the journal has anything (at the end one null), by one look into its index for each."""
    known = sa.select(sa.func.min(_c.region_code).label("code")).cte("known", recursive=True)
    further = _journal.alias("further")
    following = sa.select(sa.func.min(further.c.region_code)).where(further.c.region_code > known.c.code)
    return known.union_all(sa.select(following.scalar_subquery()).where(known.c.code.is_not(None)))


def _rows_within(
    session: Session, span: Span, chosen: Sequence[ColumnElement[bool]], query: ChangesQuery
) -> Sequence[Any]:
    """(JSON, instant, chain, position, hash) of one row more than the page shows."""
    columns = fields_of(Change, _journal, sequence=_c.position)
    shown = [column for column in columns if query.changes or column.name != "changes"]
    beside = [_c[name].label(f"_{name}") for name in ("at", "chain", "position", "hash")]
    statement = sa.select(*shown, *beside).where(_within(span), *chosen)
    statement = statement.order_by(_c.sequence).limit(query.limit + 1)
    return session.execute(json_texts(statement, *[column.name for column in beside])).all()


def _within(span: Span) -> ColumnElement[bool]:
    is_behind = _c.sequence >= span.first
    return is_behind if span.last is None else sa.and_(is_behind, _c.sequence <= span.last)


def number_of(session: Session, place: Place) -> int | None:
    """Number in the feed of the row behind which to go on; None where that row is not there."""
    if place == BEGINNING:
        return 0
    row = session.execute(
        sa.select(_c.sequence, _c.hash).where(_c.chain == place.chain, _c.position == place.position)
    ).one_or_none()
    # Whoever makes up a cursor does not know the hash, and learns nothing of chains that it does not see.
    return row.sequence if row and place.hash and row.hash.startswith(place.hash) else None


def _known_to(actor: Actor, region: str | None) -> ColumnElement[bool]:
    """Predicate: the actor may know of this entry of the journal, and it is of that region or below it.

    What happens in a region is known to whoever sees the region, what happens to the reference data (the
    nation's, `0`) to whoever sees anything, principals, their tokens and webhooks to whoever administers their
    home, and a change of what somebody sees to nobody else.
    """
    if TokenScope.read not in actor.scopes:
        return sa.false()
    is_of_principal = _begins(_c.chain, PRINCIPAL_CHAINS)
    is_of_webhook = _begins(_c.chain, WEBHOOK_CHAINS)
    is_private = sa.or_(_c.chain == ACCESS, is_of_principal, is_of_webhook, _begins(_c.chain, SCOPE_CHAINS))
    known = [
        sa.and_(sa.not_(is_private), _shown(actor)),
        sa.and_(is_of_principal, visible(actor, _c.region_code, "read_access")),
        sa.and_(is_of_webhook, visible(actor, _c.region_code, "write_webhooks")),
    ]
    if actor.may("read_access", "0"):
        known.append(_c.chain == ACCESS)
    own = _c.chain == scope_chain(actor.principal)
    if region is not None:
        own = sa.and_(own, sa.or_(within(_c.region_code, region), _c.region_code.in_(ancestors_of(region))))
    return sa.or_(sa.and_(_reaches(actor, _c.region_code, region), sa.or_(*known)), own)


def _reaches(actor: Actor, column: ColumnElement[str], region: str | None) -> ColumnElement[bool]:
    """Predicate: rows of the region in `column` concern this actor, and it is the region asked for or below it.

    Every row of the feed meets this, the actor's own scope changes aside, and so do the regions whose ends
    bound where the feed is read (`_span_behind`): the bounds cannot be narrower than what they bound.
    """
    if not actor.grants:
        return sa.false()
    seen = sa.or_(visible(actor, column), column == "0")
    return seen if region is None else sa.and_(seen, within(column, region))


def _shown(actor: Actor) -> ColumnElement[bool]:
    """Predicate: what is written is in force, or the actor may read drafts there."""
    if actor.sees_every_draft:
        return sa.true()
    return sa.or_(_c.is_draft.is_(False), visible(actor, _c.region_code, "read_drafts"))


# The feed as a webhook counts it


class Passed(NamedTuple):
    """What of a stretch of the feed somebody may know."""

    total: int
    kinds: list[str]
    last: Place | None


def end_of_feed(session: Session) -> int:
    """The number of the newest entry; every one up to it is committed."""
    return session.scalar(sa.select(_heads.c.position).where(_heads.c.chain == FEED)) or 0


def passed(session: Session, watch: Watch, *, after: int, until: int) -> Passed:
    """How much of the entries behind one number up to another a reader may know, of which kinds, and the last."""
    seen = [_c.sequence > after, _c.sequence <= until, *_chosen(watch)]
    told = sa.select(_c.kind, sa.func.count(), sa.func.max(_c.sequence)).where(*seen).group_by(_c.kind)
    rows = session.execute(told.order_by(_c.kind)).all()
    if not rows:
        return Passed(0, [], None)
    last = sa.select(_c.chain, _c.position, _c.hash).where(_c.sequence == max(row[2] for row in rows))
    return Passed(sum(row[1] for row in rows), [row[0] for row in rows], Place(*session.execute(last).one()))


# Whether it is whole


class Verdict(NamedTuple):
    """What was looked at, and the first break of each chain that has one; of the feed last."""

    chains: int
    rows: int
    breaks: list[Break]


_BATCH = 2000


def verify_journal(session: Session, chain: str | None = None) -> Verdict:
    """Recompute the hashes of every chain, or of one, and look for gaps in the feed.

    What is written meanwhile is left out: the heads, read first and at once, say where to end. NotFound:
    there is no such chain.
    """
    heads = {row.chain: End(row.position, row.hash) for row in session.execute(sa.select(_heads)).all()}
    written = heads.pop(FEED, End(0, "")).position
    if chain is not None:
        if chain not in heads:
            raise NotFound()
        heads = {chain: heads[chain]}
    breaks, counted, unseen = [], _Counter(), dict(heads)
    rows = counted.each(_rows_of_chains(session, chain, written))
    for name, links in groupby(rows, key=lambda row: str(row["chain"])):
        found = first_break(name, links, unseen.pop(name, End(0, "")))
        breaks += [found] if found else []
    # A chain that was only ever held has a head and no rows.
    breaks += [
        Break(name, 1, "missing; the chain has rows no longer")
        for name, end in unseen.items()
        if end.position
    ]
    if chain is None and (gap := _gap_in_feed(session, written)) is not None:
        breaks.append(Break(FEED, gap, f"missing; {written} numbers were given"))
    return Verdict(len(heads), counted.count, breaks)


class _Counter:
    """Counts what passes."""

    def __init__(self) -> None:
        self.count = 0

    def each(self, rows: Iterator[object]) -> Iterator[Any]:
        for row in rows:
            self.count += 1
            yield row


def _rows_of_chains(session: Session, chain: str | None, written: int) -> Iterator[object]:
    """Every row up to that number of the feed, chain by chain, in batches: the journal is longer than memory."""
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


def _gap_in_feed(session: Session, written: int) -> int | None:
    """The first number from 1 to `written` that no row has."""
    following = _journal.alias("following")
    is_followed = sa.exists().where(following.c.sequence == _c.sequence + 1).correlate(_journal)
    first = session.scalar(sa.select(sa.func.min(_c.sequence)))
    if written and first != 1:
        return 1
    ends = session.scalar(
        sa.select(sa.func.min(_c.sequence)).where(_c.sequence < written, sa.not_(is_followed))
    )
    return None if ends is None else int(ends) + 1
