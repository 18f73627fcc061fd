"""Reads the lines of a quarter with their reports, of all plans that an actor sees, in chunks.

A frozen quarter's lines come from its latest snapshot, all others from the live tables. Both are the same JSON,
ordered by region and by the action's code.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_read_frozen, is_in_region
from app.access.rules import Actor
from app.changes.rules import BEGINNING, FeedPosition
from app.exchange.pulls.models import PulledPlan, PullLine
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalHead, JournalRow
from app.kit.database.json_sql import TextSelect, build_once, dump_json, select_json, unnest_objects
from app.kit.database.upsert import unnest_records
from app.kit.exports.prefetch import prefetch
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import actions, build_action_columns
from app.plans.core.queries import can_see_plan, plans
from app.plans.core.rules import PLAN_CHAIN
from app.tracking.quarters.snapshots.queries import is_latest, select_report_of_line, snapshots
from app.tracking.quarters.snapshots.rules import format_address

_heads, _journal = get_table(JournalHead), get_table(JournalRow)

CHUNK = 2000
"""Lines in memory at a time."""
BATCH_LINES = CHUNK
"""Lines of one statement: few enough that the database sorts them quickly and the first lines come soon."""


class Source(NamedTuple):
    """A plan in a pull, and the state of its lines."""

    region_code: str
    plan: str
    revision: int | None
    amendment: int | None
    """Amendment of its latest snapshot; None: its lines are in the live tables."""
    mark: str
    """Head of the plan's chain, or the snapshot's hash: changes whenever the lines may have changed."""
    plan_id: int
    """0 for a snapshot."""

    @property
    def shown(self) -> PulledPlan:
        return PulledPlan.model_construct(**{name: getattr(self, name) for name in PulledPlan.model_fields})


def list_sources(session: Session, actor: Actor, period: str, region: str | None) -> list[Source]:
    """Return the plans in a pull, ordered by region; an empty list if the actor sees nothing of the quarter.

    A frozen quarter is visible to readers of the region and, where the region is public, to everyone. Lines of a
    quarter that is not frozen are visible to readers of the plan only, never to the public.
    """
    s = snapshots.c
    frozen = sa.select(
        s.region_code, s.plan, s.revision, s.amendment, s.sha256.label("mark"), sa.literal(0).label("plan_id")
    ).where(
        can_read_frozen(actor, s.region_code),
        is_in_region(s.region_code, region or "0"),
        s.period == period,
        is_latest(),
    )
    head = sa.func.coalesce(_heads.c.hash, "")
    live = (
        sa.select(plans.c.region_code, plans.c.code, plans.c.revision, sa.null(), head, plans.c.id)
        .select_from(plans.outerjoin(_heads, _heads.c.chain == sa.literal(PLAN_CHAIN) + plans.c.code))
        .where(
            can_see_plan(actor),
            is_in_region(plans.c.region_code, region or "0"),
            plans.c.year == int(period[:4]),
            ~sa.exists().where(s.region_code == plans.c.region_code, s.period == period),
        )
    )
    both = sa.union_all(frozen, live).subquery("both")
    return [Source(*row) for row in session.execute(sa.select(both).order_by(both.c.region_code))]


def count_lines(session: Session, plan_sources: Sequence[Source], period: str) -> dict[str, int]:
    """Return region → number of its lines in the pull."""
    s = snapshots.c
    of_plans = (
        sa.select(plans.c.region_code, sa.func.count())
        .join_from(plans, actions, actions.c.plan_id == plans.c.id)
        .where(plans.c.id.in_([source.plan_id for source in plan_sources if source.amendment is None]))
        .group_by(plans.c.region_code)
    )
    keys = [(source.region_code, source.amendment) for source in plan_sources if source.amendment is not None]
    of_snapshots = sa.select(s.region_code, s.row_count).where(
        s.period == period, sa.tuple_(s.region_code, s.amendment).in_(keys)
    )
    rows = session.execute(sa.union_all(of_plans, of_snapshots))
    return {row[0]: row[1] for row in rows}


def find_last_position(session: Session, plan_sources: Sequence[Source], period: str) -> FeedPosition:
    """Return the last journal row on which the lines can depend; a reader of the feed after it misses nothing.

    The reader sees this row: it is the latest of a plan's chain, or that of a snapshot.
    """
    j = _journal.c
    chains = [PLAN_CHAIN + source.plan for source in plan_sources if source.amendment is None]
    of_plans = (
        sa.select(j.sequence)
        .join_from(_heads, _journal, sa.and_(j.chain == _heads.c.chain, j.position == _heads.c.position))
        .where(_heads.c.chain.in_(chains))
    )
    frozen = [(s.region_code, s.amendment) for s in plan_sources if s.amendment is not None]
    subjects = [format_address(region, period, amendment) for region, amendment in frozen]
    of_snapshots = sa.select(j.sequence).where(j.subject.in_(subjects), j.kind == "snapshot.created")
    both = sa.union_all(of_plans, of_snapshots).subquery("both")
    last = sa.select(sa.func.max(both.c.sequence)).scalar_subquery()
    row = session.execute(sa.select(j.chain, j.position, j.hash).where(j.sequence == last)).one_or_none()
    return FeedPosition(*row) if row else BEGINNING


def read_lines(
    sessions: Sequence[Session], plan_sources: Sequence[Source], counted: dict[str, int], period: str
) -> Generator[list[str], None, None]:
    """Yield the lines of these plans as JSON (`PullLine`), at most `CHUNK` at a time.

    The sessions share one snapshot and take turns; each prefetches one part.
    """
    batches = list(_batch_sources(plan_sources, counted))
    with ExitStack() as opened:
        turns = [
            opened.enter_context(closing(prefetch(_read_parts(session, batches[n :: len(sessions)], period))))
            for n, session in enumerate(sessions)
        ]
        for n in range(len(batches)):
            yield from iter(partial(next, turns[n % len(turns)]), _END_OF_STATEMENT)


_END_OF_STATEMENT: list[str] = []
"""Marks the end of one statement's parts."""


