"""Imports of coverage: open the file, resolve its villages, report the result.

A Kemendagri code identifies its village. If the file has names too, they must match, since most BPS codes are valid
Kemendagri codes of another place. Of a BPS code only the first four digits, the regency, have an official
counterpart: district and village must match by exact name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.convergence.coverage.commands import VillageReport
from app.convergence.coverage.files.rules import (
    HEADINGS,
    LARGEST_TABLE,
    CoverageTable,
    TableVillage,
    blank_cell,
    is_code_heading,
    missing_heading,
    read_table,
)
from app.convergence.coverage.models import CoverageImportQuery, CoverageImportReport
from app.convergence.coverage.rules import find_district, is_village
from app.convergence.editions.methods.queries import read_services_until
from app.kit.batch import ItemOutcome
from app.kit.fields import REGION_PATTERN, fold_name
from app.kit.files.books import HEADER_ROWS, Book, Sheet
from app.kit.files.reader import open_book
from app.kit.http.validation import describe_unknown, duplicate_key, find_nearest
from app.kit.problems import Cell, FieldError, Invalid, Kind
from app.kit.wording import Language
from app.reference.queries import RegionRef, find_regencies_by_bps, find_regions_by_code, read_region_labels
from app.reference.rules import add_dots, list_name_forms

malformed_village_code = Kind(
    "malformed_village_code",
    id="“{value}” bukan kode desa {system}; tulis misalnya {allowed}",
    en="“{value}” is not a {system} code of a village; write one such as {allowed}",
)
name_of_another = Kind(
    "name_of_another",
    id="kode {code} adalah kode {allowed}, bukan “{value}”; periksa kode dan sistem kodenya",
    en="the code {code} is that of {allowed}, not of “{value}”; check the code and the code system",
)
unresolved_village = Kind(
    "unresolved_village",
    id="nama “{value}” tidak menunjuk tepat satu desa di {place}; terdekat: {nearest}",
    en="the name “{value}” does not identify exactly one village in {place}; nearest: {nearest}",
)


@dataclass(frozen=True)
class ReadCoverage:
    """Content of a file: its valid reports and the errors of the other villages."""

    sheet: str
    table: CoverageTable
    reports: list[VillageReport]
    errors: list[FieldError]

    @property
    def refused(self) -> int:
        return len(self.table.villages) - len(self.reports)


def read_coverage_file(
    session: Session, year: int, data: bytes, filename: str, query: CoverageImportQuery
) -> ReadCoverage:
    """Return the reports of a file. Raises UnreadableFile, TooLarge, or Invalid if it has no such table."""
    book = open_book(data, filename, most_rows=LARGEST_TABLE)
    sheet, header = _find_sheet(book, query.sheet)
    table = read_table(sheet, header, read_services_until(session, year))
    find = _find_by_bps_code if query.code_system == "bps" else _find_by_code
    villages = find(session, [village for village in table.villages if village.code])
    defaults = {"source": query.source, "source_period": query.source_period}
    reports, errors, seen = [], [], set[str]()
    for village in table.villages:
        code = villages.get(village.code, "")
        if code in seen:
            village.add_error(duplicate_key, village.cells["/village"], value=village.code)
        content = village.build_content(defaults)
        if content is None:
            errors += village.errors
        else:
            seen.add(code)
            reports.append(VillageReport(code, content, cells=village.cells))
    return ReadCoverage(sheet.name, table, reports, errors)


def _find_sheet(book: Book, name: str | None) -> tuple[Sheet, int]:
    """Return the named sheet, or the first with the header, and the header's row. Raises Invalid if there is none."""
    if location := book.find_header(name, is_code_heading):
        return location
    error = FieldError(
        missing_heading,
        cell=Cell(name or (book.visible or book.names)[0], HEADER_ROWS, "A"),
        value=HEADINGS["village_code"][0],
        allowed=[texts[0] for texts in HEADINGS.values()],
    )
    raise Invalid(errors=[error])


def _find_by_code(session: Session, villages: Sequence[TableVillage]) -> dict[str, str]:
    """Return code as written → code. Mark rows without a village's code, and rows with names of another code."""
    codes = {village.code: _normalize_code(village.code) for village in villages}
    known = find_regions_by_code(session, {code for code in codes.values() if code})
    above = find_regions_by_code(session, {find_district(code) for code in known})
    for village in villages:
        code = codes[village.code]
        if not code or not is_village(code):
            _mark_malformed(village, "Kemendagri", "63.02.05.2001")
        elif code in known:
            for name, region in (("village", known[code]), ("district", above.get(find_district(code)))):
                _check_name(village, name, region)
    return codes


def _normalize_code(code: str) -> str:
    """Return `6302052001` as `63.02.05.2001`, "" for a text that is no code."""
    code = add_dots(code)
    return code if re.fullmatch(REGION_PATTERN, code) else ""


def _mark_malformed(village: TableVillage, system: str, example: str) -> None:
    cell = village.cells["/village"]
    village.add_error(
        malformed_village_code, cell, value=village.code, allowed=example, values={"system": system}
    )


def _check_name(village: TableVillage, name: str, region: RegionRef | None) -> None:
    """Mark a row if its name of the village or district differs from the name of its code."""
    text = village.names.get(name)
    if text is None or region is None:
        return
    if fold_name(region.name) not in {form.folded for form in list_name_forms(text)}:
        cell = village.cells[f"/{name}_name"]
        village.add_error(
            name_of_another, cell, value=text, allowed=region.name, values={"code": region.code}
        )


def _find_by_bps_code(session: Session, villages: Sequence[TableVillage]) -> dict[str, str]:
    """Return BPS code → village code, by the regency's code and by names. Mark rows without a match."""
    regencies = find_regencies_by_bps(session, {village.code[:4] for village in villages})
    labels = {regency: read_region_labels(session, regency) for regency in sorted(set(regencies.values()))}
    codes: dict[str, str] = {}
    for village in villages:
        if not re.fullmatch(r"[0-9]{10}", village.code):
            _mark_malformed(village, "BPS", "6302050001")
            continue
        regency = regencies.get(village.code[:4])
        if regency is None:
            cell = village.cells["/village"]
            village.errors.append(describe_unknown(village.code[:4], "BPS codes", regencies, cell=cell))
            continue
        district = _find_by_name(village, "district", labels[regency], regency)
        code = _find_by_name(village, "village", labels[regency], district) if district else None
        if code:
            codes[village.code] = code
    return codes


def _find_by_name(village: TableVillage, name: str, labels: Mapping[str, str], above: str) -> str | None:
    """Return the only region of that name directly below `above`.

    Mark the row and return None if the name is blank or does not match exactly once.
    """
    text = village.names.get(name)
    cell = village.cells.get(f"/{name}_name", village.cells["/village"])
    if text is None:
        village.add_error(blank_cell, cell, value=HEADINGS[name][1])
        return None
    forms = {form.folded for form in list_name_forms(text)}
    children = {code: label for code, label in labels.items() if code.rpartition(".")[0] == above}
    codes = [code for code, label in children.items() if fold_name(label) in forms]
    if len(codes) == 1:
        return codes[0]
    near = find_nearest(text, [f"{code} {label}" for code, label in children.items()])
    village.add_error(
        unresolved_village, cell, value=text, nearest=near, values={"place": labels.get(above, above)}
    )
    return None


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
        errors=[error.render(language) for error in [*read.errors, *refused]],
    )
