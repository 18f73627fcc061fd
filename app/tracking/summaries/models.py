"""Shapes of summaries of a plan or a region: allocation, spending, recipients and milestones at a period."""

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict

from app.kit.fields import show_example
from app.plans.actions.models import RecipientKind
from app.tracking.quarters.models import REVISION


class RecipientFigures(BaseModel):
    kind: RecipientKind
    planned: int
    reached: int


class SummaryFigures(BaseModel):
    """Figures of a set of actions to the end of a period."""

    actions: int
    reported: int = ShapeField(description="Actions with a report of a quarter up to the period.")
    allocated: int = ShapeField(description="Whole rupiah.")
    spent: int = ShapeField(description="Whole rupiah, cumulative.")
    absorption_percent: float | None = ShapeField(
        description="Spent of allocated; null without an allocation."
    )
    physical_percent: float | None = ShapeField(
        description="Mean of the actions with a figure, weighted by allocation; null without a figure."
    )
    recipients: list[RecipientFigures]
    milestones_due: int = ShapeField(description="Milestones due by the end of the period.")
    milestones_met: int = ShapeField(description="Due milestones that are done.")


class KeyFigures(SummaryFigures):
    key: str
    name: str | None = None


class AgencyFigures(KeyFigures):
    """Figures of an agency. In a submitted quarter it is the agency that its revision of the plan names."""

    merged_into: str | None = ShapeField(description="Code of the agency that took over its lines.")


class PlanFigures(KeyFigures):
    """Figures of a plan, with the revision that they compare with."""

    revision: int | None = ShapeField(description=REVISION)


class MoneyFigures(BaseModel):
    key: str | None = ShapeField(description="Null: money without a split.")
    name: str | None = None
    allocated: int
    spent: int
    absorption_percent: float | None


_FIGURES_EXAMPLE: JsonDict = {
    "actions": 156,
    "reported": 156,
    "allocated": 632470087081,
    "spent": 247286187890,
    "absorption_percent": 39.1,
    "physical_percent": None,
    "recipients": [{"kind": "families", "planned": 1200, "reached": 800}],
    "milestones_due": 12,
    "milestones_met": 9,
}
_MONEY_EXAMPLE: JsonDict = {"allocated": 632470087081, "spent": 247286187890, "absorption_percent": 39.1}
_BY_STRATEGY: JsonDict = {**_FIGURES_EXAMPLE, "key": "raise_income", "name": "Peningkatan pendapatan"}
_SUMMARY: JsonDict = {
    **_FIGURES_EXAMPLE,
    "period": "2026-S1",
    "to_quarter": "2026-Q2",
    "by_funding_source": [{**_MONEY_EXAMPLE, "key": "APBD", "name": "APBD"}],
    "by_component_class": [{**_MONEY_EXAMPLE, "key": None, "name": None}],
}


class Summary(SummaryFigures):
    """Summary of a plan: in all, and by strategy, agency, funding source and component class."""

    plan: str
    period: str
    to_quarter: str = ShapeField(description="Last quarter: the figures are cumulative to its end.")
    revision: int | None = ShapeField(description=REVISION)
    by_strategy: list[KeyFigures]
    by_agency: list[AgencyFigures]
    by_funding_source: list[MoneyFigures]
    by_component_class: list[MoneyFigures]

    model_config = show_example(
        _SUMMARY,
        plan="63.02-2026",
        revision=0,
        by_strategy=[_BY_STRATEGY],
        by_agency=[
            {
                **_FIGURES_EXAMPLE,
                "key": "1.06.0.00.0.00.08.0000",
                "name": "Dinas Sosial",
                "merged_into": None,
            }
        ],
    )


class RegionSummary(SummaryFigures):
    """Summary of the plans of a region and everything below it: pooled, and by plan."""

    region_code: str
    period: str
    to_quarter: str
    by_plan: list[PlanFigures]
    by_strategy: list[KeyFigures]
    by_funding_source: list[MoneyFigures]
    by_component_class: list[MoneyFigures]

    model_config = show_example(
        _SUMMARY,
        region_code="63",
        by_strategy=[_BY_STRATEGY],
        by_plan=[{**_FIGURES_EXAMPLE, "key": "63.02-2026", "name": "Kabupaten Kotabaru", "revision": 0}],
    )
