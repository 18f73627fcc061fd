"""Reads the points of regions; every valid token may read them, as all reference data."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import Select
from sqlmodel import Session

from app.access.queries import within
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.http.pagination import Listing, equal
from app.reference.coordinates.models import CoordinatesIn, CoordinatesOut, CoordinatesQuery, CoordinatesRow
from app.reference.coordinates.rules import NATION
from app.reference.models import RegionRow

coordinates, _regions = table_of(CoordinatesRow), table_of(RegionRow)

COORDINATES = Resource(
    "coordinates", coordinates, CoordinatesIn, ("region_code",), "regions/{region_code}/coordinates", NATION
)


def _select_coordinates() -> Select[Any]:
    columns = fields_of(CoordinatesOut, coordinates, region_name=_regions.c.name, level=_regions.c.level)
    return sa.select(*columns).select_from(
        coordinates.join(_regions, _regions.c.code == coordinates.c.region_code)
    )


def list_coordinates(query: CoordinatesQuery) -> Listing:
    """List the regions with a known point."""
    code = coordinates.c.region_code
    statement = _select_coordinates().where(
        within(code, query.region), *equal((_regions.c.level, query.level))
    )
    return Listing(statement, {"region_code": code}, {"region_code": code})


def coordinates_text(session: Session, region: str) -> ResourceText:
    """Return the point of a region as `CoordinatesOut`. Raises NotFound if none is stored."""
    return read_text(session, _select_coordinates().where(coordinates.c.region_code == region))
