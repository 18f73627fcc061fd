"""Reader of coverage tables, cell by cell. Pure; `queries` finds the villages.

Wide: a row for each village, columns for each service, one below the other or in one heading. Long: a row for each
village and service. A district, and in a long table a village, holds for the rows below that leave it blank.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from app.convergence.coverage.models import CoverageIn, complete_over_target, served_over_eligible
from app.convergence.editions.methods.models import Service
from app.kit.fields import fold_name
from app.kit.files.books import Sheet
from app.kit.http.validation import describe_unknown, duplicate_key
from app.kit.periods import PERIOD_PATTERN, malformed_period
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.headers import (
    DUPLICATE_COLUMN,
    MISSING_COLUMN,
    TableHeader,
    find_table,
    propose_table,
)
from app.kit.tables.layouts import TableField, TableLayout
from app.kit.tables.numbers import NOT_A_COUNT, read_count
from app.kit.tables.options import TableOptions
from app.kit.tables.rows import BLANK_CELL, PlainTable, TableRow
from app.kit.tables.sums import SumCheck
from app.reference.places.areas.rules import AreaColumns, AreaRow, list_code_headings, list_level_headings

row_differs = Kind(
    "row_differs",
    id="“{value}” berbeda dari “{allowed}” pada baris sebelumnya untuk desa yang sama.",
    en="“{value}” differs from “{allowed}” in an earlier row of this village.",
)

LARGEST_TABLE = 100_000
"""Rows: 10,000 villages with ten services each."""

_VILLAGE, _DISTRICT = list_level_headings("village"), list_level_headings("district")
_FIELDS = (
    TableField("number", ("No", "Nomor", "No Urut")),
    TableField("village_code", ("kode desa", "village_code", *list_code_headings())),
    TableField("district", ("kecamatan", "district", *_DISTRICT)),
    TableField("village", ("desa", "village", *_VILLAGE)),
    TableField(
        "target_families", ("keluarga sasaran", "target_families", "jumlah keluarga sasaran", "kk sasaran")
    ),
    TableField("complete_families", ("keluarga lengkap", "complete_families", "jumlah keluarga lengkap")),
    TableField("source", ("sumber data", "source", "sumber")),
    TableField("source_period", ("periode data", "source_period", "periode sumber")),
)
_FIGURES = {
    "eligible": ("sasaran", "eligible", "berhak", "jumlah sasaran"),
    "served": ("terlayani", "served", "jumlah terlayani", "dilayani"),
}
_SERVICE = ("layanan", "service", "nama layanan", "jenis layanan")
_LONG_LABELS = {fold_name(label) for labels in (_SERVICE, *_FIGURES.values()) for label in labels}
_LONG = TableLayout(
    (
        *_FIELDS,
        TableField("service", _SERVICE, is_required=True),
        *(TableField(key, labels, is_required=True) for key, labels in _FIGURES.items()),
    ),
    fewest=2,
)
_OF_VILLAGE = ("target_families", "complete_families", "source", "source_period")
_REQUIRED = ("target_families", "source", "source_period")

Layout = Literal["wide", "long"]


def list_headings() -> list[str]:
    """Return the headings that every table of coverage has."""
    return [item.labels[0] for item in _FIELDS[1:5]]


def find_header(
    sheet: Sheet, services: Iterable[Service], choices: Sequence[ColumnChoice] = ()
) -> tuple[TableLayout, TableHeader] | None:
    """Find the table of coverage in a sheet: long if a column has the services, else wide. None if there is none."""
    is_long = any(choice.field == "service" for choice in choices)
    if not is_long and (header := find_table(sheet, _LONG)) is not None:
        repeated = {str(error.value) for error in header.errors if error.kind is DUPLICATE_COLUMN}
        has_groups = any(fold_name(text) in _LONG_LABELS for text in repeated)
        lowest, *_ = header.headings.get("service", ("",))
        is_long = lowest in _LONG_LABELS and not has_groups
    layout = _LONG if is_long else _make_wide_layout(services)
    header = find_table(sheet, layout, choices)
    return (layout, header) if header else None


def propose_header(
    sheet: Sheet, services: Iterable[Service], choices: Sequence[ColumnChoice] = ()
) -> TableHeader | None:
    """Return the likeliest header of a sheet without the table, with the choices that would make it one."""
    return propose_table(sheet, _make_wide_layout(services), choices)


def _make_wide_layout(services: Iterable[Service]) -> TableLayout:
    columns = {
        f"{service.code} {figure}": TableField(
            f"{service.code} {figure}",
            labels,
            tuple(dict.fromkeys((service.name, service.name_english, service.code))),
            needs_group=True,
        )
        for service in services
        for figure, labels in _FIGURES.items()
    }
    return TableLayout((*_FIELDS, *columns.values()), fewest=2)


@dataclass
class TableVillage:
    """One village of a table: its values, the cell of each, and its errors."""

    area: AreaRow
    content: dict[str, object] = field(default_factory=dict)
    services: dict[str, dict[str, object]] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)

    @property
    def errors(self) -> list[FieldError]:
        return self.area.errors

    def add_error(self, kind: Kind, cell: Cell, **details: Any) -> None:
        """Add an error at a cell."""
        self.errors.append(FieldError(kind, cell=cell, **details))

    def build_content(self, defaults: Mapping[str, Any]) -> CoverageIn | None:
        """Return the valid report, `defaults` filling blank fields. Returns None if the village has errors."""
        here = self.cells["/village"]
        content = {**defaults, **self.content}
        for name in _REQUIRED:
            if content.get(name) is None and not self._is_marked(name):
                self.add_error(BLANK_CELL, self.cells.get(f"/{name}", here), values={"value": name})
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
            self.add_error(BLANK_CELL, self.cells.get("/services", here), values={"value": "service"})
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
    """A table of coverage: its villages in the order of their rows."""

    layout: Layout
    villages: list[TableVillage]
    rows: PlainTable


def read_table(
    sheet: Sheet,
    layout: TableLayout,
    header: TableHeader,
    services: Iterable[Service],
    options: TableOptions | None = None,
) -> CoverageTable:
    """Read the villages below a header. With errors about the header, which are those of its `rows`, there are none."""
    columns = [key for key in header.columns if key.rpartition(" ")[2] in _FIGURES]
    table = PlainTable(
        sheet,
        header,
        layout,
        options or TableOptions(),
        names=("village_code", "district", "village"),
        figures=("target_families", "complete_families", *columns),
    )
    table.errors += _find_missing(table, columns, is_long=layout is _LONG)
    reader = _Reader(table, columns, services, is_long=layout is _LONG)
    if not table.errors:
        reader.read()
    return CoverageTable("long" if layout is _LONG else "wide", list(reader.villages.values()), table)


def _find_missing(table: PlainTable, columns: Sequence[str], *, is_long: bool) -> Iterable[FieldError]:
    """Return an error if no column names villages, and for each service without one of its two columns."""
    r = table.header.data_row - 1
    labels = {item.key: item.name for item in table.layout.fields}
    if not {"village_code", "village"} & table.at.keys():
        yield FieldError(MISSING_COLUMN, cell=table.sheet.cell(r, 0), allowed=labels["village"])
    if not columns and not is_long:
        yield FieldError(MISSING_COLUMN, cell=table.sheet.cell(r, 0), allowed=_FIGURES["eligible"][0])
    for key in columns if not is_long else ():
        code, _, figure = key.rpartition(" ")
        other = f"{code} {'served' if figure == 'eligible' else 'eligible'}"
        if other not in table.at:
            cell = table.sheet.cell(r, table.at[key])
            yield FieldError(MISSING_COLUMN, cell=cell, allowed=labels[other])


def find_unstated(table: PlainTable, defaults: Mapping[str, object]) -> Iterable[FieldError]:
    """Return an error for each required value of a village that has neither a column nor a default."""
    cell = table.sheet.cell(table.header.data_row - 1, 0)
    for item in _FIELDS:
        if item.key in _REQUIRED and item.key not in table.at and defaults.get(item.key) is None:
            yield FieldError(MISSING_COLUMN, cell=cell, allowed=item.name)


class _Reader:
    """The villages of a table, row by row."""

    def __init__(
        self, table: PlainTable, columns: Sequence[str], services: Iterable[Service], *, is_long: bool
    ) -> None:
        self.table, self.is_long = table, is_long
        self.codes = {
            fold_name(text): item.code
            for item in services
            for text in (item.name_english, item.name, item.code)
        }
        self.services = list(dict.fromkeys(key.rpartition(" ")[0] for key in columns))
        # The families of a village stand in each of its rows in a long table.
        self.sum_keys = columns if is_long else table.figures
        self.sums = SumCheck()
        self.villages: dict[object, TableVillage] = {}
        self.areas = AreaColumns(table, "village_code", {"district": "district", "village": "village"})
        self.last: TableVillage | None = None

    def read(self) -> None:
        for row in self.table.list_rows():
            if self.table.is_sum(row):
                self._read_sum(row)
                continue
            is_heading = self.areas.read_heading(row)
            if self.areas.is_new_district:
                self.sums.open_block()
                self.last = None
            if not is_heading and not self.table.is_left_out(row):
                self._read_line(row)
        self.table.close()
        self.table.warnings += self.sums.find_differences()

    def _read_line(self, row: TableRow) -> None:
        village = self._open_village(row)
        for name in _OF_VILLAGE:
            if name in self.table.at:
                self._read_field(row, village, name)
        figures: dict[str, Any] = {name: village.content.get(name) for name in _OF_VILLAGE[:2]}
        if self.is_long:
            figures |= self._read_service_row(row, village)
        else:
            village.cells["/services"] = row.cell(f"{self.services[0]} eligible")
            for code in self.services:
                keys = {figure: f"{code} {figure}" for figure in _FIGURES}
                if row.list_given(keys.values()):
                    read = self._read_service(row, village, code, keys)
                    figures |= {keys[figure]: count for figure, count in read.items()}
        self.sums.add_line({key: figures.get(key) for key in self.sum_keys})

    def _open_village(self, row: TableRow) -> TableVillage:
        """Return the village of a row: a new one, or in a long table the one that has the row's code or name."""
        area = self.areas.read(row)
        own = [fold_name(item.text) for item in area.names]
        has_own = bool(area.code or row.text("village"))
        key: object = area.code or tuple(own)
        if self.is_long and not area.errors:
            village = self.villages.get(key) if has_own else self.last
            if village is not None:
                self.last = village
                return village
        village = TableVillage(area, cells={"/village": area.cell})
        self.villages[key if self.is_long and has_own else row.r] = self.last = village
        return village

    def _read_field(self, row: TableRow, village: TableVillage, name: str) -> None:
        value, cell = row.value(name), row.cell(name)
        village.cells.setdefault(f"/{name}", cell)
        if value is None:
            return
        read: Any = None
        if name.endswith("_families"):
            read = self._read_count(row, village, name)
        elif refusal := self.table.find_refusal(row, name):
            village.add_error(refusal, cell, value=str(value))
        else:
            read = row.text(name)
            if name == "source_period" and not re.fullmatch(PERIOD_PATTERN, read):
                allowed = ["2026-Q2", "2026-S1", "2026"]
                village.add_error(malformed_period, cell, value=read, allowed=allowed)
                read = None
        if read is None:
            return
        if village.content.setdefault(name, read) != read:
            village.add_error(row_differs, cell, value=read, allowed=village.content[name])
        village.cells[f"/{name}"] = cell

    def _read_service_row(self, row: TableRow, village: TableVillage) -> dict[str, int | None]:
        text, cell = row.text("service"), row.cell("service")
        code = self.codes.get(fold_name(text))
        if not text:
            village.add_error(self.table.find_refusal(row, "service") or BLANK_CELL, cell)
        elif code is None:
            known = sorted(set(self.codes.values()))
            village.errors.append(describe_unknown(text, "services", self.codes, allowed=known, cell=cell))
        elif code in village.services or f"/services/{code}" in village.cells:
            village.add_error(duplicate_key, cell, value=text)
        else:
            village.cells[f"/services/{code}"] = cell
            return self._read_service(row, village, code, {figure: figure for figure in _FIGURES})
        return {}

    def _read_service(
        self, row: TableRow, village: TableVillage, code: str, keys: Mapping[str, str]
    ) -> dict[str, int | None]:
        """Read E and C of a service, and return them."""
        village.cells.setdefault(f"/services/{code}", row.cell(keys["eligible"]))
        read: dict[str, int | None] = {}
        for figure, key in keys.items():
            if not row.list_given([key]):
                village.add_error(BLANK_CELL, row.cell(key))
            read[figure] = self._read_count(row, village, key)
        eligible, served = read["eligible"], read["served"]
        if eligible is None or served is None:
            return read
        if served > eligible:
            village.add_error(
                served_over_eligible,
                row.cell(keys["served"]),
                value=served,
                allowed=f"≤ {eligible}",
                values={"eligible": eligible},
            )
        else:
            village.services[code] = {"service": code, **read}
        return read

    def _read_count(self, row: TableRow, village: TableVillage, key: str) -> int | None:
        """Return a count. Mark a cell that has none, and return None."""
        value = row.value(key)
        count = self.table.find_refusal(row, key) or read_count(value)
        if isinstance(count, Kind):
            village.add_error(count, row.cell(key), value=None if value is None else str(value))
            return None
        return count

    def _read_sum(self, row: TableRow) -> None:
        stated = {}
        for key in self.sum_keys:
            count, cell = read_count(row.value(key)), (row.r, self.table.at[key])
            if isinstance(count, int) and cell not in row.sheet.merged:
                stated[key] = count, row.cell(key)
        self.sums.add_sum(stated)
