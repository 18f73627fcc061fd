"""What is said when a plan moves: notes of the province, the instrument of the region."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Day, Key, Line, Prose, Shape, show_example
from app.plans.actions.examples import ACTION_OUT_EXAMPLE
from app.plans.actions.models import ActionOut
from app.plans.core.models import PLAN_OUT_EXAMPLE, Instrument, PlanOut
from app.plans.findings.models import FindingShape, PlanFinding
from app.plans.workflow.rules import VERBS

POINTER_PATTERN = r"^(/([^~/]|~[01])*)*$"
Words = Annotated[Prose, ShapeField(min_length=1)]


class MoveIn(Shape):
    """Words that go with a move, if any; to a plan that was returned, the region's answer to the notes."""

    note: Line | None = ShapeField(default=None, description="Why, or with what; kept in the plan's history.")

    model_config = show_example(note="Hasil rapat koordinasi")


class AmendIn(Shape):
    """Why a plan in force is to be changed."""

    note: Line = ShapeField(description="Why; kept with the amendment.")

    model_config = show_example(note="Penyesuaian APBD-P")


class AdoptIn(Shape):
    """The legal instrument by which a region puts its plan into force."""

    instrument: Instrument
    number: Line = ShapeField(description="As it stands on the instrument.")
    date: Day = ShapeField(description="When it was signed; not after today in the plan's region.")

    model_config = show_example(instrument="decree", number="188.45/17/KUM/2025", date="2025-12-19")


class PlanNoteFields(BaseModel):
    """What the province asks for, of the plan or of one line."""

    action: Key | None = ShapeField(default=None, description="Key of the line; null: of the plan itself.")
    pointer: str | None = ShapeField(
        default=None,
        max_length=500,
        pattern=POINTER_PATTERN,
        description="JSON Pointer into the line, or into the plan, where the note is of one field.",
    )
    text: Words


class PlanNoteIn(PlanNoteFields, Shape): ...


_NOTE: JsonDict = {
    "action": "A-001",
    "pointer": "/budget_lines/0/amount",
    "text": "Samakan pagu dengan DPA.",
}


class ReturnIn(Shape):
    """With what a plan goes back to its region."""

    notes: list[PlanNoteIn] = ShapeField(min_length=1, max_length=500)

    model_config = show_example(notes=[_NOTE])


class NoteState(StrEnum):
    """`answered` when the plan was submitted again."""

    open = "open"
    answered = "answered"


class PlanNote(PlanNoteFields):
    """A note of a return, and whether it was answered."""

    number: int = ShapeField(description="Among the plan's notes, from 1.")
    at: datetime
    author: str = ShapeField(description="Name of the token, a service or a position; never of a person.")
    state: NoteState
    answered_at: datetime | None
    answer: str | None = ShapeField(description="What the region said when it submitted again.")

    model_config = show_example(
        _NOTE,
        number=1,
        at="2025-10-14T02:11:09.481516+00:00",
        author="bappeda-kalsel",
        state="open",
        answered_at=None,
        answer=None,
    )


PlanVerb = Annotated[str, ShapeField(json_schema_extra={"enum": VERBS})]


class PlanReply(PlanOut):
    """One plan, with what the caller may do with it."""

    allowed: list[PlanVerb] = ShapeField(
        description="What the caller may write, and the moves that its rights and the plan's state permit."
    )

    model_config = show_example(PLAN_OUT_EXAMPLE, allowed=["edit", "write_actions", "report_progress"])


class ActionReply(ActionOut):
    """One action, with its findings and what the caller may do with it."""

    findings: list[FindingShape]
    notes: list[PlanNote] = ShapeField(
        description="Open notes on this line, with which its plan was returned; for whoever may read drafts."
    )
    allowed: list[Literal["edit", "delete", "report_progress"]]

    model_config = show_example(
        ACTION_OUT_EXAMPLE, findings=[], notes=[], allowed=["edit", "delete", "report_progress"]
    )


class SubmitReply(PlanReply):
    """The plan as it was submitted, with the warnings that travel with it."""

    warnings: int = ShapeField(description="How many; overlaps beyond the first hundred are not named.")
    findings: list[PlanFinding]

    model_config = show_example(PLAN_OUT_EXAMPLE, state="submitted", allowed=[], warnings=0, findings=[])


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
