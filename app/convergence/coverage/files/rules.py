"""Parser of coverage tables, cell by cell. Pure; `queries` resolves the villages.

Wide: a row for each village, two columns for each service. Long: a row for each village and service. The header
is the first row that names the code's column; titles may precede it. The parser skips empty rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from app.convergence.coverage.models import CoverageIn, complete_over_target, served_over_eligible
from app.convergence.editions.methods.models import Service
from app.kit.fields import fold_name
from app.kit.files.books import Sheet, Value, name_column
from app.kit.files.cells import find_refusal, render_text
from app.kit.http.validation import describe_unknown, duplicate_key, find_nearest
from app.kit.periods import PERIOD_PATTERN, malformed_period
from app.kit.problems import Cell, FieldError, Kind, refuse
from app.kit.tables.numbers import NOT_A_COUNT, read_count

missing_heading = Kind(
    "missing_heading",
    id="kolom “{value}” tidak ada; tambahkan kolom dengan judul itu",
    en="the column “{value}” is missing; add a column with this heading",
)
unknown_heading = Kind(
    "unknown_heading",
    id="judul kolom “{value}” tidak dikenal; terdekat: “{nearest}”",
    en="the heading “{value}” is unknown; nearest: “{nearest}”",
)
blank_cell = Kind("blank_cell", id="sel wajib diisi", en="the cell must not be blank")
row_differs = Kind(
    "row_differs",
    id="“{value}” berbeda dari “{allowed}” pada baris sebelumnya untuk desa yang sama",
    en="“{value}” differs from “{allowed}” in an earlier row of this village",
)

LARGEST_TABLE = 100_000
"""Rows: 10,000 villages with ten services each."""

HEADINGS: dict[str, Sequence[str]] = {
    "village_code": ("village_code", "kode desa", "kode desa/kelurahan", "kode wilayah", "kode"),
    "district": ("district", "kecamatan", "distrik"),
    "village": ("village", "desa", "kelurahan", "desa/kelurahan", "nama desa", "nama desa/kelurahan"),
    "target_families": ("target_families", "keluarga sasaran"),
    "complete_families": ("complete_families", "keluarga lengkap"),
    "source": ("source", "sumber", "sumber data"),
    "source_period": ("source_period", "periode sumber", "periode data"),
    "service": ("service", "layanan"),
    "eligible": ("eligible", "sasaran", "berhak"),
    "served": ("served", "terlayani"),
}
"""Column → its headings, in any case and punctuation."""

_KEY_OF = {fold_name(text): key for key, texts in HEADINGS.items() for text in texts}
_IGNORED = {"no", "nomor"}
_OF_VILLAGE = ("target_families", "complete_families", "source", "source_period")

Layout = Literal["wide", "long"]


@dataclass
class TableVillage:
    """One village of a table: its values, the cell of each, and its errors."""

    code: str
    names: dict[str, str] = field(default_factory=dict)
    content: dict[str, object] = field(default_factory=dict)
    services: dict[str, dict[str, object]] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)

    def add_error(self, kind: Kind, cell: Cell, **details: Any) -> None:
        """Add an error at a cell."""
        self.errors.append(FieldError(kind, cell=cell, **details))

    def build_content(self, defaults: Mapping[str, Any]) -> CoverageIn | None:
        """Return the valid report, `defaults` filling blank fields. Returns None if the village has errors."""
        here = self.cells["/village"]
        content = {**defaults, **self.content}
        for name in ("target_families", "source", "source_period"):
            if content.get(name) is None and not self._is_marked(name):
                self.add_error(blank_cell, self.cells.get(f"/{name}", here), values={"value": name})
        target, complete = content.get("target_families"), content.get("complete_families")
        if target is not None and complete is not None and complete > target:
            self.add_error(
                complete_over_target,
                self.cells["/complete_families"],
                value=complete,
                allowed=f"≤ {target}",
                values={"target": target},
            )
        if not self.services and not self.errors:
            self.add_error(blank_cell, here, values={"value": "service"})
        if self.errors:
            return None
        try:
            return CoverageIn.model_validate({**content, "services": list(self.services.values())})
        except ValidationError as error:
            self.add_error(NOT_A_COUNT, here, value=str(error.errors()[0].get("input"))[:100])
            return None

    def _is_marked(self, name: str) -> bool:
        cell = self.cells.get(f"/{name}")
        return cell is not None and any(error.cell == cell for error in self.errors)


@dataclass(frozen=True)
class CoverageTable:
    """Parsed table: its villages in order of their rows."""

    sheet: str
    layout: Layout
    villages: list[TableVillage]


class _Columns(NamedTuple):
    """Indexes of the columns, from the header."""

    plain: dict[str, int]
    """Key of `HEADINGS` → index."""
    services: dict[tuple[str, str], int]
    """(service, eligible or served) → index; empty in a long table."""

    @property
    def layout(self) -> Layout:
        return "long" if "service" in self.plain else "wide"


def is_code_heading(text: str) -> bool:
    """Return whether a cell heads the column of the villages' codes."""
    return _KEY_OF.get(fold_name(render_text(text))) == "village_code"


