"""Columns of figures in a publisher's table: the indicator, the unit and the period of each. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from app.convergence.indicators.files.headings import HALVES, Heading, HeadingReader, find_factor
from app.convergence.indicators.models import Frequency, IndicatorIn, TableQuery
from app.convergence.indicators.rules import (
    SurveyPeriod,
    find_half,
    is_period_of,
    list_periods,
    resolve_period,
    wrong_period,
)
from app.kit.fields import fold_name
from app.kit.files.books import Value, name_column
from app.kit.files.cells import render_text
from app.kit.http.validation import describe_unknown
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.factors import MULTIPLIED, Factor
from app.kit.tables.headers import UNKNOWN_COLUMN
from app.kit.tables.numbers import format_thousands
from app.kit.tables.rows import PlainTable, TableRow
from app.kit.wording import Text, declare_words

other_indicator = Kind(
    "other_indicator",
    id="Tabel ini memuat “{value}”, bukan indikator yang disebut saat mengimpor.",
    en="This table has “{value}”, not the indicator that the import names.",
)
not_said = Kind(
    "not_said",
    id="berkas tidak menyebut {what:import}; sebutkan saat mengimpor",
    en="the file does not name {what:import}; name it in the import",
)
declare_words(
    {"indicator": Text("indikator", "the indicator"), "period": Text("periode", "the period")}, form="import"
)
other_unit = Kind(
    "other_unit_of_indicator",
    id="“{value}” menyebut satuan lain daripada satuan indikator ini, yaitu {unit:unit}. Ubah angkanya atau judulnya.",
    en="“{value}” names another unit than that of this indicator, which is {unit:unit}. Change the numbers or the "
    "heading.",
)


class FigureColumn(NamedTuple):
    """A column of figures: its key, what its headings name, and (row, text) of them, the lowest first."""

    key: str
    c: int
    heading: Heading
    texts: Sequence[tuple[int, str]]
    times: int = 1


class ColumnReader:
    """Reader of the columns of a table. Errors and warnings go to those of the table."""

    def __init__(
        self,
        table: PlainTable,
        headings: HeadingReader,
        indicators: Mapping[str, IndicatorIn],
        query: TableQuery,
    ) -> None:
        self.table, self.headings, self.indicators, self.query = table, headings, indicators, query
        self.factors: list[Factor] = []
        columns = [
            FigureColumn(key, table.at[key], headings.read(key) or Heading(), table.header.texts.get(key, ()))
            for key in sorted(table.figures, key=table.at.__getitem__)
        ]
        self.columns = [column for column in map(self._settle_unit, self._fill(columns)) if column]

    def _fill(self, columns: list[FigureColumn]) -> list[FigureColumn]:
        """Return the columns with what the call or a title names, unless each row does."""
        query, titles = self.query, self.headings.join_titles(self.table.header.titles)
        named = [column for column in columns if column.heading.indicator]
        if query.indicator and named and all(item.heading.indicator != query.indicator for item in named):
            texts = named[0].texts
            row, text = next((item for item in texts if self.headings.read_indicator(item[1])), texts[0])
            self._fail(other_indicator, self.table.sheet.cell(row, named[0].c), text)
        elif query.indicator and titles.indicator not in (None, query.indicator):
            name = self.indicators[titles.indicator or query.indicator].name
            self._fail(other_indicator, self.table.sheet.cell(0, 0), name)
        period = self.headings.read(query.period) if query.period else titles._replace(indicator=None)
        for name, field, keys, default in (
            ("indicator", "indicator", {"indicator"}, Heading(query.indicator or titles.indicator)),
            ("period", "year", {"period", "year"}, period or Heading()),
        ):
            if name == "period":
                columns = [column for column in columns if not self._refuse_span(column)]
            if keys.isdisjoint(self.table.at):
                columns = [column._replace(heading=column.heading.fill(default)) for column in columns]
                if any(getattr(column.heading, field) is None for column in columns):
                    self.table.errors.append(FieldError(not_said, parameter=name, values={"what": name}))
        return columns

    def _refuse_span(self, column: FigureColumn) -> bool:
        """Return whether the lowest heading of a column has several periods, after reporting it."""
        code, texts = column.heading.indicator, column.texts[:1]
        for row, text in texts if column.heading.year is None else ():
            if self.headings.has_several_periods(text):
                allowed = list_periods(self.indicators[code]) if code else None
                self._fail(wrong_period, self.table.sheet.cell(row, column.c), text, allowed=allowed)
                return True
        return False

    def _settle_unit(self, column: FigureColumn) -> FigureColumn | None:
        """Return a column with the factor of its unit. Returns None if the indicator has no such column."""
        if (code := column.heading.indicator) is None:
            return column
        table, indicator = self.table, self.indicators[code]
        if column.heading.is_annual and indicator.frequency is Frequency.half_yearly:
            row, text = column.texts[0]
            table.warnings.append(
                FieldError(UNKNOWN_COLUMN, cell=table.sheet.cell(row, column.c), value=text)
            )
            return None
        found = find_factor(indicator.unit, [text for _, text in column.texts], table.header.titles)
        if found is None or found[0] == 1:
            return column
        times, text = found
        row = next((row for row, own in column.texts if own == text), table.header.first_row)
        cell = table.sheet.cell(row, column.c)
        if times.denominator != 1 or not times:
            self._fail(other_unit, cell, text, values={"unit": indicator.unit})
            return column
        self.factors.append(Factor(column=name_column(column.c), unit=text, times=int(times)))
        values = {"times": format_thousands(int(times)), "unit": text}
        table.warnings.append(FieldError(MULTIPLIED, cell=cell, value=text, values=values))
        return column._replace(times=int(times))

    def find_indicator(self, row: TableRow, column: FigureColumn) -> str | None:
        """Return the indicator of a cell. Returns None after reporting that there is no such indicator."""
        if column.heading.indicator is not None:
            return column.heading.indicator
        if "indicator" not in self.table.at:
            return None  # reported once for the table
        text, spellings = row.text("indicator"), self.headings.spellings
        code = spellings.get(fold_name(text))
        if code is None:
            self.table.errors.append(
                describe_unknown(text, "indicators", spellings, cell=row.cell("indicator"))
            )
        return code

    def find_period(
        self, row: TableRow, column: FigureColumn, indicator: IndicatorIn
    ) -> tuple[str, Cell] | None:
        """Return the period of a cell and its place. Returns None after reporting that there is no such survey."""
        cell, text, heading = self._locate_period(row, column)
        if heading is not None and heading.year is None and "period" not in self.table.at:
            return None  # reported once for the table
        period = _resolve(indicator, heading) if heading else None
        if period is not None and is_period_of(indicator, period):
            return period, cell
        self._fail(wrong_period, cell, text, allowed=list_periods(indicator))
        return None

    def _locate_period(self, row: TableRow, column: FigureColumn) -> tuple[Cell, str, Heading | None]:
        """Return the cell of the period, its text, and what it names: that of the row, else of the column."""
        if column.heading.year is None and "period" in self.table.at:
            text = _write_period(row.value("period"))
            return row.cell("period"), text, self.headings.read(text)
        if column.heading.year is not None or "year" not in self.table.at:
            for r, text in column.texts:
                if any((self.headings.read(text) or Heading()).period):
                    return self.table.sheet.cell(r, column.c), text, column.heading
            return row.cell(column.key), self.query.period or "", column.heading
        text = row.text("year")
        year = self.headings.read(text)
        if year is None or year.year is None:
            return row.cell("year"), text, None
        for role in ("month", "half"):
            if part := row.text(role):
                return row.cell(role), part, self._read_part(role, part, year)
        return row.cell("year"), text, column.heading.fill(year)

    def _read_part(self, role: str, text: str, year: Heading) -> Heading | None:
        """Return a year with the month or the half of the year in a cell."""
        number = int(text) if text.isdecimal() and len(text) < 3 else HALVES.get(fold_name(text))
        if number is not None:
            return year._replace(month=number) if role == "month" else year._replace(half=number)
        part = self.headings.read(text)
        return part.fill(year) if part is not None and (part.month or part.half) else None

    def _fail(self, kind: Kind, cell: Cell, value: object, **more: Any) -> None:
        error = FieldError(kind, cell=cell, value=value, **more)
        if (
            error not in self.table.errors[-len(self.table.figures) :]
        ):  # a heading is wrong once, not in every row
            self.table.errors.append(error)


def _write_period(value: Value) -> str:
    """Return the text of a cell with a period; a spreadsheet makes 1 March 2024 of "Maret 2024"."""
    if isinstance(value, date) and value.day == 1:
        return f"{value.year}-{value.month:02}"
    return render_text(value)


def _resolve(indicator: IndicatorIn, heading: Heading) -> str | None:
    """Return the period of an indicator that a heading names. Returns None if there is no such survey."""
    year, half = heading.year, heading.half
    if year is None:
        return None
    if heading.month is not None:
        by_month = find_half(indicator, heading.month)
        return None if by_month is None or half not in (None, by_month) else str(SurveyPeriod(year, by_month))
    return str(SurveyPeriod(year, half) if half else resolve_period(indicator, SurveyPeriod(year, 0)))
