"""Reading progress and summing it up."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.kit.db import table_of
from app.kit.json_sql import fields_of, json_rows, json_texts
from app.kit.pages import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.queries import actions, plans
from app.tracking.models import PROGRESS_PARTS, ProgressIn, ProgressOut, ProgressPart, ProgressRow

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


def list_progress(plan: sa.Row[Any], period: str) -> Listing:
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
    query = sa.select(*progress_columns()).where(progress.c.action_id == action_id, progress.c.period == period)
    text = session.execute(json_texts(query)).scalar_one_or_none()
    if text is None:
        raise NotFound()
    return str(text)


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


def stored_progress(session: Session, action_ids: Sequence[int], period: str) -> dict[int, StoredProgress]:
    """The reports of a quarter on those actions, by action id."""
    return _stored(session, sa.and_(progress.c.action_id.in_(action_ids), progress.c.period == period))


def progress_before(session: Session, action_ids: Sequence[int], period: str) -> dict[int, StoredProgress]:
    """The latest earlier reports of the same year on those actions, by action id."""
    earlier = progress.alias("earlier")
    latest = (
        sa.select(sa.func.max(earlier.c.period))
        .where(
            earlier.c.action_id == progress.c.action_id, earlier.c.period < period, earlier.c.period > period[:4]
        )
        .correlate(progress)
        .scalar_subquery()
    )
    return _stored(session, sa.and_(progress.c.action_id.in_(action_ids), progress.c.period == latest))


def latest_spent(session: Session, action_ids: Sequence[int], period: str, *, after: str | None = None) -> dict[int, int]:
    """Action id → whole rupiah spent by the end of `period`, as its latest report of the year says; an
    action without a report (with `after`: one later than that quarter) is missing."""
    rows = session.execute(
        sa.select(progress.c.action_id, progress.c.spent)
        .where(progress.c.action_id.in_(action_ids), progress.c.period <= period, progress.c.period > (after or period[:4]))
        .order_by(progress.c.period)
    )
    return {row.action_id: row.spent for row in rows}


def _stored(session: Session, chosen: ColumnElement[bool]) -> dict[int, StoredProgress]:
    query = sa.select(*progress_columns(), progress.c.action_id.label("_id")).where(chosen)
    return {id: StoredProgress.parse(text) for text, id in session.execute(json_texts(query, "_id"))}
