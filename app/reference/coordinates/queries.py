"""Reading where regions lie: reference data, which every valid token reads."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import Select
from sqlmodel import Session

from app.access.queries import within
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, json_texts
from app.kit.http.pagination import Listing
from app.kit.problems import NotFound
from app.reference.coordinates.models import (
    CoordinatesIn,
    CoordinatesOut,
    CoordinatesQuery,
    CoordinatesRow,
)
from app.reference.models import RegionRow
from app.reference.queries import among

coordinates, _regions = table_of(CoordinatesRow), table_of(RegionRow)


def _told() -> Select[Any]:
    columns = fields_of(CoordinatesOut, coordinates, region_name=_regions.c.name, level=_regions.c.level)
    return sa.select(*columns).select_from(
        coordinates.join(_regions, _regions.c.code == coordinates.c.region_code)
    )


def list_coordinates(query: CoordinatesQuery) -> Listing:
    """The regions whose point is known."""
    code = coordinates.c.region_code
    found = _told().where(
        within(code, query.region) if query.region else sa.true(),
        _regions.c.level == query.level if query.level else sa.true(),
    )
    return Listing(found, {"region_code": code}, {"region_code": code})


class Text(NamedTuple):
    """A point as JSON (`CoordinatesOut`), and its version."""

    json: str
    version: int


def coordinates_text(session: Session, region: str) -> Text:
    """Where a region lies. NotFound: nobody says so."""
    query = _told().where(coordinates.c.region_code == region)
    row = session.execute(json_texts(query, "version")).one_or_none()
    if row is None:
        raise NotFound()
    return Text(*row)


class Stored(NamedTuple):
    """A point as it stands, for comparing and journaling."""

    content: dict[str, Any]
    version: int


def stored_coordinates(session: Session, regions: Iterable[str]) -> dict[str, Stored]:
    """Region → where it lies, in one SELECT."""
    code = coordinates.c.region_code
    query = _told().where(among(session, code, regions))
    found = {}
    for text, region, version in session.execute(json_texts(query, "region_code", "version")):
        told = json.loads(text)
        found[region] = Stored({name: told[name] for name in CoordinatesIn.model_fields}, version)
    return found
