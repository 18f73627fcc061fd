"""Reader of publishers' tables: regions by indicators, by periods, or one observation a row. Pure.

The reader never guesses. Headings name the columns, codes or names the regions, and one error names every unusable
cell, each with sheet, row and column.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import accumulate, islice
from typing import Any

from app.convergence.indicators.files.cells import (
    SYMBOLS,
    CellFigure,
    UnreadableCell,
    drop_percent_sign,
    find_decimal_mark,
    looks_like_fractions,
    looks_like_times,
    parse_readings,
    read_figure,
    unclear_mark,
)
from app.convergence.indicators.files.columns import ColumnReader, FigureColumn
from app.convergence.indicators.files.headings import ROLES, HeadingReader
from app.convergence.indicators.files.regions import NamedRow, RegionReader, read_section
from app.convergence.indicators.models import IndicatorIn, Symbol, TableQuery
from app.convergence.indicators.rules import PERSONS, find_population_error
from app.kit.fields import fold_name
from app.kit.files.books import Sheet, Value, name_column
from app.kit.files.cells import render_text
from app.kit.http.validation import describe_unknown, duplicate_key
from app.kit.personal import mask_person_numbers
from app.kit.problems import ErrorPlace, FieldError, Invalid, Kind, TooLarge, refuse
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.factors import Factor
from app.kit.tables.headers import (
    DEEPEST_HEADER,
    UNKNOWN_COLUMN,
    TableHeader,
    find_table,
    propose_table,
)
from app.kit.tables.layouts import TableLayout
from app.kit.tables.options import SkippedRows
from app.kit.tables.rows import PlainTable, TableRow
from app.kit.tables.sheets import NO_TABLE
from app.kit.tables.sums import TOTAL_DIFFERS
from app.kit.wording import Text, declare_words
from app.reference.places.areas.models import AreaResolution
from app.reference.places.regencies import RegencyNames

sum_not_read = Kind(
    "sum_not_read",
    id="“{value}” adalah baris jumlah, bukan wilayah. Angkanya tidak dibaca.",
    en="“{value}” is a row of sums, no region. The import did not read its numbers.",
)
column_of_times = Kind(
    "column_of_times",
    id="lembar kerja mengubah angka kolom ini menjadi jam (contoh “{value}”); salin lagi dari tabel penerbit",
    en="a spreadsheet turned the numbers of this column into times (such as “{value}”); copy them again from the "
    "publisher's table",
)
column_of_fractions = Kind(
    "column_of_fractions",
    id="kolom ini berisi pecahan dari satu (terbesar “{value}”), sedangkan indikator ini dalam persen",
    en="this column holds shares of one (the largest is “{value}”), but this indicator is in percent",
)

MOST_OBSERVATIONS = 50_000
"""Observations of a file: every regency by ten indicators and ten years. One transaction writes all of them."""
_MOST = f"{MOST_OBSERVATIONS} observations"
declare_words({_MOST: Text(f"{MOST_OBSERVATIONS} data", _MOST)})
_NUMBERED = re.compile(r"\(\d{1,3}\)")
_YEARS = range(1900, 2100)
HEADED = ["Kode atau Kabupaten/Kota", "indikator, tahun, atau nilai"]
"""Headings that a table needs, for an error."""
_NAMES = ("code", "name", "province")


@dataclass(frozen=True)
class LocatedObservation:
    """An observation in a request or a file, with the location of its fields for error messages."""

    region: str
    indicator: str
    period: str
    content: dict[str, Any]
    place: Callable[[str], ErrorPlace]
    """Field → keyword argument of FieldError that locates it."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.region, self.indicator, self.period


@dataclass(frozen=True)
class ObservedTable:
    """The observations of a sheet, the factors of its columns, the rows left out, and the doubts about its cells."""

    sheet: str
    items: Sequence[LocatedObservation]
    factors: Sequence[Factor]
    skipped: Sequence[SkippedRows]
    warnings: Sequence[FieldError]


