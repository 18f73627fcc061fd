"""Imports of coverage: open the file, find its villages, report the result."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.convergence.coverage.commands import VillageReport
from app.convergence.coverage.files.rules import (
    LARGEST_TABLE,
    CoverageTable,
    find_header,
    find_unstated,
    list_headings,
    propose_header,
    read_table,
)
from app.convergence.coverage.models import CoverageImportQuery, CoverageImportReport
from app.convergence.editions.methods.queries import read_services_until
from app.kit.batch import ItemOutcome
from app.kit.files.reader import open_book
from app.kit.http.validation import duplicate_key
from app.kit.problems import FieldError, refuse
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.headers import TableHeader
from app.kit.tables.layouts import TableLayout
from app.kit.tables.sheets import NO_TABLE, choose_table
from app.kit.wording import Language
from app.reference.places.areas.models import AreaResolution
from app.reference.places.areas.queries import AreaFinder


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
    sheet, header, others = choose_table(
        book,
        query.sheet,
        find,
        NO_TABLE,
        propose=lambda sheet: propose_header(sheet, services, choices),
        has_choices=bool(choices),
        allowed=list_headings(),
    )
    table = read_table(sheet, layouts[sheet.name], header, services, query)
    table.rows.warnings += others
    defaults = {"source": query.source, "source_period": query.source_period}
    if query.each or header.errors or not table.villages:
        refuse(table.rows.errors, header.proposal if header.is_unclear else ())
    finder = AreaFinder(
        session,
        [village.area for village in table.villages],
        resolutions,
        has_codes="village_code" in header.columns,
        region=query.region,
        code_system=query.code_system,
        level="village",
    )
    if unstated := list(find_unstated(table.rows, defaults)):
        refuse([*table.rows.errors, *unstated], header.proposal)
    codes = [finder.find(village.area) for village in table.villages]
    misfits = finder.list_misfits()
    if query.each:
        refuse(misfits)
    count = Counter(code for code in codes if code)
    reports, errors, seen = [], [*table.rows.errors, *misfits], set[str]()
    for village, code in zip(table.villages, codes, strict=True):
        if code in seen:
            village.add_error(duplicate_key, village.cells["/village"], value=village.area.code or code)
        content = village.build_content(defaults)
        errors += village.errors
        if content is not None and code and count[code] == 1:
            reports.append(VillageReport(code, content, cells=village.cells))
        seen |= {code} if code else set()
    return ReadCoverage(table, reports, errors)


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
