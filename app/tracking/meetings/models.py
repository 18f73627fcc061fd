"""Shapes and tables of coordination meetings (rakor) and joint commitments."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

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
    Key,
    Line,
    Prose,
    RegionCode,
    SecureLink,
    Shape,
    Statement,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.pagination import PageQuery
from app.kit.http.validation import RuleBroken, duplicate_key, refuse_repeated
from app.tracking.meetings.rules import CommitmentState, CommitmentVerb

_DINSOS = "1.06.0.00.0.00.08.0000"

MEETING_EXAMPLE: JsonDict = {
    "title": "Rakor TKPK Kabupaten Kotabaru I",
    "date": "2025-03-11",
    "place": "Aula Bappeda",
    "agenda": ["Sinkronisasi data DTSEN", "Pembagian lokus per perangkat daerah"],
    "minutes_url": "https://berkas.kotabarukab.go.id/rakor-1.pdf",
    "document_number": "400.9/021/TKPK/2025",
    "agencies_present": [_DINSOS],
}

MEETING_OUT_EXAMPLE: JsonDict = {
    **MEETING_EXAMPLE,
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "code": "R-01",
    "state": "held",
    "commitment_count": 1,
    "version": 1,
    "updated_at": "2025-03-12T01:20:00+00:00",
}

COMMITMENT_EXAMPLE: JsonDict = {
    "text": "Menyerahkan daftar keluarga desil 1 yang belum terlayani di tiap lokus",
    "meeting": "R-01",
    "responsible_agency": _DINSOS,
    "due": "2025-06-30",
    "signatory_positions": ["Wakil Bupati Kotabaru", "Kepala Dinas Sosial"],
    "linked_actions": [{"plan": "63.02-2026", "action": "A-001"}],
}

FOLLOW_UP_EXAMPLE: JsonDict = {
    "note": "Daftar 14 dari 22 kecamatan sudah diserahkan",
    "evidence_url": "https://berkas.kotabarukab.go.id/daftar-14.pdf",
}

COMMITMENT_OUT_EXAMPLE: JsonDict = {
    **COMMITMENT_EXAMPLE,
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "code": "K-01",
    "state": "in_progress",
    "overdue": True,
    "days_overdue": 12,
    "follow_ups": [
        {
            **FOLLOW_UP_EXAMPLE,
            "at": "2025-05-20T03:04:05.123456+00:00",
            "by": "opd-dinsos",
            "state": "in_progress",
        }
    ],
    "version": 2,
    "updated_at": "2025-05-20T03:04:05.123456+00:00",
}

MeetingKey = Annotated[
    str, describe_key("Key of the meeting in its region, chosen by its author: a date or a number.", "R-01")
]
CommitmentKey = Annotated[
    str, describe_key("Key of the commitment in its region, chosen by its author.", "K-01")
]


class MeetingState(StrEnum):
    """Derived states of a meeting: `planned` before its day in the region's zone, then `held` with attendance, else
    `unconfirmed`."""

    planned = "planned"
    held = "held"
    unconfirmed = "unconfirmed"


class MeetingFields(BaseModel):
    date: Day = ShapeField(description="Day of the meeting, in the region's zone.")
    title: Line
    place: Line | None = None
    agenda: list[Line] = ShapeField(default_factory=list, max_length=50)
    minutes_url: SecureLink | None = ShapeField(default=None, description="Address of the minutes (https).")
    document_number: Line | None = ShapeField(
        default=None, description="Number of the minutes or the invitation."
    )
    note: Prose = ""


class MeetingIn(MeetingFields, Shape):
    """Content of a meeting to write."""

    agencies_present: list[AgencyCode] = ShapeField(
        default_factory=list,
        max_length=300,
        description="Codes of the region's agencies that attended; empty before the meeting.",
    )

    model_config = show_example(MEETING_EXAMPLE)

    @model_validator(mode="after")
    def _check_agencies(self) -> "MeetingIn":
        refuse_repeated(self.agencies_present, at="/agencies_present")
        return self


class MeetingOut(MeetingIn):
    """Meeting with its region, state and version."""

    region_code: RegionCode
    region_name: str
    code: Key
    state: MeetingState
    commitment_count: int = ShapeField(description="Commitments made there.")
    version: Version
    updated_at: datetime

    model_config = show_example(MEETING_OUT_EXAMPLE)


class MeetingReply(MeetingOut):
    """Meeting with the operations that the caller may use."""

    allowed: list[Literal["edit", "delete"]] = ShapeField(
        description="`delete` is missing while commitments refer to the meeting."
    )

    model_config = show_example(MEETING_OUT_EXAMPLE, allowed=["edit"])


class RegionMeetingQuery(PageQuery):
    """Filters of meetings; a meeting must meet all of them."""

    year: int | None = ShapeField(default=None, ge=2015, le=2100, description="Year of the meeting's day.")
    agency: AgencyCode | None = ShapeField(
        default=None, description="Only meetings that this agency attended."
    )
    state: MeetingState | None = ShapeField(default=None, description="Only meetings in this state today.")
    sort: Literal["date", "-date", "code", "-code"] = "date"


class MeetingQuery(RegionMeetingQuery):
    """Filters of meetings of all visible regions."""

    region: RegionCode | None = ShapeField(default=None, description="This region and everything below it.")


class LinkedAction(Shape):
    """Line of a plan that serves the commitment."""

    plan: str = ShapeField(
        max_length=20, pattern=r"^[0-9.]+-[0-9]{4}$", description="Key of the plan: region and year."
    )
    action: Key


class CommitmentFields(BaseModel):
    text: Statement = ShapeField(description="Text of the promise.")
    meeting: Key | None = ShapeField(
        default=None, description="Key of the meeting of the region that led to the commitment."
    )
    responsible_agency: AgencyCode
    due: Day = ShapeField(description="Last day, in the region's zone.")
    signatory_positions: list[Line] = ShapeField(
        default_factory=list,
        max_length=50,
        description="Positions of the signatories (`Kepala Dinas Sosial`); never a person's name.",
    )


class CommitmentIn(CommitmentFields, Shape):
    """Content of a commitment to write; only transitions change its state."""

    supporting_agencies: list[AgencyCode] = ShapeField(default_factory=list, max_length=50)
    linked_actions: list[LinkedAction] = ShapeField(
        default_factory=list,
        max_length=100,
        description="Lines of the region's plans; a province can link lines of its regencies. The service refuses to "
        "delete a linked line.",
    )

    model_config = show_example(COMMITMENT_EXAMPLE)

    @model_validator(mode="after")
    def _check_repetitions(self) -> "CommitmentIn":
        refuse_repeated(self.supporting_agencies, at="/supporting_agencies")
        for n, agency in enumerate(self.supporting_agencies):
            if agency == self.responsible_agency:
                raise RuleBroken(duplicate_key, at=f"/supporting_agencies/{n}", value=agency)
        refuse_repeated((f"{link.plan}/{link.action}" for link in self.linked_actions), at="/linked_actions")
        return self


class FollowUpFields(BaseModel):
    note: Statement = ShapeField(description="Work done, or reason; name positions, never persons.")
    evidence_url: SecureLink | None = ShapeField(default=None, description="Address of the evidence (https).")


class FollowUpIn(FollowUpFields, Shape):
    """Note and evidence of a step of the follow-up."""

    model_config = show_example(FOLLOW_UP_EXAMPLE)


class FollowUp(FollowUpFields):
    """Entry of the follow-up; immutable."""

    at: datetime
    by: str = ShapeField(description="Position or service, never a person.")
    state: CommitmentState = ShapeField(description="State of the commitment from then on.")


class CommitmentOut(CommitmentIn):
    """Commitment with its region, state, version and follow-up."""

    region_code: RegionCode
    region_name: str
    code: Key
    state: CommitmentState
    overdue: bool = ShapeField(description="Pending after its last day, in the region's zone.")
    days_overdue: int = ShapeField(description="Days since its last day; 0 if it is not overdue.")
    follow_ups: list[FollowUp] = ShapeField(description="Entries in the order of time.")
    version: Version
    updated_at: datetime

    model_config = show_example(COMMITMENT_OUT_EXAMPLE)


class CommitmentReply(CommitmentOut):
    """Commitment with the steps that the caller may take."""

    allowed: list[CommitmentVerb] = ShapeField(
        description="Steps from this state: `start`, `complete`, `cancel`, `reopen`, and `note` for `…/follow-ups`; "
        "`edit` and `delete` before it closes."
    )

    model_config = show_example(COMMITMENT_OUT_EXAMPLE, allowed=["note", "complete"])


class RegionCommitmentQuery(PageQuery):
    """Filters of commitments; a commitment must meet all of them."""

    state: CommitmentState | None = ShapeField(default=None, description="Only commitments in this state.")
    overdue: bool | None = ShapeField(
        default=None, description="Only those that are overdue today (`true`) or are not (`false`)."
    )
    agency: AgencyCode | None = ShapeField(
        default=None, description="Only those that this agency is responsible for or supports."
    )
    meeting: Key | None = ShapeField(default=None, description="Only those of the meeting with this key.")
    due_before: Day | None = ShapeField(default=None, description="Only those due before this day.")
    sort: Literal["due", "-due", "code", "-code"] = "due"


class CommitmentQuery(RegionCommitmentQuery):
    """Filters of commitments of all visible regions."""

    region: RegionCode | None = ShapeField(default=None, description="This region and everything below it.")


class MeetingRow(MeetingFields, Table, table=True):
    __tablename__ = "meeting"
    __table_args__ = (sa.UniqueConstraint("region_code", "code"),)

    id: int | None = Field(default=None, primary_key=True)
    region_code: str = Field(foreign_key="region.code", max_length=13)
    code: str = Field(max_length=40)
    minutes_url: str | None = Field(default=None, max_length=2000)
    agenda: list[str] = Field(sa_type=sa.JSON)
    version: int = 1
    updated_at: datetime


class MeetingAgencyRow(Table, table=True):
    """An agency that attended a meeting."""

    __tablename__ = "meeting_agency"
    __table_args__ = refer_to_agency()

    meeting_id: int = Field(foreign_key="meeting.id", primary_key=True, ondelete="CASCADE")
    agency_code: str = Field(primary_key=True, max_length=40)
    region_code: str = Field(max_length=13)
    position: int


class CommitmentRow(CommitmentFields, Table, table=True):
    __tablename__ = "commitment"
    __table_args__ = (
        sa.UniqueConstraint("region_code", "code"),
        sa.ForeignKeyConstraint(["region_code", "meeting"], ["meeting.region_code", "meeting.code"]),
        *refer_to_agency("responsible_agency"),
        sa.Index(None, "region_code", "meeting"),
    )

    id: int | None = Field(default=None, primary_key=True)
    region_code: str = Field(foreign_key="region.code", max_length=13)
    code: str = Field(max_length=40)
    text: str = Field(max_length=10_000)
    meeting: str | None = Field(default=None, max_length=40)
    signatory_positions: list[str] = Field(sa_type=sa.JSON)
    state: CommitmentState = CommitmentState.open
    version: int = 1
    updated_at: datetime


class CommitmentAgencyRow(Table, table=True):
    """An agency that supports a commitment."""

    __tablename__ = "commitment_agency"
    __table_args__ = refer_to_agency()

    commitment_id: int = Field(foreign_key="commitment.id", primary_key=True, ondelete="CASCADE")
    agency_code: str = Field(primary_key=True, max_length=40)
    region_code: str = Field(max_length=13)
    position: int


class CommitmentActionRow(Table, table=True):
    """Line of a plan linked to a commitment. The foreign key keeps the line from deletion."""

    __tablename__ = "commitment_action"

    commitment_id: int = Field(foreign_key="commitment.id", primary_key=True, ondelete="CASCADE")
    action_id: int = Field(foreign_key="action.id", primary_key=True, index=True)
    position: int


class FollowUpRow(Table, table=True):
    """An entry of a commitment's follow-up."""

    __tablename__ = "commitment_follow_up"

    commitment_id: int = Field(foreign_key="commitment.id", primary_key=True, ondelete="CASCADE")
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime
    by: str = Field(max_length=200)
    state: CommitmentState
    note: str = Field(max_length=10_000)
    evidence_url: str | None = Field(default=None, max_length=2000)
