"""Reads the revision in force of a visible plan, with the reports on its lines. The public gets frozen reports only."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.queries import read_agency_names
from app.exchange.iati.models import Export, ExportNames, QuarterReport, RevisionInForce
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_json
from app.kit.periods import Period, get_local_date
from app.kit.problems import Problem
from app.kit.wording import Text
from app.plans.actions.models import OutputRow
from app.plans.actions.queries import actions
from app.plans.copies.queries import select_part
from app.plans.core.models import Plan, PlanState
from app.plans.core.queries import plans
from app.plans.revisions.differences.rules import fill_defaults
from app.plans.revisions.queries import revisions
from app.reference.coordinates.queries import COORDINATES
from app.reference.queries import find_regions_by_code, read_funding_source_labels, read_strategy_labels
from app.reference.rules import format_region
from app.tracking.lines.queries import select_lines_of_quarter, select_plans_of_quarter
from app.tracking.progress.queries import is_own, list_progress_columns, progress
from app.tracking.quarters.snapshots.queries import is_latest, snapshots

_outputs = get_table(OutputRow)


class NotAdopted(Problem):
    status = 404
    code = "not_adopted"
    title = Text("Belum ditetapkan", "Not adopted yet")
    detail = Text(
        "Rencana {plan} belum ditetapkan; ekspor ini hanya memuat revisi yang berlaku.",
        "Plan {plan} is not adopted yet; this export has only the revision in force.",
    )


def read_export(session: Session, actor: Actor, plan: Plan, prefix: str, now: datetime) -> Export:
    """Read the export of a plan. Raises NotAdopted before its first revision."""
    in_force = _read_in_force(session, plan)
    frozen = _read_frozen(session, plan)
    is_public = not actor.sees(plan.region_code)
    reports = [
        (line["action"], period, line["report"])
        for period, lines in frozen.items()
        for line in lines
        if line["report"] is not None
    ]
    if not is_public:
        reports += [report for report in _read_live(session, plan) if report[1] not in frozen]
    names = _read_names(session, in_force)
    return Export(
        prefix,
        get_local_date(now, names.zone),
        in_force,
        names,
        _group_reports(reports),
        _read_targets(session, plan, frozen, is_public=is_public),
    )


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
        region=format_region(home.code, home.name),
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


def _read_targets(
    session: Session, plan: Plan, frozen: dict[str, list[dict[str, Any]]], *, is_public: bool
) -> dict[tuple[str, str, str], float | None]:
    """Return the targets of all quarters. The public reads none of a plan that was submitted before its adoption."""
    targets: dict[tuple[str, str, str], float | None] = {}
    for place, quarter in enumerate(Period(plan.year, "").quarters):
        if quarter in frozen:
            outputs = [(line["action"], output) for line in frozen[quarter] for output in line["outputs"]]
        else:
            outputs = _read_outputs(session, plan, quarter, is_public=is_public)
        for line, output in outputs:
            by_quarter = output["quarterly_targets"] or [None, None, None, output["target"]]
            targets[line, output["code"], quarter] = by_quarter[place]
    return targets


def _read_outputs(
    session: Session, plan: Plan, quarter: str, *, is_public: bool
) -> list[tuple[str, dict[str, Any]]]:
    """Return (line, output with its targets) of the lines of a quarter."""
    chosen = select_plans_of_quarter(plans.c.id == plan.id, quarter)
    lines = select_lines_of_quarter(chosen, quarter)
    outputs = select_part(lines, _outputs)
    columns = [outputs.c[name] for name in ("code", "target", "quarterly_targets")]
    query = sa.select(lines.c.code.label("line"), *columns).join_from(
        lines, outputs, outputs.c.action_id == lines.c.id
    )
    if is_public:
        query = query.where(sa.or_(lines.c.is_closed.is_(False), lines.c.revision.is_not(None)))
    return [(row.line, dict(row._mapping)) for row in session.execute(query)]


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
        .where(progress.c.plan_id == plan.id, is_own)
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
