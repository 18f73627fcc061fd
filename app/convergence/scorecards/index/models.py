"""Inputs of the convergence index, and the changes to them that a client may try."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField

from app.convergence.coverage.models import ServiceCoverage
from app.convergence.indicators.models import Direction, IndicatorCode
from app.kit.fields import Count, Figure, Key, Percent, Rupiah, Shape, show_example
from app.kit.http.validation import refuse_repeated
from app.kit.openapi.schemas import since
from app.kit.problems import Kind
from app.kit.wording import Text, declare_words

part_over_whole = Kind(
    "part_over_whole",
    id="“{value}” melebihi {whole} ({limit})",
    en="“{value}” exceeds {whole} ({limit})",
)
declare_words(
    {
        "budget_at_villages": Text("anggaran di desa", "the budget at villages"),
        "families_in_loci": Text(
            "jumlah keluarga di lokasi prioritas", "the number of families in priority locations"
        ),
    }
)


class IndexComponent(StrEnum):
    """Components of the convergence index (domain, section 7): P, K, T, X and O."""

    process = "process"
    coverage = "coverage"
    targeting = "targeting"
    spending = "spending"
    outcome = "outcome"


class Missing(StrEnum):
    """Reason for an undefined component or part of one; without a denominator it is never 0 or 100."""

    no_score = "no_score"
    nobody_eligible = "nobody_eligible"
    no_plan = "no_plan"
    no_village_budget = "no_village_budget"
    no_loci = "no_loci"
    no_families = "no_families"
    no_report = "no_report"
    no_budget = "no_budget"
    no_classes = "no_classes"
    nobody_spent = "nobody_spent"
    no_targets = "no_targets"
    no_observation = "no_observation"
    not_at_level = "not_at_level"
    nothing_measured = "nothing_measured"
    yardstick_open = "yardstick_open"


class NotRanked(StrEnum):
    """Reason for a region without a rank."""

    no_index = "no_index"
    reach_unknown = "reach_unknown"
    reach_too_low = "reach_too_low"


class ServiceInput(BaseModel):
    """One service over the villages of the region."""

    service: Key
    strategy: str = ShapeField(description="Key of its strategy, or `base`.")
    eligible: int
    served: int


class IndicatorInput(BaseModel):
    """A target of the year with the observed value."""

    indicator: IndicatorCode
    direction: Direction
    baseline: float
    target: float
    actual: float | None = ShapeField(description="Newest value after the baseline; null without one.")


_MONEY = "Whole rupiah; null without a plan in force that the caller may see."
Money = Annotated[int | None, ShapeField(description=_MONEY)]
Counted = Annotated[
    int | None,
    ShapeField(
        description="Spending on the class without travel, up to the allocation of each line and class; null where "
        "the method counts all spending.",
        json_schema_extra=since("1.1"),
    ),
]


class ScorecardInputs(BaseModel):
    """All inputs of the index."""

    process_percent: float | None = ShapeField(description="P: weighted mean of the scores of the steps.")
    services: list[ServiceInput]
    families_reporting: int = ShapeField(description="Target families of the villages with a report.")
    families_expected: int | None = ShapeField(
        description="Target families of the expected villages; null if neither a plan nor an earlier report names one."
    )
    budget: Money = ShapeField(description="B: whole rupiah of all lines.")
    budget_at_villages: Money = ShapeField(
        description="Part of it at villages: the amounts of the lines' locations; the rest of a line splits evenly "
        "over its locations without an amount."
    )
    budget_in_loci: Money = ShapeField(description="Part of that in priority locations.")
    loci: Annotated[int | None, ShapeField(description="Priority locations of the plan.")]
    families_in_loci: Annotated[
        int | None,
        ShapeField(
            description="Their target families: from the report, else from the plan, else from an earlier report."
        ),
    ]
    families_in_funded_loci: Annotated[
        int | None, ShapeField(description="Target families of loci with a funded line of each strategy.")
    ]
    lines_reported: Annotated[
        int | None, ShapeField(description="Lines with a report in the year up to the quarter.")
    ]
    spent: Money = ShapeField(description="Whole rupiah, cumulative to the end of the quarter.")
    spent_direct: Money = ShapeField(
        description="Spending on direct components without travel; likewise below."
    )
    spent_indirect: Money
    spent_supporting: Money
    counted_direct: Counted = None
    counted_indirect: Counted = None
    counted_supporting: Counted = None
    highest_spending_percent: float | None = ShapeField(
        description="Highest spending figure of the group: the province's regencies with plans in force, for the "
        "nation its provinces; the region's own if that is higher and the method counts all spending."
    )
    indicators: list[IndicatorInput]


class ServiceChange(ServiceCoverage):
    """Other counts of a service of the scorecard."""


class IndicatorChange(Shape):
    """Other figures of an indicator of the scorecard; omitted ones remain unchanged."""

    indicator: IndicatorCode
    baseline: Figure | None = None
    target: Figure | None = None
    actual: Figure | None = None


class ScorecardChanges(Shape):
    """Inputs to try; omitted ones remain unchanged."""

    process_percent: Percent | None = None
    services: list[ServiceChange] = ShapeField(default_factory=list, max_length=50)
    budget: Rupiah | None = None
    budget_at_villages: Rupiah | None = None
    budget_in_loci: Rupiah | None = None
    families_in_loci: Count | None = None
    families_in_funded_loci: Count | None = None
    spent_direct: Rupiah | None = None
    spent_indirect: Rupiah | None = None
    spent_supporting: Rupiah | None = None
    counted_direct: Rupiah | None = None
    counted_indirect: Rupiah | None = None
    counted_supporting: Rupiah | None = None
    highest_spending_percent: Percent | None = None
    indicators: list[IndicatorChange] = ShapeField(default_factory=list, max_length=50)

    model_config = show_example(
        process_percent=72.5,
        services=[{"service": "livelihood", "eligible": 96, "served": 48}],
        spent_direct=200000000,
    )

    @model_validator(mode="after")
    def _refuse_repeats(self) -> "ScorecardChanges":
        refuse_repeated((item.service for item in self.services), at="/services")
        refuse_repeated((item.indicator for item in self.indicators), at="/indicators")
        return self


PARTS = (("budget_in_loci", "budget_at_villages"), ("families_in_funded_loci", "families_in_loci"))
"""Pairs of inputs (part, whole)."""
