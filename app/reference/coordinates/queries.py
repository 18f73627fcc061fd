"""Reads the points of regions; every valid token may read them, as all reference data."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import Select
from sqlmodel import Session

from app.access.queries import is_in_region
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.http.pagination import Listing, match_values
from app.reference.coordinates.models import CoordinatesIn, CoordinatesOut, CoordinatesQuery, CoordinatesRow
from app.reference.coordinates.rules import NATION
from app.reference.models import RegionRow

coordinates, _regions = get_table(CoordinatesRow), get_table(RegionRow)

COORDINATES = Resource(
    "coordinates", coordinates, CoordinatesIn, ("region_code",), "regions/{region_code}/coordinates", NATION
)


def _select_coordinates() -> Select[Any]:
    columns = select_fields(CoordinatesOut, coordinates, region_name=_regions.c.name, level=_regions.c.level)
    return sa.select(*columns).select_from(
        coordinates.join(_regions, _regions.c.code == coordinates.c.region_code)
    )


def list_coordinates(query: CoordinatesQuery) -> Listing:
    """List the regions with a known point."""
    code = coordinates.c.region_code
    statement = _select_coordinates().where(
        is_in_region(code, query.region), *match_values((_regions.c.level, query.level))
    )
    return Listing(statement, {"region_code": code}, {"region_code": code})


def read_coordinates(session: Session, region: str) -> ResourceText:
    """Return the point of a region as `CoordinatesOut`. Raises NotFound for a region without one."""
    return read_text(session, _select_coordinates().where(coordinates.c.region_code == region))