@dataclass(frozen=True)
class TableReader:
    """Reader of the tables of one call."""

    indicators: Mapping[str, IndicatorIn]
    regencies: RegencyNames
    query: TableQuery
    choices: Sequence[ColumnChoice] = ()
    resolutions: Sequence[AreaResolution] = ()

    def check_query(self) -> None:
        """Raise Invalid if the call names an indicator or a province that does not exist."""
        provinces = [code for code in self.regencies.names if "." not in code]
        given = (
            ("indicator", "indicators", self.query.indicator, self.indicators),
            ("province", "regions", self.query.province, provinces),
        )
        refuse(
            [
                describe_unknown(value, source, known, parameter=name)
                for name, source, value, known in given
                if value is not None and value not in known
            ]
        )

    def find(self, sheet: Sheet) -> TableHeader | None:
        """Find the header of a sheet. Returns None if it has none."""
        return self._find(_write_years(sheet), find_table)[1]

    def propose(self, sheet: Sheet) -> TableHeader | None:
        """Return the likeliest header of a sheet that has none, with the choices that would make it one."""
        return self._find(_write_years(sheet), propose_table)[1]

    def _find(
        self, sheet: Sheet, find: Callable[..., TableHeader | None]
    ) -> tuple[HeadingReader, TableHeader | None, TableLayout]:
        texts = [cell for row in sheet.rows[:DEEPEST_HEADER] for cell in row if isinstance(cell, str)]
        chosen = {choice.heading for choice in self.choices}
        skipped = {fold_name(text) for text in self.query.skip}
        skips = {text for text in texts if fold_name(text) in skipped} - chosen
        choices = [*self.choices, *(ColumnChoice(heading=text, field=None) for text in sorted(skips))]
        headings = HeadingReader(self.indicators, texts)
        provinces = [name for code, name in self.regencies.names.items() if "." not in code]
        layout = headings.build_layout(provinces, [choice.field for choice in choices])
        return headings, find(sheet, layout, choices), layout

    def read(self, sheet: Sheet, filename: str) -> ObservedTable:
        """Return the observations of a sheet with a header. Raises Invalid with every unusable cell, and TooLarge."""
        written = _write_years(sheet)
        headings, header, layout = self._find(written, find_table)
        assert header is not None
        sheet = replace(sheet, rows=[*written.rows[: header.data_row], *sheet.rows[header.data_row :]])
        header = _add_names(sheet, header)
        figures = [key for key in header.columns if key not in ROLES or key == "value"]
        unknown = [warning for warning in header.warnings if warning.kind is UNKNOWN_COLUMN]
        if not header.errors and not (figures and {*_NAMES} & header.columns.keys()):
            cell = sheet.cell(header.first_row, 0)
            errors = unknown or [FieldError(NO_TABLE, cell=cell, allowed=HEADED)]
            raise Invalid(errors=errors, columns=header.proposal)
        table = PlainTable(
            sheet, header, layout, self.query, names=_NAMES, figures=figures, is_figure=_is_figure
        )
        refuse(table.errors, header.proposal if header.is_unclear else ())
        columns = ColumnReader(table, headings, self.indicators, self.query)
        reading = _Reading(table, columns, self)
        items = list(
            islice(
                reading.read_rows(self.query.source or mask_person_numbers(filename)), MOST_OBSERVATIONS + 1
            )
        )
        if len(items) > MOST_OBSERVATIONS:
            raise TooLarge(allowed=_MOST)
        reading.check_columns(items)
        reading.check_sums(items)
        table.close()
        refuse(table.errors)
        return ObservedTable(sheet.name, items, columns.factors, table.skipped, table.warnings)


