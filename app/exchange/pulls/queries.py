"""Reads the lines of a quarter with their reports, of all plans that an actor sees, in chunks.

A frozen quarter's lines come from its latest snapshot, all others from the copy of the plan that the quarter compares
with or, without one, from the plan. All are the same JSON, ordered by region and by the action's code.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from enum import Enum, auto
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_read_frozen, is_in_region
from app.access.rules import Actor
from app.agencies.queries import count_merged, select_successor
from app.changes.rules import BEGINNING, FeedPosition
from app.exchange.pulls.models import PulledPlan, PullLine
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalHead, JournalRow
from app.kit.database.json_sql import TextSelect, build_once, dump_json, select_json, unnest_objects
from app.kit.database.upsert import unnest_records
from app.kit.exports.prefetch import prefetch
from app.plans.actions.queries import actions
from app.plans.copies.models import action_copies
from app.plans.copies.queries import COPIED, PRESENT, build_content_columns
from app.plans.core.queries import can_see_plan, plans
from app.plans.core.rules import PLAN_CHAIN
from app.tracking.lines.queries import select_plans_of_quarter
from app.tracking.quarters.snapshots.queries import (
    is_latest,
    select_carried_report,
    select_report_of_line,
    snapshots,
)
from app.tracking.quarters.snapshots.rules import format_address

_heads, _journal = get_table(JournalHead), get_table(JournalRow)

CHUNK = 2000
"""Lines in memory at a time."""
BATCH_LINES = CHUNK
"""Lines of one statement: few enough that the database sorts them quickly and the first lines come soon."""


class Origin(Enum):
    """Origin of a plan's lines in a pull."""

    snapshot = auto()
    submitted = auto()
    """The copy that a submitted quarter keeps."""
    revision = auto()
    """The copy of the revision with which an open quarter compares now."""
    plan = auto()


class Source(NamedTuple):
    """A plan in a pull, and the state of its lines."""

    region_code: str
    plan: str
    revision: int | None
    amendment: int | None
    """Amendment of its latest snapshot; None without one."""
    mark: str
    """Changes whenever the lines may have changed: the snapshot's hash, else that of a row of the plan's chain. This is
    the last submission of a submitted quarter, and the newest row for an open one."""
    plan_id: int
    """0 for a snapshot."""
    copy_id: int | None
    is_closed: bool

    @property
    def origin(self) -> Origin:
        if self.amendment is not None:
            return Origin.snapshot
        if self.is_closed:
            return Origin.submitted
        return Origin.plan if self.copy_id is None else Origin.revision

    @property
    def shown(self) -> PulledPlan:
        return PulledPlan.model_construct(**{name: getattr(self, name) for name in PulledPlan.model_fields})


def list_sources(session: Session, actor: Actor, period: str, region: str | None) -> list[Source]:
    """Return the plans in a pull, ordered by region; an empty list if the actor sees nothing of the quarter.

    A frozen quarter is visible to readers of the region and, where the region is public, to everyone. Lines of a
    quarter that is not frozen are visible to readers of the plan only, never to the public.
    """
    s = snapshots.c
    heads = [s.region_code, s.plan, s.revision, s.amendment, s.sha256.label("mark")]
    no_plan = [sa.literal(0).label("plan_id"), sa.null().label("copy_id"), sa.false().label("is_closed")]
    frozen = sa.select(*heads, *no_plan).where(
        can_read_frozen(actor, s.region_code),
        is_in_region(s.region_code, region or "0"),
        s.period == period,
        is_latest(),
    )
    of_quarter = select_plans_of_quarter(
        sa.and_(
            can_see_plan(actor),
            is_in_region(plans.c.region_code, region or "0"),
            plans.c.year == int(period[:4]),
            ~sa.exists().where(s.region_code == plans.c.region_code, s.period == period),
        ),
        period,
    )
    q = of_quarter.c
    others = sa.select(
        plans.c.region_code,
        plans.c.code,
        q.revision,
        sa.null(),
        _select_mark(of_quarter, period),
        plans.c.id,
        q.copy_id,
        q.is_closed,
    ).select_from(
        of_quarter.join(plans, plans.c.id == q.plan_id).outerjoin(
            _heads, _heads.c.chain == sa.literal(PLAN_CHAIN) + plans.c.code
        )
    )
    both = sa.union_all(frozen, others).subquery("both")
    return [Source(*row) for row in session.execute(sa.select(both).order_by(both.c.region_code))]


def _select_mark(of_quarter: sa.CTE, period: str) -> ColumnElement[str]:
    """Return the `mark` of a quarter without a snapshot. A line of a revision names the successor of its lead agency,
    so there each merge changes it too."""
    j, q = _journal.c, of_quarter.c
    submitted = (
        sa.select(j.hash)
        .where(j.subject == _format_subject(q.plan_region, period), j.kind == _SUBMITTED)
        .order_by(j.sequence.desc())
        .limit(1)
        .correlate(of_quarter)
        .scalar_subquery()
    )
    newest = sa.func.coalesce(_heads.c.hash, "")
    merged = newest + sa.cast(count_merged(q.plan_region), sa.Text)
    return sa.case(
        (q.is_closed, sa.func.coalesce(submitted, newest)), (q.copy_id.is_not(None), merged), else_=newest
    )


