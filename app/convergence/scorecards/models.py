"""Tables and shapes of scorecards: stored figures, frozen scorecards, queries and replies."""

from datetime import datetime
from typing import Annotated, NotRequired, TypedDict

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.convergence.coverage.models import StrategyCoverage
from app.convergence.coverage.rules import VillageStatus
from app.convergence.scorecards.index.models import IndexComponent, Missing, NotRanked, ScorecardInputs
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.kit.database.engine import Table
from app.kit.fields import Count, RegionCode, show_example
from app.kit.openapi.schemas import since
from app.kit.periods import Quarter
from app.plans.actions.models import ComponentClass
from app.reference.models import RegionLevel
from app.tracking.quarters.models import REVISION

Percentage = float | None
Points = Annotated[float | None, ShapeField(description="Percentage points; null if one side is undefined.")]


class SumFields(BaseModel):
    """Sums over the lines of a region's plan in a quarter; money in whole rupiah.

    `counted_*`: spending up to the allocation of each line and class; null in rows of versions that lacked it.
    """

    lines: int
    lines_reported: int
    budget: int
    planned_direct: int
    planned_indirect: int
    planned_supporting: int
    spent: int
    spent_direct: int
    spent_indirect: int
    spent_supporting: int
    spent_travel: int
    counted_direct: int | None
    counted_indirect: int | None
    counted_supporting: int | None
    budget_at_villages: int
    budget_in_loci: int
    loci: int
    loci_without_target: int
    families_in_loci: int
    families_in_funded_loci: int
    recipients_families: int
    budget_families: int
    recipients_persons: int
    budget_persons: int


SUMS = tuple(SumFields.model_fields)


class FiguresFields(SumFields):
    """The stored figures of a region: sums, and everything else as JSON."""

    in_force: bool = ShapeField(description="True if its plan is; else the sums are of a draft.")
    spending_percent: float | None = ShapeField(
        description="Spending figure, by the method of the region's year."
    )
    uncapped_percent: float | None = ShapeField(
        description="Figure of all spending; null in rows of versions that lacked it."
    )
    fair_method: str | None = ShapeField(
        max_length=40, description="Edition of the method if it has a fair yardstick; else null."
    )
    open_errors: bool | None = ShapeField(description="True if a report of the quarter falls (E06).")
    content: str = ShapeField(description="JSON of the region's own figures besides the sums.")
    computed_at: datetime


class ScorecardFiguresRow(FiguresFields, Table, table=True):
    """A region's newest figures and their stamp. A cache: a lost row costs one computation."""

    __tablename__ = "scorecard_figures"

    period: str = Field(primary_key=True, max_length=7)
    region_code: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    stamp: str = Field(max_length=80, description="State of the journal and day of the figures.")


class ScorecardRow(FiguresFields, Table, table=True):
    """A frozen scorecard, immutable as the snapshot of its quarter."""

    __tablename__ = "scorecard"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period", "amendment"),)

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7)
    amendment: int
    year: int = Field(description="A key to partition the table by.")
    answer: str = Field(description="Canonical JSON (RFC 8785) of the reply.")
    sha256: str = Field(max_length=64, description="Of `answer`, hex.")


class ServiceContent(TypedDict):
    service: str
    strategy: str
    eligible: int
    served: int


class CoverageContent(TypedDict):
    """The coverage of a region, as stored for scorecards."""

    services: list[ServiceContent]
    families_reporting: int
    families_expected: int | None


NO_COVERAGE = CoverageContent(services=[], families_reporting=0, families_expected=None)


class Content(CoverageContent):
    """The stored content of a region besides the sums of its plan."""

    has_plan: bool
    process_percent: float | None
    process_draft_percent: float | None
    indicators: list[dict[str, object]]
    method: dict[str, object]
    p0_percent: float | None
    p0_period: str | None
    population: int | None
    revision: NotRequired[int | None]
    """Revision of the plan that the sums are of; content that was frozen before lacks it."""
    highest: NotRequired[float | None]
    """Highest spending figure of the group at the time of the freeze; not by a method with a fair yardstick."""
    sums: NotRequired[dict[str, int] | None]
    """Sums of a scorecard that was frozen without a yardstick; of a province with its regencies."""
    before: NotRequired["Content | None"]
    """Content of the quarter before, with which that scorecard compares itself."""


class ScorecardQuery(BaseModel):
    period: Quarter
    amendment: int | None = ShapeField(
        default=None,
        ge=0,
        le=1_000_000,
        description="Number of an amendment of a frozen quarter, 0 for the first; by default the one in force.",
    )


