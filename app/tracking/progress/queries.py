"""Reading progress and summing it up."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.kit.database.engine import table_of
from app.kit.database.json_sql import built_once, fields_of, json_rows, json_texts, to_json
from app.kit.database.upsert import records
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.actions.models import PARTS, Part
from app.plans.actions.queries import actions
from app.plans.core.models import Plan
from app.plans.core.queries import plans
from app.plans.findings.kinds import Finding
from app.plans.findings.rules import Placed
from app.tracking.progress.models import PROGRESS_PARTS, ProgressIn, ProgressOut, ProgressPart, ProgressRow
from app.tracking.progress.rules import findings_of

progress = table_of(ProgressRow)


class ProgressQuery(PageQuery):
    """Reports of a quarter, in the order of the actions."""

    sort: Literal["action", "-action", "spent", "-spent", "reported_at", "-reported_at"] = "action"


class QuartersQuery(PageQuery):
    """Reports on one action, quarter by quarter."""

    sort: Literal["period", "-period"] = "period"


@cache
def progress_columns() -> list[ColumnElement[Any]]:
    """Columns of a report as `ProgressOut` declares them, its parts as JSON the database builds."""
    return fields_of(
        ProgressOut,
        progress,
        plan=sa.select(plans.c.code).where(plans.c.id == progress.c.plan_id).scalar_subquery(),
        action=sa.select(actions.c.code).where(actions.c.id == progress.c.action_id).scalar_subquery(),
        **{part.name: _part_json(part) for part in PROGRESS_PARTS},
    )


def _part_json(part: ProgressPart) -> ColumnElement[Any]:
    query = (
        sa.select(*fields_of(part.shape, part.table))
        .where(part.table.c.action_id == progress.c.action_id, part.table.c.period == progress.c.period)
        .order_by(part.table.c.position)
        .correlate(progress)
    )
    return json_rows(query, name=part.name)


def list_progress(plan: Plan, period: str) -> Listing:
    """Reports of a quarter of a plan that the actor was found to see."""
    columns = [c for c in progress_columns() if c.name != "action"]
    ordered = {column.name: column for column in [*columns, actions.c.code.label("action")]}
    found = (
        sa.select(*[ordered[name] for name in ProgressOut.model_fields])
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id, progress.c.period == period)
    )
    sorts = {"action": actions.c.code, "spent": progress.c.spent, "reported_at": progress.c.reported_at}
    return Listing(found, sorts, {"action": actions.c.code})


def list_quarters(action_id: int) -> Listing:
    found = sa.select(*progress_columns()).where(progress.c.action_id == action_id)
    return Listing(found, {"period": progress.c.period}, {"period": progress.c.period})


def progress_json(session: Session, action_id: int, period: str) -> str:
    """A report as JSON text; NotFound where none was made."""
    bound = {"action_id": action_id, "period": period}
    text = session.connection().execute(_one_report(session), bound).scalar_one_or_none()
    if text is None:
        raise NotFound()
    return str(text)


@built_once
def _one_report(session: Session) -> Select[Any]:
    chosen = (progress.c.action_id == sa.bindparam("action_id"), progress.c.period == sa.bindparam("period"))
    return json_texts(sa.select(*progress_columns()).where(*chosen))


class StoredProgress:
    """A report as it stands, for comparing, patching and journaling."""

    __slots__ = ("content", "period", "version")

    def __init__(self, content: dict[str, Any]) -> None:
        self.version: int = content["version"]
        self.period: str = content["period"]
        self.content = {name: content[name] for name in ProgressIn.model_fields}

    @classmethod
    def parse(cls, text: str) -> "StoredProgress":
        return cls(json.loads(text))

    @property
    def figures(self) -> dict[str, Any]:
        return {**self.content, "period": self.period}


@dataclass(frozen=True)
class Line:
    """An action that is reported on: what its reports are held to."""

    id: int
    lead_agency: str
    allocation: int
    known: dict[str, dict[str, int | None]]
    """Part → keys that a report may speak of; with a recipient's, the number planned."""


def lines_by_code(session: Session, plan: Plan, codes: Sequence[str]) -> dict[str, Line]:
    """The actions of those codes, by code; those that there are."""
    bound = {"plan_id": plan.id, "records": to_json([{"code": code} for code in codes])}
    return {
        code: Line(
            id,
            agency,
            allocation,
            {name: _keys(text) for name, text in zip(_REPORTED_ON, parts, strict=True)},
        )
        for code, id, agency, allocation, *parts in session.connection().execute(_lines(session), bound)
    }


def _keys(text: str) -> dict[str, int | None]:
    return {item["key"]: item["planned"] for item in json.loads(text)}


_REPORTED_ON = tuple(part.reports_on for part in PROGRESS_PARTS if part.reports_on)


@built_once
def _lines(session: Session) -> Select[Any]:
    codes = records(session, {"code": actions.c.code.type})
    keys = {part.name: _keys_json(part) for part in PARTS if part.name in _REPORTED_ON}
    return sa.select(
        actions.c.code,
        actions.c.id,
        actions.c.lead_agency,
        actions.c.allocation,
        *[keys[name] for name in _REPORTED_ON],
    ).where(actions.c.plan_id == sa.bindparam("plan_id"), actions.c.code.in_(sa.select(codes.c.code)))


