"""Reader of tables of coordinates. Pure: it does not look up regions.

The header is the first row that names the code's column. A comma or a point is the decimal mark; degrees with
minutes and seconds are an error.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from app.kit.fields import REGION_PATTERN, fold_name
from app.kit.files.books import Book, Sheet, Value
from app.kit.files.cells import find_refusal, render_text
from app.kit.http.validation import duplicate_key, find_nearest, list_body_errors, unknown_value
from app.kit.problems import Cell, ErrorPlace, FieldError, Invalid, Kind, refuse
from app.reference.coordinates.models import CoordinatesIn
from app.reference.rules import add_dots

no_such_column = Kind(
    "no_such_column",
    id="Baris judul tidak memuat kolom “{value}”. Tambahkan kolom itu.",
    en="The header has no column “{value}”. Add that column.",
)
unfilled = Kind("unfilled", id="Sel ini wajib diisi.", en="This cell is required.")
not_degrees = Kind(
    "not_degrees",
    id="“{value}” bukan derajat desimal. Contoh: {allowed}.",
    en="“{value}” is not a number of decimal degrees. Example: {allowed}.",
)
malformed_region_code = Kind(
    "malformed_region_code",
    id="“{value}” bukan kode wilayah. Contoh: {allowed}.",
    en="“{value}” is not the code of a region. Example: {allowed}.",
)

CHAIN = "coordinates"
"""Chain of the journal."""

NATION = "0"
"""Region of the journal's entries: all reference data is public to every token, hence the nation's."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "region_code": ("region_code", "village_code", "kode", "kode wilayah", "kode desa"),
    "name": ("name", "nama", "desa", "nama desa", "desa/kelurahan", "nama wilayah"),
    "longitude": ("longitude", "lon", "lng", "bujur", "x"),
    "latitude": ("latitude", "lat", "lintang", "y"),
    "source": ("source", "sumber", "sumber data"),
}
"""Column → accepted headings; case and punctuation do not matter."""

LARGEST_TABLE = 100_000
"""Rows: the nation has 84,000 villages."""

_KEY_OF = {fold_name(text): key for key, texts in COLUMNS.items() for text in texts}
_IGNORED = {"", "no", "nomor"}
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}([.,][0-9]{1,15})?\Z")
_REQUIRED = ("region_code", "longitude", "latitude")

LocateField = Callable[[str], ErrorPlace]
"""Function from a field to the place of an error about it."""


@dataclass(frozen=True)
class RegionPoint:
    """The point of a region, and its place in the request for errors."""

    region: str
    content: CoordinatesIn
    place: LocateField
    name: str | None = None
    """Name of the region in the table."""


def read_table(book: Book, sheet: str | None, source: str | None) -> list[RegionPoint]:
    """Read the points of a table. Raises Invalid with each wrong cell or missing column."""
    table, header, columns = _find_header(book, sheet)
    points: list[RegionPoint] = []
    errors: list[FieldError] = []
    seen: set[str] = set()
    for r in range(header + 1, len(table.rows)):
        row = _TableRow(table, r, columns)
        if row.is_blank:
            continue
        point = row.read(source)
        if point is not None and point.region in seen:
            row.add_error(duplicate_key, "region_code", value=point.region)
        elif point is not None:
            seen.add(point.region)
            points.append(point)
        errors += row.errors
    refuse(errors)
    return points


def _find_header(book: Book, name: str | None) -> tuple[Sheet, int, dict[str, int]]:
    if position := book.find_header(
        name, lambda text: _KEY_OF.get(fold_name(render_text(text))) == "region_code"
    ):
        return *position, _map_columns(*position)
    cell = Cell(name or (book.visible or book.names)[0], 1, "A")
    known = [texts[0] for texts in COLUMNS.values()]
    raise Invalid(errors=[FieldError(no_such_column, cell=cell, value="region_code", allowed=known)])


def _map_columns(sheet: Sheet, header: int) -> dict[str, int]:
    columns: dict[str, int] = {}
    errors = []
    known = [names[0] for names in COLUMNS.values()]
    for c, value in enumerate(sheet.rows[header]):
        shown = render_text(value)
        text = fold_name(shown) if isinstance(value, str) else ""
        key = _KEY_OF.get(text)
        if key in columns:
            errors.append(FieldError(duplicate_key, cell=sheet.cell(header, c), value=shown))
        elif key is not None:
            columns[key] = c
        elif text not in _IGNORED:
            near = find_nearest(shown, _KEY_OF)
            cell = sheet.cell(header, c)
            errors.append(FieldError(unknown_value, cell=cell, value=shown, allowed=known, nearest=near))
    errors += [
        FieldError(no_such_column, cell=sheet.cell(header, 0), value=name, allowed=known)
        for name in _REQUIRED
        if name not in columns
    ]
    refuse(errors)
    return columns


class _TableRow:
    def __init__(self, sheet: Sheet, r: int, columns: Mapping[str, int]) -> None:
        self.sheet, self.r, self.columns = sheet, r, columns
        self.errors: list[FieldError] = []

    @property
    def is_blank(self) -> bool:
        return all(value is None for value in self.sheet.rows[self.r])

    def read(self, source: str | None) -> RegionPoint | None:
        code = self._read_code()
        content = {
            "longitude": self._read_degrees("longitude", "116,218"),
            "latitude": self._read_degrees("latitude", "-3,2889"),
            "source": self._read_text("source") or source,
        }
        if content["source"] is None:
            self.add_error(unfilled, "source")
        if self.errors or code is None:
            return None
        try:
            point = CoordinatesIn.model_validate(content)
        except ValidationError as error:
            for problem in list_body_errors(error):
                name = (problem.pointer or "").removeprefix("/")
                self.add_error(problem.kind, name, value=problem.value, allowed=problem.allowed)
            return None
        return RegionPoint(code, point, self.place, self._read_text("name"))

    def add_error(self, kind: Kind, name: str, *, value: object = None, allowed: object = None) -> None:
        self.errors.append(FieldError(kind, **self.place(name), value=value, allowed=allowed))

    def place(self, name: str) -> ErrorPlace:
        """Return the cell of a column, or that of the code if there is no such column."""
        return {"cell": self.sheet.cell(self.r, self.columns.get(name, self.columns["region_code"]))}

    def _read_value(self, name: str) -> Value:
        """Return the value of a cell. Returns None if it is blank, or unusable, which adds an error."""
        c = self.columns.get(name)
        value = self.sheet.value(self.r, c) if c is not None else None
        kind = find_refusal(value)
        if kind is not None:
            self.add_error(kind, name, value=str(value))
            return None
        return value

    def _read_text(self, name: str) -> str | None:
        return render_text(self._read_value(name)) or None

    def _read_code(self) -> str | None:
        text = self._read_text("region_code")
        if text is None:
            if not self.errors:
                self.add_error(unfilled, "region_code")
            return None
        code = add_dots(text)
        if not re.fullmatch(REGION_PATTERN, code):
            self.add_error(malformed_region_code, "region_code", value=text, allowed="63.02.05.2001")
            return None
        return code

    def _read_degrees(self, name: str, example: str) -> float | None:
        before = len(self.errors)
        value = self._read_value(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        text = render_text(value).replace("−", "-")
        if _DEGREES.match(text):
            return float(text.replace(",", "."))
        if len(self.errors) == before:
            self.add_error(not_degrees if text else unfilled, name, value=text or None, allowed=example)
        return None
