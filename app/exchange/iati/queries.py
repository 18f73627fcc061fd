"""Reading the revision in force of a plan that the actor was found to see, with what was reported on its lines: to
whoever sees it only because it is opened, what was frozen alone.
"""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.queries import agency_labels
from app.exchange.iati.models import Export, InForce, Names, Report
from app.kit.database.json_sql import json_texts
from app.kit.problems import Problem, Text
from app.plans.actions.queries import actions
from app.plans.core.models import Plan, PlanState
from app.plans.core.queries import region_name
from app.plans.revisions.differences.rules import whole
from app.plans.revisions.queries import revisions
from app.reference.coordinates.queries import COORDINATES
from app.reference.queries import funding_source_labels, regions_by_code, strategy_labels
from app.tracking.progress.queries import progress, progress_columns
from app.tracking.quarters.snapshots.queries import is_latest, snapshots


class NotAdopted(Problem):
    status = 404
    code = "not_adopted"
    title = Text("Belum ditetapkan", "Not adopted yet")
    detail = Text(
        "Rencana {plan} belum ditetapkan; yang diekspor hanya revisi yang berlaku.",
        "Plan {plan} was not adopted yet; only what is in force is exported.",
    )


def export_of(session: Session, actor: Actor, plan: Plan, prefix: str) -> Export:
    """The export of a plan. NotAdopted before its first revision."""
    found = _in_force(session, plan)
    told = _frozen(session, plan)
    reports = [
        (line["action"], period, line["report"])
        for period, lines in told.items()
        for line in lines
        if line["report"] is not None
    ]
    if actor.sees(plan.region_code):
        reports += [one for one in _live(session, plan) if one[1] not in told]
    return Export(prefix, found, _names(session, found), _by_line(reports))


def _in_force(session: Session, plan: Plan) -> InForce:
    c = revisions.c
    columns = (c.number, c.content, c.instrument_date, c.adopted_at)
    row = session.execute(
        sa.select(*columns).where(c.plan_id == plan.id, c.number == plan.revision)
    ).one_or_none()
    if row is None:
        raise NotAdopted(plan=plan.code)
    lines = [{"code": line["code"], **whole("action", line)} for line in json.loads(row.content)["actions"]]
    return InForce(
        plan.code,
        plan.region_code,
        plan.year,
        row.number,
        row.instrument_date,
        row.adopted_at,
        plan.state == PlanState.closed,
        lines,
    )


def _names(session: Session, found: InForce) -> Names:
    codes = {place["region_code"] for line in found.actions for place in line["locations"]}
    points = COORDINATES.read(session, [(code,) for code in codes])
    return Names(
        region=region_name(session, found.region_code),
        agencies=agency_labels(session, found.region_code),
        sources=funding_source_labels(session),
        strategies=strategy_labels(session),
        places={code: one.name for code, one in regions_by_code(session, codes).items()},
        points={code: (one.content["latitude"], one.content["longitude"]) for (code,), one in points.items()},
    )


def _frozen(session: Session, plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """Frozen quarter → its lines, as the latest snapshot says them."""
    s = snapshots.c
    found = session.execute(
        sa.select(s.period, s.content).where(
            s.region_code == plan.region_code, s.year == plan.year, is_latest()
        )
    )
    return {row.period: json.loads(row.content)["rows"] for row in found}


_Said = tuple[str, str, dict[str, Any]]
"""(line, quarter, report) as JSON has it."""


def _live(session: Session, plan: Plan) -> list[_Said]:
    """What was reported last, also of quarters that are frozen."""
    columns = [one for one in progress_columns() if one.name in ("spent", "outputs", "reported_at")]
    live = (
        sa.select(*columns, actions.c.code.label("_action"), progress.c.period.label("_period"))
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id)
    )
    found = session.execute(json_texts(live, "_action", "_period"))
    return [(action, period, json.loads(text)) for text, action, period in found]


def _by_line(found: list[_Said]) -> dict[str, list[Report]]:
    result: dict[str, list[Report]] = {}
    for action, period, said in sorted(found, key=lambda one: one[:2]):
        achieved = {one["code"]: one["achieved"] for one in said["outputs"]}
        result.setdefault(action, []).append(
            Report(period, said["spent"], achieved, datetime.fromisoformat(said["reported_at"]))
        )
    return result
