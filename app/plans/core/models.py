"""A plan, its priority locations (domain, section 3) and its notes: tables and wire shapes share their fields."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple, TypedDict

import sqlalchemy as sa
from pydantic import BaseModel, StringConstraints, model_validator
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Count, Key, Line, Prose, RegionCode, Shape, Version, describe_key, show_example
from app.kit.http.validation import refuse_repeated
from app.kit.periods import PeriodText
from app.kit.wording import Text, declare_words

EDITION_PATTERN = r"^[A-Za-z0-9._-]*$"

PLAN_EXAMPLE: JsonDict = {
    "title": "RAT Penanggulangan Kemiskinan Kabupaten Kotabaru 2026",
    "medium_term_plan": "RPKD Kabupaten Kotabaru 2025–2029",
    "nomenclature_edition": "2027",
    "note": "",
    "priority_locations": [
        {
            "region_code": "63.02.05.2001",
            "target_families": 140,
            "source": "DTSEN",
            "source_period": "2025-Q4",
        }
    ],
}

REASON_EXAMPLE: JsonDict = {
    "field": "/allocation",
    "category": "revised_budget",
    "text": "Pagu disesuaikan dengan APBD Perubahan 2026",
}

PLAN_OUT_EXAMPLE: JsonDict = {
    **PLAN_EXAMPLE,
    "plan": "63.02-2026",
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "year": 2026,
    "state": "draft",
    "revision": None,
    "version": 1,
    "updated_at": "2026-01-20T02:00:00+00:00",
    "action_count": 156,
    "allocation": 632470087081,
}


class PlanState(StrEnum):
    """The state of a plan; transitions alone change it.

    With a revision in force, `draft` to `endorsed` are states of the open amendment.
    """

    draft = "draft"
    submitted = "submitted"
    returned = "returned"
    endorsed = "endorsed"
    adopted = "adopted"
    closed = "closed"


declare_words(
    {
        PlanState.draft: Text("draf", "a draft"),
        PlanState.submitted: Text("diajukan", "submitted"),
        PlanState.returned: Text("dikembalikan", "returned"),
        PlanState.endorsed: Text("disetujui", "endorsed"),
        PlanState.adopted: Text("ditetapkan", "adopted"),
        PlanState.closed: Text("ditutup", "closed"),
    }
)


class Instrument(StrEnum):
    """The legal form by which a region adopts its plan."""

    decree = "decree"
    regulation = "regulation"


class ReasonCategory(StrEnum):
    """The category of a reason for a change, for counts."""

    revised_budget = "revised_budget"
    revised_data = "revised_data"
    moved_location = "moved_location"
    delayed = "delayed"
    corrected = "corrected"
    disaster = "disaster"
    policy = "policy"
    other = "other"


FieldAddress = Annotated[
    str,
    ShapeField(
        max_length=200,
        pattern=r"^(/[^/]+)*$",
        description="Address of a field like a JSON Pointer, with the key of a list's item: `/allocation`, "
        "`/outputs/O1/target`, `/locations/63.02.05.2001`. The empty text addresses the whole.",
    ),
]

# At least ten characters: a reason is a sentence, not a mark.
ReasonText = Annotated[Prose, StringConstraints(min_length=10, max_length=1000)]


class Reason(Shape):
    """A reason for the changes of a field and of all fields below it."""

    field: FieldAddress = ""
    category: ReasonCategory
    text: ReasonText

    model_config = show_example(REASON_EXAMPLE)


PlanKey = Annotated[str, describe_key("Key of the plan: region and year.", "63.02-2026")]


# The plan


class PlanFields(BaseModel):
    """The fields of a plan: one region, one year."""

    title: Line
    medium_term_plan: Line | None = ShapeField(
        default=None, description="Five-year plan (RPKD) that the plan breaks down."
    )
    nomenclature_edition: str = ShapeField(
        default="",
        max_length=20,
        pattern=EDITION_PATTERN,
        description="Edition of the codes; empty takes the newest.",
    )
    note: Prose = ""


class PriorityLocationFields(BaseModel):
    """A village that the plan names as a poverty pocket (lokus)."""

    region_code: RegionCode
    target_families: Count | None = None
    source: Line | None = None
    source_period: PeriodText | None = None


class PriorityLocation(PriorityLocationFields, Shape): ...


class PlanIn(PlanFields, Shape):
    """The fields of a plan that a client writes."""

    priority_locations: list[PriorityLocation] = ShapeField(
        default_factory=list,
        max_length=2000,
        description="Villages that the plan names as poverty pockets (*lokus*). A place above the village counts in no "
        "step and no coverage: name its villages.",
    )

    model_config = show_example(PLAN_EXAMPLE)

    @model_validator(mode="after")
    def _refuse_repeated_locations(self) -> "PlanIn":
        refuse_repeated(
            (location.region_code for location in self.priority_locations), at="/priority_locations"
        )
        return self


class PlanOut(PlanIn):
    """A plan with its state and totals."""

    plan: str = ShapeField(description="Key of the plan: region and year.")
    region_code: RegionCode
    region_name: str
    year: int
    state: PlanState
    revision: int | None = ShapeField(description="Number of the revision in force; null before the first.")
    version: Version
    updated_at: datetime
    action_count: int
    allocation: int = ShapeField(description="Whole rupiah of all actions.")

    model_config = show_example(PLAN_OUT_EXAMPLE)


class PriorityContent(TypedDict):
    """The JSON of a priority location: the keys that rules read."""

    region_code: str
    target_families: int | None
    source_period: str | None


class PlanContent(TypedDict):
    """The JSON of the plan's own fields (`PlanIn`): the keys that rules read."""

    nomenclature_edition: str
    priority_locations: list[PriorityContent]


