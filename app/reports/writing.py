"""Files of a report: a workbook and CSV for people, with headings and words, and CSV for programs.

The server writes a file whole before it sends the first byte, beyond a megabyte into a temporary file. So the ETag
covers the exact bytes, a failure is a problem and not half a table, and a slow client holds no connection.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
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

        def write(file: IO[bytes], rows: Iterator[Row], state: Session) -> None:
            for line in stream_delimited(self._make_lines(rows, signs), signs):
                file.write(line)

        return self._write(database, session, write)

    def write_xlsx(self, database: Database, session: Session) -> ReportFile:
        """Write all rows as a workbook of one sheet, in constant memory. Raises SheetFull if they are too many."""

        def write(file: IO[bytes], rows: Iterator[Row], state: Session) -> None:
            regions = find_regions_by_code(state, [self.query.region])
            self._write_book(file, rows, regions.get(self.query.region))

        return self._write(database, session, write)

    def _write(
        self,
        database: Database,
        session: Session,
        write_rows: Callable[[IO[bytes], Iterator[Row], Session], None],
    ) -> ReportFile:
        statement = select_all(
            self.report.rows(session, self.actor, self.query, self.now), sort=self.query.sort
        )
        file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by its sender

        def write(state: Session) -> None:
            """Write the file from its start, since a retry follows a lost connection even after the last row."""
            file.seek(0)
            file.truncate()
            with state.connection().execute(statement, execution_options={"yield_per": _ROWS}) as texts:
                write_rows(file, self._list_rows(row[0] for row in texts), state)

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

    def _list_headings(self) -> list[str]:
        return [words.heading.render(self.language, {}) for words in read_columns(self.report.row).values()]

    def _make_lines(self, rows: Iterable[Row], signs: Dialect) -> Iterator[list[Cell]]:
        columns = describe_report_columns(self.report)
        yield [column.name for column in columns] if signs.is_machine else [*self._list_headings()]
        for row in rows:
            if signs.is_machine:
                yield [_format_plain(row[column.name]) for column in columns]
            else:
                yield [self._format_words(row[column.name], column) for column in columns]

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
        columns = describe_report_columns(self.report)
        zone_name = region.timezone if region else "WIB"
        zone = get_zone(zone_name)
        sheet_columns = [
            SheetColumn(
                f"{heading} ({zone_name})" if column.kind is ColumnKind.instant else heading,
                words.width,
                _FORMATS.get(column.kind, ""),
            )
            for heading, column, words in zip(
                self._list_headings(), columns, read_columns(self.report.row).values(), strict=True
            )
        ]
        titles = [text.render(self.language, {}) for text in self._list_titles(region, zone_name)]
        with create_workbook(file, titles[0]) as book:
            write_table(
                book,
                Text("Laporan", "Report").render(self.language, {}),
                titles,
                sheet_columns,
                ([self._make_cell(row[column.name], column, zone) for column in columns] for row in rows),
            )

    def _list_titles(self, region: RegionRef | None, zone: str) -> Iterator[Text]:
        """Yield the title rows: report, region, period or year, agency, and the day of the data."""
        yield self.report.title
        name = format_region(region.code, region.name) if region else self.query.region
        yield Text(name, name)
        period = getattr(self.query, "period", None) or getattr(self.query, "year", None)
        yield describe_period(Period.parse(str(period))) if period else Text("Semua tahun", "All years")
        if agency := getattr(self.query, "agency", None):
            yield Text(f"Perangkat daerah {agency}", f"Agency {agency}")
        day = describe_day(get_local_date(self.now, zone))
        yield Text(f"Data per {day.id}", f"Data as of {day.en}")

    def _make_cell(self, value: Any, column: ReportColumn, zone: tzinfo) -> SheetCell:
        if value is not None and column.kind is ColumnKind.date:
            return date.fromisoformat(value)
        if value is not None and column.kind is ColumnKind.instant:
            return datetime.fromisoformat(value).astimezone(zone).replace(tzinfo=None)
        return self._format_words(value, column)


def _format_plain(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    cell: Cell = value
    return cell
