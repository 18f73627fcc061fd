"""The check of frozen figures: each against its hash, and against the rows that it came from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.scorecards.yardsticks.queries import frozen_scorecards, yardsticks
from app.kit.database.json_sql import select_fields, select_json
from app.plans.copies.models import location_copies
from app.plans.copies.queries import COPIED, find_copy, read_line_contents
from app.plans.core.models import Plan, PriorityLocation
from app.plans.core.queries import plans, read_plans
from app.plans.core.rules import compute_sha256
from app.plans.revisions.differences.rules import fill_defaults
from app.plans.revisions.queries import revisions
from app.tracking.progress.queries import is_own_report, progress
from app.tracking.quarters.models import QuarterState
from app.tracking.quarters.queries import quarters
from app.tracking.quarters.snapshots.queries import snapshots

_AGENCIES = ("lead_agency", "supporting_agencies")
"""Fields in which a snapshot of before copies may name the successor of an agency that merged into another."""


def find_breaks(session: Session, code: str | None = None) -> Iterator[str]:
    """Yield a sentence for each frozen figure that does not agree with its hash or its rows, of one plan or of all."""
    chosen = sa.select(plans).order_by(plans.c.code)
    for plan in read_plans(session, chosen if code is None else chosen.where(plans.c.code == code)):
        yield from _check_revisions(session, plan)
        yield from _check_snapshots(session, plan)
        yield from _check_scorecards(session, plan)
    if code is None:
        yield from _check_yardsticks(session)


def _check_revisions(session: Session, plan: Plan) -> Iterator[str]:
    c = revisions.c
    columns = (c.number, c.content, c.sha256, c.action_count, c.allocation)
    for number, content, sha256, count, allocation in session.execute(
        sa.select(*columns).where(c.plan_id == plan.id).order_by(c.number)
    ).all():
        name = f"Revision {number} of plan {plan.code}"
        if compute_sha256(content) != sha256:
            yield f"{name} differs from its hash."
            continue
        frozen = json.loads(content)
        lines = {line["code"]: fill_defaults("action", line) for line in frozen["actions"]}
        if (len(lines), sum(line["allocation"] for line in lines.values())) != (count, allocation):
            yield f"{name} differs from its number of lines or its allocation."
        copy_id = find_copy(session, plan, number)
        if copy_id is None:
            yield f"{name} has no rows for the figures of quarters."
            continue
        differing = _find_differing(lines, read_line_contents(session, plan, copy_id))
        if differing:
            yield f"{name} differs from its rows in {', '.join(differing)}."
        places = select_fields(PriorityLocation, location_copies)
        rows = (
            sa.select(*places)
            .where(location_copies.c.copy_id == copy_id)
            .order_by(location_copies.c.position)
        )
        stored = [json.loads(text) for text in session.scalars(select_json(rows))]
        if stored != frozen["priority_locations"]:
            yield f"{name} differs from its rows in the priority locations."


def _find_differing(frozen: Mapping[str, object], rows: Mapping[str, object]) -> list[str]:
    """Return the codes of the lines that differ, at most ten."""
    return [code for code in sorted({*frozen, *rows}) if frozen.get(code) != rows.get(code)][:10]


def _check_snapshots(session: Session, plan: Plan) -> Iterator[str]:
    s = snapshots.c
    of_plan = (s.region_code == plan.region_code, s.year == plan.year, s.plan == plan.code)
    newest: dict[str, dict[str, Any]] = {}
    for period, amendment, revision, content, sha256 in session.execute(
        sa.select(s.period, s.amendment, s.revision, s.content, s.sha256)
        .where(*of_plan)
        .order_by(s.period, s.amendment)
    ).all():
        name = f"Snapshot {period} of {plan.region_code}, amendment {amendment},"
        if compute_sha256(content) != sha256:
            yield f"{name} differs from its hash."
            continue
        newest[period] = json.loads(content)
        copy_id = None if revision is None else find_copy(session, plan, revision)
        if copy_id is None:
            continue  # frozen without a revision: `_check_reports` compares the newest snapshot
        if differing := _compare_lines(session, plan, newest[period], copy_id):
            yield f"{name} differs from revision {revision} in {', '.join(differing)}."
    yield from _check_reports(session, plan, newest)


def _compare_lines(session: Session, plan: Plan, snapshot: Mapping[str, Any], copy_id: int) -> list[str]:
    """Return the codes of the lines that differ between a snapshot and a copy, their agencies apart."""
    rows = {line["action"]: _drop_agencies(fill_defaults("action", line)) for line in snapshot["rows"]}
    kept = {code: _drop_agencies(line) for code, line in read_line_contents(session, plan, copy_id).items()}
    return _find_differing(rows, kept)


def _drop_agencies(line: Any) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in _AGENCIES}


def _check_reports(session: Session, plan: Plan, newest: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Compare the reports of frozen quarters with their rows, and the lines of those without a revision."""
    q, p, lines = quarters.c, progress.c, COPIED.lines.c
    frozen = sa.select(q.period, q.copy_id).where(
        q.region_code == plan.region_code, q.year == plan.year, q.state == QuarterState.frozen
    )
    for period, copy_id in session.execute(frozen.order_by(q.period)).all():
        if period not in newest:
            continue  # its snapshot is broken, or of a deleted plan
        if newest[period].get("revision") is None and (
            differing := _compare_lines(session, plan, newest[period], copy_id)
        ):
            yield f"The lines of {plan.region_code} for {period} differ from its snapshot in {', '.join(differing)}."
        reported = (
            sa.select(lines.code, p.spent)
            .join_from(COPIED.lines, progress, is_own_report(COPIED.lines, period))
            .where(lines.copy_id == copy_id)
        )
        rows = {row.code: row.spent for row in session.execute(reported)}
        reports = {row["action"]: row["report"]["spent"] for row in newest[period]["rows"] if row["report"]}
        if rows != reports:
            yield f"The reports of {plan.region_code} for {period} differ from its snapshot."


def _check_scorecards(session: Session, plan: Plan) -> Iterator[str]:
    c, s = frozen_scorecards.c, snapshots.c
    is_same = sa.and_(s.region_code == c.region_code, s.period == c.period, s.amendment == c.amendment)
    rows = (
        sa.select(c.period, c.amendment, c.answer, c.sha256, c.budget, s.content)
        .join_from(frozen_scorecards, snapshots, is_same)
        .where(c.region_code == plan.region_code, c.year == plan.year, s.plan == plan.code)
        .order_by(c.period, c.amendment)
    )
    for period, amendment, answer, sha256, budget, content in session.execute(rows).all():
        name = f"Scorecard {period} of {plan.region_code}, amendment {amendment},"
        if compute_sha256(answer) != sha256:
            yield f"{name} differs from its hash."
        if budget != sum(line["allocation"] for line in json.loads(content)["rows"]):
            yield f"{name} has another budget than the snapshot."


def _check_yardsticks(session: Session) -> Iterator[str]:
    for row in session.execute(sa.select(yardsticks).order_by(yardsticks.c.period, yardsticks.c.region_code)):
        highest = max((plan["spending_percent"] for plan in row.counted), default=None)
        if row.highest_percent != highest:
            yield f"The yardstick of {row.region_code} for {row.period} is not its highest figure."