def _read_parts(
    session: Session, batches: Sequence[tuple[bool, list[Source]]], period: str
) -> Generator[list[str], None, None]:
    for is_frozen, together in batches:
        bound: dict[str, object] = {"period": period}
        if is_frozen:
            keys = [{"region_code": source.region_code, "amendment": source.amendment} for source in together]
            statement, bound["records"] = _select_frozen_lines(session), dump_json(keys)
        else:
            statement, bound["plan_ids"] = (
                select_live_lines(session),
                [source.plan_id for source in together],
            )
        # A server-side cursor: a plan may have more lines than fit in memory.
        options = {"yield_per": CHUNK}
        with session.connection().execute(statement, bound, execution_options=options) as result:
            for part in result.partitions():
                yield [row[0] for row in part]
        yield _END_OF_STATEMENT


def _batch_sources(
    plan_sources: Sequence[Source], counted: dict[str, int]
) -> Iterator[tuple[bool, list[Source]]]:
    """Yield (is frozen, neighbouring plans) with at most `BATCH_LINES` lines; a larger plan is alone in its batch."""
    for is_frozen, group in groupby(plan_sources, key=lambda source: source.amendment is not None):
        batch: list[Source] = []
        size = 0
        for source in group:
            count = counted.get(source.region_code, 0)
            if batch and size + count > BATCH_LINES:
                yield is_frozen, batch
                batch, size = [], 0
            batch.append(source)
            size += count
        yield is_frozen, batch


@build_once
def select_live_lines(session: Session) -> TextSelect:
    # Ids as literals: PostgreSQL overestimates a list in a parameter and scans the whole table.
    chosen = actions.c.plan_id.in_(sa.bindparam("plan_ids", expanding=True))
    columns: dict[str, ColumnElement[Any]] = {
        **{column.name: column for column in build_action_columns() if column.name in ActionIn.model_fields},
        "region_code": actions.c.region_code,
        "plan": plans.c.code,
        "action": actions.c.code,
        "report": select_report_of_line(actions),
    }
    query = (
        sa.select(*[columns[name].label(name) for name in PullLine.model_fields])
        .join_from(actions, plans, plans.c.id == actions.c.plan_id)
        .where(chosen)
        .order_by(actions.c.region_code, actions.c.code)
    )
    return select_json(query)


@build_once
def _select_frozen_lines(session: Session) -> Select[str]:
    """Return the query of snapshots' lines: the frozen text unchanged, after the prefix of live lines."""
    s = snapshots.c
    chosen = unnest_records(session, {"region_code": s.region_code.type, "amendment": s.amendment.type})
    rows = unnest_objects(session, s.content, "rows", name="line")
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
