"""Imports of coverage: open the file, find its villages, report the result.

A Kemendagri code identifies its village. If the row has names too, they must match, since most BPS codes are valid
Kemendagri codes of another place. Of a BPS code only the first four digits, the regency, have an official counterpart:
district and village are read by name within it, as they are within the region of the call without a code.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import Session

from app.convergence.coverage.commands import VillageReport
from app.convergence.coverage.files.rules import (
    LARGEST_TABLE,
    CoverageTable,
    TableVillage,
    blank_cell,
    find_header,
    list_headings,
    read_table,
)
from app.convergence.coverage.models import CoverageImportQuery, CoverageImportReport
from app.convergence.coverage.rules import find_district, is_village
from app.convergence.editions.methods.queries import read_services_until
from app.kit.batch import ItemOutcome
from app.kit.fields import REGION_PATTERN
from app.kit.files.reader import open_book
from app.kit.http.validation import describe_unknown, duplicate_key
from app.kit.problems import BadRequest, Cell, FieldError, Kind, refuse
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.headers import TableHeader
from app.kit.tables.layouts import TableLayout
from app.kit.tables.sheets import NO_TABLE, choose_table
from app.kit.wording import Language
from app.reference.places.areas.models import AreaResolution
from app.reference.places.areas.rules import AreaCell, AreaNames, AreaReader, is_name_of
from app.reference.places.queries import read_area_names
from app.reference.queries import RegionRef, find_regencies_by_bps, find_regions_by_code
from app.reference.rules import add_dots

malformed_village_code = Kind(
    "malformed_village_code",
    id="“{value}” bukan kode desa {system}. Tulis misalnya {allowed}.",
    en="“{value}” is not a {system} code of a village. Write one such as {allowed}.",
)
code_of_other_system = Kind(
    "code_of_other_system",
    id="“{value}” adalah kode {system} untuk {allowed}, padahal berkas dinyatakan memakai kode lain. Samakan sistem "
    "kodenya.",
    en="“{value}” is the {system} code of {allowed}, but the call declares the other code system. Make them equal.",
)
name_of_another = Kind(
    "name_of_another",
    id="Kode {code} adalah kode {allowed}, bukan “{value}”. Periksa kode dan sistem kodenya.",
    en="The code {code} is that of {allowed}, not of “{value}”. Check the code and the code system.",
)
region_needed = Kind(
    "region_needed",
    id="Tabel ini tidak memuat kode desa. Sebutkan kabupaten atau kotanya, agar nama desa dibaca di dalamnya.",
    en="This table has no codes of villages. Name its regency or city, so that the import reads the names within it.",
)


@dataclass(frozen=True)
class ReadCoverage:
    """Content of a file: its valid reports and the errors of the other villages."""

    table: CoverageTable
    reports: list[VillageReport]
    errors: list[FieldError]

    @property
    def sheet(self) -> str:
        return self.table.rows.sheet.name

    @property
    def refused(self) -> int:
        return len(self.table.villages) - len(self.reports)


def read_coverage_file(
    session: Session,
    year: int,
    data: bytes,
    filename: str,
    query: CoverageImportQuery,
    resolutions: Sequence[AreaResolution] = (),
    choices: Sequence[ColumnChoice] = (),
) -> ReadCoverage:
    """Return the reports of a file. Raises UnreadableFile, TooLarge, or Invalid if the table itself has errors."""
    services = read_services_until(session, year)
    layouts: dict[str, TableLayout] = {}

    def find(sheet: Any) -> TableHeader | None:
        if (table := find_header(sheet, services, choices)) is None:
            return None
        layouts[sheet.name], header = table
        return header

    book = open_book(data, filename, most_rows=LARGEST_TABLE)
    sheet, header, others = choose_table(book, query.sheet, find, NO_TABLE, allowed=list_headings())
    table = read_table(sheet, layouts[sheet.name], header, services, query)
    table.rows.warnings += others
    if query.each or header.errors or not table.villages:
        refuse(table.rows.errors)
    finder = _VillageFinder(session, table, query, resolutions)
    codes = [finder.find(village) for village in table.villages]
    count = Counter(code for code in codes if code)
    defaults = {"source": query.source, "source_period": query.source_period}
    reports, errors, seen = [], [*table.rows.errors, *finder.list_misfits()], set[str]()
    for village, code in zip(table.villages, codes, strict=True):
        if code in seen:
            village.add_error(duplicate_key, village.cells["/village"], value=village.code or code)
        content = village.build_content(defaults)
        errors += village.errors
        if content is not None and code and count[code] == 1:
            reports.append(VillageReport(code, content, cells=village.cells))
        seen |= {code} if code else set()
    return ReadCoverage(table, reports, errors)


class _VillageFinder:
    """Finder of the villages of a table, by code or by names."""

    def __init__(
        self,
        session: Session,
        table: CoverageTable,
        query: CoverageImportQuery,
        resolutions: Sequence[AreaResolution],
    ) -> None:
        self.query = query
        villages = table.villages
        self.read_names: Callable[[str], AreaNames] = cache(lambda region: read_area_names(session, region))
        if query.region and not self.read_names(query.region).labels:
            raise BadRequest(errors=[describe_unknown(query.region, "regions", (), parameter="region")])
        if "village_code" not in table.rows.at and query.region is None:
            raise BadRequest(errors=[FieldError(region_needed, parameter="region")])
        self.dotted = {village.code: _normalize_code(village.code) for village in villages}
        self.known = find_regions_by_code(session, set(filter(None, self.dotted.values())))
        self.known |= find_regions_by_code(session, {find_district(code) for code in self.known})
        self.regencies = find_regencies_by_bps(session, {village.code[:4] for village in villages})
        self.reader = AreaReader(resolutions, _list_cells(villages))
        self._asked: set[Cell] = set()

    def find(self, village: TableVillage) -> str | None:
        """Return the code of a village, or mark it and return None."""
        if village.code:
            return (self._find_by_bps if self.query.code_system == "bps" else self._find_by_code)(village)
        if self.query.region and village.names:
            return self._find_by_names(village, self.query.region)
        if not village.errors:
            village.add_error(blank_cell, village.cells["/village"])
        return None

    def list_misfits(self) -> list[FieldError]:
        """Return the errors of the resolutions, after all villages."""
        regions = {*filter(None, [self.query.region]), *self.regencies.values()}
        labels: dict[str, str] = {}
        for region in sorted(regions):
            labels |= self.read_names(region).labels
        return self.reader.list_misfits(labels)

    def _find_by_code(self, village: TableVillage) -> str | None:
        code = self.dotted[village.code]
        region = self.known.get(code)
        if region is not None and is_village(code):
            errors = list(self._check_names(village, region))
            village.errors += (
                self._describe_bps(village) if errors and self._has_bps_names(village) else errors
            )
            return None if errors else code
        if self._is_bps(village):
            village.errors += self._describe_bps(village)
        elif not code or not is_village(code):
            _mark_malformed(village, "Kemendagri", "63.02.05.2001")
        else:
            return code  # the command reports it with the villages that the actor does not see
        return None

    def _find_by_bps(self, village: TableVillage) -> str | None:
        region = self.known.get(self.dotted[village.code])
        regency = self.regencies.get(village.code[:4])
        if (
            region is not None
            and is_village(region.code)
            and not self._has_bps_names(village)
            and not list(self._check_names(village, region))
        ):
            village.errors += _describe_other(village, "Kemendagri", region.code, region.name)
        elif not re.fullmatch(r"[0-9]{10}", village.code):
            _mark_malformed(village, "BPS", "6302050001")
        elif regency is None:
            cell = village.cells["/village"]
            village.errors.append(describe_unknown(village.code[:4], "BPS codes", self.regencies, cell=cell))
        else:
            return self._find_by_names(village, regency)
        return None

    def _check_names(self, village: TableVillage, region: RegionRef) -> Iterator[FieldError]:
        """Yield an error for each name in the row that is not the name of its code."""
        district = self.known.get(find_district(region.code))
        for item in village.names.values():
            own = region if item.column == "village" else district
            is_inherited = item.cell.row != village.cells["/village"].row
            if own is not None and not is_inherited and not is_name_of(item.text, own.code, own.name):
                yield FieldError(
                    name_of_another,
                    cell=item.cell,
                    value=item.text,
                    allowed=own.name,
                    values={"code": own.code},
                )

    def _find_by_names(self, village: TableVillage, region: str) -> str | None:
        """Return the village that the names mean within a region, or mark it and return None."""
        names, within = self.read_names(region), region
        if "district" in village.names and region.count(".") < 2:
            if not (district := self._read_area(village, village.names["district"], names, within)):
                return None
            within = district
        elif self.query.code_system == "bps" and village.code:
            village.add_error(blank_cell, village.cells["/district_name"])
            return None
        if "village" not in village.names:
            if not village.is_marked("village_name"):
                village.add_error(blank_cell, village.cells["/village_name"])
            return None
        return self._read_area(village, village.names["village"], names, within)

    def _read_area(self, village: TableVillage, item: AreaCell, names: AreaNames, within: str) -> str | None:
        read = self.reader.read(item, names, within)
        if isinstance(read, str):
            return read
        if item.cell not in self._asked:  # the district of several rows
            self._asked.add(item.cell)
            village.errors.append(read)
        return None

    def _is_bps(self, village: TableVillage) -> bool:
        return bool(re.fullmatch(r"[0-9]{10}", village.code)) and village.code[:4] in self.regencies

    def _has_bps_names(self, village: TableVillage) -> bool:
        """Return whether the names of a row are those of its code if BPS gave it."""
        if not self._is_bps(village) or not village.names:
            return False
        regency = self.regencies[village.code[:4]]
        names = self.read_names(regency)
        return all(names.find(item.text, item.level, regency) for item in village.names.values())

    def _describe_bps(self, village: TableVillage) -> list[FieldError]:
        regency = self.regencies[village.code[:4]]
        return _describe_other(village, "BPS", regency, self.read_names(regency).labels.get(regency, ""))


def _describe_other(village: TableVillage, system: str, code: str, name: str) -> list[FieldError]:
    cell, allowed = village.cells["/village"], f"{code} {name}"
    return [
        FieldError(
            code_of_other_system, cell=cell, value=village.code, allowed=allowed, values={"system": system}
        )
    ]


def _normalize_code(code: str) -> str:
    """Return `6302052001` as `63.02.05.2001`, "" for a text that is no code."""
    code = add_dots(code)
    return code if re.fullmatch(REGION_PATTERN, code) else ""


def _mark_malformed(village: TableVillage, system: str, example: str) -> None:
    cell = village.cells["/village"]
    village.add_error(
        malformed_village_code, cell, value=village.code, allowed=example, values={"system": system}
    )


def _list_cells(villages: Sequence[TableVillage]) -> list[AreaCell]:
    """Return the cells with names, each once."""
    cells: Mapping[Cell, AreaCell] = {
        item.cell: item for village in villages for item in village.names.values()
    }
    return list(cells.values())


def build_import_report(
    period: str, read: ReadCoverage, done: Sequence[ItemOutcome], language: Language
) -> CoverageImportReport:
    """Return the report on an import: counts of villages by outcome, and the errors."""
    counts: dict[str, Any] = {
        status: sum(outcome.status == status for outcome in done)
        for status in ("created", "updated", "unchanged")
    }
    refused = [error for outcome in done for error in outcome.errors]
    return CoverageImportReport(
        period=period,
        sheet=read.sheet,
        layout=read.table.layout,
        villages=len(read.table.villages),
        **counts,
        refused=read.refused + sum(outcome.status == "refused" for outcome in done),
        skipped_rows=read.table.rows.skipped,
        errors=[error.render(language) for error in [*read.errors, *refused]],
        warnings=[warning.render(language) for warning in read.table.rows.warnings],
    )
