"""The lines of a quarter with their reports, of all plans that an actor sees, in a few rows at a time.

Where a quarter was frozen, its lines are those of the latest snapshot; elsewhere those of the live tables. Both
come as the same JSON in the same order: region by region, and in a region by the code of the action.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import published, within
from app.access.rules import Actor
from app.changes.rules import BEGINNING, Place
from app.exchange.pulls.models import PulledPlan, PullLine
from app.kit.database.engine import table_of
from app.kit.database.journal import JournalHead, JournalRow
from app.kit.database.json_sql import TextSelect, built_once, json_texts, members, to_json
from app.kit.database.upsert import records
from app.kit.exports.prefetch import ahead
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import action_columns, actions
from app.plans.core.queries import plans, seen
from app.plans.core.rules import PLAN_CHAIN
from app.tracking.quarters.snapshots.queries import is_latest, report_of_line, snapshots

_heads, _journal = table_of(JournalHead), table_of(JournalRow)

CHUNK = 2000
"""Lines that are in memory at a time."""
_TOGETHER = CHUNK
"""Lines that one statement is for: few enough to be put in order at once, so that the first come soon."""


class Source(NamedTuple):
    """A plan whose lines are pulled, and what decides them."""

    region_code: str
    plan: str
    revision: int | None
    amendment: int | None
    """Of its latest snapshot; None: its lines are in the live tables."""
    mark: str
    """Changes whenever its lines may: the head of the plan's chain, or the hash of its snapshot."""
    plan_id: int
    """Of no snapshot: 0."""

    @property
    def shown(self) -> PulledPlan:
        return PulledPlan.model_construct(**{name: getattr(self, name) for name in PulledPlan.model_fields})


def sources(session: Session, actor: Actor, period: str, region: str | None) -> list[Source]:
    """Whose lines a pull has, by region; none where the actor sees nothing of the quarter there.

    What was frozen is seen by whoever sees the region and where it is opened, as snapshots are; other plans as plans
    are, and never because something is opened: what is reported and not frozen is not anybody's.
    """
    s = snapshots.c
    frozen = sa.select(
        s.region_code, s.plan, s.revision, s.amendment, s.sha256.label("mark"), sa.literal(0).label("plan_id")
    ).where(
        published(actor, s.region_code), within(s.region_code, region or "0"), s.period == period, is_latest()
    )
    head = sa.func.coalesce(_heads.c.hash, "")
    live = (
        sa.select(plans.c.region_code, plans.c.code, plans.c.revision, sa.null(), head, plans.c.id)
        .select_from(plans.outerjoin(_heads, _heads.c.chain == sa.literal(PLAN_CHAIN) + plans.c.code))
        .where(
            seen(actor),
            within(plans.c.region_code, region or "0"),
            plans.c.year == int(period[:4]),
            ~sa.exists().where(s.region_code == plans.c.region_code, s.period == period),
        )
    )
    both = sa.union_all(frozen, live).subquery("both")
    return [Source(*row) for row in session.execute(sa.select(both).order_by(both.c.region_code))]


def counts(session: Session, found: Sequence[Source], period: str) -> dict[str, int]:
    """Region → how many lines it has in the pull."""
    s = snapshots.c
    of_plans = (
        sa.select(plans.c.region_code, sa.func.count())
        .join_from(plans, actions, actions.c.plan_id == plans.c.id)
        .where(plans.c.id.in_([one.plan_id for one in found if one.amendment is None]))
        .group_by(plans.c.region_code)
    )
    keys = [(one.region_code, one.amendment) for one in found if one.amendment is not None]
    of_snapshots = sa.select(s.region_code, s.row_count).where(
        s.period == period, sa.tuple_(s.region_code, s.amendment).in_(keys)
    )
    rows = session.execute(sa.union_all(of_plans, of_snapshots))
    return {row[0]: row[1] for row in rows}


def last_place(session: Session, found: Sequence[Source], period: str) -> Place:
    """The last row of the feed that the lines can depend on: whoever goes on behind it misses nothing.

    It is one that the reader sees: the latest of a plan's own chain, or that of a snapshot.
    """
    j = _journal.c
    chains = [PLAN_CHAIN + one.plan for one in found if one.amendment is None]
    of_plans = (
        sa.select(j.sequence)
        .join_from(_heads, _journal, sa.and_(j.chain == _heads.c.chain, j.position == _heads.c.position))
        .where(_heads.c.chain.in_(chains))
    )
    subjects = [_subject(one, period) for one in found if one.amendment is not None]
    of_snapshots = sa.select(j.sequence).where(j.subject.in_(subjects), j.kind == "snapshot.created")
    both = sa.union_all(of_plans, of_snapshots).subquery("both")
    last = sa.select(sa.func.max(both.c.sequence)).scalar_subquery()
    row = session.execute(sa.select(j.chain, j.position, j.hash).where(j.sequence == last)).one_or_none()
    return Place(*row) if row else BEGINNING


