"""Tables of coordinates, read cell by cell. Pure; regions are looked up elsewhere.

The header is the first row that names the code's column. A comma or a point is the decimal mark; degrees, minutes
and seconds are not guessed at.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from app.kit.fields import REGION_PATTERN, folded
from app.kit.files.books import Book, Sheet, Value
from app.kit.files.cells import as_text, why_unusable
from app.kit.http.validation import body_errors, duplicate_key, nearest, unknown_value
from app.kit.problems import Cell, ErrorPlace, FieldError, Invalid, Kind, refuse
from app.reference.coordinates.models import CoordinatesIn
from app.reference.rules import add_dots

no_such_column = Kind(
    "no_such_column",
    id="tidak ada kolom {value}; kolom yang dikenal: {allowed}",
    en="there is no column {value}; columns that are known: {allowed}",
)
unfilled = Kind("unfilled", id="sel wajib diisi", en="the cell must be filled")
not_degrees = Kind(
    "not_degrees",
    id="{value} bukan derajat desimal; contoh: {allowed}",
    en="{value} is no decimal degrees; such as {allowed}",
)
malformed_region_code = Kind(
    "malformed_region_code",
    id="{value} bukan kode wilayah; contoh: {allowed}",
    en="{value} is no code of a region; such as {allowed}",
)

CHAIN = "coordinates"
"""Of the journal."""

NATION = "0"
"""Where a region lies is told to everybody, as all reference data is."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "region_code": ("region_code", "village_code", "kode", "kode wilayah", "kode desa"),
    "name": ("name", "nama", "desa", "nama desa", "desa/kelurahan", "nama wilayah"),
    "longitude": ("longitude", "lon", "lng", "bujur", "x"),
    "latitude": ("latitude", "lat", "lintang", "y"),
    "source": ("source", "sumber", "sumber data"),
}
"""Column → how its heading may be written; case and punctuation do not matter."""

LARGEST_TABLE = 100_000
"""Rows: the nation has 84,000 villages."""

_KEY_OF = {folded(text): key for key, texts in COLUMNS.items() for text in texts}
_IGNORED = {"", "no", "nomor"}
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}([.,][0-9]{1,15})?\Z")
_NEEDED = ("region_code", "longitude", "latitude")

Place = Callable[[str], ErrorPlace]
"""Field → where a field error about it points to."""


@dataclass(frozen=True)
class Told:
    """The point of a region, and where that was said."""

    region: str
    content: CoordinatesIn
    place: Place
    name: str | None = None
    """What the region is called there."""


def read_table(book: Book, sheet: str | None, source: str | None) -> list[Told]:
    """The points of a table. Invalid names each cell that is wrong, or the column that is missing."""
    found, header, columns = _header(book, sheet)
    told: list[Told] = []
    errors: list[FieldError] = []
    seen: set[str] = set()
    for r in range(header + 1, len(found.rows)):
        row = _Row(found, r, columns)
        if row.is_blank:
            continue
        one = row.read(source)
        if one is not None and one.region in seen:
            row.wrong(duplicate_key, "region_code", value=one.region)
        elif one is not None:
            seen.add(one.region)
            told.append(one)
        errors += row.errors
    refuse(errors)
    return told


def _header(book: Book, name: str | None) -> tuple[Sheet, int, dict[str, int]]:
    if found := book.find_header(name, lambda text: _KEY_OF.get(folded(as_text(text))) == "region_code"):
        return *found, _columns(*found)
    cell = Cell(name or (book.visible or book.names)[0], 1, "A")
    known = [texts[0] for texts in COLUMNS.values()]
    raise Invalid(errors=[FieldError(no_such_column, cell=cell, value="region_code", allowed=known)])


def _columns(sheet: Sheet, header: int) -> dict[str, int]:
    found: dict[str, int] = {}
    errors = []
    known = [names[0] for names in COLUMNS.values()]
    for c, value in enumerate(sheet.rows[header]):
        shown = as_text(value)
        text = folded(shown) if isinstance(value, str) else ""
        key = _KEY_OF.get(text)
        if key in found:
            errors.append(FieldError(duplicate_key, cell=sheet.cell(header, c), value=shown))
        elif key is not None:
            found[key] = c
        elif text not in _IGNORED:
            near = nearest(shown, _KEY_OF)
            cell = sheet.cell(header, c)
            errors.append(FieldError(unknown_value, cell=cell, value=shown, allowed=known, nearest=near))
    errors += [
        FieldError(no_such_column, cell=sheet.cell(header, 0), value=name, allowed=known)
        for name in _NEEDED
        if name not in found
    ]
    refuse(errors)
    return found


class _Row:
    """One row of the sheet, with what is wrong in it."""

    def __init__(self, sheet: Sheet, r: int, columns: Mapping[str, int]) -> None:
        self.sheet, self.r, self.columns = sheet, r, columns
        self.errors: list[FieldError] = []

    @property
    def is_blank(self) -> bool:
        return all(value is None for value in self.sheet.rows[self.r])

    def read(self, source: str | None) -> Told | None:
        code = self._code()
        content = {
            "longitude": self._degrees("longitude", "116,218"),
            "latitude": self._degrees("latitude", "-3,2889"),
            "source": self._text("source") or source,
        }
        if content["source"] is None:
            self.wrong(unfilled, "source")
        if self.errors or code is None:
            return None
        try:
            point = CoordinatesIn.model_validate(content)
        except ValidationError as error:
            for found in body_errors(error):
                name = (found.pointer or "").removeprefix("/")
                self.wrong(found.kind, name, value=found.value, allowed=found.allowed)
            return None
        return Told(code, point, self.place, self._text("name"))

    def wrong(self, kind: Kind, name: str, *, value: object = None, allowed: object = None) -> None:
        self.errors.append(FieldError(kind, **self.place(name), value=value, allowed=allowed))

    def place(self, name: str) -> ErrorPlace:
        """The cell of a column, of the code's where there is none of that name."""
        return {"cell": self.sheet.cell(self.r, self.columns.get(name, self.columns["region_code"]))}

    def _value(self, name: str) -> Value:
        """What a cell holds; None where it holds nothing, and where that is of no use, which is marked."""
        c = self.columns.get(name)
        value = self.sheet.value(self.r, c) if c is not None else None
        kind = why_unusable(value)
        if kind is not None:
            self.wrong(kind, name, value=str(value))
            return None
        return value

    def _text(self, name: str) -> str | None:
        return as_text(self._value(name)) or None

    def _code(self) -> str | None:
        text = self._text("region_code")
        if text is None:
            if not self.errors:
                self.wrong(unfilled, "region_code")
            return None
        code = add_dots(text)
        if not re.fullmatch(REGION_PATTERN, code):
            self.wrong(malformed_region_code, "region_code", value=text, allowed="63.02.05.2001")
            return None
        return code

    def _degrees(self, name: str, example: str) -> float | None:
        before = len(self.errors)
        value = self._value(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        text = as_text(value).replace("−", "-")
        if _DEGREES.match(text):
            return float(text.replace(",", "."))
        if len(self.errors) == before:
            self.wrong(not_degrees if text else unfilled, name, value=text or None, allowed=example)
        return None
