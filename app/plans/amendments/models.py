"""An open amendment of a plan in force, and its lines: tables and wire shapes."""

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, SkipValidation, model_validator
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Batch, Key, Version, show_example
from app.kit.http.validation import RuleBroken, find_nearest, narrow, refuse_repeated
from app.kit.problems import BadRequest, FieldError, Kind
from app.plans.actions.examples import ACTION_EXAMPLE, ACTION_OUT_EXAMPLE
from app.plans.actions.models import ActionIn, ActionOut
from app.plans.core.models import PLAN_EXAMPLE, REASON_EXAMPLE, PlanIn, PlanState, Reason, ReasonCategory
from app.plans.findings.models import FindingShape
from app.plans.revisions.differences.models import SUMS_EXAMPLE, Sums

AMENDED_ACTION_EXAMPLE: JsonDict = {**ACTION_EXAMPLE, "reasons": []}

AMENDED_ACTION_OUT_EXAMPLE: JsonDict = {
    **ACTION_OUT_EXAMPLE,
    "change": "changed",
    "reasons": [REASON_EXAMPLE],
    "lacking": ["/outputs/O1/target"],
}

AMENDMENT_EXAMPLE: JsonDict = {**PLAN_EXAMPLE, "reasons": []}

AMENDMENT_OUT_EXAMPLE: JsonDict = {
    **AMENDMENT_EXAMPLE,
    "plan": "63.02-2026",
    "state": "draft",
    "revision": 0,
    "version": 1,
    "opened_at": "2026-07-20T02:00:00+00:00",
    "purpose": "Penyesuaian APBD-P",
    "created": 1,
    "changed": 3,
    "ended": 1,
    "removed": 0,
    "unchanged": 153,
    "lacking": [{"action": "A-001", "fields": ["/outputs/O1/target"]}],
    "sums": SUMS_EXAMPLE,
}

no_such_field = Kind(
    "no_such_field",
    id="“{value}” bukan isian yang dapat diberi alasan di sini",
    en="“{value}” is not a field that can have a reason here",
)


# Reasons


def _check_reasons(reasons: list[Reason], fields: list[str]) -> None:
    refuse_repeated((reason.field for reason in reasons), at="/reasons")
    for n, reason in enumerate(reasons):
        first = reason.field.split("/")[1:2]
        if first and first[0] not in fields:
            raise RuleBroken(
                no_such_field,
                at=f"/reasons/{n}/field",
                value=reason.field,
                allowed=[f"/{name}" for name in fields],
                nearest=find_nearest(first[0], fields),
            )


_REASONS: Any = ShapeField(
    default_factory=list,
    max_length=200,
    description="Optional until the submission; a write replaces the list whole.",
)


reason_incomplete = Kind(
    "reason_incomplete",
    id="isi golongan dan kalimat alasan bersama-sama, atau kosongkan keduanya",
    en="give both the category and the sentence of the reason, or neither",
)


def build_reason(category: ReasonCategory | None, text: str | None) -> Reason | None:
    """Return the reason for everything that a call changes. Raises BadRequest if one half of it is missing."""
    if category is None and text is None:
        return None
    if category is None or text is None:
        name = "category" if category is None else "reason"
        raise BadRequest(errors=[FieldError(reason_incomplete, parameter=name)])
    return Reason(category=category, text=text)


# Lines


AmendmentChange = Literal["unchanged", "created", "changed", "ended", "removed"]


class AmendedActionIn(ActionIn):
    """A drafted action of the next revision, with the reasons for its changes."""

    reasons: list[Reason] = _REASONS

    model_config = show_example(AMENDED_ACTION_EXAMPLE)

    @model_validator(mode="after")
    def _check_own_reasons(self) -> "AmendedActionIn":
        _check_reasons(self.reasons, list(ActionIn.model_fields))
        return self

    @property
    def action(self) -> ActionIn:
        """The action without its reasons."""
        return narrow(self, ActionIn)


class AmendedActionItem(AmendedActionIn):
    """A drafted action of a batch, with its key."""

    code: Key

    model_config = show_example({"code": "A-001"}, AMENDED_ACTION_EXAMPLE)


class AmendedActionBatch(Batch):
    """A batch of up to 1,000 drafted actions."""

    items: list[SkipValidation[AmendedActionItem]] = ShapeField(min_length=1, max_length=1000)

    model_config = show_example(items=[{"code": "A-001", **AMENDED_ACTION_EXAMPLE}])


class AmendedAction(ActionOut):
    """A drafted action of the next revision; the figures are of the line in force."""

    change: AmendmentChange
    reasons: list[Reason]
    lacking: list[str] = ShapeField(description="Changed fields that still need a reason.")

    model_config = show_example(AMENDED_ACTION_OUT_EXAMPLE)


class AmendedActionReply(AmendedAction):
    """A drafted action with its findings; overlaps appear with the plan's."""

    findings: list[FindingShape]

    model_config = show_example(AMENDED_ACTION_OUT_EXAMPLE, findings=[])


# The amendment


class AmendmentIn(PlanIn):
    """The drafted fields of the plan itself, with the reasons for their changes."""

    reasons: list[Reason] = _REASONS

    model_config = show_example(AMENDMENT_EXAMPLE)

    @model_validator(mode="after")
    def _check_own_reasons(self) -> "AmendmentIn":
        _check_reasons(self.reasons, list(PlanIn.model_fields))
        return self


class Lacking(BaseModel):
    """Changed fields without a reason, of a line or of the plan itself."""

    action: str | None = ShapeField(description="Key of the line; null: the plan's own fields.")
    fields: list[str]


class AmendmentReply(AmendmentIn):
    """An open amendment: the drafted plan, its changes and its missing reasons."""

    plan: str
    state: PlanState
    revision: int = ShapeField(description="Number of the revision in force.")
    version: Version
    opened_at: datetime
    purpose: str = ShapeField(description="Note of the move that opened the amendment.")
    created: int = ShapeField(description="Number of new lines.")
    changed: int = ShapeField(description="Number of changed lines, without those that end.")
    ended: int = ShapeField(description="Number of lines that end.")
    removed: int = ShapeField(description="Always 0: an amendment ends lines and removes none.")
    unchanged: int
    lacking: list[Lacking] = ShapeField(description="Changes without a reason; they block the submission.")
    sums: Sums
    allowed: list[Literal["edit", "write_actions", "import_matrix", "discard"]]

    model_config = show_example(AMENDMENT_OUT_EXAMPLE, allowed=["edit", "write_actions", "discard"])


# Tables


class AmendmentRow(Table, table=True):
    """The draft of a plan's next revision."""

    __tablename__ = "plan_amendment"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True)
    content: dict[str, object] | None = Field(
        default=None, sa_type=sa.JSON, description="The drafted fields of the plan itself; null: unchanged."
    )
    reasons: list[dict[str, object]] = Field(sa_type=sa.JSON)
    purpose: str = Field(description="Note of the move that opened the amendment.")
    opened_at: datetime
    version: int = 1


class AmendmentActionRow(Table, table=True):
    """The draft of a line of the next revision."""

    __tablename__ = "plan_amendment_action"

    plan_id: int = Field(foreign_key="plan_amendment.plan_id", primary_key=True, ondelete="CASCADE")
    code: str = Field(primary_key=True, max_length=40)
    content: dict[str, object] | None = Field(
        default=None,
        sa_type=sa.JSON,
        description="Null: the line in force, ended after its last reported quarter.",
    )
    reasons: list[dict[str, object]] = Field(sa_type=sa.JSON)
    version: int = 1
    updated_at: datetime
