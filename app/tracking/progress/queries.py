"""Queries of progress: lists, single reports, findings on stored reports, physical progress."""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.agencies.queries import select_successor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, build_once, dump_json, select_fields, select_json
from app.kit.database.resources import ResourceText
from app.kit.database.upsert import unnest_records
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import require_found
from app.plans.actions.models import MilestoneRow, OutputRow
from app.plans.actions.queries import actions
from app.plans.actions.rules import QUARTERS, QuartersContent, RemovedItems
from app.plans.copies.queries import COPIED, PRESENT, LineTables, bind_lines, build_content_columns
from app.plans.core.models import Plan
from app.plans.core.queries import plans
from app.plans.findings.kinds import Finding
from app.plans.findings.spending.rules import BudgetContent, SpentContent, find_limits
from app.plans.findings.thresholds import choose_thresholds
from app.reference.queries import is_among
from app.tracking.progress.models import (
    PROGRESS_PARTS,
    MilestoneProgressRow,
    MilestoneState,
    OutputProgressRow,
    PhysicalBasis,
    ProgressIn,
    ProgressOut,
    ProgressPart,
    ProgressRow,
    ReportableLine,
    StoredProgress,
)
from app.tracking.progress.rules import check_report

progress = get_table(ProgressRow)
_milestones, _milestones_done = get_table(MilestoneRow), get_table(MilestoneProgressRow)
_outputs, _achieved = get_table(OutputRow), get_table(OutputProgressRow)

is_own = progress.c.carried_from.is_(None)
"""Predicate: an agency reported it; the other rows are copies that a submission made for lines without a report."""


class ProgressQuery(PageQuery):
    """Reports of a quarter, in the order of the actions."""

    sort: Literal["action", "-action", "spent", "-spent", "reported_at", "-reported_at"] = "action"


class ActionReportsQuery(PageQuery):
    """Reports on one action, quarter by quarter."""

    sort: Literal["period", "-period"] = "period"


@cache
def list_progress_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a report as `ProgressOut` declares them; the database builds its parts as JSON."""
    return select_fields(
        ProgressOut,
        progress,
        plan=sa.select(plans.c.code).where(plans.c.id == progress.c.plan_id).scalar_subquery(),
        action=sa.select(actions.c.code).where(actions.c.id == progress.c.action_id).scalar_subquery(),
        **{part.name: _build_part_json(part) for part in PROGRESS_PARTS},
    )


def _build_part_json(part: ProgressPart) -> sa.SQLColumnExpression[object]:
    query = (
        sa.select(*select_fields(part.shape, part.table))
        .where(_is_of_report(part.table))
        .order_by(part.table.c.position)
        .correlate(progress)
    )
    return build_json_array(query, name=part.name)


def _is_of_report(part: FromClause, report: FromClause = progress) -> ColumnElement[bool]:
    return sa.and_(part.c.action_id == report.c.action_id, part.c.period == report.c.period)


def is_own_report(line: FromClause, period: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Predicate: an agency reported in a quarter on a line with the column `id`."""
    return sa.and_(progress.c.action_id == line.c.id, progress.c.period == period, is_own)


def list_progress(plan: Plan, period: str) -> Listing:
    """Return the reports of a quarter of a visible plan."""
    code = actions.c.code.label("action")
    rows = (
        sa.select(*[code if column.name == "action" else column for column in list_progress_columns()])
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id, progress.c.period == period, is_own)
    )
    sorts = {"action": actions.c.code, "spent": progress.c.spent, "reported_at": progress.c.reported_at}
    return Listing(rows, sorts, {"action": actions.c.code})


def list_action_reports(action_id: int) -> Listing:
    """Return the reports of an action, by quarter."""
    rows = sa.select(*list_progress_columns()).where(progress.c.action_id == action_id, is_own)
    return Listing(rows, {"period": progress.c.period}, {"period": progress.c.period})


