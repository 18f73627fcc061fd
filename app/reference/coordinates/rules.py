"""Reader of tables of coordinates. Pure; `queries` finds the regions.

A comma or a point is the decimal mark; degrees with minutes and seconds are an error.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from app.kit.files.books import Sheet
from app.kit.http.validation import list_body_errors
from app.kit.problems import ErrorPlace, FieldError, Kind
from app.kit.tables.headers import MISSING_COLUMN, TableHeader
from app.kit.tables.layouts import TableField, TableLayout
from app.kit.tables.options import TableOptions
from app.kit.tables.rows import BLANK_CELL, PlainTable, TableRow
from app.reference.coordinates.models import CoordinatesIn
from app.reference.places.areas.rules import AreaColumns, AreaRow, list_code_headings, list_level_headings

not_degrees = Kind(
    "not_degrees",
    id="“{value}” bukan derajat desimal. Contoh: {allowed}.",
    en="“{value}” is not a number of decimal degrees. Example: {allowed}.",
)

CHAIN = "coordinates"
"""Chain of the journal."""

NATION = "0"
"""Region of the journal's entries: all reference data is public to every token, hence the nation's."""

_LEVELS = {"district": "district", "village": "village", "name": None}
LAYOUT = TableLayout(
    (
        TableField("number", ("No", "Nomor", "No Urut")),
        TableField("region_code", ("kode wilayah", "region_code", "village_code", *list_code_headings())),
        TableField("district", ("kecamatan", "district", *list_level_headings("district"))),
        TableField("village", ("desa", "village", *list_level_headings("village"))),
        TableField("name", ("nama", "name", "nama wilayah", "wilayah")),
        TableField("longitude", ("bujur", "longitude", "lon", "lng", "long", "x"), is_required=True),
        TableField("latitude", ("lintang", "latitude", "lat", "y"), is_required=True),
        TableField("source", ("sumber", "source", "sumber data")),
    ),
    fewest=2,
)

LARGEST_TABLE = 100_000
"""Rows: the nation has 84,000 villages."""

_DEGREES = re.compile(r"[+-]?[0-9]{1,3}([.,][0-9]{1,15})?\Z")
_EXAMPLES = {"longitude": "116,218", "latitude": "-3,2889"}

LocateField = Callable[[str], ErrorPlace]
"""Function from a field to the place of an error about it."""


@dataclass(frozen=True)
class RegionPoint:
    """The point of a region, and its place in the request for errors."""

    region: str
    content: CoordinatesIn
    place: LocateField


@dataclass(frozen=True)
class TablePoint:
    """A row of a table: what names its region, and its point, None with errors."""

    row: TableRow
    area: AreaRow
    content: CoordinatesIn | None

    def locate(self, name: str) -> ErrorPlace:
        """Return the cell of a field, or that of the region if there is no such column."""
        return {"cell": self.row.cell(name) if name in self.row.at else self.area.cell}


def read_table(
    sheet: Sheet, header: TableHeader, options: TableOptions, source: str | None
) -> tuple[PlainTable, list[TablePoint]]:
    """Read the points below a header; with errors about the header, which are those of the table, there are none."""
    names, figures = ("region_code", *_LEVELS), ("longitude", "latitude")
    table = PlainTable(sheet, header, LAYOUT, options, names=names, figures=figures)
    if not table.names:
        cell = sheet.cell(header.data_row - 1, 0)
        table.errors.append(FieldError(MISSING_COLUMN, cell=cell, allowed="kode wilayah"))
    if "source" not in table.at and source is None:
        cell = sheet.cell(header.data_row - 1, 0)
        table.errors.append(FieldError(MISSING_COLUMN, cell=cell, allowed="sumber"))
    areas = AreaColumns(table, "region_code", _LEVELS)
    points: list[TablePoint] = []
    for row in table.list_rows() if not table.errors else ():
        if not areas.read_heading(row) and not table.is_sum(row) and not table.is_left_out(row):
            area = areas.read(row)
            points.append(TablePoint(row, area, _read_point(table, row, area, source)))
    table.close()
    return table, points


def _read_point(table: PlainTable, row: TableRow, area: AreaRow, source: str | None) -> CoordinatesIn | None:
    """Return the point of a row. Returns None and adds the errors to those of its region if there is none."""
    before = len(area.errors)
    content: dict[str, object] = {key: _read_degrees(table, row, key, area.errors) for key in _EXAMPLES}
    content["source"] = row.text("source") or source
    if kind := table.find_refusal(row, "source"):
        area.errors.append(FieldError(kind, cell=row.cell("source"), value=str(row.value("source"))))
    elif content["source"] is None:
        area.errors.append(FieldError(BLANK_CELL, cell=row.cell("source")))
    if len(area.errors) > before:
        return None
    try:
        return CoordinatesIn.model_validate(content)
    except ValidationError as error:
        for problem in list_body_errors(error):
            cell = row.cell((problem.pointer or "").removeprefix("/"))
            area.errors.append(
                FieldError(problem.kind, cell=cell, value=problem.value, allowed=problem.allowed)
            )
        return None


def _read_degrees(table: PlainTable, row: TableRow, key: str, errors: list[FieldError]) -> float | None:
    value, kind = row.value(key), table.find_refusal(row, key)
    if kind is None and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = row.text(key).replace("−", "-")
    if kind is None and _DEGREES.match(text):
        return float(text.replace(",", "."))
    kind = kind or (not_degrees if text else BLANK_CELL)
    shown = text or (None if value is None else str(value))
    errors.append(FieldError(kind, cell=row.cell(key), value=shown, allowed=_EXAMPLES[key]))
    return None


def list_headings() -> Sequence[str]:
    """Return the headings that every table of coordinates has."""
    return [item.labels[0] for item in LAYOUT.fields if item.key in ("region_code", *_EXAMPLES)]
