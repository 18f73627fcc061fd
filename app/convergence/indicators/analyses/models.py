"""Query and reply shapes of the analyses: each figure with its series, or with the reason why it is null."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.convergence.indicators.analyses.rules import Trend, Undefined
from app.convergence.indicators.models import Direction, Flag, IndicatorCode, ObservedPeriod, Symbol
from app.kit.fields import RegionCode, show_example

Why = Annotated[Undefined | None, Field(description="Reason for the figures that are null; else null.")]


class AnalysisQuery(BaseModel):
    """Period, base year and related indicators of an analysis."""

    period: ObservedPeriod | None = Field(
        default=None,
        description="Period of the analysis; by default that of the region's newest value. `2021` of a half-yearly "
        "indicator is the survey of tables that give only the year. Other years count with this half alone.",
    )
    since: int | None = Field(
        default=None,
        ge=1990,
        le=2100,
        description="Base year of the effectiveness, such as a programme's first; by default the target's baseline.",
    )
    related: list[IndicatorCode] = Field(
        default=[],
        max_length=5,
        description="Indicators of the linkage, by default those of the definition; repeatable.",
    )


class QuadrantQuery(BaseModel):
    """Regions and periods of the quadrants."""

    region: RegionCode = Field(
        default="0",
        description="Region with the reference value; the quadrants are of the regions one level below it.",
    )
    from_: ObservedPeriod | None = Field(
        default=None, alias="from", description="First period of the change; by default the year before `to`."
    )
    to: ObservedPeriod | None = Field(
        default=None, description="Last period of the change; by default the region's newest."
    )


class PlaceValue(BaseModel):
    """The published value of a region."""

    region_code: RegionCode
    region_name: str
    value: float | None
    symbol: Symbol | None
    flags: list[Flag]


class Reference(PlaceValue):
    """A region above with the distance of this region from it."""

    difference: float | None = Field(
        description="This region's value minus that of the region above, in the indicator's unit."
    )
    is_worse: bool | None
    reason: Why


class RelativePosition(BaseModel):
    """Analysis 1: relative position to the province, the nation and the regions of one parent."""

    province: Reference | None = Field(
        description="Published value, never an average; null for provinces and the nation."
    )
    nation: Reference | None = Field(description="Null for the nation.")
    rank: int | None = Field(description="1 is the best; equal values share a rank.")
    ranked: int = Field(description="Number of siblings with a value.")
    siblings: list[PlaceValue] = Field(description="Regions with this region's parent, including this one.")
    reason: Why


class YearChange(BaseModel):
    """A value of the series, with its change from the previous value."""

    period: ObservedPeriod
    value: float | None
    symbol: Symbol | None
    flags: list[Flag]
    change: float | None
    change_percent: float | None
    reason: Why


class ChangeOverTime(BaseModel):
    """Analysis 2: the series up to the period, with the change from its first value to its last."""

    series: list[YearChange]
    change: float | None
    change_percent: float | None
    change_per_year: float | None = Field(description="In the indicator's unit per year.")
    trend: Trend | None
    reason: Why


class TargetState(BaseModel):
    """The region's next target, with the achieved share of the way to it."""

    year: int
    value: float
    baseline: float
    baseline_year: int
    achievement_percent: float | None = Field(description="0 to 100.")
    reason: Why


class Effectiveness(BaseModel):
    """Analysis 3: the speed since the base year, compared with the speed before it and with the target."""

    since: int | None
    per_year_before: float | None = Field(description="From the first value to the base year.")
    per_year_after: float | None = Field(description="From the base year to the period.")
    trend: Trend | None = Field(description="Since the base year.")
    is_faster: bool | None = Field(
        description="True if it improves faster or worsens more slowly than before."
    )
    reason: Why
    target: TargetState | None = Field(description="Null without a target that the caller may see.")


class ChangePair(BaseModel):
    """The change of a year in the region and in the region above."""

    period: ObservedPeriod
    change: float
    reference_change: float


class Relevance(BaseModel):
    """Analysis 4: the agreement of the region's trend with that of the region above."""

    reference_code: RegionCode | None
    changes: list[ChangePair] = Field(
        description="Years with a value of both, and with values of the year before."
    )
    same_direction_percent: float | None = Field(description="Share of these years with equal signs.")
    correlation: float | None = Field(description="Pearson's r of the changes; null for fewer than three.")
    reason: Why


class Pair(BaseModel):
    """The values of two indicators in a year or a region."""

    key: str = Field(description="Year or region code.")
    value: float
    related_value: float


class Correlated(BaseModel):
    """The correlation of two indicators."""

    pairs: list[Pair]
    correlation: float | None = Field(
        description="Pearson's r of the values; null for fewer than three pairs."
    )
    reason: Why


class Linkage(BaseModel):
    """Analysis 5: the correlation with another indicator, with the sign to expect."""

    indicator: IndicatorCode
    name: str
    expected: Literal["positive", "negative"] | None = Field(
        description="Sign of the correlation if both improve together; null if one is neutral."
    )
    across_time: Correlated = Field(description="Over the years of this region.")
    across_siblings: Correlated = Field(description="Over the regions of one parent, at the period.")


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
    """A region with its quadrant."""

    region_code: RegionCode
    region_name: str
    value_from: float | None
    value: float | None
    difference: float | None = Field(description="Value minus the reference value, in the indicator's unit.")
    change: float | None = Field(description="Since `from`, in the indicator's unit.")
    quadrant: Literal[1, 2, 3, 4] | None = Field(
        description="1 worse than the reference and worsening, 2 worse, 3 worsening, 4 neither."
    )
    reason: Why


class Quadrants(BaseModel):
    """The regions one level below a region, with their quadrants."""

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