def read_table(sheet: Sheet, header: int, services: Iterable[Service]) -> CoverageTable:
    """Return the table below a header. Raises Invalid if a heading is unknown, double or missing."""
    known = list(services)
    columns = _map_columns(sheet, header, known)
    villages: dict[str, TableVillage] = {}
    codes = {
        fold_name(text): item.code for item in known for text in (item.name_english, item.name, item.code)
    }
    for r in range(header + 1, len(sheet.rows)):
        row = _Row(sheet, r)
        if all(value is None for value in sheet.rows[r]):
            continue
        village = _read_village(row, columns, villages)
        if columns.layout == "long":
            _read_service_row(row, columns, village, codes)
        else:
            for code in dict.fromkeys(code for code, _ in columns.services):
                at = {figure: columns.services[code, figure] for figure in ("eligible", "served")}
                _read_service(row, village, code, at, is_optional=True)
    return CoverageTable(sheet.name, columns.layout, list(villages.values()))


class _Row(NamedTuple):
    sheet: Sheet
    r: int

    def value(self, c: int) -> Value:
        return self.sheet.value(self.r, c)

    def cell(self, c: int) -> Cell:
        return self.sheet.cell(self.r, c)


def _map_columns(sheet: Sheet, header: int, services: Sequence[Service]) -> _Columns:
    """Return the columns that a header names. Raises Invalid with an error for each wrong heading."""
    of_services = {
        f"{fold_name(text)} {fold_name(heading)}": (service.code, figure)
        for service in services
        for text in (service.name_english, service.name, service.code)
        for figure in ("eligible", "served")
        for heading in HEADINGS[figure]
    }
    plain: dict[str, int] = {}
    wide: dict[tuple[str, str], int] = {}
    errors = []
    for c, value in enumerate(sheet.rows[header]):
        text = fold_name(render_text(value))
        if not text or text in _IGNORED:
            continue
        cell = sheet.cell(header, c)
        key, figures = _KEY_OF.get(text), of_services.get(text)
        if key in plain or figures in wide:
            errors.append(FieldError(duplicate_key, cell=cell, value=render_text(value)))
        elif key is not None:
            plain[key] = c
        elif figures is not None:
            wide[figures] = c
        else:
            names = [*(texts[0] for texts in HEADINGS.values()), *of_services]
            near = find_nearest(render_text(value), names)
            errors.append(FieldError(unknown_heading, cell=cell, value=render_text(value), nearest=near))
    errors += _find_missing(sheet, header, plain, wide)
    refuse(errors)
    return _Columns(plain, wide)


def _find_missing(
    sheet: Sheet, header: int, plain: Mapping[str, int], wide: Mapping[tuple[str, str], int]
) -> list[FieldError]:
    if "service" in plain:
        names = [name for name in ("eligible", "served") if name not in plain]
    else:
        other = {"eligible": "served", "served": "eligible"}
        names = [f"{code} {other[figure]}" for code, figure in wide if (code, other[figure]) not in wide]
        names = names if wide else ["service"]
    cell = Cell(sheet.name, header + 1, name_column(0))
    known = [texts[0] for texts in HEADINGS.values()]
    return [FieldError(missing_heading, cell=cell, value=name, allowed=known) for name in names]