class _Reading:
    """The reading of the rows of one table."""

    def __init__(self, table: PlainTable, columns: ColumnReader, reader: TableReader) -> None:
        self.table, self.sheet, self.errors = table, table.sheet, table.errors
        self._by_column, self.columns, self._reader = columns, columns.columns, reader
        self._sums: list[TableRow] = []

    def read_rows(self, source: str) -> Iterator[LocatedObservation]:
        """Yield the valid observations below the header; report unusable cells and repeated observations."""
        lines = self._list_lines()
        marks = {
            column.c: find_decimal_mark(
                drop_percent_sign(self.sheet.value(item.row.r, column.c)) for item in lines
            )
            for column in self.columns
        }
        regions = RegionReader(self._reader.regencies, self._reader.query, self._reader.resolutions)
        region_of = regions.read(lines)
        self.errors += regions.errors
        seen: dict[tuple[str, str, str], tuple[int, int]] = {}
        for row, _ in lines:
            for column in self.columns:
                if row.value(column.key) is None:
                    continue
                item = self._read_cell(row, column, region_of.get(row.r), marks[column.c], source)
                if item is not None and seen.setdefault(item.key, (row.r, column.c)) != (row.r, column.c):
                    key = " ".join(item.key)
                    self.errors.append(FieldError(duplicate_key, cell=row.cell(column.key), value=key))
                elif item is not None:
                    yield item

    def _list_lines(self) -> list[NamedRow]:
        """Return the rows with figures, without sums and those that the call leaves out."""
        lines: list[NamedRow] = []
        section = ""
        for row in self.table.list_rows():
            texts = [render_text(cell).strip() for cell in self.sheet.rows[row.r] if cell is not None]
            if all(map(_NUMBERED.fullmatch, texts)):
                continue
            if not row.list_given(self.table.figures):
                section = read_section(texts[0]) or section
            elif self.table.is_sum(row) and not _is_code(row.value("code")):
                self.table.warnings.append(FieldError(sum_not_read, cell=row.cell(*_NAMES), value=texts[0]))
                self._sums.append(row)
            elif not self.table.is_left_out(row):
                lines.append(NamedRow(row, section))
        return lines

    def _read_cell(
        self, row: TableRow, column: FigureColumn, region: str | None, mark: str | None, source: str
    ) -> LocatedObservation | None:
        code = self._by_column.find_indicator(row, column)
        figure = self._read_figure(row, column, code, region, mark)
        if code is None or figure is None:
            return None
        found = self._by_column.find_period(row, column, self._reader.indicators[code])
        if found is None or region is None:
            return None
        (period, period_cell), cell = found, row.cell(column.key)
        number = figure.value
        if number is not None and column.times != 1:
            number = float(Decimal(repr(number)) * column.times)
        content = {
            "value": number,
            "symbol": figure.symbol,
            "flags": list(figure.flags),
            "source": source,
        }
        return LocatedObservation(
            region, code, period, content, lambda name: {"cell": period_cell if name == "period" else cell}
        )

    def _read_figure(
        self, row: TableRow, column: FigureColumn, code: str | None, region: str | None, mark: str | None
    ) -> CellFigure | None:
        value, cell = row.value(column.key), row.cell(column.key)
        try:
            if not isinstance(value, (date, time, timedelta)) and (
                kind := self.table.find_refusal(row, column.key)
            ):
                raise UnreadableCell(kind)
            is_percent = code is not None and self._reader.indicators[code].unit == "percent"
            return read_figure(drop_percent_sign(value) if is_percent else value, mark)
        except UnreadableCell as error:
            beyond = None
            if error.kind is unclear_mark and code and region:
                # One of the readings of `36.120` may have more poor persons than the region has inhabitants.
                number = max(map(float, error.candidates))
                population = self._reader.regencies.find_population(region)
                beyond = find_population_error(self._reader.indicators[code], number, population, cell=cell)
            allowed = [symbol.value for symbol in Symbol]
            own = FieldError(
                error.kind, cell=cell, value=str(value), allowed=allowed, nearest=error.candidates
            )
            self.errors.append(replace(beyond, value=str(value)) if beyond else own)
            return None

    def check_sums(self, items: Sequence[LocatedObservation]) -> None:
        """Warn about sums of persons that differ from the regencies above by more than rounding explains."""
        lines: dict[str, list[tuple[int, float]]] = {}
        for item in items:
            cell, value = item.place("value")["cell"], item.content["value"]
            if "." in item.region and value is not None:
                lines.setdefault(cell.column, []).append((cell.row, value))
        for column in self.columns:
            indicator = self._reader.indicators.get(column.heading.indicator or "")
            if indicator is None or indicator.unit not in PERSONS:
                continue
            own = lines.get(name_column(column.c), [])
            rows, totals = [r for r, _ in own], [0.0, *accumulate(number for _, number in own)]
            for row in self._sums:
                count = bisect_right(rows, row.r)
                total = round(totals[count], indicator.decimals)
                rounding = (count + 1) * 0.5 * 10**-indicator.decimals
                text = render_text(row.value(column.key)) if _is_figure(row.value(column.key)) else ""
                stated = [float(number) * column.times for number in parse_readings(text).values()]
                if stated and all(abs(number - total) > rounding for number in stated):
                    values = {"total": text, "sum": f"{total:.15g}".replace(".", ",")}
                    cell = row.cell(column.key)
                    self.table.warnings.append(
                        FieldError(TOTAL_DIFFERS, cell=cell, value=text, values=values)
                    )

    def check_columns(self, items: Sequence[LocatedObservation]) -> None:
        """Report errors that only a whole column shows: numbers turned into times, percentages as shares of one."""
        numbers: dict[tuple[str, str], list[float]] = {}
        for item in items:
            if (value := item.content["value"]) is not None:
                numbers.setdefault((item.place("value")["cell"].column, item.indicator), []).append(value)
        row = self.table.header.data_row - 1
        cells = {name_column(column.c): self.sheet.cell(row, column.c) for column in self.columns}
        for (letter, code), values in numbers.items():
            indicator = self._reader.indicators[code]
            if indicator.decimals == 2 and looks_like_times(values):
                self.errors.append(FieldError(column_of_times, cell=cells[letter], value=values[0]))
            if indicator.unit == "percent" and looks_like_fractions(values):
                self.errors.append(FieldError(column_of_fractions, cell=cells[letter], value=max(values)))


