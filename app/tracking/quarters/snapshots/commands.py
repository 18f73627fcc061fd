"""The command that freezes a quarter: it stores the plan and its reports as one immutable document."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import find_agencies_by_code
from app.kit.database.journal import Entry
from app.plans.core.models import Plan
from app.plans.core.queries import region_name
from app.plans.core.rules import compute_sha256, dump_canonical
from app.tracking.quarters.rules import QuarterStatus
from app.tracking.quarters.snapshots.models import SnapshotHead
from app.tracking.quarters.snapshots.queries import read_lines_with_reports, snapshots
from app.tracking.quarters.snapshots.rules import compute_sums, format_address


@dataclass(frozen=True)
class QuarterToFreeze:
    """A verified quarter of a plan to freeze."""

    plan: Plan
    status: QuarterStatus
    amendment: int
    reason: str | None
    at: datetime
    by: str
    quarter: dict[str, Any]
    """Row of the quarter with the times of submission and verification."""

    @property
    def period(self) -> str:
        return self.status.period


def store_snapshot(session: Session, frozen: QuarterToFreeze) -> Entry:
    """Store the canonical JSON of a quarter with its hash. Return the journal entry, for the caller to record.

    The caller holds the lock of the plan's chain, so the plan and its reports do not change meanwhile.
    """
    plan, quarter, copy_id = frozen.plan, frozen.quarter, frozen.status.copy_id
    assert copy_id is not None, f"{plan.code} {frozen.period} is verified without a copy of the plan"
    rows = [json.loads(text) for text in read_lines_with_reports(session, copy_id, frozen.period)]
    leading = find_agencies_by_code(session, plan.region_code, {row["lead_agency"] for row in rows})
    head = {
        "region_code": plan.region_code,
        "period": frozen.period,
        "amendment": frozen.amendment,
        "plan": plan.code,
        "revision": frozen.status.revision,
        "row_count": len(rows),
        "reason": frozen.reason,
        "frozen_at": frozen.at.isoformat(),
    }
    content = dump_canonical(
        {
            **head,
            "region_name": region_name(session, plan.region_code),
            "submitted_at": quarter["submitted_at"].isoformat(),
            "is_late": quarter["is_late"],
            "missing_reason": quarter["missing_reason"],
            "verified_at": quarter["verified_at"].isoformat(),
            "agencies": [{"code": code, "name": leading[code].name} for code in sorted(leading)],
            "sums": compute_sums(rows, frozen.period),
            "rows": rows,
        }
    )
    sha256 = compute_sha256(content)
    row = {name: head[name] for name in SnapshotHead.model_fields if name != "frozen_at"}
    values = {**row, "year": plan.year, "content": content, "sha256": sha256, "frozen_at": frozen.at}
    session.execute(sa.insert(snapshots).values(**values, frozen_by=frozen.by))
    subject = format_address(plan.region_code, frozen.period, frozen.amendment)
    after = {"sha256": sha256, "row_count": len(rows), "amendment": frozen.amendment}
    return Entry("snapshot.created", plan.region_code, subject, 1, None, after, frozen.reason)
