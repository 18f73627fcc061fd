"""Query and reply shapes of the analyses: each figure with its series, or with the reason why it is null."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.convergence.indicators.analyses.rules import Trend, Undefined
from app.convergence.indicators.models import Direction, Flag, IndicatorCode, ObservedPeriod, Symbol
from app.kit.fields import RegionCode, show_example

Why = Annotated[Undefined | None, Field(description="Why a figure is null; null where none is.")]


class AnalysisQuery(BaseModel):
    """Period, base year and related indicators of an analysis."""

    period: ObservedPeriod | None = Field(
        default=None,
        description="As of this period; the newest value of the region if not given. `2021` of a half-yearly indicator "
        "is the half that tables name by the year alone. Only the same half of other years is compared with it.",
    )
    since: int | None = Field(
        default=None,
        ge=1990,
        le=2100,
        description="Base year of the effectiveness: the programme's first; if not given, the baseline of the target.",
    )
    related: list[IndicatorCode] = Field(
        default=[],
        max_length=5,
        description="Other indicators to link with, instead of those of the definition; repeatable.",
    )


class QuadrantQuery(BaseModel):
    """Regions and periods of the quadrants."""

    region: RegionCode = Field(
        default="0",
        description="The regions one level below this one are placed, against its published value.",
    )
    from_: ObservedPeriod | None = Field(
        default=None, alias="from", description="Change since this period; the year before `to` if not given."
    )
    to: ObservedPeriod | None = Field(
        default=None, description="As of this period; the newest of the region if not given."
    )


class PlaceValue(BaseModel):
    """What was published of a region."""

    region_code: RegionCode
    region_name: str
    value: float | None
    symbol: Symbol | None
    flags: list[Flag]


class Reference(PlaceValue):
    """A region above, and how far this one is from it."""

    difference: float | None = Field(
        description="This region's value less that one's, in the indicator's unit."
    )
    is_worse: bool | None
    reason: Why


class RelativePosition(BaseModel):
    """Analysis 1: beside the province, the nation and the regions of the same parent."""

    province: Reference | None = Field(
        description="Null for provinces and the nation. Published, never an average."
    )
    nation: Reference | None = Field(description="Null for the nation.")
    rank: int | None = Field(description="1 is the best; regions of equal value share a place.")
    ranked: int = Field(description="Regions that have a value.")
    siblings: list[PlaceValue] = Field(description="The regions of the same parent, this one included.")
    reason: Why


class YearChange(BaseModel):
    """A value of the series, and its change from the value before it."""

    period: ObservedPeriod
    value: float | None
    symbol: Symbol | None
    flags: list[Flag]
    change: float | None
    change_percent: float | None
    reason: Why


class ChangeOverTime(BaseModel):
    """Analysis 2: the series up to the period, and from its first value to its last."""

    series: list[YearChange]
    change: float | None
    change_percent: float | None
    change_per_year: float | None = Field(description="In the indicator's unit per year.")
    trend: Trend | None
    reason: Why


class TargetState(BaseModel):
    """The region's next target, and how much of the way to it was made."""

    year: int
    value: float
    baseline: float
    baseline_year: int
    achievement_percent: float | None = Field(description="0 to 100.")
    reason: Why


class Effectiveness(BaseModel):
    """Analysis 3: does it move the right way since the base year, faster than before, towards the target?"""

    since: int | None
    per_year_before: float | None = Field(description="From the first value to the base year.")
    per_year_after: float | None = Field(description="From the base year to the period.")
    trend: Trend | None = Field(description="Since the base year.")
    is_faster: bool | None = Field(description="Improves faster, or worsens slower, than before.")
    reason: Why
    target: TargetState | None = Field(
        description="Null where there is none, or none that the caller may see."
    )


class ChangePair(BaseModel):
    """The change of a year, here and above."""

    period: ObservedPeriod
    change: float
    reference_change: float


class Relevance(BaseModel):
    """Analysis 4: does the region's trend follow that of the region above?"""

    reference_code: RegionCode | None
    changes: list[ChangePair] = Field(
        description="Years for which both have a value and one the year before."
    )
    same_direction_percent: float | None = Field(description="Share of these years with the same sign.")
    correlation: float | None = Field(description="Pearson's r of the changes; from three on.")
    reason: Why


class Pair(BaseModel):
    """A year, or a region, with both values."""

    key: str = Field(description="Year or region code.")
    value: float
    related_value: float


class Correlated(BaseModel):
    """Two indicators beside each other."""

    pairs: list[Pair]
    correlation: float | None = Field(description="Pearson's r of the values; from three pairs on.")
    reason: Why


