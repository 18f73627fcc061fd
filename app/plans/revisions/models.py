"""Revisions of a plan: immutable copies, each with its instrument of adoption (domain, section 5)."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Day, Line, RegionCode, Shape, Version, describe_key, show_example
from app.plans.actions.examples import ACTION_EXAMPLE
from app.plans.actions.models import ActionItem
from app.plans.core.models import PLAN_EXAMPLE, REASON_EXAMPLE, Instrument, PlanIn, Reason

RevisionNumber = Annotated[str, describe_key("Number of the revision, from 0.", "0")]


class RevisionFields(BaseModel):
    """The instrument of a revision's adoption."""

    plan: str = ShapeField(description="Key of the plan: region and year.")
    revision: int = ShapeField(description="0 is the first; each adoption of an amendment makes the next.")
    instrument: Instrument
    instrument_number: str
    instrument_date: date = ShapeField(
        description="Day of the instrument, from which the revision is in force."
    )


_SIGNED: JsonDict = {
    "plan": "63.02-2026",
    "revision": 0,
    "instrument": "decree",
    "instrument_number": "188.45/17/KUM/2025",
    "instrument_date": "2025-12-19",
}


class RevisionOut(RevisionFields):
    """A revision of a plan, without its content."""

    adopted_at: datetime = ShapeField(
        description="Instant of the entry in this service, on or after `instrument_date`."
    )
    adopted_by: str = ShapeField(description="Position or service, never a person. Empty for the public.")
    action_count: int
    allocation: int = ShapeField(description="Whole rupiah of all actions.")
    sha256: str = ShapeField(description="SHA-256 (hex) of the revision's bytes.")

    model_config = show_example(
        _SIGNED,
        adopted_at="2025-12-22T02:11:09.481516+00:00",
        adopted_by="ketua-tkpk-kotabaru",
        action_count=156,
        allocation=632470087081,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )


class RevisionAction(ActionItem):
    """An action of a revision."""

    version: Version

    model_config = show_example({"code": "A-001", "version": 3}, ACTION_EXAMPLE)


class ChangeReason(Reason):
    """A reason for a change since the previous revision, in the plan or in one of its lines."""

    action: str | None = ShapeField(description="Key of the line; null: the plan itself.")

    model_config = show_example({"action": "A-001"}, REASON_EXAMPLE)


class RevisionContent(PlanIn, RevisionFields):
    """The content of a revision: the plan's own fields, and every action by code."""

    region_code: RegionCode
    year: int
    purpose: str | None = ShapeField(description="Purpose of the amendment; null in the first revision.")
    reasons: list[ChangeReason] = ShapeField(
        description="Reasons for the changes since the previous revision; empty in the first."
    )
    actions: list[RevisionAction]

    model_config = show_example(
        PLAN_EXAMPLE,
        _SIGNED,
        region_code="63.02",
        year=2026,
        purpose=None,
        reasons=[],
        actions=[{"code": "A-001", "version": 3, **ACTION_EXAMPLE}],
    )


class AdoptIn(Shape):
    """The legal instrument by which a region puts its plan into force."""

    instrument: Instrument
    number: Line = ShapeField(description="Number on the instrument.")
    date: Day = ShapeField(description="Day of the signature; not after today in the plan's region.")

    model_config = show_example(instrument="decree", number="188.45/17/KUM/2025", date="2025-12-19")


# Tables


class PlanRevisionRow(Table, table=True):
    """A frozen plan; no command changes or deletes it."""

    __tablename__ = "plan_revision"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True)
    number: int = Field(primary_key=True, description="Number of the revision, from 0.")
    content: str = Field(description="The plan with all its actions as canonical JSON (RFC 8785).")
    sha256: str = Field(max_length=64, description="SHA-256 of `content`, hex.")
    action_count: int
    allocation: int
    instrument: Instrument
    instrument_number: str = Field(max_length=500)
    instrument_date: date
    adopted_at: datetime
    adopted_by: str = Field(max_length=200)
    plan_version: int = Field(
        description="Version of the plan at the adoption; readers see it until the next adoption."
    )
