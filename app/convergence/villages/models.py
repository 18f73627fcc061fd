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
    funded: int = ShapeField(description="With an allocation and a funding source.")
    delivering: int = ShapeField(
        description="Whose latest report of the year up to the quarter has money spent, something achieved, or "
        "recipients reached."
    )
    on_time: int = ShapeField(
        description="All of whose milestones due by the quarter's end are done by that report; without a milestone "
        "due, that were reported on in the quarter itself."
    )


class StrategyEfforts(Efforts):
    """The lines of one strategy; zeros where it is missing."""

    strategy: Strategy


class AgencyEfforts(Efforts):
    """The lines that one agency leads."""

    region_code: RegionCode = ShapeField(description="Whose agency it is.")
    agency_code: AgencyCode
    agency_name: str


class WiderEfforts(BaseModel):
    """Lines that name a region above the village and not which villages of it: whether they reach this one is
    not said, so they are counted here alone."""

    region_code: RegionCode = ShapeField(
        description="The district, the regency or the province that they name."
    )
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
    """A village, and what is planned, funded, delivered and on time in it."""

    village: RegionCode
    village_name: str
    district_name: str
    region_code: RegionCode = ShapeField(description="The regency.")
    is_priority: bool = ShapeField(description="A plan of the year names it as a priority location.")
    target_families: int | None = ShapeField(
        description="As the village reports them for the quarter, else as the plan says; null where nobody does."
    )
    late: int = ShapeField(description="Lines that are funded and not on time.")
    overlapping_agencies: int = ShapeField(
        description="The most agencies that bring the same form of benefit to the same recipients in this very "
        "village in the same month; 0 where no two do."
    )
    strategies: list[StrategyEfforts] = ShapeField(description="Every strategy, also one that is missing.")
    agencies: list[AgencyEfforts]
    wider: list[WiderEfforts]
    coverage_percent: Share = ShapeField(description="KD of the quarter; null where nothing is reported.")
    balance_percent: Share = ShapeField(description="B of the quarter: the lowest coverage of a strategy.")
    status: VillageStatus | None = ShapeField(description="Null where no coverage tells it.")
    longitude: float | None = ShapeField(description="WGS 84; null where nobody told where it lies.")
    latitude: float | None

    model_config = show_example(_VILLAGE)


class VillageTotals(BaseModel):
    """Of all villages that match, on whatever page they are."""

    villages: int
    target_families: int = ShapeField(
        description="Families affected: those of villages where they are known."
    )
    villages_without_target: int = ShapeField(description="Nobody says how many target families they have.")
    priority: int
    overlapping: int = ShapeField(description="Villages in which two agencies or more overlap.")
    not_funded: int = ShapeField(description="Villages with a line that is planned and not funded.")
    late: int = ShapeField(description="Villages with a line that is funded and late.")
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


# As a map (RFC 7946)


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
    """The villages whose point is known, as GeoJSON; `totals` says how many there are that it cannot show."""

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


# Queries


class VillageFilters(BaseModel):
    """Filters of villages; a village must fulfil all."""

    region: RegionCode = ShapeField(description="This region and everything below it.")
    period: Quarter
    is_priority: bool | None = ShapeField(
        default=None, description="A plan names it as a priority location, or (`false`) none does."
    )
    strategy: Strategy | None = ShapeField(default=None, description="Some line there serves this strategy.")
    missing_strategy: Strategy | None = ShapeField(
        default=None, description="No line there serves this strategy."
    )
    not_funded: bool | None = ShapeField(
        default=None, description="Some line there is planned and not funded, or (`false`) none is."
    )
    late: bool | None = ShapeField(
        default=None, description="Some line there is funded and not on time, or (`false`) none is."
    )
    overlap: bool | None = ShapeField(
        default=None,
        description="Two agencies or more bring the same form of benefit to the same recipients there, or (`false`) no "
        "two do.",
    )
    min_agencies: int | None = ShapeField(
        default=None, ge=2, le=100, description="The same of so many agencies or more, all at once."
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
