"""Quarters of regions and parts of agencies: states, submissions and returns, extensions."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.agencies.models import refer_to_agency
from app.kit.database.engine import Table
from app.kit.fields import (
    AgencyCode,
    Day,
    Line,
    Prose,
    RegionCode,
    Shape,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.validation import RuleBroken
from app.kit.problems import Kind
from app.kit.wording import Text, declare_words
from app.reference.models import Timezone

QuarterPeriod = Annotated[str, describe_key("Quarter of a year in which the region has a plan.", "2026-Q2")]
SemesterPeriod = Annotated[str, describe_key("Half-year in which the region has a plan.", "2026-S1")]
ExtensionKey = Annotated[str, describe_key("Name of the extension in its quarter.", "banjir-juli")]

reason_required = Kind(
    "reason_required",
    id="wajib diisi untuk mengajukan tanpa laporan atau tanpa cakupan",
    en="is required to submit without reports or without coverage",
)


class QuarterState(StrEnum):
    """States of a region's quarter. Before the first step, the calendar decides between the first two."""

    not_yet_open = "not_yet_open"
    open = "open"
    submitted = "submitted"
    verified = "verified"
    frozen = "frozen"
    correcting = "correcting"


class PartState(StrEnum):
    """States of an agency's part of a quarter."""

    open = "open"
    submitted = "submitted"


declare_words(
    {
        QuarterState.not_yet_open: Text("belum dibuka", "not yet open"),
        QuarterState.open: Text("terbuka", "open"),
        QuarterState.submitted: Text("diajukan", "submitted"),
        QuarterState.verified: Text("diverifikasi", "verified"),
        QuarterState.frozen: Text("dibekukan", "frozen"),
        QuarterState.correcting: Text("dikoreksi", "in correction"),
    }
)

Reason = Annotated[Prose, ShapeField(min_length=1, max_length=1000)]
"""Reason for a write; the journal records it."""

QuarterVerb = Literal["submit", "return", "verify", "freeze", "correct"]
PartVerb = Literal["submit", "return"]

declare_words(
    {
        "submit": Text("mengajukan", "submit"),
        "return": Text("mengembalikan", "return"),
        "verify": Text("memverifikasi", "verify"),
        "freeze": Text("membekukan", "freeze"),
        "correct": Text("membuka koreksi", "open a correction"),
    }
)
declare_words({"": Text("tidak ada", "nothing")}, form="possible")
declare_words(
    {
        "submit": Text("diajukan", "submitted"),
        "return": Text("dikembalikan", "returned"),
        "verify": Text("diverifikasi", "verified"),
        "freeze": Text("dibekukan", "frozen"),
        "correct": Text("dibuka untuk koreksi", "opened for a correction"),
    },
    form="passive",
)


class SubmissionFields(BaseModel):
    """Times of the last submission and return. Officials appear by position."""

    submitted_at: datetime | None = ShapeField(default=None, description="Null before the first submission.")
    submitted_by: str | None = ShapeField(default=None, max_length=200)
    is_late: bool | None = ShapeField(
        default=None,
        description="True if the latest submission came after the deadline; a correction is never late by itself.",
    )
    late_by_days: int | None = ShapeField(
        default=None, description="Whole days after the deadline, by the calendar of that day; 0: in time."
    )
    missing_reason: str | None = ShapeField(
        default=None,
        max_length=1000,
        description="Reason to accept lines without a report, or missing coverage.",
    )
    returned_at: datetime | None = None
    returned_by: str | None = ShapeField(default=None, max_length=200)
    notes: str | None = ShapeField(
        default=None, max_length=10_000, description="Notes of the last return: the corrections to make."
    )


class QuarterRow(SubmissionFields, Table, table=True):
    """A quarter after its first step. Without a row, the calendar alone decides the state."""

    __tablename__ = "quarter"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period"), sa.Index(None, "period", "state"))

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7)
    year: int = Field(description="Possible partition key.")
    state: QuarterState
    copy_id: int | None = Field(
        default=None,
        foreign_key="plan_copy.id",
        ondelete="SET NULL",
        description="Copy of the plan that the quarter keeps from its submission on; null while it is open.",
    )
    amendment: int | None = Field(
        default=None, description="Number of the snapshot in force, from 0; null before it."
    )
    verified_at: datetime | None = None
    verified_by: str | None = Field(default=None, max_length=200)
    frozen_at: datetime | None = None
    correction_reason: str | None = Field(default=None, max_length=1000)
    version: int = 1
    updated_at: datetime


