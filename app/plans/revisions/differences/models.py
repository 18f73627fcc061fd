"""Wire shapes of the differences between two editions of a plan."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict

from app.kit.fields import show_example
from app.plans.actions.models import RecipientKind, Strategy
from app.plans.core.models import REASON_EXAMPLE, FieldAddress, Reason

LineChange = Literal["created", "changed", "ended", "removed"]


def compare_amounts(before: int, after: int) -> JsonDict:
    """Return the fields of `Amounts`."""
    return {"before": before, "after": after, "difference": after - before}


SUMS_EXAMPLE: JsonDict = {
    "actions": compare_amounts(156, 157),
    "allocation": compare_amounts(632470087081, 632720087081),
    "locations": compare_amounts(88, 89),
    "recipients": [{"kind": "persons", **compare_amounts(1200, 1240)}],
    "strategies": [{"strategy": "reduce_spending_burden", **compare_amounts(401250000000, 401500000000)}],
    "agencies": [{"agency": "1.06.0.00.0.00.08.0000", **compare_amounts(18000000000, 18250000000)}],
}


class FieldChange(BaseModel):
    """A changed field with both values."""

    field: FieldAddress
    before: object = ShapeField(description="Old value; null for a new field or item.")
    after: object = ShapeField(description="New value; null for a removed field or item.")


class Amounts(BaseModel):
    """A number before and after."""

    before: int
    after: int
    difference: int


class StrategyAmounts(Amounts):
    strategy: Strategy


class AgencyAmounts(Amounts):
    agency: str


class RecipientAmounts(Amounts):
    kind: RecipientKind


class Sums(BaseModel):
    """Sums over all lines, before and after."""

    actions: Amounts = ShapeField(description="Number of lines.")
    allocation: Amounts = ShapeField(description="Whole rupiah.")
    locations: Amounts = ShapeField(description="Number of distinct locations of all lines.")
    recipients: list[RecipientAmounts] = ShapeField(description="Planned recipients of all lines, by kind.")
    strategies: list[StrategyAmounts] = ShapeField(description="Whole rupiah by strategy.")
    agencies: list[AgencyAmounts] = ShapeField(description="Whole rupiah by lead agency.")


class RevisionReason(Reason):
    """A reason with the revision that keeps it."""

    revision: int | None = ShapeField(description="Revision that made the change; null before the adoption.")

    model_config = show_example(REASON_EXAMPLE, revision=1)


class Side(BaseModel):
    """One side of a comparison."""

    revision: int | None = ShapeField(description="Number of the revision; null: the open amendment.")
    sha256: str | None = ShapeField(description="SHA-256 of the content, hex; null for a draft.")
    instrument_date: date | None
    adopted_at: datetime | None


class ActionDifference(BaseModel):
    """A changed, new, ended or removed line."""

    code: str
    title: str
    change: LineChange
    changes: list[FieldChange] = ShapeField(
        description="Changes in the order of the action's fields; a new or removed line is one change of the field ``."
    )
    reasons: list[RevisionReason]


class Differences(BaseModel):
    """The differences between two editions of a plan."""

    plan: str
    before: Side | None = ShapeField(
        description="Null: a comparison with nothing, in which all lines are new."
    )
    after: Side
    sums: Sums
    changes: list[FieldChange] = ShapeField(description="Changes of the plan's own fields.")
    reasons: list[RevisionReason] = ShapeField(description="Reasons for changes of the plan's own fields.")
    actions: list[ActionDifference] = ShapeField(description="Differences of lines, by code.")

    model_config = show_example(
        plan="63.02-2026",
        before={
            "revision": 0,
            "sha256": "9f2c",
            "instrument_date": "2026-01-26",
            "adopted_at": "2026-01-28T02:00:00+00:00",
        },
        after={
            "revision": 1,
            "sha256": "41d8",
            "instrument_date": "2026-09-01",
            "adopted_at": "2026-09-02T02:00:00+00:00",
        },
        sums=SUMS_EXAMPLE,
        changes=[],
        reasons=[],
        actions=[
            {
                "code": "A-001",
                "title": "Bantuan permakanan lanjut usia terlantar",
                "change": "changed",
                "changes": [{"field": "/allocation", "before": 250000000, "after": 500000000}],
                "reasons": [{**REASON_EXAMPLE, "revision": 1}],
            }
        ],
    )