def _read_village(row: _Row, columns: _Columns, villages: dict[str, TableVillage]) -> TableVillage:
    """Return the village of a row, with the row's values except its services; add a new one to `villages`."""
    c = columns.plain["village_code"]
    code = render_text(row.value(c)) if find_refusal(row.value(c)) is None else ""
    if not code:
        village = TableVillage("", cells={"/village": row.cell(c)})
        village.add_error(
            find_refusal(row.value(c)) or blank_cell, row.cell(c), value=_format_value(row.value(c))
        )
        villages[f"row {row.r}"] = village
    elif code not in villages:
        village = villages[code] = TableVillage(code, cells={"/village": row.cell(c)})
    else:
        village = villages[code]
        if columns.layout == "wide":
            village.add_error(duplicate_key, row.cell(c), value=code)
            village = TableVillage(code, cells={"/village": row.cell(c)})
    for name in ("district", "village"):
        if name in columns.plain:
            text = render_text(row.value(columns.plain[name]))
            village.cells.setdefault(f"/{name}_name", row.cell(columns.plain[name]))
            if text:
                village.names.setdefault(name, text)
    for name in _OF_VILLAGE:
        if name in columns.plain:
            _read_field(row, village, name, columns.plain[name])
    return village


def _read_field(row: _Row, village: TableVillage, name: str, c: int) -> None:
    value, cell = row.value(c), row.cell(c)
    village.cells.setdefault(f"/{name}", cell)
    if value is None:
        return
    read: Any
    if name.endswith("_families"):
        read = _read_count(village, value, cell)
    else:
        kind = find_refusal(value)
        read = None if kind else render_text(value)
        if kind:
            village.add_error(kind, cell, value=_format_value(value))
        elif name == "source_period" and not re.fullmatch(PERIOD_PATTERN, read):
            allowed = ["2026-Q2", "2026-S1", "2026"]
            village.add_error(malformed_period, cell, value=read, allowed=allowed)
            read = None
    if read is None:
        return
    if village.content.setdefault(name, read) != read:
        village.add_error(row_differs, cell, value=read, allowed=village.content[name])
    village.cells[f"/{name}"] = cell


def _read_service_row(row: _Row, columns: _Columns, village: TableVillage, codes: Mapping[str, str]) -> None:
    c = columns.plain["service"]
    text, cell = render_text(row.value(c)), row.cell(c)
    code = codes.get(fold_name(text))
    if not text:
        village.add_error(blank_cell, cell)
    elif code is None:
        known = sorted(set(codes.values()))
        error = describe_unknown(text, "services", codes, allowed=known, cell=cell)
        village.errors.append(error)
    elif code in village.services or f"/services/{code}" in village.cells:
        village.add_error(duplicate_key, cell, value=text)
    else:
        village.cells[f"/services/{code}"] = cell
        _read_service(row, village, code, columns.plain, is_optional=False)


def _read_service(
    row: _Row, village: TableVillage, code: str, at: Mapping[str, int], *, is_optional: bool
) -> None:
    """Read E and C of a service. In a wide table both may be blank: no report on the service."""
    values = {"eligible": at["eligible"], "served": at["served"]}
    if is_optional and all(row.value(c) is None for c in values.values()):
        return
    village.cells.setdefault(f"/services/{code}", row.cell(at["eligible"]))
    read: dict[str, Any] = {"service": code}
    for name, c in values.items():
        if row.value(c) is None:
            village.add_error(blank_cell, row.cell(c))
        else:
            read[name] = _read_count(village, row.value(c), row.cell(c))
    if read.get("eligible") is None or read.get("served") is None:
        return
    if read["served"] > read["eligible"]:
        village.add_error(
            served_over_eligible,
            row.cell(at["served"]),
            value=read["served"],
            allowed=f"≤ {read['eligible']}",
            values={"eligible": read["eligible"]},
        )
        return
    village.services[code] = read


def _read_count(village: TableVillage, value: Value, cell: Cell) -> int | None:
    """Return a count. Mark any other cell and return None."""
    count = read_count(value)
    if isinstance(count, Kind):
        village.add_error(count, cell, value=_format_value(value))
        return None
    return count


def _format_value(value: Value) -> str | None:
    return None if value is None else str(value)
