"""The point of a region: fields declared once for table and wire."""

from typing import Literal

from pydantic import BaseModel, JsonValue
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Latitude, Line, Longitude, RegionCode, Shape, Version, show_example
from app.kit.http.pagination import PageQuery
from app.kit.problems import ErrorShape
from app.kit.tables.options import SkippedRows, TableOptions
from app.reference.models import RegionLevel


class CoordinatesFields(BaseModel):
    """A point in the region, and its source."""

    longitude: Longitude
    latitude: Latitude
    source: Line = ShapeField(description="Source of the point.")


_POINT: dict[str, JsonValue] = {
    "longitude": 116.218,
    "latitude": -3.2889,
    "source": "Kantor desa, Bappeda 2026",
}


class CoordinatesIn(CoordinatesFields, Shape):
    """A point in a region, with its source."""

    model_config = show_example(_POINT)


_OUT: dict[str, JsonValue] = {
    **_POINT,
    "region_code": "63.02.05.2001",
    "region_name": "Sekapung",
    "level": "village",
    "version": 1,
}


class CoordinatesOut(CoordinatesFields):
    """The point of a region."""

    region_code: RegionCode
    region_name: str
    level: RegionLevel
    version: Version

    model_config = show_example(_OUT)


class CoordinatesReply(CoordinatesOut):
    """The point of a region, with the verbs that the caller may use."""

    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_OUT, allowed=["edit", "delete"])


class CoordinatesQuery(PageQuery):
    """Filter of regions."""

    region: RegionCode | None = ShapeField(default=None, description="This region and everything below it.")
    level: RegionLevel | None = ShapeField(default=None, description="Only regions of this level.")
    sort: Literal["region_code", "-region_code"] = "region_code"


class CoordinatesImportQuery(TableOptions):
    """Options for reading a table."""

    code_system: Literal["kemendagri"] = ShapeField(
        description="Code system of the table. The service refuses codes of BPS: those of villages have no "
        "official counterpart, and most of them are valid codes of another place."
    )
    region: RegionCode | None = ShapeField(
        default=None, description="Region within which the import reads the names of rows that have no code."
    )
    source: Line | None = ShapeField(default=None, description="Source of rows that name none.")


class CoordinatesWritten(BaseModel):
    """Numbers of created, updated and unchanged points, and doubts about the file."""

    created: int
    updated: int
    unchanged: int
    skipped_rows: list[SkippedRows] = ShapeField(description="Rows that the query leaves out, by reason.")
    warnings: list[ErrorShape] = ShapeField(description="Doubts about cells that the import could use.")

    model_config = show_example(created=198, updated=3, unchanged=0, skipped_rows=[], warnings=[])


class CoordinatesRow(CoordinatesFields, Table, table=True):
    """The point of a region; a region without a row has no known point."""

    __tablename__ = "region_coordinates"

    region_code: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    version: int = 1