def read_progress(session: Session, action_id: int, period: str) -> ResourceText:
    """Return a report as JSON text, with its version. Raises NotFound if it does not exist."""
    bound = {"action_id": action_id, "period": period}
    row = require_found(session.connection().execute(_select_report(session), bound).one_or_none())
    return ResourceText(*row)


@build_once
def _select_report(session: Session) -> Select[Any]:
    conditions = (
        progress.c.action_id == sa.bindparam("action_id"),
        progress.c.period == sa.bindparam("period"),
        is_own,
    )
    return select_json(sa.select(*list_progress_columns()).where(*conditions), "version")


def read_lines(
    session: Session, plan: Plan, codes: Sequence[str], copy_id: int | None
) -> dict[str, ReportableLine]:
    """Return the lines of a plan, or of a copy, that are among the codes, by code."""
    bound = {**bind_lines(plan, copy_id), "records": dump_json([{"code": code} for code in codes])}
    rows = session.connection().execute(_select_lines(session, copy_id is not None), bound)
    return {
        code: ReportableLine(
            id,
            agency,
            named,
            find_limits(content),
            {"starts_in": content["starts_in"], "ends_after": content["ends_after"]},
            {part.reports_on: part.map_planned(content) for part in PROGRESS_PARTS if part.reports_on},
            choose_thresholds(plan.year),
        )
        for text, agency, named, code, id in rows
        for content in [json.loads(text)]
    }


@build_once
def _select_lines(session: Session, is_copied: bool) -> Select[str, str, str, str, int]:
    tables = COPIED if is_copied else PRESENT
    c = tables.lines.c
    codes = unnest_records(session, {"code": c.code.type})
    names = {
        *QuartersContent.__annotations__,
        *BudgetContent.__annotations__,
        *(part.reports_on for part in PROGRESS_PARTS),
    }
    columns = [column for column in build_content_columns(tables) if column.name in names]
    agency = select_successor(c.region_code, c.lead_agency) if is_copied else c.lead_agency
    others = {"_agency": agency, "_named": c.lead_agency, "_code": c.code, "_id": c.id}
    query = sa.select(*columns, *[column.label(name) for name, column in others.items()]).where(
        tables.is_of_plan, c.code.in_(sa.select(codes.c.code))
    )
    return select_json(query, *others)


def read_stored_and_before(
    session: Session, action_ids: Sequence[int], period: str
) -> tuple[dict[int, StoredProgress], dict[int, StoredProgress]]:
    """Return the reports of a quarter and the latest earlier ones of its year, each by action id."""
    stored: dict[int, StoredProgress] = {}
    before: dict[int, StoredProgress] = {}
    ids = dump_json([{"action_id": id} for id in action_ids])
    bound = {"records": ids, "period": period, "year": period[:4]}
    for text, version, of_period, physical, id in session.connection().execute(
        _select_stored_and_before(session), bound
    ):
        report = StoredProgress(json.loads(text), version, of_period, physical)
        (stored if of_period == period else before)[id] = report
    return stored, before


def select_period_before(
    period: str | ColumnElement[str], year: str | ColumnElement[str]
) -> sa.ScalarSelect[str | None]:
    """Return the quarter of the latest report of the year before a quarter, on the line of the enclosing report."""
    c = progress.alias("earlier").c
    return (
        sa.select(sa.func.max(c.period))
        .where(
            c.action_id == progress.c.action_id, c.carried_from.is_(None), c.period < period, c.period > year
        )
        .correlate(progress)
        .scalar_subquery()
    )


@build_once
def _select_stored_and_before(session: Session) -> Select[str, int, str, float | None, int]:
    ids = unnest_records(session, {"action_id": progress.c.action_id.type})
    latest = select_period_before(sa.bindparam("period"), sa.bindparam("year"))
    query = sa.select(*_list_content_columns(), progress.c.action_id.label("_id")).where(
        progress.c.action_id.in_(sa.select(ids.c.action_id)),
        is_own,
        sa.or_(progress.c.period == sa.bindparam("period"), progress.c.period == latest),
    )
    return select_json(query, *_META_COLUMNS, "_id")