def _subject(one: Source, period: str) -> str:
    plain = f"snapshots/{period}/{one.region_code}"
    return f"{plain}/amendments/{one.amendment}" if one.amendment else plain


def lines(
    sessions: Sequence[Session], found: Sequence[Source], counted: dict[str, int], period: str
) -> Generator[list[str], None, None]:
    """The lines of these sources as JSON (`PullLine`), at most `CHUNK` at a time. The sessions, which see the same
    state, read in turns, each one part ahead."""
    batches = list(_together(found, counted))
    with ExitStack() as opened:
        turns = [
            opened.enter_context(closing(ahead(_parts(session, batches[n :: len(sessions)], period))))
            for n, session in enumerate(sessions)
        ]
        for n in range(len(batches)):
            yield from iter(partial(next, turns[n % len(turns)]), _END)


_END: list[str] = []
"""Behind the last part of a statement."""


def _parts(
    session: Session, batches: Sequence[tuple[bool, list[Source]]], period: str
) -> Generator[list[str], None, None]:
    for is_frozen, together in batches:
        bound: dict[str, object] = {"period": period}
        if is_frozen:
            keys = [{"region_code": one.region_code, "amendment": one.amendment} for one in together]
            statement, bound["records"] = _frozen_lines(session), to_json(keys)
        else:
            statement, bound["plan_ids"] = _live_lines(session), [one.plan_id for one in together]
        # read through the database's own cursor: a plan may have more lines than should be in memory
        options = {"yield_per": CHUNK}
        with session.connection().execute(statement, bound, execution_options=options) as result:
            for part in result.partitions():
                yield [row[0] for row in part]
        yield _END


def _together(found: Sequence[Source], counted: dict[str, int]) -> Iterator[tuple[bool, list[Source]]]:
    """Neighbours of the same kind, with as many lines as one statement is for; a larger plan by itself."""
    for is_frozen, neighbours in groupby(found, key=lambda one: one.amendment is not None):
        batch: list[Source] = []
        size = 0
        for one in neighbours:
            count = counted.get(one.region_code, 0)
            if batch and size + count > _TOGETHER:
                yield is_frozen, batch
                batch, size = [], 0
            batch.append(one)
            size += count
        yield is_frozen, batch


@built_once
def _live_lines(session: Session) -> TextSelect:
    # Few ids in the statement itself: of a list in a parameter PostgreSQL expects so many that it reads the table.
    chosen = actions.c.plan_id.in_(sa.bindparam("plan_ids", expanding=True))
    given: dict[str, ColumnElement[Any]] = {
        **{one.name: one for one in action_columns() if one.name in ActionIn.model_fields},
        "region_code": actions.c.region_code,
        "plan": plans.c.code,
        "action": actions.c.code,
        "report": report_of_line(),
    }
    found = (
        sa.select(*[given[name].label(name) for name in PullLine.model_fields])
        .join_from(actions, plans, plans.c.id == actions.c.plan_id)
        .where(chosen)
        .order_by(actions.c.region_code, actions.c.code)
    )
    return json_texts(found)


@built_once
def _frozen_lines(session: Session) -> Select[str]:
    """The lines of snapshots, character by character as they were frozen, behind the same prefix."""
    s = snapshots.c
    chosen = records(session, {"region_code": s.region_code.type, "amendment": s.amendment.type})
    rows = members(session, s.content, "rows", name="line")
    prefix = sa.literal('{"region_code":"') + s.region_code + '","plan":"' + s.plan + '",'
    return (
        sa.select(prefix + sa.func.substr(rows.value, 2))
        .select_from(
            snapshots.join(
                chosen, sa.and_(chosen.c.region_code == s.region_code, chosen.c.amendment == s.amendment)
            ).join(rows.source, sa.true())
        )
        .where(s.period == sa.bindparam("period"))
        .order_by(s.region_code, rows.place)
    )
