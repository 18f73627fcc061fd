"""Parser of publishers' tables: regions by indicators, by periods, or one observation a row. Pure.

The parser never guesses. Headers name the columns, the caller names the code system, and one error reports all
unusable cells, each with sheet, row and column.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from app.convergence.indicators.files.cells import (
    MONTHS,
    CellFigure,
    UnreadableCell,
    find_decimal_mark,
    looks_like_fractions,
    looks_like_times,
    read_figure,
)
from app.convergence.indicators.models import IndicatorIn, Symbol, TableQuery
from app.convergence.indicators.rules import (
    SurveyPeriod,
    find_half,
    is_period_of,
    list_periods,
    resolve_period,
)
from app.kit.fields import fold_name
from app.kit.files.books import Sheet, Value
from app.kit.files.cells import render_text
from app.kit.http.validation import describe_unknown, duplicate_key, find_nearest
from app.kit.problems import ErrorPlace, FieldError, Invalid, Kind, TooLarge, refuse
from app.kit.wording import Text, declare_words

no_table = Kind(
    "no_table_header",
    id="tidak ada baris judul dalam {rows} baris pertama; beri judul pada kolom kode wilayah (misalnya “kode wilayah”) "
    "dan pada kolom indikator, periode, atau nilai",
    en="the first {rows} rows have no header; name the column of region codes (such as “region code”) and a column of "
    "an indicator, a period or values",
)
unknown_header = Kind(
    "unknown_header",
    id="judul kolom “{value}” bukan indikator yang dikenal (terdekat: “{nearest}”); perbaiki judul itu atau lewati "
    "kolomnya",
    en="the header “{value}” is not a known indicator (nearest: “{nearest}”); correct it or skip the column",
)
not_said = Kind(
    "not_said",
    id="berkas tidak menyebut {what:import}; sebutkan saat mengimpor",
    en="the file does not name {what:import}; name it in the import",
)
declare_words(
    {"indicator": Text("indikator", "the indicator"), "period": Text("periode", "the period")}, form="import"
)
wrong_code = Kind(
    "wrong_region_code",
    id="“{value}” bukan kode wilayah {system}; tulis misalnya {allowed}",
    en="“{value}” is not a {system} code of a region; write one such as {allowed}",
)
other_system = Kind(
    "other_code_system",
    id="“{value}” adalah kode {system} untuk {region}, sedangkan tabel menyebut “{name}”; impor tabel ini dengan kode "
    "{other}",
    en="“{value}” is the {system} code of {region}, but the table names “{name}”; import it with codes of {other}",
)
wrong_period = Kind(
    "wrong_observed_period",
    id="“{value}” bukan periode indikator ini; tulis misalnya {allowed}",
    en="“{value}” is not a period of this indicator; write one such as {allowed}",
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

HEADER_ROWS = 30
MOST_OBSERVATIONS = 50_000
"""Observations of a file: every regency by ten indicators and ten years. One transaction writes all of them."""
_MOST = f"{MOST_OBSERVATIONS} observations"
declare_words({_MOST: Text(f"{MOST_OBSERVATIONS} data", _MOST)})
declare_words(
    {
        "BPS codes": Text("daftar kode BPS", "the list of BPS codes"),
        "Kemendagri codes": Text("daftar kode Kemendagri", "the list of Kemendagri codes"),
    },
    form="list",
)

_WORDS = {
    "code": "code;kode;kode wilayah;kode kabupaten kota;kode kab kota;kode provinsi;kode bps;kode kemendagri;"
    "region;region code;bps code",
    "name": "name;nama;wilayah;nama wilayah;provinsi;kabupaten kota;nama kabupaten kota;nama provinsi;kab kota;"
    "region name",
    "year": "year;tahun",
    "month": "month;bulan",
    "half": "semester",
    "period": "period;periode",
    "indicator": "indicator;indikator",
    "value": "value;nilai;angka",
}
_ROLES = {word: role for role, words in _WORDS.items() for word in words.split(";")}
_HALVES = {"1": 1, "2": 2, "i": 1, "ii": 2, "s1": 1, "s2": 2}
_NATION = {"0", "00", "0000", "9999", "indonesia"}
_NUMBERED = re.compile(r"\(\d{1,3}\)")


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
class RegionCodes:
    """Nation, provinces and regencies: code → name, and BPS code of a regency → code."""

    names: Mapping[str, str]
    bps: Mapping[str, str]

    def find_by_kemendagri(self, digits: str) -> str | None:
        """Return the region of a Kemendagri code of two or four digits. Returns None if there is none."""
        code = digits if len(digits) == 2 else f"{digits[:2]}.{digits[2:]}"
        return code if code in self.names else None

    def find_by_bps(self, digits: str) -> str | None:
        """Return the region of a BPS code. Returns None if there is none.

        A province (`18`, `1800`) needs all its regencies in one Kemendagri province: the numbers differ in Papua.
        """
        if len(digits) == 4 and not digits.endswith("00"):
            return self.bps.get(digits)
        provinces = {ours[:2] for theirs, ours in self.bps.items() if theirs.startswith(digits[:2])}
        return provinces.pop() if len(provinces) == 1 else None


class _Column(NamedTuple):
    place: int
    indicator: str | None
    period: SurveyPeriod | None
    """A bare year stands for a half-year too, depending on the indicator."""


@dataclass
class _Reader:
    sheet: Sheet
    filename: str
    indicators: Mapping[str, IndicatorIn]
    places: RegionCodes
    query: TableQuery
    errors: list[FieldError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spellings = {
            fold_name(word): code
            for code, item in self.indicators.items()
            for word in (code, item.name, item.name_english, *item.aliases)
        }
        self.skipped = {fold_name(word) for word in self.query.skip}

    def fail(self, kind: Kind, r: int, c: int, value: object = None, **more: Any) -> None:
        self.errors.append(FieldError(kind, cell=self.sheet.cell(r, c), value=value, **more))

    def text(self, r: int, c: int) -> str:
        return render_text(self.sheet.value(r, c)).strip()

    def find_header(self) -> int:
        """Return the row of the headers. Raises Invalid if there is none."""
        for r in range(min(HEADER_ROWS, len(self.sheet.rows))):
            words = [fold_name(self.text(r, c)) for c in range(len(self.sheet.rows[r]))]
            roles = {_ROLES.get(word) for word in words}
            if "code" in roles and (
                "value" in roles or any(word in self.spellings or _parse_period(word) for word in words)
            ):
                return r
        allowed, values = _WORDS["code"].split(";"), {"rows": HEADER_ROWS}
        error = FieldError(no_table, cell=self.sheet.cell(0, 0), allowed=allowed, values=values)
        raise Invalid(errors=[error])

    def read_columns(self, header: int) -> tuple[dict[str, int], list[_Column]]:
        """Return role → column, and the columns of values; report unknown headers."""
        roles: dict[str, int] = {}
        columns: list[_Column] = []
        for c in range(self.sheet.width):
            text = self.text(header, c)
            word = fold_name(text)
            if word in self.skipped or (not word and self._is_blank(header, c)):
                continue
            role = _ROLES.get(word)
            if role == "value":
                columns.append(_Column(c, self.query.indicator, None))
            elif role is not None:
                if role in roles and role != "name":
                    self.fail(duplicate_key, header, c, text)
                roles[role] = c
            elif word in self.spellings:
                columns.append(_Column(c, self.spellings[word], None))
            elif period := _parse_period(word):
                columns.append(_Column(c, self.query.indicator, period))
            else:
                self.fail(unknown_header, header, c, text, nearest=find_nearest(text, self.spellings))
        return roles, columns

    def _is_blank(self, header: int, c: int) -> bool:
        return all(self.sheet.value(r, c) is None for r in range(header + 1, len(self.sheet.rows)))

    def find_region(self, r: int, c: int, name: str) -> str | None:
        """Return the region of a row by the declared code system. Returns None after reporting a wrong code."""
        code, digits = _parse_code(self.sheet.value(r, c))
        if code in _NATION:
            return "0"
        is_bps = self.query.code_system == "bps"
        values = {"system": _SYSTEMS[is_bps]}
        if not digits or (is_bps and "." in code):
            allowed = ["1806", "18"] if is_bps else ["18.06", "18"]
            self.fail(wrong_code, r, c, code, allowed=allowed, values=values)
            return None
        as_ours, as_theirs = self.places.find_by_kemendagri(digits), self.places.find_by_bps(digits)
        region, other = (as_theirs, as_ours) if is_bps else (as_ours, as_theirs)
        names = self.places.names
        if region is None:
            source = f"{values['system']} codes"
            self.errors.append(describe_unknown(code, source, (), cell=self.sheet.cell(r, c)))
            return None
        if name and other and _strip_type(name) == _strip_type(names[other]) != _strip_type(names[region]):
            more = {"region": names[region], "name": name, "other": _SYSTEMS[not is_bps]}
            self.fail(other_system, r, c, code, values={**values, **more})
            return None
        return region

    def read_period(self, r: int, roles: Mapping[str, int], column: _Column, code: str) -> str | None:
        """Return the period of a cell from its header, its row or the query. Returns None after reporting an error."""
        indicator = self.indicators[code]
        c, text, parsed = self._locate_period(r, roles, column, indicator)
        period = str(parsed if parsed is None or parsed.half else resolve_period(indicator, parsed))
        if is_period_of(indicator, period):
            return period
        allowed = list_periods(indicator)
        self.fail(wrong_period, r, c, text, allowed=allowed)
        return None

    def _locate_period(
        self, r: int, roles: Mapping[str, int], column: _Column, indicator: IndicatorIn
    ) -> tuple[int, str, SurveyPeriod | None]:
        """Return the column of the period, its text, and the period (None if the text is no period)."""
        if column.period is not None:
            return column.place, str(column.period), column.period
        if "period" in roles:
            text = self.text(r, roles["period"])
            return roles["period"], text, _parse_period(fold_name(text))
        if "year" not in roles:
            text = self.query.period or ""
            return column.place, text, _parse_period(fold_name(text))
        text = self.text(r, roles["year"])
        year = _parse_period(fold_name(text))
        for role, half_of in (("month", _find_half), ("half", lambda _, word: _HALVES.get(word))):
            if year is not None and role in roles and (part := self.text(r, roles[role])):
                half = half_of(indicator, fold_name(part))
                return roles[role], part, None if half is None else SurveyPeriod(year.year, half)
        return roles["year"], text, year

    def read_rows(
        self, header: int, roles: Mapping[str, int], columns: list[_Column]
    ) -> Iterator[LocatedObservation]:
        """Yield the valid observations below the header; report unusable cells and repeated observations."""
        marks = {
            column.place: find_decimal_mark(
                self.sheet.value(r, column.place) for r in range(header + 1, len(self.sheet.rows))
            )
            for column in columns
        }
        seen: dict[tuple[str, str, str], int] = {}
        for r in range(header + 1, len(self.sheet.rows)):
            cells = [c for c in (column.place for column in columns) if self.sheet.value(r, c) is not None]
            if not cells or self._is_numbering(r):
                continue  # a blank row, a note below the table, the numbers of the columns
            region = self.find_region(
                r, roles["code"], self.text(r, roles["name"]) if "name" in roles else ""
            )
            for column in columns:
                if column.place in cells:
                    item = self._read_cell(r, roles, column, region, marks[column.place])
                    if item is not None and seen.setdefault(item.key, r) != r:
                        self.fail(duplicate_key, r, column.place, " ".join(item.key))
                    elif item is not None:
                        yield item

    def _is_numbering(self, r: int) -> bool:
        return all(
            _NUMBERED.fullmatch(render_text(cell).strip()) for cell in self.sheet.rows[r] if cell is not None
        )

    def _read_cell(
        self, r: int, roles: Mapping[str, int], column: _Column, region: str | None, mark: str | None
    ) -> LocatedObservation | None:
        code = self._find_indicator(r, roles, column)
        figure = self._read_figure(r, column.place, mark)
        if code is None or figure is None:
            return None
        period = self.read_period(r, roles, column, code)
        if period is None or region is None:
            return None
        cell = self.sheet.cell(r, column.place)
        content = {
            "value": figure.value,
            "symbol": figure.symbol,
            "flags": list(figure.flags),
            "source": self.query.source or self.filename,
        }
        return LocatedObservation(region, code, period, content, lambda _: {"cell": cell})

    def _find_indicator(self, r: int, roles: Mapping[str, int], column: _Column) -> str | None:
        if column.indicator is not None:
            return column.indicator
        text = self.text(r, roles["indicator"])
        code = self.spellings.get(fold_name(text))
        if code is None:
            cell = self.sheet.cell(r, roles["indicator"])
            self.errors.append(describe_unknown(text, "indicators", self.spellings, cell=cell))
        return code

    def _read_figure(self, r: int, c: int, mark: str | None) -> CellFigure | None:
        value = self.sheet.value(r, c)
        try:
            return read_figure(value, mark)
        except UnreadableCell as error:
            allowed = [symbol.value for symbol in Symbol]
            self.fail(error.kind, r, c, str(value), allowed=allowed, nearest=error.candidates)
            return None


_SYSTEMS = {True: "BPS", False: "Kemendagri"}


def read_table(
    sheet: Sheet,
    filename: str,
    indicators: Mapping[str, IndicatorIn],
    places: RegionCodes,
    query: TableQuery,
) -> list[LocatedObservation]:
    """Return the observations of a sheet, each with its cell. Raises Invalid with every unusable cell."""
    if query.indicator is not None and query.indicator not in indicators:
        error = describe_unknown(query.indicator, "indicators", indicators, parameter="indicator")
        raise Invalid(errors=[error])
    reader = _Reader(sheet, filename, indicators, places, query)
    header = reader.find_header()
    roles, columns = reader.read_columns(header)
    if any(column.indicator is None for column in columns) and "indicator" not in roles:
        reader.errors.append(_describe_missing("indicator"))
    if (
        any(column.period is None for column in columns)
        and not {"period", "year"} & roles.keys()
        and not query.period
    ):
        reader.errors.append(_describe_missing("period"))
    refuse(reader.errors)
    items = list(islice(reader.read_rows(header, roles, columns), MOST_OBSERVATIONS + 1))
    if len(items) > MOST_OBSERVATIONS:
        raise TooLarge(allowed=_MOST)
    _check_columns(reader, header, columns, items)
    refuse(reader.errors)
    return items


def _describe_missing(parameter: str) -> FieldError:
    return FieldError(not_said, parameter=parameter, values={"what": parameter})


def _check_columns(
    reader: _Reader, header: int, columns: list[_Column], items: list[LocatedObservation]
) -> None:
    """Report errors that only a whole column shows: numbers turned into times, percentages as shares of one."""
    numbers: dict[tuple[str, str], list[float]] = {}
    for item in items:
        if (value := item.content["value"]) is not None:
            numbers.setdefault((item.place("value")["cell"].column, item.indicator), []).append(value)
    places = {reader.sheet.cell(header, column.place).column: column.place for column in columns}
    for (letter, code), values in numbers.items():
        indicator = reader.indicators[code]
        if indicator.decimals == 2 and looks_like_times(values):
            reader.fail(column_of_times, header, places[letter], values[0])
        if indicator.unit == "percent" and looks_like_fractions(values):
            reader.fail(column_of_fractions, header, places[letter], max(values))


def _parse_code(value: Value) -> tuple[str, str]:
    """Return a region's code as written, and its digits ("" if malformed); the number 11.1 was the text 11.10."""
    if isinstance(value, float) and round(value, 2) == value:
        text = f"{value:.2f}"
    else:
        text = render_text(value).strip().lower()
    return text, text.replace(".", "") if re.fullmatch(r"\d{2}(\.?\d{2})?", text) else ""


def _strip_type(name: str) -> str:
    return re.sub(r"^(kabupaten|kab|kota) ", "", fold_name(name))


def _find_half(indicator: IndicatorIn, word: str) -> int | None:
    month = int(word) if word.isdecimal() else MONTHS.get(word[:3], 0)
    return find_half(indicator, month)


def _parse_period(word: str) -> SurveyPeriod | None:
    """Return the period in a folded text such as `2021` or `2021 s1`. Returns None if it is no period."""
    match = re.fullmatch(r"((?:19|20)\d\d)(?: s([12]))?", word)
    return SurveyPeriod(int(match[1]), int(match[2] or 0)) if match else None
