"""Commands that store the scorecards of frozen quarters, in the transaction that freezes them."""

import json

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.scorecards.models import Content
from app.convergence.scorecards.queries import compute_frozen
from app.convergence.scorecards.yardsticks.commands import settle_yardstick
from app.convergence.scorecards.yardsticks.queries import frozen_scorecards
from app.kit.database.journal import Author, Entry
from app.kit.database.json_sql import dump_json
from app.plans.core.rules import compute_sha256, dump_canonical
from app.tracking.quarters.snapshots.commands import QuarterToFreeze
from app.tracking.quarters.snapshots.rules import LARGEST_EXACT


def store_scorecard(session: Session, frozen: QuarterToFreeze) -> list[Entry]:
    """Store the scorecard of a region's quarter with its snapshot, as canonical JSON with its hash.

    The journal entry of the quarter covers both; the entry that this returns tells a correction of the coverage. The
    scorecard of the last plan in force settles the yardstick. The caller holds the lock of the plan's chain.
    """
    region, period = frozen.plan.region_code, frozen.period
    figures, content, scorecard = compute_frozen(session, region, period, frozen.amendment, frozen.at)
    spending = figures.plan
    answer = dump_canonical(_drop_inexact(json.loads(scorecard.model_dump_json())))
    session.execute(
        sa.insert(frozen_scorecards).values(
            region_code=region,
            period=period,
            amendment=frozen.amendment,
            year=int(period[:4]),
            **figures.sums,
            in_force=True,
            spending_percent=spending.spending_percent,
            uncapped_percent=spending.uncapped_percent,
            fair_method=spending.fair_method,
            open_errors=spending.open_errors,
            content=dump_json(content),
            computed_at=frozen.at,
            answer=answer,
            sha256=compute_sha256(answer),
        )
    )
    if spending.fair_method is not None:
        settle_yardstick(session, Author(frozen.by, frozen.at), region[:2], period)
    return _tell_coverage(session, frozen, content)


def _tell_coverage(session: Session, frozen: QuarterToFreeze, content: Content) -> list[Entry]:
    """Return the entry of a correction that changes the coverage of the quarter; none if it does not."""
    c, region, period = frozen_scorecards.c, frozen.plan.region_code, frozen.period
    earlier = session.scalar(
        sa.select(c.content).where(
            c.region_code == region, c.period == period, c.amendment == frozen.amendment - 1
        )
    )
    names = ("services", "families_reporting", "families_expected")
    before = {name: json.loads(earlier).get(name) for name in names} if earlier else None
    after = {name: json.loads(dump_json(content)).get(name) for name in names}
    if before is None or before == after:
        return []
    subject = f"scorecards/{region}?period={period}"
    version = frozen.amendment + 1
    return [Entry("coverage.amended", region, subject, version, before, after, frozen.reason)]


def _drop_inexact(value: object) -> object:
    """Return a reply with null for integers beyond the range of canonical JSON."""
    if isinstance(value, dict):
        return {name: _drop_inexact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_drop_inexact(item) for item in value]
    return None if isinstance(value, int) and abs(value) > LARGEST_EXACT else value
