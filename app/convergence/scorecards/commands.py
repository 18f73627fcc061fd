"""Commands that store the scorecards of frozen quarters, in the transaction that freezes them."""

import json

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.scorecards.queries import freezing, frozen_scorecards
from app.kit.database.json_sql import to_json
from app.plans.core.rules import canonical, sha256_of
from app.tracking.quarters.snapshots.commands import Frozen
from app.tracking.quarters.snapshots.rules import EXACT


def store_scorecard(session: Session, frozen: Frozen) -> None:
    """Store the scorecard of a region's quarter with its snapshot, as canonical JSON with its hash.

    The journal entry of the quarter covers both. The caller holds the lock of the plan's chain.
    """
    region, period = frozen.plan.region_code, frozen.period
    figures, scorecard = freezing(session, region, period, frozen.amendment, frozen.at)
    answer = canonical(_drop_inexact(json.loads(scorecard.model_dump_json())))
    highest = scorecard.inputs.highest_spending_percent
    session.execute(
        sa.insert(frozen_scorecards).values(
            region_code=region,
            period=period,
            amendment=frozen.amendment,
            year=int(period[:4]),
            **figures.sums,
            in_force=True,
            spending_percent=figures.spending_percent,
            content=to_json({**figures.content, "highest": highest}),
            computed_at=frozen.at,
            answer=answer,
            sha256=sha256_of(answer),
        )
    )


def _drop_inexact(value: object) -> object:
    """Return a reply with null for integers beyond the range of canonical JSON."""
    if isinstance(value, dict):
        return {name: _drop_inexact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_drop_inexact(item) for item in value]
    return None if isinstance(value, int) and abs(value) > EXACT else value
