"""Reads the points of regions; every valid token may read them, as all reference data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import Select
from sqlmodel import Session

from app.access.queries import is_in_region
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.files.books import Book
from app.kit.http.pagination import Listing, match_values
from app.kit.http.validation import duplicate_key
from app.kit.problems import FieldError, refuse
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.headers import find_table, propose_table
from app.kit.tables.rows import PlainTable
from app.kit.tables.sheets import NO_TABLE, choose_table
from app.reference.coordinates.models import (
    CoordinatesImportQuery,
    CoordinatesIn,
    CoordinatesOut,
    CoordinatesQuery,
    CoordinatesRow,
)
from app.reference.coordinates.rules import LAYOUT, NATION, RegionPoint, list_headings, read_table
from app.reference.models import RegionRow
from app.reference.places.areas.models import AreaResolution
from app.reference.places.areas.queries import AreaFinder

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


@dataclass(frozen=True)
class ReadCoordinates:
    """The points of a file, and its table for the reply."""

    table: PlainTable
    points: list[RegionPoint]


def read_coordinates_file(
    session: Session,
    book: Book,
    query: CoordinatesImportQuery,
    resolutions: Sequence[AreaResolution],
    choices: Sequence[ColumnChoice],
) -> ReadCoordinates:
    """Return the points of a file. Raises UnreadableFile, or Invalid with each wrong cell or missing column."""
    sheet, header, others = choose_table(
        book,
        query.sheet,
        lambda sheet: find_table(sheet, LAYOUT, choices),
        NO_TABLE,
        propose=lambda sheet: propose_table(sheet, LAYOUT, choices),
        has_choices=bool(choices),
        allowed=list_headings(),
    )
    table, rows = read_table(sheet, header, query, query.source)
    table.warnings += others
    if not rows:
        refuse(table.errors, header.proposal if header.is_unclear else ())
    has_codes = "region_code" in header.columns
    areas = [row.area for row in rows]
    finder = AreaFinder(session, areas, resolutions, has_codes=has_codes, region=query.region)
    points: dict[str, RegionPoint] = {}
    for row in rows:
        code = finder.find(row.area)
        if code in points:
            row.area.errors.append(FieldError(duplicate_key, cell=row.area.cell, value=row.area.code or code))
        elif code is not None and row.content is not None:
            points[code] = RegionPoint(code, row.content, row.locate)
    errors = [error for row in rows for error in row.area.errors]
    refuse([*table.errors, *errors, *finder.list_misfits()])
    return ReadCoordinates(table, list(points.values()))