class RankingQuery(BaseModel):
    region: RegionCode = ShapeField(description="A province for all its regencies, or one regency.")
    period: Quarter


class ComponentOut(BaseModel):
    """A component of the index."""

    component: IndexComponent
    value: Percentage = ShapeField(description="Percent, two decimals; null if undefined.")
    missing: Missing | None = ShapeField(description="Reason for an undefined value.")
    weight: float
    weight_used: float = ShapeField(description="Its share of the weights of all defined components.")
    contribution: Percentage = ShapeField(description="Points of the index from this component.")
    formula: str


class MissingOut(BaseModel):
    of: str = ShapeField(description="A component, a part of one (`targeting.budget`), or `index`.")
    reason: Missing


class GainOut(BaseModel):
    """The next unit of an input, with its gain."""

    component: IndexComponent
    of: str | None = ShapeField(description="Code of the service or the indicator, or name of the input.")
    changes: dict[str, object] = ShapeField(description="Body for `what-if`.")
    index_percent: float
    gain: float = ShapeField(description="Points of the index.")


class ComponentChange(BaseModel):
    component: IndexComponent
    before: Percentage
    difference: Points


class ChangeOut(BaseModel):
    """The change from the quarter before, which for the first quarter is in the year before."""

    period: Quarter
    index_before: Percentage
    difference: Points
    components: list[ComponentChange]


class ClassShare(BaseModel):
    """Money of one class of components."""

    component_class: ComponentClass | None = ShapeField(description="Null for money without a class.")
    planned: int = ShapeField(description="Whole rupiah; negative if the classes exceed the allocation.")
    planned_percent: Percentage = ShapeField(description="Of the budget.")
    spent: int = ShapeField(description="Whole rupiah, without travel.")
    spent_percent: Percentage = ShapeField(description="Of the budget.")


class Incentive(BaseModel):
    """The figure of PMK 97/2023 article 3 (3), the key of fiscal incentives, with its parts."""

    legal_basis: str
    direct_percent: Percentage = ShapeField(description="Spending on direct components, of the budget.")
    indirect_percent: Percentage
    supporting_percent: Percentage
    share_direct: float
    share_indirect: float
    share_supporting: float
    travel: int = ShapeField(description="Whole rupiah of official travel, which the figure excludes.")
    figure_percent: Percentage = ShapeField(description="`Xi`: the weighted sum of all spending.")
    highest_percent: Percentage = ShapeField(
        description="`Xmaks`: the highest of the group, of all spending."
    )
    standardised_percent: Percentage = ShapeField(
        description="`XSi`: `Xi` in percent of `Xmaks`; the component spending, where the method counts all spending."
    )


class MoneyOut(BaseModel):
    """The budget by place and class, with the people that it is for."""

    budget: int
    budget_at_villages: int
    budget_in_loci: int
    in_loci_percent: Percentage = ShapeField(description="Of the budget at villages.")
    p0_percent: Percentage = ShapeField(description="Newest poverty rate up to the year.")
    p0_period: str | None
    population: int | None
    poor: int | None = ShapeField(description="P0 × population, whole persons.")
    per_poor: int | None = ShapeField(description="Whole rupiah of the budget for each poor person.")
    families: int = ShapeField(description="Recipients of the lines with families only.")
    per_family: int | None = ShapeField(description="Whole rupiah of these lines for each family.")
    persons: int = ShapeField(description="Recipients of the lines with persons only.")
    per_person: int | None
    by_class: list[ClassShare]
    incentive: Incentive


_INPUTS = {
    "process_percent": 70.0,
    "services": [{"service": "livelihood", "strategy": "raise_income", "eligible": 96, "served": 24}],
    "families_reporting": 140,
    "families_expected": 200,
    "budget": 500_000_000,
    "budget_at_villages": 400_000_000,
    "budget_in_loci": 200_000_000,
    "loci": 2,
    "families_in_loci": 200,
    "families_in_funded_loci": 140,
    "lines_reported": 4,
    "spent": 300_000_000,
    "spent_direct": 240_000_000,
    "spent_indirect": 0,
    "spent_supporting": 50_000_000,
    "highest_spending_percent": 26.0,
    "indicators": [
        {
            "indicator": "p0",
            "direction": "lower_is_better",
            "baseline": 4.56,
            "target": 3.9,
            "actual": 4.23,
        }
    ],
}
_TERMS = (
    ("process", 70.0, 0.25, 17.5, "P = Σ w · score / Σ w"),
    ("coverage", 25.0, 0.3, 7.5, "K = Σ served / Σ eligible × 100"),
    ("targeting", 60.0, 0.15, 9.0, "T = mean of the two"),
    ("spending", 100.0, 0.15, 15.0, "X = figure × 100 / highest"),
    ("outcome", 50.0, 0.15, 7.5, "O = mean of the indicators"),
)
_CORE = {
    "index_percent": 56.5,
    "index_class": "Bertumbuh",
    "complete": True,
    "missing": [],
    "components": [
        {
            "component": name,
            "value": value,
            "missing": None,
            "weight": weight,
            "weight_used": weight,
            "contribution": points,
            "formula": formula,
        }
        for name, value, weight, points, formula in _TERMS
    ],
    "targeting_budget_percent": 50.0,
    "targeting_families_percent": 70.0,
    "spending_figure_percent": 26.0,
    "provisional": False,
    "inputs": _INPUTS,
}


