"""Shapes and filters of villages and the efforts in them, as a list and as a map. No tables."""

from typing import Literal

from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.convergence.coverage.models import Share
from app.convergence.coverage.rules import VillageStatus
from app.kit.fields import AgencyCode, RegionCode, show_example
from app.kit.http.pagination import Page, PageQuery
from app.kit.periods import Quarter
from app.plans.actions.models import Strategy


class Efforts(BaseModel):
    """Lines that name the village itself, by progress; a line counts in each state that it has reached."""

    lines: int
    funded: int = ShapeField(description="Lines with an allocation and a funding source.")
    delivering: int = ShapeField(
        description="Lines with spending, achievement or reached recipients in their latest report of the year up to "
        "the quarter."
    )
    on_time: int = ShapeField(
        description="Lines with all milestones done that are due by the quarter's end, according to that report; "
        "without a due milestone, lines with a report in the quarter itself."
    )


class StrategyEfforts(Efforts):
    """The lines of one strategy; zeros where it is missing."""

    strategy: Strategy


class AgencyEfforts(Efforts):
    """The lines of one lead agency."""

    region_code: RegionCode = ShapeField(description="Region of the agency.")
    agency_code: AgencyCode
    agency_name: str
    merged_into: AgencyCode | None = ShapeField(
        description="Agency that took over its lines; a submitted quarter names the agency of its revision."
    )


class WiderEfforts(BaseModel):
    """Lines that name a region above the village without its villages. They may or may not reach this one."""

    region_code: RegionCode = ShapeField(description="District, regency or province that the lines name.")
    strategy: Strategy
    lines: int


_VILLAGE = {
    "village": "63.02.05.2001",
    "village_name": "Sekapung",
    "district_name": "Pulau Sebuku",
    "region_code": "63.02",
    "is_priority": True,
    "target_families": 140,
    "lines": 3,
    "funded": 2,
    "delivering": 1,
    "on_time": 1,
    "late": 1,
    "overlapping_agencies": 2,
    "strategies": [
        {"strategy": "reduce_spending_burden", "lines": 3, "funded": 2, "delivering": 1, "on_time": 1},
        {"strategy": "raise_income", "lines": 0, "funded": 0, "delivering": 0, "on_time": 0},
        {"strategy": "reduce_poverty_pockets", "lines": 0, "funded": 0, "delivering": 0, "on_time": 0},
    ],
    "agencies": [
        {
            "region_code": "63.02",
            "agency_code": "1.06.0.00.0.00.08.0000",
            "agency_name": "Dinas Sosial",
            "merged_into": None,
            "lines": 3,
            "funded": 2,
            "delivering": 1,
            "on_time": 1,
        }
    ],
    "wider": [{"region_code": "63.02", "strategy": "raise_income", "lines": 4}],
    "coverage_percent": 65.28,
    "balance_percent": 25.0,
    "status": "partial",
    "longitude": 116.218,
    "latitude": -3.2889,
}


class VillageOut(Efforts):
    """A village with the lines in it: all, funded, delivering and on time."""

    village: RegionCode
    village_name: str
    district_name: str
    region_code: RegionCode = ShapeField(description="The regency.")
    is_priority: bool = ShapeField(description="True if a plan of the year names it as a priority location.")
    target_families: int | None = ShapeField(
        description="From the village's report on the quarter, else from the plan; null if neither has them."
    )
    late: int = ShapeField(description="Funded lines that are not on time.")
    overlapping_agencies: int = ShapeField(
        description="Most agencies that give one form of benefit to the same recipients in this village within one "
        "month; 0 without an overlap of two."
    )
    strategies: list[StrategyEfforts] = ShapeField(description="Every strategy, also one without lines.")
    agencies: list[AgencyEfforts]
    wider: list[WiderEfforts]
    coverage_percent: Share = ShapeField(description="KD of the quarter; null without a report.")
    balance_percent: Share = ShapeField(description="B of the quarter: the lowest coverage of a strategy.")
    status: VillageStatus | None = ShapeField(description="Null without coverage.")
    longitude: float | None = ShapeField(description="WGS 84; null without coordinates.")
    latitude: float | None

    model_config = show_example(_VILLAGE)


class VillageTotals(BaseModel):
    """Totals of all villages that match, on all pages."""

    villages: int
    target_families: int = ShapeField(description="Target families of the villages with a known number.")
    villages_without_target: int = ShapeField(
        description="Villages without a known number of target families."
    )
    priority: int
    overlapping: int = ShapeField(description="Villages in which two agencies or more overlap.")
    not_funded: int = ShapeField(description="Villages with a line without funds.")
    late: int = ShapeField(description="Villages with a funded line that is late.")
    without_coordinates: int = ShapeField(description="Villages that a map cannot show.")


_TOTALS = {
    "villages": 1,
    "target_families": 140,
    "villages_without_target": 0,
    "priority": 1,
    "overlapping": 1,
    "not_funded": 1,
    "late": 1,
    "without_coordinates": 0,
}


class VillagePage(Page[VillageOut]):
    """One page of villages, and the totals of all pages."""

    totals: VillageTotals

    model_config = show_example(items=[_VILLAGE], next=None, totals=_TOTALS)


class PointGeometry(BaseModel):
    type: Literal["Point"]
    coordinates: list[float] = ShapeField(
        min_length=2, max_length=2, description="Longitude, then latitude, in degrees of WGS 84."
    )


class VillageFeature(BaseModel):
    type: Literal["Feature"]
    id: RegionCode
    geometry: PointGeometry
    properties: VillageOut


class VillageMap(BaseModel):
    """The villages with coordinates as GeoJSON; `totals` counts those without."""

    type: Literal["FeatureCollection"]
    features: list[VillageFeature]
    totals: VillageTotals

    model_config = show_example(
        type="FeatureCollection",
        features=[
            {
                "type": "Feature",
                "id": "63.02.05.2001",
                "geometry": {"type": "Point", "coordinates": [116.218, -3.2889]},
                "properties": _VILLAGE,
            }
        ],
        totals=_TOTALS,
    )


class VillageFilters(BaseModel):
    """Filters of villages; a village must fulfil all."""

    region: RegionCode = ShapeField(description="This region and everything below it.")
    period: Quarter
    is_priority: bool | None = ShapeField(
        default=None, description="True: a plan names it as a priority location; false: no plan does."
    )
    strategy: Strategy | None = ShapeField(default=None, description="A line there serves this strategy.")
    missing_strategy: Strategy | None = ShapeField(
        default=None, description="No line there serves this strategy."
    )
    not_funded: bool | None = ShapeField(
        default=None, description="True: a line there has no funds; false: all lines have funds."
    )
    late: bool | None = ShapeField(
        default=None, description="True: a funded line there is not on time; false: no such line."
    )
    overlap: bool | None = ShapeField(
        default=None,
        description="True: two agencies or more give one form of benefit to the same recipients there; false: no two "
        "do.",
    )
    min_agencies: int | None = ShapeField(
        default=None, ge=2, le=100, description="An overlap of at least so many agencies at once."
    )
    status: VillageStatus | None = ShapeField(default=None, description="By its coverage of the quarter.")


class VillagesQuery(PageQuery, VillageFilters):
    """Filters, order and page of villages."""

    sort: Literal[
        "village",
        "-village",
        "lines",
        "-lines",
        "late",
        "-late",
        "overlapping_agencies",
        "-overlapping_agencies",
    ] = "village"


class VillageMapQuery(VillageFilters):
    """Filters of a map of villages."""
