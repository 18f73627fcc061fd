"""Reads the revision in force of a visible plan, with the reports on its lines. The public gets frozen reports only."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.queries import read_agency_names
from app.exchange.iati.models import Export, ExportNames, QuarterReport, RevisionInForce
from app.kit.database.json_sql import select_json
from app.kit.problems import Problem
from app.kit.wording import Text
from app.plans.actions.queries import actions
from app.plans.core.models import Plan, PlanState
from app.plans.revisions.differences.rules import fill_defaults
from app.plans.revisions.queries import revisions
from app.reference.coordinates.queries import COORDINATES
from app.reference.queries import find_regions_by_code, read_funding_source_labels, read_strategy_labels
from app.tracking.progress.queries import list_progress_columns, progress
from app.tracking.quarters.snapshots.queries import is_latest, snapshots


class NotAdopted(Problem):
    status = 404
    code = "not_adopted"
    title = Text("Belum ditetapkan", "Not adopted yet")
    detail = Text(
        "Rencana {plan} belum ditetapkan; ekspor ini hanya memuat revisi yang berlaku.",
        "Plan {plan} is not adopted yet; this export has only the revision in force.",
    )


def read_export(session: Session, actor: Actor, plan: Plan, prefix: str) -> Export:
    """Read the export of a plan. Raises NotAdopted before its first revision."""
    in_force = _read_in_force(session, plan)
    frozen = _read_frozen(session, plan)
    reports = [
        (line["action"], period, line["report"])
        for period, lines in frozen.items()
        for line in lines
        if line["report"] is not None
    ]
    if actor.sees(plan.region_code):
        reports += [report for report in _read_live(session, plan) if report[1] not in frozen]
    return Export(prefix, in_force, _read_names(session, in_force), _group_reports(reports))


def _read_in_force(session: Session, plan: Plan) -> RevisionInForce:
    c = revisions.c
    columns = (c.number, c.content, c.instrument_date, c.adopted_at)
    row = session.execute(
        sa.select(*columns).where(c.plan_id == plan.id, c.number == plan.revision)
    ).one_or_none()
    if row is None:
        raise NotAdopted(plan=plan.code)
    lines = [
        {"code": line["code"], **fill_defaults("action", line)} for line in json.loads(row.content)["actions"]
    ]
    return RevisionInForce(
        plan.code,
        plan.region_code,
        plan.year,
        row.number,
        row.instrument_date,
        row.adopted_at,
        plan.state == PlanState.closed,
        lines,
    )


def _read_names(session: Session, in_force: RevisionInForce) -> ExportNames:
    codes = {place["region_code"] for line in in_force.actions for place in line["locations"]}
    points = COORDINATES.read(session, [(code,) for code in codes])
    places = find_regions_by_code(session, {in_force.region_code, *codes})
    home = places[in_force.region_code]
    return ExportNames(
        region=home.name,
        zone=home.timezone,
        agencies=read_agency_names(session, in_force.region_code),
        sources=read_funding_source_labels(session),
        strategies=read_strategy_labels(session),
        places={code: region.name for code, region in places.items()},
        points={
            code: (point.content["latitude"], point.content["longitude"]) for (code,), point in points.items()
        },
    )


def _read_frozen(session: Session, plan: Plan) -> dict[str, list[dict[str, Any]]]:
    s = snapshots.c
    rows = session.execute(
        sa.select(s.period, s.content).where(
            s.region_code == plan.region_code, s.year == plan.year, is_latest()
        )
    )
    return {row.period: json.loads(row.content)["rows"] for row in rows}


_ReportRow = tuple[str, str, dict[str, Any]]
"""(line, quarter, report in JSON's types)."""


def _read_live(session: Session, plan: Plan) -> list[_ReportRow]:
    """Return the latest reports, also of frozen quarters."""
    columns = [
        column for column in list_progress_columns() if column.name in ("spent", "outputs", "reported_at")
    ]
    live = (
        sa.select(*columns, actions.c.code.label("_action"), progress.c.period.label("_period"))
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id)
    )
    rows = session.execute(select_json(live, "_action", "_period"))
    return [(action, period, json.loads(text)) for text, action, period in rows]


def _group_reports(reports: list[_ReportRow]) -> dict[str, list[QuarterReport]]:
    result: dict[str, list[QuarterReport]] = {}
    for action, period, report in sorted(reports, key=lambda row: row[:2]):
        achieved = {output["code"]: output["achieved"] for output in report["outputs"]}
        result.setdefault(action, []).append(
            QuarterReport(period, report["spent"], achieved, datetime.fromisoformat(report["reported_at"]))
        )
    return result