class ReasonContent(TypedDict):
    """The JSON of a reason (`Reason`)."""

    field: str
    category: str
    text: str


# Notes of the province


class PlanNoteFields(BaseModel):
    """A request of the province about the plan or one of its lines."""

    action: Key | None = ShapeField(default=None, description="Key of the line; null: the plan itself.")
    pointer: str | None = ShapeField(
        default=None,
        max_length=500,
        pattern=r"^(/([^~/]|~[01])*)*$",
        description="JSON Pointer of the field in the line or the plan; null: the whole.",
    )
    text: Annotated[Prose, ShapeField(min_length=1)]


class PlanNoteIn(PlanNoteFields, Shape): ...


NOTE_EXAMPLE: JsonDict = {
    "action": "A-001",
    "pointer": "/budget_lines/0/amount",
    "text": "Samakan pagu dengan DPA.",
}


class NoteState(StrEnum):
    """The state of a note; the next submission answers it."""

    open = "open"
    answered = "answered"


class PlanNote(PlanNoteFields):
    """A note of a return, with the answer of the next submission."""

    number: int = ShapeField(description="Number among the plan's notes, from 1.")
    at: datetime
    author: str = ShapeField(description="Position or service, never a person.")
    state: NoteState
    answered_at: datetime | None
    answer: str | None = ShapeField(description="Note of the submission that answered it.")

    model_config = show_example(
        NOTE_EXAMPLE,
        number=1,
        at="2025-10-14T02:11:09.481516+00:00",
        author="bappeda-kalsel",
        state="open",
        answered_at=None,
        answer=None,
    )


# Tables


class PlanRow(PlanFields, Table, table=True):
    __tablename__ = "plan"
    __table_args__ = (sa.UniqueConstraint("region_code", "year"),)

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=20)
    region_code: str = Field(foreign_key="region.code", max_length=13)
    year: int
    state: PlanState = PlanState.draft
    revision: int | None = None
    version: int = 1
    updated_at: datetime


class Plan(NamedTuple):
    """A row of the table `plan`."""

    title: str
    medium_term_plan: str | None
    nomenclature_edition: str
    note: str
    id: int
    code: str
    region_code: str
    year: int
    state: PlanState
    revision: int | None
    version: int
    updated_at: datetime
    stamp: str = ""
    """Hash of the plan's chain (`journal.stamp`): any write in the plan changes it. Empty if the query omits it."""


class PriorityLocationRow(PriorityLocationFields, Table, table=True):
    __tablename__ = "plan_priority_location"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True, ondelete="CASCADE")
    region_code: str = Field(foreign_key="region.code", primary_key=True, max_length=13)
    position: int


class PlanNoteRow(PlanNoteFields, Table, table=True):
    __tablename__ = "plan_note"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    action: str | None = Field(default=None, max_length=40)
    pointer: str | None = Field(default=None, max_length=500)
    text: str
    at: datetime
    author: str = Field(max_length=200)
    answered_at: datetime | None = None
    answer: str | None = None
