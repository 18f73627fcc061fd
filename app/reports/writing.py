"""Files of a report: a workbook and CSV for people, with headings and words, and CSV for programs.

The server writes a file whole before it sends the first byte, beyond a megabyte into a temporary file. So the ETag
covers the exact bytes, a failure is a problem and not half a table, and a slow client holds no connection.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import Database
from app.kit.files.delimited import Cell, Dialect, stream_delimited
from app.kit.files.new_workbooks import (
    AMOUNT,
    DAY,
    INSTANT,
    SHARE,
    TEXT,
    SheetCell,
    SheetColumn,
    create_workbook,
    write_table,
)
from app.kit.http.pagination import select_all
from app.kit.periods import Period, describe_day, describe_period, get_local_date, get_zone
from app.kit.tables.columns import read_columns
from app.kit.wording import Language, Text
from app.reference.queries import RegionRef, find_regions_by_code
from app.reference.rules import format_region
from app.reports.catalogue import describe_report_columns
from app.reports.definition import ReportDefinition, Row
from app.reports.models import ColumnKind, ReportColumn

_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_ROWS = 500
"""Rows that the cursor fetches at a time."""
_YES_OR_NO = {True: Text("Ya", "Yes"), False: Text("Tidak", "No")}
_SHEET = Text("Laporan", "Report")
_WORDS = Text("{code:cell}", "{code:cell}")
_FORMATS = {
    ColumnKind.text: TEXT,
    ColumnKind.integer: AMOUNT,
    ColumnKind.number: SHARE,
    ColumnKind.date: DAY,
    ColumnKind.instant: INSTANT,
}


@dataclass(frozen=True)
class ReportFile:
    """A complete file of a report in a temporary file."""

    file: IO[bytes]
    sha256: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes once, then remove the file."""
        with self.file:
            self.file.seek(0)
            while piece := self.file.read(_PIECE):
                yield piece