class ScorecardCore(BaseModel):
    """The index with its components and all inputs."""

    index_percent: Percentage = ShapeField(
        description="IKPK: Σ weight · component / Σ weight, over the defined components."
    )
    index_class: str | None = ShapeField(description="By the thresholds of the method.")
    complete: bool = ShapeField(description="False if something is undefined; `missing` lists it.")
    missing: list[MissingOut]
    components: list[ComponentOut]
    targeting_budget_percent: Percentage = ShapeField(
        description="Budget in priority locations, of the budget at villages."
    )
    targeting_families_percent: Percentage = ShapeField(
        description="Families in priority locations with a funded line of each strategy, of those in all of them."
    )
    spending_figure_percent: Percentage = ShapeField(
        description="Spending in percent of the budget, weighted by class."
    )
    provisional: bool = ShapeField(
        default=False,
        description="True until the highest spending figure is settled, where the method settles it.",
        json_schema_extra=since("1.1"),
    )
    inputs: ScorecardInputs

    model_config = show_example(_CORE)


_REVISION = f"{REVISION} Null for a region whose scorecard pools those below it."
_WHERE = {
    "region_code": "63.02",
    "name": "Kabupaten Kotabaru",
    "level": "regency",
    "period": "2026-Q2",
    "method": "1",
    "frozen": False,
    "amendment": None,
    "computed_at": "2026-07-20T03:00:00+00:00",
    "revision": 0,
}
_MONEY_EXAMPLE = {
    "budget": 500_000_000,
    "budget_at_villages": 400_000_000,
    "budget_in_loci": 200_000_000,
    "in_loci_percent": 50.0,
    "p0_percent": 4.23,
    "p0_period": "2025-S1",
    "population": 332787,
    "poor": 14077,
    "per_poor": 35519,
    "families": 200,
    "per_family": 2_000_000,
    "persons": 40,
    "per_person": 2_500_000,
    "by_class": [
        {
            "component_class": "direct",
            "planned": 400_000_000,
            "planned_percent": 80.0,
            "spent": 240_000_000,
            "spent_percent": 48.0,
        }
    ],
    "incentive": {
        "legal_basis": "PMK 97/2023 pasal 3 ayat (3)",
        "direct_percent": 48.0,
        "indirect_percent": 0.0,
        "supporting_percent": 10.0,
        "share_direct": 0.5,
        "share_indirect": 0.3,
        "share_supporting": 0.2,
        "travel": 0,
        "figure_percent": 26.0,
        "highest_percent": 26.0,
        "standardised_percent": 100.0,
    },
}


class WhereOut(BaseModel):
    """The region, the quarter and the origin of a scorecard."""

    region_code: RegionCode
    name: str
    level: RegionLevel
    period: Quarter
    method: str = ShapeField(description="Edition of the method: weights, shares, thresholds.")
    frozen: bool
    amendment: int | None = ShapeField(description="Number of the amendment; null before the first freeze.")
    computed_at: datetime
    revision: int | None = ShapeField(description=_REVISION, json_schema_extra=since("1.1"))