def _keys_json(part: Part) -> ColumnElement[Any]:
    planned = part.table.c["count"] if part.name == "recipients" else sa.null()
    query = (
        sa.select(part.table.c[part.key].label("key"), planned.label("planned"))
        .where(part.table.c.action_id == actions.c.id)
        .order_by(part.table.c.position)
        .correlate(actions)
    )
    return sa.cast(json_rows(query, name=part.name), sa.Text)


def stored_and_before(
    session: Session, action_ids: Sequence[int], period: str
) -> tuple[dict[int, StoredProgress], dict[int, StoredProgress]]:
    """(the reports of a quarter, the latest earlier ones of its year) on those actions, by action id."""
    stored: dict[int, StoredProgress] = {}
    before: dict[int, StoredProgress] = {}
    bound = {"records": _ids(action_ids), "period": period, "year": period[:4]}
    for text, id in session.connection().execute(_both(session), bound):
        found = StoredProgress.parse(text)
        (stored if found.period == period else before)[id] = found
    return stored, before


def stored_progress(session: Session, action_ids: Sequence[int], period: str) -> dict[int, StoredProgress]:
    """The reports of a quarter on those actions, by action id."""
    return _stored(session, _of_quarter(session), action_ids, period=period)


def progress_before(session: Session, action_ids: Sequence[int], period: str) -> dict[int, StoredProgress]:
    """The latest earlier reports of the same year on those actions, by action id."""
    return _stored(session, _before_quarter(session), action_ids, period=period, year=period[:4])


@built_once
def _of_quarter(session: Session) -> Select[Any]:
    return _reports(session, progress.c.period == sa.bindparam("period"))


@built_once
def _before_quarter(session: Session) -> Select[Any]:
    return _reports(session, progress.c.period == _latest_before())


@built_once
def _both(session: Session) -> Select[Any]:
    quarter = progress.c.period == sa.bindparam("period")
    return _reports(session, sa.or_(quarter, progress.c.period == _latest_before()))


def _latest_before() -> ColumnElement[Any]:
    earlier = progress.alias("earlier")
    return (
        sa.select(sa.func.max(earlier.c.period))
        .where(
            earlier.c.action_id == progress.c.action_id,
            earlier.c.period < sa.bindparam("period"),
            earlier.c.period > sa.bindparam("year"),
        )
        .correlate(progress)
        .scalar_subquery()
    )


def _reports(session: Session, chosen: ColumnElement[bool]) -> Select[Any]:
    ids = records(session, {"action_id": progress.c.action_id.type})
    columns = [c for c in progress_columns() if c.name in {*ProgressIn.model_fields, "version", "period"}]
    query = sa.select(*columns, progress.c.action_id.label("_id"))
    return json_texts(query.where(progress.c.action_id.in_(sa.select(ids.c.action_id)), chosen), "_id")


def _stored(
    session: Session, statement: Select[Any], action_ids: Sequence[int], **bound: str
) -> dict[int, StoredProgress]:
    rows = session.connection().execute(statement, {"records": _ids(action_ids), **bound})
    return {id: StoredProgress.parse(text) for text, id in rows}


def _ids(action_ids: Sequence[int]) -> str:
    return to_json([{"action_id": id} for id in action_ids])


def latest_spent(
    session: Session, action_ids: Sequence[int], period: str, *, after: str | None = None
) -> dict[int, int]:
    """Action id → whole rupiah spent by the end of `period`, as its latest report of the year says; an
    action without a report (with `after`: one later than that quarter) is missing."""
    rows = session.execute(
        sa.select(progress.c.action_id, progress.c.spent)
        .where(
            progress.c.action_id.in_(action_ids),
            progress.c.period <= period,
            progress.c.period > (after or period[:4]),
        )
        .order_by(progress.c.period)
    )
    return {row.action_id: row.spent for row in rows}


# What is to be said of reports


def findings_of_report(line: Line, content: dict[str, Any], before: StoredProgress | None) -> list[Finding]:
    """What is to be said of a report, stored or not; `before` is the latest earlier one of the year."""
    return findings_of(
        content,
        before=before.figures if before else None,
        allocation=line.allocation,
        planned=line.known["recipients"],
    )


def findings_on(session: Session, line: Line, found: StoredProgress) -> list[Finding]:
    """What is to be said of one stored report."""
    before = progress_before(session, [line.id], found.period).get(line.id)
    return findings_of_report(line, found.content, before)


def findings_on_reports(session: Session, plan: Plan) -> Iterator[Placed]:
    """What is to be said of all reports on a plan's lines, each held to the one before it."""
    columns = [c for c in progress_columns() if c.name in {*ProgressIn.model_fields, "version", "period"}]
    query = (
        sa.select(*columns, actions.c.code.label("_code"))
        .select_from(progress.join(actions, actions.c.id == progress.c.action_id))
        .where(progress.c.plan_id == plan.id)
        .order_by(actions.c.code, progress.c.period)
    )
    reports = [
        (code, StoredProgress.parse(text)) for text, code in session.execute(json_texts(query, "_code"))
    ]
    lines = lines_by_code(session, plan, sorted({code for code, _ in reports}))
    earlier: dict[str, StoredProgress] = {}
    for code, report in reports:
        if code not in lines:
            continue  # taken out between the two statements
        for finding in findings_of_report(lines[code], report.content, earlier.get(code)):
            yield Placed(code, finding, report.period)
        earlier[code] = report
