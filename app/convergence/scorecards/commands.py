"""Keeping scorecards of frozen quarters, in the transaction that freezes them."""

import json

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.scorecards.queries import freezing, frozen_scorecards
from app.kit.database.json_sql import to_json
from app.plans.core.rules import canonical, sha256_of
from app.tracking.quarters.snapshots.commands import Frozen
from app.tracking.quarters.snapshots.rules import EXACT


def store_scorecard(session: Session, frozen: Frozen) -> None:
    """Keep the scorecard of a region's quarter beside its snapshot, as canonical JSON with its hash. The journal
    tells of both by the entry of the quarter; the plan's chain is held."""
    region, period = frozen.plan.region_code, frozen.period
    figures, scorecard = freezing(session, region, period, frozen.amendment, frozen.at)
    answer = canonical(_exact(json.loads(scorecard.model_dump_json())))
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


def _exact(value: object) -> object:
    """A reply with null for whole numbers that canonical JSON cannot say."""
    if isinstance(value, dict):
        return {name: _exact(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return None if isinstance(value, int) and abs(value) > EXACT else value
