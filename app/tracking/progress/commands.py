"""Commands that store whole reports, and the figures that follow from them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import Select
from sqlmodel import Session

from app.access.write import Write
from app.kit.database.engine import table_of
from app.kit.database.journal import next_versions
from app.kit.database.json_sql import built_once, to_json
from app.kit.database.parts import PartList, delete_parts, write_parts
from app.kit.database.upsert import records, upsert
from app.kit.problems import PreconditionFailed
from app.plans.actions.queries import actions
from app.plans.core.models import Plan
from app.tracking.progress.aggregates import physical_basis, physical_percent
from app.tracking.progress.models import PROGRESS_PARTS, ProgressFields, ProgressRow
from app.tracking.progress.queries import Line, StoredProgress, progress
from app.tracking.progress.rules import progress_subject


def write_reports(
    write: Write,
    plan: Plan,
    period: str,
    contents: dict[str, dict[str, Any]],
    lines: dict[str, Line],
    stored: dict[str, StoredProgress],
) -> dict[str, int]:
    """Write whole reports. Return their new versions, by action."""
    if not contents:
        return {}
    session, author = write.session, write.author
    subjects = {code: progress_subject(plan.code, code, period) for code in contents}
    versions = next_versions(session, subjects, stored)
    rows = [
        {
            **{name: content[name] for name in ProgressFields.model_fields},
            "action_id": lines[code].id,
            "period": period,
            "plan_id": plan.id,
            "region_code": plan.region_code,
            "year": plan.year,
            "spent": content["spent"],
            "version": versions[code],
            "reported_at": author.at.isoformat(),
            "reported_by": author.actor,
        }
        for code, content in contents.items()
    ]
    table = table_of(ProgressRow)
    written = upsert(
        session, table, rows, key=["action_id", "period"], versioned=True, returning=["action_id", "version"]
    )
    if len(written) != len(rows):
        raise PreconditionFailed()
    for part in PROGRESS_PARTS:
        lists = [
            PartList(
                {"action_id": lines[code].id, "period": period},
                content[part.name],
                stored[code].content[part.name] if code in stored else [],
            )
            for code, content in contents.items()
        ]
        write_parts(session, part.table, part.key, lists)
    _refresh(session, [lines[code].id for code in contents], period)
    code_of = {line.id: code for code, line in lines.items()}
    return {code_of[row.action_id]: row.version for row in written}


def delete_report(session: Session, line: Line, stored: StoredProgress) -> None:
    """Delete a report with its parts, and the figures that follow from it."""
    of_report = {"action_id": line.id, "period": stored.period}
    for part in PROGRESS_PARTS:
        keys = [{**of_report, part.key: item[part.key]} for item in stored.content[part.name]]
        delete_parts(session, part.table, keys)
    session.execute(
        sa.delete(progress).where(progress.c.action_id == line.id, progress.c.period == stored.period)
    )
    refresh_figures(session, [line.id])


def refresh_figures(session: Session, action_ids: Sequence[int]) -> None:
    """Recompute the physical progress of those actions' reports and put their latest on the actions.

    For after deletions of reports, and after writes of actions: milestones and targets decide it too.
    """
    _refresh(session, action_ids, None)


def _refresh(session: Session, action_ids: Sequence[int], period: str | None) -> None:
    """Recompute the figures after a write; with a period, of the reports of that quarter alone."""
    bound = {"records": to_json([{"action_id": id} for id in action_ids])}
    connection = session.connection()
    if period is None:
        connection.execute(_physical(session), bound)
    else:
        connection.execute(_physical_of_quarter(session), {**bound, "quarter": period})
    connection.execute(_latest(session), bound)


def _listed(session: Session) -> Select[Any]:
    source = records(session, {"action_id": progress.c.action_id.type})
    return sa.select(source.c.action_id)


@built_once
def _physical(session: Session) -> sa.Update:
    return (
        sa.update(progress)
        .where(progress.c.action_id.in_(_listed(session)))
        .values(physical_percent=physical_percent(), physical_basis=physical_basis())
    )


@built_once
def _physical_of_quarter(session: Session) -> sa.Update:
    return _physical(session).where(progress.c.period == sa.bindparam("quarter"))


@built_once
def _latest(session: Session) -> sa.Update:
    latest = progress.alias("latest")

    def of_latest(column: sa.Column[Any]) -> Any:
        return (
            sa.select(column)
            .where(latest.c.action_id == actions.c.id)
            .order_by(latest.c.period.desc())
            .limit(1)
            .correlate(actions)
            .scalar_subquery()
        )

    return (
        sa.update(actions)
        .where(actions.c.id.in_(_listed(session)))
        .values(
            progress_period=of_latest(latest.c.period),
            spent=sa.func.coalesce(of_latest(latest.c.spent), 0),
            physical_percent=of_latest(latest.c.physical_percent),
        )
    )
