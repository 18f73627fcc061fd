"""Wire shapes of the moves of a plan and of the replies to them."""

from typing import Annotated, Literal

from pydantic import Field as ShapeField

from app.kit.fields import Day, Line, Shape, show_example
from app.plans.actions.examples import ACTION_OUT_EXAMPLE
from app.plans.actions.models import ActionOut
from app.plans.core.models import (
    NOTE_EXAMPLE,
    PLAN_OUT_EXAMPLE,
    Instrument,
    PlanNote,
    PlanNoteIn,
    PlanOut,
)
from app.plans.findings.models import FindingShape, PlanFinding
from app.plans.workflow.rules import VERBS


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


class ReturnIn(Shape):
    """With what a plan goes back to its region."""

    notes: list[PlanNoteIn] = ShapeField(min_length=1, max_length=500)

    model_config = show_example(notes=[NOTE_EXAMPLE])


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