@dataclass(frozen=True)
class RequestedFile:
    """A report that an actor asks for at an instant, in a language."""

    report: ReportDefinition
    actor: Actor
    query: Any
    now: datetime
    language: Language

    def write_csv(self, database: Database, session: Session, signs: Dialect) -> ReportFile:
        """Write all rows as CSV by one statement, in memory that does not grow with the rows."""

        def write(file: IO[bytes], rows: Iterator[Row], region: RegionRef | None) -> None:
            lines = self._list_plain(rows) if signs.is_machine else self._list_shown(rows, region)
            for line in stream_delimited(lines, signs):
                file.write(line)

        return self._write(database, session, write)

    def write_xlsx(self, database: Database, session: Session) -> ReportFile:
        """Write all rows as a workbook of one sheet, in constant memory. Raises SheetFull if they are too many."""
        return self._write(database, session, self._write_book)

    def _write(
        self,
        database: Database,
        session: Session,
        write_rows: Callable[[IO[bytes], Iterator[Row], RegionRef | None], None],
    ) -> ReportFile:
        statement = select_all(
            self.report.rows(session, self.actor, self.query, self.now), sort=self.query.sort
        )
        file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by its sender

        def write(state: Session) -> None:
            """Write the file from its start, since a retry follows a lost connection even after the last row."""
            file.seek(0)
            file.truncate()
            region = find_regions_by_code(state, [self.query.region]).get(self.query.region)
            with state.connection().execute(statement, execution_options={"yield_per": _ROWS}) as texts:
                write_rows(file, self._list_rows(row[0] for row in texts), region)

        try:
            database.run_in_snapshot(write)
            size = file.seek(0, 2)
            file.seek(0)
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            return ReportFile(file, digest.hexdigest(), size)
        except BaseException:
            file.close()
            raise

    def _list_rows(self, texts: Iterable[str]) -> Iterator[Row]:
        for text in texts:
            row: Row | None = json.loads(text)
            if self.report.complete is not None and row is not None:
                row = self.report.complete(row)
            if row is not None:
                yield row

    def _list_plain(self, rows: Iterable[Row]) -> Iterator[list[Cell]]:
        """Yield the lines of CSV for programs."""
        names = [column.name for column in describe_report_columns(self.report)]
        yield [*names]
        for row in rows:
            yield [_format_plain(row[name]) for name in names]

    def _list_shown(self, rows: Iterable[Row], region: RegionRef | None) -> Iterator[list[Cell]]:
        """Yield the lines of CSV for spreadsheets: the cells of the workbook, days and times as ISO 8601 has them."""
        yield self._list_headings(_find_zone(region))
        for row in rows:
            cells = self._make_cells(row, _find_zone(region))
            yield [str(cell) if isinstance(cell, date) else cell for cell in cells]

    def _list_headings(self, zone: str) -> list[Cell]:
        """Return the headings, with the zone where a column has instants."""
        headings = [
            words.heading.render(self.language, {}) for words in read_columns(self.report.row).values()
        ]
        return [
            f"{heading} ({zone})" if column.kind is ColumnKind.instant else heading
            for heading, column in zip(headings, describe_report_columns(self.report), strict=True)
        ]

    def _make_cells(self, row: Row, zone: str) -> list[SheetCell]:
        """Return the cells of a row as people read them: words, days, and times in a zone."""
        cells: list[SheetCell] = []
        for column in describe_report_columns(self.report):
            value = row[column.name]
            if value is not None and column.kind is ColumnKind.date:
                cells.append(date.fromisoformat(value))
            elif value is not None and column.kind is ColumnKind.instant:
                at = datetime.fromisoformat(value).astimezone(get_zone(zone))
                cells.append(at.replace(tzinfo=None, microsecond=0))
            else:
                cells.append(self._format_words(value, column))
        return cells

    def _format_words(self, value: Any, column: ReportColumn) -> Cell:
        """Return a value as people read it: words for codes and truth, the items of a list in one cell."""
        if isinstance(value, bool):
            return _YES_OR_NO[value].render(self.language, {})
        if isinstance(value, list):
            return "; ".join(str(self._format_words(item, column)) for item in value)
        if isinstance(value, str) and column.has_codes:
            words = _WORDS.render(self.language, {"code": value})
            return words[:1].upper() + words[1:]
        cell: Cell = value
        return cell

    def _write_book(self, file: IO[bytes], rows: Iterable[Row], region: RegionRef | None) -> None:
        zone = _find_zone(region)
        columns = [
            SheetColumn(str(heading), words.width, _FORMATS.get(column.kind, ""))
            for heading, column, words in zip(
                self._list_headings(zone),
                describe_report_columns(self.report),
                read_columns(self.report.row).values(),
                strict=True,
            )
        ]
        titles = [text.render(self.language, {}) for text in self._list_titles(region)]
        with create_workbook(file, titles[0]) as book:
            name = _SHEET.render(self.language, {})
            write_table(book, name, titles, columns, (self._make_cells(row, zone) for row in rows))

    def _list_titles(self, region: RegionRef | None) -> Iterator[Text]:
        """Yield the title rows: report, region, period or year, agency, and the day of the data."""
        yield self.report.title
        name = format_region(region.code, region.name) if region else self.query.region
        yield Text(name, name)
        period = getattr(self.query, "period", None) or getattr(self.query, "year", None)
        yield describe_period(Period.parse(str(period))) if period else Text("Semua tahun", "All years")
        if agency := getattr(self.query, "agency", None):
            yield Text(f"Perangkat daerah {agency}", f"Agency {agency}")
        day = describe_day(get_local_date(self.now, _find_zone(region)))
        yield Text(f"Data per {day.id}", f"Data as of {day.en}")


def _find_zone(region: RegionRef | None) -> str:
    return region.timezone if region else "WIB"


def _format_plain(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    cell: Cell = value
    return cell
