"""Queries of snapshots by visible region; and of the lines and reports that make up a snapshot."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_read_frozen, can_see_region, is_in_region
from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_object, build_once, select_fields, select_json
from app.kit.fields import RegionCode
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.periods import Quarter
from app.kit.problems import require_found
from app.plans.copies.queries import COPIED, build_content_columns
from app.tracking.progress.queries import is_own, is_own_report, list_progress_columns, progress
from app.tracking.quarters.snapshots.models import CarriedReport, SnapshotOut, SnapshotReport, SnapshotRow

snapshots = get_table(SnapshotRow)


class SnapshotsQuery(PageQuery):
    """Filters of snapshots; a snapshot must meet all of them."""

    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    period: Quarter | None = Field(default=None, description="Only those of this quarter.")
    sort: Literal["region_code", "-region_code", "period", "-period"] = "region_code"


class AmendmentsQuery(PageQuery):
    """Amendments of a frozen quarter."""

    sort: Literal["amendment", "-amendment"] = "amendment"


def _select_snapshots(actor: Actor) -> Select[Any]:
    c = snapshots.c
    plain = sa.literal("/v1/snapshots/") + c.period + "/" + c.region_code
    address = sa.case((c.amendment == 0, plain), else_=plain + "/amendments/" + sa.cast(c.amendment, sa.Text))
    # Only actors that see the region see the position.
    frozen_by = sa.case((can_see_region(actor, c.region_code), c.frozen_by), else_="")
    columns = select_fields(SnapshotOut, snapshots, address=address, frozen_by=frozen_by)
    return sa.select(*columns).where(can_read_frozen(actor, c.region_code))


def list_snapshots(actor: Actor, query: SnapshotsQuery) -> Listing:
    """Return every snapshot that the actor sees, with amendments."""
    c = snapshots.c
    rows = _select_snapshots(actor).where(
        is_in_region(c.region_code, query.region), *match_values((c.period, query.period))
    )
    key = {"region_code": c.region_code, "period": c.period, "amendment": c.amendment}
    return Listing(rows, {"region_code": c.region_code, "period": c.period}, key)


def list_amendments(session: Session, actor: Actor, region: str, period: str) -> Listing:
    """Return the amendments of a frozen quarter. Raises NotFound if it has no visible snapshot."""
    find_snapshot(session, actor, region, period)
    c = snapshots.c
    rows = _select_snapshots(actor).where(c.region_code == region, c.period == period, c.amendment > 0)
    return Listing(rows, {"amendment": c.amendment}, {"amendment": c.amendment})


def is_latest() -> ColumnElement[bool]:
    """Return the predicate: no amendment of the region's quarter is newer than the snapshot."""
    c, newer = snapshots.c, snapshots.alias("newer").c
    same = (newer.region_code == c.region_code, newer.period == c.period)
    return ~sa.exists().where(*same, newer.amendment > c.amendment)


class SnapshotKey(NamedTuple):
    """Key and hash of a snapshot."""

    region_code: str
    period: str
    amendment: int
    sha256: str


def find_snapshot(
    session: Session, actor: Actor, region: str, period: str, amendment: int = 0
) -> SnapshotKey:
    """Return the first snapshot of a quarter, or an amendment. Raises NotFound if it is not visible."""
    c = snapshots.c
    row = session.execute(
        sa.select(*[c[name] for name in SnapshotKey._fields]).where(
            can_read_frozen(actor, c.region_code),
            c.region_code == region,
            c.period == period,
            c.amendment == amendment,
        )
    ).one_or_none()
    return SnapshotKey(*require_found(row))


def read_content(session: Session, key: SnapshotKey) -> bytes:
    """Return the canonical JSON of a snapshot."""
    c = snapshots.c
    text: str = session.execute(
        sa.select(c.content).where(
            c.region_code == key.region_code, c.period == key.period, c.amendment == key.amendment
        )
    ).scalar_one()
    return text.encode()


def read_lines_with_reports(session: Session, copy_id: int, period: str) -> Iterator[str]:
    """Yield the lines of a submitted quarter's copy as JSON (`SnapshotLine`), by code."""
    bound = {"of_copy": copy_id, "period": period}
    for row in session.connection().execute(_select_lines_with_reports(session), bound):
        yield row[0]


def select_report_of_line(lines: sa.Table) -> ColumnElement[Any]:
    """Return the report of a line in the quarter bound as `period`, as `SnapshotReport`; null without one."""
    report = (
        sa.select(
            *[column for column in list_progress_columns() if column.name in SnapshotReport.model_fields]
        )
        .where(is_own_report(lines, sa.bindparam("period", type_=progress.c.period.type)))
        .correlate(lines)
    )
    return build_json_object(report, name="of_quarter")


def select_carried_report(lines: sa.Table, *, is_closed: bool) -> ColumnElement[Any]:
    """Return the `CarriedReport` of a line in the quarter bound as `period`; null without one.

    A submitted quarter has the copy of it that its submission made, so later reports on earlier quarters do not count.
    """
    c, quarter = progress.c, sa.bindparam("period", type_=progress.c.period.type)
    if is_closed:
        of_period, counts = c.carried_from, sa.and_(c.period == quarter, sa.not_(is_own))
    else:
        newest = progress.alias("newest").c
        is_earlier = (
            newest.action_id == c.action_id,
            newest.carried_from.is_(None),
            newest.period <= quarter,
        )
        latest = (
            sa.select(sa.func.max(newest.period)).where(*is_earlier).correlate(progress).scalar_subquery()
        )
        of_period, counts = c.period, sa.and_(is_own, c.period == latest, c.period < quarter)
    columns = select_fields(CarriedReport, progress, period=of_period)
    report = sa.select(*columns).where(c.action_id == lines.c.id, counts).correlate(lines)
    return build_json_object(report, name="carried_into")


@build_once
def _select_lines_with_reports(session: Session) -> Select[str]:
    lines = COPIED.lines
    query = sa.select(
        *build_content_columns(COPIED),
        lines.c.code.label("action"),
        select_report_of_line(lines).label("report"),
        select_carried_report(lines, is_closed=True).label("carried"),
    )
    return select_json(query.where(COPIED.is_of_plan).order_by(lines.c.code))