class Scorecard(ScorecardCore, WhereOut):
    """The scorecard of a region in a quarter, with explanations."""

    balance_percent: Percentage = ShapeField(description="B: the lowest coverage of a strategy.")
    lowest_strategy: str | None = ShapeField(description="Strategy with the lowest coverage.")
    by_strategy: list[StrategyCoverage]
    reach_percent: Percentage = ShapeField(
        description="R: target families of villages with a report, of those of expected villages."
    )
    is_rankable: bool
    status: VillageStatus | None = ShapeField(description="Status of a village; null for other regions.")
    change: ChangeOut | None = ShapeField(description="Null for villages and districts.")
    raise_most: list[GainOut] = ShapeField(description="Next units with the largest gains, largest first.")
    money: MoneyOut | None = ShapeField(description="Null without a plan in force that the caller may see.")
    lines: int | None
    loci_without_target: int | None = ShapeField(
        description="Priority locations without a known number of target families."
    )
    spent_travel: int | None
    spent_unclassified: int | None = ShapeField(
        description="Spending without a class: the report gives none, and the line has several."
    )
    yardstick: Yardstick | None = ShapeField(
        default=None,
        description="Null where the method has no fair yardstick, and in frozen bytes.",
        json_schema_extra=since("1.1"),
    )

    model_config = show_example(
        _WHERE,
        _CORE,
        balance_percent=25.0,
        lowest_strategy="raise_income",
        by_strategy=[{"strategy": "raise_income", "eligible": 96, "served": 24, "coverage_percent": 25.0}],
        reach_percent=70.0,
        is_rankable=True,
        status=None,
        change={
            "period": "2026-Q1",
            "index_before": 51.5,
            "difference": 5.0,
            "components": [{"component": "coverage", "before": 20.0, "difference": 5.0}],
        },
        raise_most=[
            {
                "component": "process",
                "of": None,
                "changes": {"process_percent": 71.0},
                "index_percent": 56.75,
                "gain": 0.25,
            }
        ],
        money=_MONEY_EXAMPLE,
        lines=4,
        loci_without_target=0,
        spent_travel=0,
        spent_unclassified=10000000,
        yardstick=None,
    )


class RankedRegency(BaseModel):
    """A regency in the ranking of its province."""

    region_code: RegionCode
    name: str
    rank: int | None = ShapeField(
        description="By the index, ties by K, then by P; equals in all three share a rank."
    )
    not_ranked: NotRanked | None = ShapeField(description="Reason for a missing rank.")
    index_percent: Percentage
    index_class: str | None
    complete: bool
    missing: list[MissingOut]
    process_percent: Percentage = ShapeField(description="P")
    coverage_percent: Percentage = ShapeField(description="K")
    targeting_percent: Percentage = ShapeField(description="T")
    spending_percent: Percentage = ShapeField(description="X")
    outcome_percent: Percentage = ShapeField(description="O")
    balance_percent: Percentage = ShapeField(description="B")
    reach_percent: Percentage = ShapeField(description="R")
    method: str
    frozen: bool
    amendment: int | None
    provisional: bool = ShapeField(description="True until the highest spending figure is settled.")
    computed_at: datetime
    revision: int | None = ShapeField(description=REVISION)


_RANKED = {
    **_WHERE,
    **_CORE,
    "rank": 1,
    "not_ranked": None,
    **{f"{name}_percent": value for name, value, *_ in _TERMS},
    "balance_percent": 25.0,
    "reach_percent": 70.0,
}


class Ranking(BaseModel):
    """The regencies of a province in a quarter."""

    region_code: RegionCode
    province: RegionCode
    period: Quarter
    ranked: Count = ShapeField(description="Number of the province's regencies with a rank.")
    highest_spending_percent: Percentage = ShapeField(
        description="Highest spending figure, the basis of X before a freeze."
    )
    provisional: bool = ShapeField(
        description="True until the highest spending figure is settled, where the method settles it."
    )
    yardstick: Yardstick | None = ShapeField(
        description="Null where the province's method has no fair yardstick."
    )
    regencies: list[RankedRegency] = ShapeField(description="By rank; regencies without a rank last.")

    model_config = show_example(
        region_code="63",
        province="63",
        period="2026-Q2",
        ranked=1,
        highest_spending_percent=26.0,
        provisional=False,
        yardstick=None,
        regencies=[
            {name: _RANKED[name] for name in RankedRegency.model_fields},
        ],
    )


class ComponentDifference(BaseModel):
    component: IndexComponent
    difference: Points


class WhatIf(BaseModel):
    """The present scorecard, the one with changed inputs, and the difference."""

    region_code: RegionCode
    period: Quarter
    method: str
    now: ScorecardCore
    then: ScorecardCore
    difference: Points
    components: list[ComponentDifference]
    revision: int | None = ShapeField(description=_REVISION)

    model_config = show_example(
        region_code="63.02",
        period="2026-Q2",
        method="1",
        revision=0,
        now=_CORE,
        then=_CORE,
        difference=0.0,
        components=[{"component": "coverage", "difference": 0.0}],
    )
