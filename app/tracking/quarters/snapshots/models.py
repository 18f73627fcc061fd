"""Snapshots of quarters: table, shapes and content."""

from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import Path
from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Key, RegionCode, describe_key, show_example
from app.kit.openapi.schemas import since
from app.plans.actions.examples import ACTION_EXAMPLE
from app.plans.actions.models import ActionIn
from app.tracking.progress.models import PROGRESS_EXAMPLE, PhysicalBasis, ProgressIn

SnapshotPeriod = Annotated[str, describe_key("Frozen quarter.", "2026-Q1")]
AmendmentNumber = Annotated[
    int, Path(ge=1, le=1_000_000, description="Number of the amendment, from 1.", examples=[1])
]


class SnapshotRow(Table, table=True):
    """Frozen quarter; immutable."""

    __tablename__ = "snapshot"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period", "amendment"),)

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7, index=True)
    amendment: int = Field(description="Number of the correction; 0: the first snapshot.")
    year: int = Field(description="Possible partition key.")
    plan: str = Field(max_length=20)
    revision: int | None = None
    content: str = Field(description="Canonical JSON (RFC 8785).")
    sha256: str = Field(max_length=64, description="Of `content`, hex.")
    row_count: int
    reason: str | None = Field(default=None, max_length=1000)
    frozen_at: datetime
    frozen_by: str = Field(max_length=200)


class SnapshotHead(BaseModel):
    """Head of a snapshot, without its rows."""

    region_code: RegionCode
    period: str
    amendment: int = ShapeField(description="Number of the correction; 0: the first snapshot.")
    plan: str
    revision: int | None = ShapeField(
        description="Revision of the plan that has its lines; null: the plan as submitted."
    )
    row_count: int = ShapeField(description="Lines of the plan, with or without a report.")
    reason: str | None = ShapeField(description="Reason of the correction; null in the first snapshot.")
    frozen_at: datetime


_HEAD: JsonDict = {
    "region_code": "63.02",
    "period": "2026-Q1",
    "amendment": 0,
    "plan": "63.02-2026",
    "revision": None,
    "row_count": 156,
    "reason": None,
    "frozen_at": "2026-05-02T03:00:00+00:00",
}


class SnapshotOut(SnapshotHead):
    """Snapshot in a list, with its address and hash."""

    sha256: str = ShapeField(description="SHA-256 of the bytes at `address`, hex.")
    frozen_by: str = ShapeField(description="Position or service, never a person. Empty in public replies.")
    address: str

    model_config = show_example(
        _HEAD,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        frozen_by="bappeda-kalsel",
        address="/v1/snapshots/2026-Q1/63.02",
    )


_REPORT: JsonDict = {
    **PROGRESS_EXAMPLE,
    "physical_percent": 30,
    "physical_basis": "milestones",
    "reported_at": "2026-04-08T03:00:00+00:00",
    "reported_by": "dinas-sosial",
}


class SnapshotReport(ProgressIn):
    """Report on a line; every figure cumulative from January."""

    physical_percent: float | None
    physical_basis: PhysicalBasis | None
    reported_at: datetime
    reported_by: str

    model_config = show_example(_REPORT)


class CarriedReport(BaseModel):
    """Figures of the earlier report that counts for a line without a report of the quarter."""

    spent: int = ShapeField(description="Whole rupiah, cumulative from January.")
    period: str = ShapeField(description="Quarter of the report.")
    physical_percent: float | None


_LINE: JsonDict = {**ACTION_EXAMPLE, "action": "A-001", "report": _REPORT, "carried": None}


class SnapshotLine(ActionIn):
    """Line of the quarter's revision, with its report of the quarter or null."""

    action: Key
    report: SnapshotReport | None
    carried: CarriedReport | None = ShapeField(
        description="Figures that count for a line without a report of the quarter: those of its latest earlier report "
        "of the year. Null with a report, and without any.",
        json_schema_extra=since("1.1"),
    )

    model_config = show_example(_LINE)


class SnapshotAgency(BaseModel):
    code: str
    name: str = ShapeField(description="Name at the freezing.")


class SnapshotSums(BaseModel):
    reported: int = ShapeField(description="Lines due in the quarter that have a report of it.")
    allocated: int | None = ShapeField(description="Whole rupiah of all lines; null beyond 2^53 - 1.")
    spent: int | None = ShapeField(
        description="Whole rupiah, cumulative, with the figures of `carried` as in the summary; null beyond 2^53 - 1. "
        "Quarters that were frozen before release 1.1 leave these out."
    )


class Snapshot(SnapshotHead):
    """Frozen quarter, complete."""

    region_name: str
    submitted_at: datetime
    is_late: bool
    missing_reason: str | None
    verified_at: datetime
    agencies: list[SnapshotAgency]
    sums: SnapshotSums
    rows: list[SnapshotLine]

    model_config = show_example(
        _HEAD,
        row_count=1,
        region_name="Kabupaten Kotabaru",
        submitted_at="2026-04-18T03:00:00+00:00",
        is_late=False,
        missing_reason=None,
        verified_at="2026-04-28T03:00:00+00:00",
        agencies=[{"code": "1.06.0.00.0.00.08.0000", "name": "Dinas Sosial"}],
        sums={"reported": 1, "allocated": 250000000, "spent": 120000000},
        rows=[_LINE],
    )