def _is_code(value: Value) -> bool:
    return isinstance(value, str | int | float) and any(letter.isdigit() for letter in render_text(value))


def _is_figure(value: Value) -> bool:
    """Return whether a cell has a number or a symbol."""
    if isinstance(value, str):
        text = str(drop_percent_sign(value)).strip()
        return text.lower() in SYMBOLS or bool(parse_readings(text))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _write_years(sheet: Sheet) -> Sheet:
    """Return a sheet whose headings have years and months as text: 2024, and 1 March 2024 for "Mar-24".

    Headings are above the first row with another number.
    """
    top = [list(row) for row in sheet.rows[:DEEPEST_HEADER]]
    for row in top:
        numbers = [cell for cell in row if isinstance(cell, int | float) and not isinstance(cell, bool)]
        if any(not isinstance(cell, int) or cell not in _YEARS for cell in numbers):
            break
        for c, cell in enumerate(row):
            if isinstance(cell, int) and not isinstance(cell, bool):
                row[c] = str(cell)
            elif isinstance(cell, date) and cell.day == 1:
                row[c] = f"{cell.year}-{cell.month:02}"
    return replace(sheet, rows=[*top, *sheet.rows[DEEPEST_HEADER:]])


def _add_names(sheet: Sheet, header: TableHeader) -> TableHeader:
    """Return a header whose first column, if it has no heading, has the names of regions."""
    first = min(header.columns.values(), default=0)
    is_blank = first == 1 and not any(
        render_text(sheet.value(r, 0)) for r in range(header.first_row, header.data_row)
    )
    if header.columns.keys() & {*_NAMES} or not is_blank:
        return header
    named = sheet.cell(header.data_row - 1, 0)
    warnings = tuple(warning for warning in header.warnings if warning.cell != named)
    return replace(header, columns={**header.columns, "name": 0}, warnings=warnings)