def _list_content_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a report's content, with the other fields of `StoredProgress` as columns apart."""
    content = [column for column in list_progress_columns() if column.name in ProgressIn.model_fields]
    return [*content, *(progress.c[name].label(f"_{name}") for name in StoredProgress._fields[1:])]


_META_COLUMNS = tuple(f"_{name}" for name in StoredProgress._fields[1:])


def read_physical_percents(
    session: Session, action_ids: Sequence[int], period: str
) -> dict[int, float | None]:
    """Return the physical progress in the reports of a quarter, by action id."""
    columns = progress.c.action_id, progress.c.physical_percent
    query = sa.select(*columns).where(progress.c.action_id.in_(action_ids), progress.c.period == period)
    return {row.action_id: row.physical_percent for row in session.execute(query)}


def read_spent_figures(session: Session, plan: Plan, codes: Collection[str]) -> dict[str, SpentContent]:
    """Return the money of the latest report on each line among the codes, by code."""
    bound = {"plan_id": plan.id, "records": dump_json([{"code": code} for code in codes])}
    rows = session.connection().execute(_select_spent(session), bound)
    return {code: json.loads(text) for text, code in rows}


@build_once
def _select_spent(session: Session) -> Select[str, str]:
    codes = unnest_records(session, {"code": actions.c.code.type})
    money = [column for column in list_progress_columns() if column.name in SpentContent.__annotations__]
    is_latest = sa.and_(progress.c.action_id == actions.c.id, progress.c.period == actions.c.progress_period)
    query = (
        sa.select(*money, actions.c.code.label("_code"))
        .select_from(actions.join(progress, is_latest))
        .where(actions.c.plan_id == sa.bindparam("plan_id"), actions.c.code.in_(sa.select(codes.c.code)))
    )
    return select_json(query, "_code")


def check_stored_report(session: Session, line: ReportableLine, period: str) -> list[Finding]:
    """Return the findings of the stored report of a quarter."""
    stored, before = read_stored_and_before(session, [line.id], period)
    report = stored[line.id]
    return check_report(report.content, before.get(line.id), line, report.physical_percent)


def read_reports(session: Session, plan: Plan) -> list[tuple[str, StoredProgress]]:
    """Return (code of the line, report) of all reports on a plan's lines, by line and quarter."""
    query = (
        sa.select(*_list_content_columns(), actions.c.code.label("_code"))
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id, is_own)
        .order_by(actions.c.code, progress.c.period)
    )
    return [
        (code, StoredProgress(json.loads(text), *fields))
        for text, *fields, code in session.execute(select_json(query, *_META_COLUMNS, "_code"))
    ]


def find_falling_regions(session: Session, codes: Collection[str], period: str) -> set[str]:
    """Return the regions among these whose plan has a report of the quarter below the one before it (E06).

    The comparison is that of `check_report`, in one statement for all regions.
    """
    before = progress.alias("before")
    latest = select_period_before(period, period[:4])
    is_before = sa.and_(before.c.action_id == progress.c.action_id, before.c.period == latest)
    query = (
        sa.select(plans.c.region_code)
        .distinct()
        .select_from(plans.join(progress, progress.c.plan_id == plans.c.id).join(before, is_before))
        .where(
            plans.c.year == int(period[:4]),
            is_among(session, plans.c.region_code, codes),
            progress.c.period == period,
            is_own,
            sa.or_(progress.c.spent < before.c.spent, *_list_falls(before)),
        )
    )
    return set(session.scalars(query))


def _list_falls(before: FromClause) -> Iterator[ColumnElement[bool]]:
    """Yield for each part with figures the predicate: an item of the report has less than in the report before."""
    for part in PROGRESS_PARTS:
        if part.figure is not None:
            now, then = part.table.alias(f"{part.name}_now"), part.table.alias(f"{part.name}_then")
            yield sa.exists().where(
                _is_of_report(now),
                _is_of_report(then, before),
                now.c[part.key] == then.c[part.key],
                now.c[part.figure] < then.c[part.figure],
            )


