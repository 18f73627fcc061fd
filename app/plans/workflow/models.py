"""Wire shapes of the moves of a plan and of the replies to them."""

from typing import Annotated, Literal

from pydantic import Field as ShapeField

from app.kit.fields import Line, Shape, show_example
from app.plans.actions.examples import ACTION_OUT_EXAMPLE
from app.plans.actions.models import ActionOut
from app.plans.core.models import NOTE_EXAMPLE, PLAN_OUT_EXAMPLE, PlanNote, PlanNoteIn, PlanOut
from app.plans.findings.models import FindingShape, PlanFinding
from app.plans.workflow.rules import VERBS


class MoveIn(Shape):
    """The note of a move; the submission of a returned plan answers the notes with it."""

    note: Line | None = ShapeField(default=None, description="Reason or remark for the plan's history.")

    model_config = show_example(note="Hasil rapat koordinasi")


class AmendIn(Shape):
    """The purpose of an amendment."""

    note: Line = ShapeField(description="Reason; the amendment keeps it.")

    model_config = show_example(note="Penyesuaian APBD-P")


class ReturnIn(Shape):
    """The notes of a return."""

    notes: list[PlanNoteIn] = ShapeField(min_length=1, max_length=500)

    model_config = show_example(notes=[NOTE_EXAMPLE])


PlanVerb = Annotated[str, ShapeField(json_schema_extra={"enum": VERBS})]


class PlanReply(PlanOut):
    """A plan with the caller's verbs."""

    allowed: list[PlanVerb] = ShapeField(
        description="Writes and moves that the caller's rights and the plan's state permit."
    )

    model_config = show_example(PLAN_OUT_EXAMPLE, allowed=["edit", "write_actions", "report_progress"])


class ActionReply(ActionOut):
    """An action with its findings and the caller's verbs."""

    findings: list[FindingShape]
    notes: list[PlanNote] = ShapeField(
        description="Open notes of the province on this line; empty without the right to read drafts."
    )
    allowed: list[Literal["edit", "delete", "report_progress"]]

    model_config = show_example(
        ACTION_OUT_EXAMPLE, findings=[], notes=[], allowed=["edit", "delete", "report_progress"]
    )


class SubmitReply(PlanReply):
    """A submitted plan with its warnings."""

    warnings: int = ShapeField(description="Number of warnings; `findings` lists the first hundred overlaps.")
    findings: list[PlanFinding]

    model_config = show_example(PLAN_OUT_EXAMPLE, state="submitted", allowed=[], warnings=0, findings=[])