class QuarterPartRow(SubmissionFields, Table, table=True):
    """An agency's part of a quarter after its first step."""

    __tablename__ = "quarter_part"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period", "agency_code"), *refer_to_agency())

    region_code: str = Field(max_length=13)
    period: str = Field(max_length=7)
    agency_code: str = Field(max_length=40)
    year: int
    state: PartState
    version: int = 1
    updated_at: datetime


class ExtensionFields(BaseModel):
    """More time for a quarter."""

    agency_code: AgencyCode | None = ShapeField(
        default=None, description="Agency with more time; null: the region with all its agencies."
    )
    until: Day = ShapeField(description="Last day of the extension, in the region's zone.")
    reason: Line


class QuarterExtensionRow(ExtensionFields, Table, table=True):
    __tablename__ = "quarter_extension"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period", "name"), *refer_to_agency())

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7)
    name: str = Field(max_length=40)
    agency_code: str | None = Field(default=None, max_length=40)
    reason: str = Field(max_length=500)
    granted_at: datetime
    granted_by: str = Field(max_length=200)
    version: int = 1


_SUBMISSION: JsonDict = {"accept_missing": True, "reason": "Dua kegiatan dimulai pada triwulan berikutnya"}


class PartSubmitIn(Shape):
    """Body of the submission of a part."""

    accept_missing: bool = ShapeField(
        default=False, description="Submit although lines have no report; needs a `reason`."
    )
    reason: Reason | None = None

    model_config = show_example(_SUBMISSION)

    @property
    def accepts(self) -> bool:
        """Return whether the submission accepts that something is missing."""
        return self.accept_missing

    @model_validator(mode="after")
    def _check_reason(self) -> Self:
        if self.accepts and not self.reason:
            raise RuleBroken(reason_required, at="/reason")
        return self


class QuarterSubmitIn(PartSubmitIn):
    """Body of the submission of a quarter."""

    accept_without_coverage: bool = ShapeField(
        default=False,
        description="Submit although priority locations have no coverage of the quarter; needs a `reason`. Only for "
        "regencies and cities.",
    )

    model_config = show_example(_SUBMISSION, accept_without_coverage=True)

    @property
    def accepts(self) -> bool:
        return self.accept_missing or self.accept_without_coverage


class QuarterReturnIn(Shape):
    """Notes of a return: the corrections to make."""

    notes: Prose = ShapeField(min_length=1)

    model_config = show_example(notes="Realisasi A-014 melebihi pagu; mohon diperiksa")


class QuarterCorrectIn(Shape):
    """Reason for a correction of a frozen quarter, and the revision that it moves to."""

    reason: Reason
    revision: int | None = ShapeField(
        default=None,
        ge=0,
        description="Revision of the plan that the figures compare with from now on; null: as before.",
    )

    model_config = show_example(reason="Koreksi realisasi setelah pemeriksaan BPK", revision=None)


_EXTENSION: JsonDict = {"agency_code": None, "until": "2026-07-31", "reason": "Banjir di enam kecamatan"}


class ExtensionIn(ExtensionFields, Shape):
    """Fields of an extension to grant."""

    model_config = show_example(_EXTENSION)


class ExtensionOut(ExtensionFields):
    """An extension of a quarter, or of one agency's part of it."""

    region_code: RegionCode
    period: str
    name: str
    granted_at: datetime
    granted_by: str
    version: Version

    model_config = show_example(
        _EXTENSION,
        region_code="63.02",
        period="2026-Q2",
        name="banjir-juli",
        granted_at="2026-07-10T03:00:00+00:00",
        granted_by="bappeda-kalsel",
        version=1,
    )


REVISION = (
    "Revision of the plan that the figures compare with; null: the plan as submitted, until then as it is."
)
_MOVED: JsonDict = dict.fromkeys(SubmissionFields.model_fields)
VERSION_0 = "0 before the first step; send it as `If-Match`, as any other version."


class PartFields(BaseModel):
    """Agency and state of a part of a quarter."""

    agency_code: AgencyCode
    agency_name: str
    state: PartState
    merged_into: AgencyCode | None = ShapeField(description="Code of the agency that took over its lines.")