def find_reported_quarters(session: Session, plan: Plan, code: str) -> dict[str, bool]:
    """Map the quarters of the reports on a line, those that a submission carried too, to whether they are own ones."""
    query = (
        sa.select(progress.c.period, is_own)
        .join_from(progress, actions, actions.c.id == progress.c.action_id)
        .where(progress.c.plan_id == plan.id, actions.c.code == code)
        .order_by(progress.c.period)
    )
    return {period: bool(own) for period, own in session.execute(query)}


def find_reported_items(session: Session, gone: RemovedItems) -> RemovedItems:
    """Return the items that a report refers to, and the quarters with a report."""
    referred: RemovedItems = {}
    keys = [(part.reports_on, part.table.c[part.key]) for part in PROGRESS_PARTS]
    for name, key in [*keys, (QUARTERS, progress.c.period)]:
        if name is None or name not in gone:
            continue
        items, table = gone[name], key.table
        source = progress if table is progress else table.join(progress, _is_of_report(table))
        of_actions = (
            sa.select(table.c.action_id, key)
            .distinct()
            .select_from(source)
            .where(table.c.action_id.in_({id for id, _ in items}), is_own)
        )
        referred[name] = items & {(id, key) for id, key in session.execute(of_actions)}
    return referred


def _compute_by_milestones(tables: LineTables) -> sa.SQLColumnExpression[object]:
    """Return the weight of milestones done / the weight of all × 100; null without weighted milestones."""
    milestones = tables.parts[_milestones]
    done = (
        sa.exists()
        .where(
            _is_of_report(_milestones_done),
            _milestones_done.c.code == milestones.c.code,
            _milestones_done.c.state == MilestoneState.done,
        )
        .correlate(progress, milestones)
    )
    return (
        sa.select(
            sa.func.sum(sa.case((done, milestones.c.weight), else_=0.0))
            * 100.0
            / sa.func.nullif(sa.func.sum(milestones.c.weight), 0.0)
        )
        .where(tables.is_of_report(_milestones, progress.c.action_id), milestones.c.weight.is_not(None))
        .correlate(progress)
        .scalar_subquery()
    )


def _compute_by_outputs(tables: LineTables) -> sa.SQLColumnExpression[object]:
    """Return the mean of achieved/target over the outputs, each at most 1, × 100; null without targets."""
    outputs = tables.parts[_outputs]
    share = sa.func.coalesce(_achieved.c.achieved, 0.0) / outputs.c.target
    return (
        sa.select(sa.func.avg(sa.case((share > 1.0, 1.0), else_=share)) * 100.0)
        .select_from(
            outputs.outerjoin(
                _achieved, sa.and_(_is_of_report(_achieved), _achieved.c.code == outputs.c.code)
            )
        )
        .where(tables.is_of_report(_outputs, progress.c.action_id), outputs.c.target > 0.0)
        .correlate(progress)
        .scalar_subquery()
    )


def compute_physical_percent(tables: LineTables) -> sa.SQLColumnExpression[object]:
    """Return the physical progress of a report: as reported, else by milestones, else by outputs, else null."""
    exact = sa.func.coalesce(
        progress.c.physical_reported_percent, _compute_by_milestones(tables), _compute_by_outputs(tables)
    )
    return sa.func.round(sa.cast(exact, sa.Numeric(9, 4)), 2)


def derive_physical_basis(tables: LineTables) -> sa.SQLColumnExpression[object]:
    """Return the basis of `physical_percent`."""
    return sa.case(
        (progress.c.physical_reported_percent.is_not(None), PhysicalBasis.reported.value),
        (_compute_by_milestones(tables).is_not(None), PhysicalBasis.milestones.value),
        (_compute_by_outputs(tables).is_not(None), PhysicalBasis.outputs.value),
        else_=None,
    )