_SUBMITTED = "quarter.submitted"
_Region = TypeVar("_Region", str, ColumnElement[str])


def _format_subject(region: _Region, period: str) -> _Region:
    """Return the address below /v1/ of a quarter."""
    return "regions/" + region + f"/quarters/{period}"


def count_lines(session: Session, plan_sources: Sequence[Source], period: str) -> dict[str, int]:
    """Return region → number of its lines in the pull."""
    s = snapshots.c
    keys = [(source.region_code, source.amendment) for source in plan_sources if source.amendment is not None]
    of_snapshots = sa.select(s.region_code, s.row_count).where(
        s.period == period, sa.tuple_(s.region_code, s.amendment).in_(keys)
    )
    copies = [source.copy_id for source in plan_sources if source.copy_id is not None]
    live = [source.plan_id for source in plan_sources if source.origin == Origin.plan]
    counts = [
        sa.select(lines.c.region_code, sa.func.count()).where(owner.in_(ids)).group_by(lines.c.region_code)
        for lines, owner, ids in (
            (action_copies, action_copies.c.copy_id, copies),
            (actions, actions.c.plan_id, live),
        )
    ]
    rows = session.execute(sa.union_all(of_snapshots, *counts))
    return {row[0]: row[1] for row in rows}


def find_last_position(session: Session, plan_sources: Sequence[Source], period: str) -> FeedPosition:
    """Return the last journal row on which the lines can depend; a reader of the feed after it misses nothing.

    It is the newest row of a plan's chain, or that of a submission or a snapshot.
    """
    j = _journal.c
    chains = [PLAN_CHAIN + s.plan for s in plan_sources if s.origin in (Origin.revision, Origin.plan)]
    of_plans = (
        sa.select(j.sequence)
        .join_from(_heads, _journal, sa.and_(j.chain == _heads.c.chain, j.position == _heads.c.position))
        .where(_heads.c.chain.in_(chains))
    )
    frozen = [(s.region_code, s.amendment) for s in plan_sources if s.amendment is not None]
    subjects = [format_address(region, period, amendment) for region, amendment in frozen]
    of_snapshots = sa.select(j.sequence).where(j.subject.in_(subjects), j.kind == "snapshot.created")
    closed = [_format_subject(s.region_code, period) for s in plan_sources if s.origin == Origin.submitted]
    of_submissions = sa.select(j.sequence).where(j.subject.in_(closed), j.kind == _SUBMITTED)
    rows = sa.union_all(of_plans, of_snapshots, of_submissions).subquery("rows")
    last = sa.select(sa.func.max(rows.c.sequence)).scalar_subquery()
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
    session: Session, batches: Sequence[tuple[Origin, list[Source]]], period: str
) -> Generator[list[str], None, None]:
    for origin, together in batches:
        bound: dict[str, object] = {"period": period}
        if origin == Origin.snapshot:
            keys = [{"region_code": source.region_code, "amendment": source.amendment} for source in together]
            statement, bound["records"] = _select_frozen_lines(session), dump_json(keys)
        else:
            statement = select_lines(session, origin)
            bound["ids"] = [source.copy_id or source.plan_id for source in together]
        # A server-side cursor: a plan may have more lines than fit in memory.
        options = {"yield_per": CHUNK}
        with session.connection().execute(statement, bound, execution_options=options) as result:
            for part in result.partitions():
                yield [row[0] for row in part]
        yield _END_OF_STATEMENT


def _batch_sources(
    plan_sources: Sequence[Source], counted: dict[str, int]
) -> Iterator[tuple[Origin, list[Source]]]:
    """Yield (origin, neighbouring plans) with at most `BATCH_LINES` lines; a larger plan is alone in its batch."""
    for origin, group in groupby(plan_sources, key=lambda source: source.origin):
        batch: list[Source] = []
        size = 0
        for source in group:
            count = counted.get(source.region_code, 0)
            if batch and size + count > BATCH_LINES:
                yield origin, batch
                batch, size = [], 0
            batch.append(source)
            size += count
        yield origin, batch


@build_once
def select_lines(session: Session, origin: Origin) -> TextSelect:
    """Return the query of lines in the plans, or in their copies, bound as `ids`."""
    tables = PRESENT if origin == Origin.plan else COPIED
    lines = tables.lines
    owner = lines.c.plan_id if origin == Origin.plan else lines.c.copy_id
    columns: dict[str, sa.SQLColumnExpression[Any]] = {
        **{column.name: column for column in build_content_columns(tables)},
        "region_code": lines.c.region_code,
        "plan": plans.c.code,
        "action": lines.c.code,
        "report": select_report_of_line(lines),
        "carried": select_carried_report(lines, is_closed=origin == Origin.submitted),
    }
    if origin == Origin.revision:
        columns["lead_agency"] = select_successor(lines.c.region_code, lines.c.lead_agency)
    fields: list[ColumnElement[Any]] = [columns[name].label(name) for name in PullLine.model_fields]
    query = (
        sa.select(*fields)
        .join_from(lines, plans, plans.c.id == lines.c.plan_id)
        # Ids as literals: PostgreSQL overestimates a list in a parameter and scans the whole table.
        .where(owner.in_(sa.bindparam("ids", expanding=True)))
        .order_by(lines.c.region_code, lines.c.code)
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
