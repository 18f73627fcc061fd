"""Revisions of a plan and the amendment that is drafted beside the one in force (domain, section 5)."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from app.kit.db import Table


class Instrument(StrEnum):
    """The legal form by which a region adopts its plan."""

    decree = "decree"
    regulation = "regulation"


class PlanRevisionRow(Table, table=True):
    """A plan as it was adopted; never changed, never deleted."""

    __tablename__ = "plan_revision"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True)
    number: int = Field(primary_key=True, description="0 is the first that was adopted.")
    content: str = Field(description="The plan with all its actions as canonical JSON (RFC 8785).")
    sha256: str = Field(max_length=64, description="Of `content`, hex.")
    action_count: int
    allocation: int
    instrument: Instrument
    instrument_number: str = Field(max_length=500)
    instrument_date: date
    adopted_at: datetime
    adopted_by: str = Field(max_length=200)


class AmendmentRow(Table, table=True):
    """What shall become a plan's next revision."""

    __tablename__ = "plan_amendment"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True)
    content: dict[str, Any] | None = Field(
        default=None,
        sa_type=sa.JSON,
        description="The plan's own fields as they shall be; null: as they are.",
    )
    reasons: list[dict[str, Any]] = Field(sa_type=sa.JSON)
    opened_at: datetime
    version: int = 1


class AmendmentActionRow(Table, table=True):
    """A line as it shall be in the next revision."""

    __tablename__ = "plan_amendment_action"

    plan_id: int = Field(foreign_key="plan_amendment.plan_id", primary_key=True, ondelete="CASCADE")
    code: str = Field(primary_key=True, max_length=40)
    content: dict[str, Any] | None = Field(
        default=None, sa_type=sa.JSON, description="Null: the line is taken out."
    )
    reasons: list[dict[str, Any]] = Field(sa_type=sa.JSON)
    version: int = 1
    updated_at: datetime