class Linkage(BaseModel):
    """Analysis 5: does the indicator move with another one as one would expect?"""

    indicator: IndicatorCode
    name: str
    expected: Literal["positive", "negative"] | None = Field(
        description="Sign with which both get better together."
    )
    across_time: Correlated = Field(description="Over the years of this region.")
    across_siblings: Correlated = Field(description="Over the regions of the same parent, at the period.")


_NAMED = {"region_code": "73.22", "region_name": "Kabupaten Luwu Utara"}
_NO_SYMBOL: dict[str, object] = {"symbol": None, "flags": []}
_ANALYSIS = {
    **_NAMED,
    "indicator": "p0",
    "name": "Persentase penduduk miskin (P0)",
    "unit": "percent",
    "direction": "lower_is_better",
    "period": "2021-S1",
    "value": 13.59,
    "relative_position": {
        "province": {
            "region_code": "73",
            "region_name": "Sulawesi Selatan",
            "value": 8.78,
            **_NO_SYMBOL,
            "difference": 4.81,
            "is_worse": True,
            "reason": None,
        },
        "nation": None,
        "rank": 23,
        "ranked": 24,
        "siblings": [{**_NAMED, "value": 13.59, **_NO_SYMBOL}],
        "reason": None,
    },
    "change_over_time": {
        "series": [
            {
                "period": "2021-S1",
                "value": 13.59,
                **_NO_SYMBOL,
                "change": 0.18,
                "change_percent": 1.34,
                "reason": None,
            }
        ],
        "change": 0.18,
        "change_percent": 1.34,
        "change_per_year": 0.18,
        "trend": "worsening",
        "reason": None,
    },
    "effectiveness": {
        "since": 2020,
        "per_year_before": None,
        "per_year_after": 0.18,
        "trend": "worsening",
        "is_faster": None,
        "reason": "too_few",
        "target": {
            "year": 2026,
            "value": 10.0,
            "baseline": 13.41,
            "baseline_year": 2020,
            "achievement_percent": 0.0,
            "reason": None,
        },
    },
    "relevance": {
        "reference_code": "73",
        "changes": [{"period": "2021-S1", "change": 0.18, "reference_change": 0.06}],
        "same_direction_percent": 100.0,
        "correlation": None,
        "reason": "too_few",
    },
    "linkage": [
        {
            "indicator": "mean_years_schooling",
            "name": "Rata-rata lama sekolah",
            "expected": "negative",
            "across_time": {"pairs": [], "correlation": None, "reason": "too_few"},
            "across_siblings": {
                "pairs": [{"key": "73.22", "value": 13.59, "related_value": 7.98}],
                "correlation": None,
                "reason": "too_few",
            },
        }
    ],
}


class Analysis(BaseModel):
    """The five standard analyses of an indicator in a region."""

    region_code: RegionCode
    region_name: str
    indicator: IndicatorCode
    name: str
    unit: str
    direction: Direction
    period: ObservedPeriod | None
    value: float | None
    relative_position: RelativePosition
    change_over_time: ChangeOverTime
    effectiveness: Effectiveness
    relevance: Relevance
    linkage: list[Linkage]

    model_config = show_example(_ANALYSIS)


class QuadrantItem(BaseModel):
    """A region, placed."""

    region_code: RegionCode
    region_name: str
    value_from: float | None
    value: float | None
    difference: float | None = Field(description="Less the reference's value, in the indicator's unit.")
    change: float | None = Field(description="Since `from`, in the indicator's unit.")
    quadrant: Literal[1, 2, 3, 4] | None = Field(
        description="1 worse than the reference and worsening, 2 worse, 3 worsening, 4 neither."
    )
    reason: Why


class Quadrants(BaseModel):
    """The regions below one, by how urgent they are."""

    indicator: IndicatorCode
    direction: Direction
    from_: ObservedPeriod | None = Field(alias="from")
    to: ObservedPeriod | None
    reference: PlaceValue
    items: list[QuadrantItem]

    model_config = show_example(
        {"from": "2020-S1"},
        indicator="p0",
        direction="lower_is_better",
        to="2021-S1",
        reference={"region_code": "73", "region_name": "Sulawesi Selatan", "value": 8.78, **_NO_SYMBOL},
        items=[
            {
                **_NAMED,
                "value_from": 13.41,
                "value": 13.59,
                "difference": 4.81,
                "change": 0.18,
                "quadrant": 1,
                "reason": None,
            }
        ],
    )