class PartOut(SubmissionFields, PartFields):
    """Part of an agency: the lines that it leads, after a merge also those of the agencies that it continues.

    In a submitted quarter it is the agency that the revision of the plan names, and `merged_into` acts for it.
    """

    deadline: datetime = ShapeField(description="End of the last day in time, extensions included.")
    expected: int = ShapeField(description="Lines that it leads on which a report of the quarter is due.")
    reported: int = ShapeField(description="Lines with a report of the quarter.")
    version: int = ShapeField(description=VERSION_0)


_PART: JsonDict = {
    **_MOVED,
    "agency_code": "1.06.0.00.0.00.08.0000",
    "agency_name": "Dinas Sosial",
    "state": "open",
    "merged_into": None,
    "deadline": "2026-07-20T23:59:59+08:00",
    "expected": 12,
    "reported": 11,
    "version": 0,
}


class PartReply(PartOut):
    """Part of an agency, with the steps that the caller may take."""

    region_code: RegionCode
    period: str
    allowed: list[PartVerb]

    model_config = show_example(_PART, region_code="63.02", period="2026-Q2", allowed=["submit"])


_QUARTER: JsonDict = {
    **_MOVED,
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "period": "2026-Q2",
    "plan": "63.02-2026",
    "revision": 0,
    "state": "open",
    "timezone": "WITA",
    "opens_on": "2026-04-01",
    "due_on": "2026-07-20",
    "closes_on": None,
    "deadline": "2026-07-20T23:59:59+08:00",
    "expected": 156,
    "reported": 120,
    "verified_at": None,
    "verified_by": None,
    "frozen_at": None,
    "amendment": None,
    "correction_reason": None,
    "version": 0,
}


class _Quarter(BaseModel):
    region_code: RegionCode
    region_name: str
    period: str
    plan: str
    revision: int | None = ShapeField(description=REVISION)
    state: QuarterState


class QuarterOut(SubmissionFields, _Quarter):
    """Quarter of a region in a list."""

    timezone: Timezone
    opens_on: date
    due_on: date = ShapeField(description="Last day in time by the calendar; `deadline` includes extensions.")
    closes_on: date | None
    deadline: datetime = ShapeField(description="End of the last day in time, extensions included.")
    expected: int = ShapeField(description="Lines of the plan on which a report of the quarter is due.")
    reported: int = ShapeField(description="Lines with a report of the quarter.")
    verified_at: datetime | None
    verified_by: str | None
    frozen_at: datetime | None
    amendment: int | None = ShapeField(description="Number of the snapshot in force, from 0; null before it.")
    correction_reason: str | None = ShapeField(description="Reason of the current or the last correction.")
    version: int = ShapeField(description=VERSION_0)

    model_config = show_example(_QUARTER)


class QuarterReply(QuarterOut):
    """Quarter with its calendar, extensions and parts, and the steps that the caller may take."""

    calendar_set_by: RegionCode | None = ShapeField(
        description="Region that set the days; null: the shipped calendar."
    )
    extensions: list[ExtensionOut]
    parts: list[PartOut] = ShapeField(description="One for each agency that leads a line.")
    loci_without_coverage: list[str] = ShapeField(
        description="Priority locations of a regency or city that have no coverage of the quarter."
    )
    allowed: list[QuarterVerb]

    model_config = show_example(
        _QUARTER,
        calendar_set_by=None,
        extensions=[],
        parts=[_PART],
        loci_without_coverage=["63.02.05.2001"],
        allowed=["submit"],
    )


class SemesterReply(BaseModel):
    """Half-year: its last quarter decides, since every figure is cumulative."""

    region_code: RegionCode
    period: str
    state: QuarterState = ShapeField(description="State of its last quarter.")
    to_quarter: str = ShapeField(description="Last quarter: the figures are cumulative to its end.")
    revision: int | None = ShapeField(description=f"{REVISION} The one of its last quarter.")
    snapshot: str | None = ShapeField(
        description="Address of the snapshot of its last quarter; null before it."
    )
    quarters: list[QuarterOut]

    model_config = show_example(
        region_code="63.02",
        period="2026-S1",
        state="open",
        to_quarter="2026-Q2",
        revision=0,
        snapshot=None,
        quarters=[{**_QUARTER, "period": "2026-Q1"}, _QUARTER],
    )
