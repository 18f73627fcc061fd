"""Regions of the rows of a publisher's table: by code, or by name within a province. Pure."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from app.access.rules import is_within
from app.convergence.indicators.models import TableQuery
from app.kit.fields import fold_name
from app.kit.files.books import Value
from app.kit.files.cells import render_text
from app.kit.http.validation import describe_unknown, unknown_reference
from app.kit.problems import MOST_CELL_ERRORS, FieldError, Kind, ResolutionShape
from app.kit.tables.resolutions import Question, ResolutionSet
from app.kit.tables.rows import BLANK_CELL, TableRow
from app.kit.wording import Text, declare_words
from app.reference.places.areas.models import AreaResolution
from app.reference.places.areas.rules import SOURCES, UNCLEAR_AREA
from app.reference.places.regencies import RegencyNames, TableName

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
name_contradicts_code = Kind(
    "name_contradicts_code",
    id="“{value}” adalah kode {system} untuk {region}, sedangkan tabel menyebut “{name}”. Perbaiki salah satunya.",
    en="“{value}” is the {system} code of {region}, but the table names “{name}”. Correct one of them.",
)
province_needed = Kind(
    "province_needed",
    id="Tabel ini menyebut kabupaten dan kota tanpa kode. Sebutkan provinsinya saat mengimpor.",
    en="This table names regencies and cities without codes. Name their province in the import.",
)
declare_words(
    {
        "BPS codes": Text("daftar kode BPS", "the list of BPS codes"),
        "Kemendagri codes": Text("daftar kode Kemendagri", "the list of Kemendagri codes"),
    },
    form="list",
)

_REGION = Text("wilayah", "region")
_SYSTEMS = {True: "BPS", False: "Kemendagri"}
_NATION = {"0", "00", "0000", "9999", "indonesia"}
_SECTIONS = {
    form: word
    for word, other in (("kabupaten", "regency"), ("kota", "municipality"))
    for form in (word, f"{word} {other}")
}


def read_section(text: str) -> str | None:
    """Return the type that a lone row gives to the names below it: `kabupaten` or `kota`; None for another text."""
    return _SECTIONS.get(fold_name(text))


class NamedRow(NamedTuple):
    """A row with figures, and the type of region that a row above gives to its name."""

    row: TableRow
    type: str = ""

    @property
    def name(self) -> str:
        return self.row.text("name") or self.row.text("province")


class RegionReader:
    """Reader of the regions of rows; `errors` name the cells without one."""

    def __init__(self, regencies: RegencyNames, query: TableQuery, given: Sequence[AreaResolution]) -> None:
        self.regencies, self.query, self._given = regencies, query, given
        self.errors: list[FieldError] = []

    def read(self, rows: Sequence[NamedRow]) -> dict[int, str | None]:
        """Return row → region, None for a row with an error."""
        by_name: dict[int, TableName] = {}
        province = self.query.province
        for item in rows:
            province = self._find_province(item.row, province)
            if item.row.value("code") is None:
                by_name[item.row.r] = TableName(item.name, item.type, province)
        questions = [Question("name", r + 1, (name.text,), name[1:]) for r, name in by_name.items()]
        self.resolutions = ResolutionSet(self._given, questions, SOURCES)
        settled = self.regencies.settle_names(set(by_name.values()))
        if not self.query.province and any(self._is_of_regency(name) for name in settled):
            self.errors.append(FieldError(province_needed, parameter="province"))
            return {}
        regions = {
            item.row.r: self._settle(item.row, by_name[item.row.r], settled[by_name[item.row.r]])
            if item.row.r in by_name
            else self._read_code(item.row, item.name)
            for item in rows
        }
        self.errors += [*self.resolutions.errors, *self.resolutions.list_misfits()]
        return regions

    def _find_province(self, row: TableRow, above: str | None) -> str | None:
        """Return the province that a row has in a column of its own, else that of the row above."""
        if self.query.province is not None or not (row.text("name") and row.text("province")):
            return above
        codes = [code for code in self.regencies.list_named(row.text("province")) if "." not in code]
        if len(codes) == 1:
            return codes[0]
        self._ask(row, "province", TableName(row.text("province")), codes)
        return above

    def _is_of_regency(self, name: TableName) -> bool:
        """Return whether a name without a province is that of a regency alone."""
        codes = self.regencies.list_named(name.text)
        return name.province is None and bool(codes) and all("." in code for code in codes)

    def _settle(self, row: TableRow, name: TableName, codes: set[str]) -> str | None:
        if resolution := self.resolutions.find("name", row.r + 1, name.text):
            if resolution.code in self.regencies.names and is_within(resolution.code, name.province or "0"):
                return resolution.code
            n = self._given.index(resolution)
            self.errors.append(self.resolutions.build_error(unknown_reference, n, "code"))
            return None
        if len(codes) == 1:
            return next(iter(codes))
        if not name.text:
            self.errors.append(FieldError(BLANK_CELL, cell=row.cell("name", "province")))
            return None
        needs_row = self.resolutions.needs_row("name", name.text)
        row_number = row.r + 1 if needs_row else None
        self._ask(row, "name", name, codes, ResolutionShape(column="name", value=name.text, row=row_number))
        return None

    def _ask(
        self,
        row: TableRow,
        column: str,
        name: TableName,
        codes: Collection[str],
        resolution: ResolutionShape | None = None,
    ) -> None:
        """Report a name that several regions have, or none, with candidates as long as a reply lists errors."""
        near = [self.regencies.describe(code) for code in sorted(codes)]
        if not near and len(self.errors) < MOST_CELL_ERRORS:
            near = self.regencies.find_candidates(name)
        values = {"place": self.regencies.names.get(name.province or "0", "0"), "level": _REGION}
        cell = row.cell(column, "province")
        self.errors.append(
            FieldError(
                UNCLEAR_AREA,
                cell=cell,
                value=name.text,
                values=values,
                candidates=near,
                resolution=resolution,
            )
        )

    def _read_code(self, row: TableRow, name: str) -> str | None:
        """Return the region of a code in the declared system. Returns None after reporting a wrong one."""
        cell, (code, digits) = row.cell("code"), _parse_code(row.value("code"))
        is_bps, regencies = self.query.code_system == "bps", self.regencies
        system, other_name = _SYSTEMS[is_bps], _SYSTEMS[not is_bps]
        if code not in _NATION and (not digits or (is_bps and "." in code)):
            allowed, values = ["1806", "18"] if is_bps else ["18.06", "18"], {"system": system}
            self.errors.append(FieldError(wrong_code, cell=cell, value=code, allowed=allowed, values=values))
            return None
        found = regencies.find_by_kemendagri(digits), regencies.find_by_bps(digits)
        region, other = ("0", None) if code in _NATION else found[::-1] if is_bps else found
        if region is None:
            self.errors.append(describe_unknown(code, f"{system} codes", (), cell=cell))
        elif name and not regencies.is_name_of(region, name):
            is_other = other is not None and regencies.is_name_of(other, name)
            kind = other_system if is_other else name_contradicts_code
            values = {"system": system, "other": other_name, "region": regencies.names[region], "name": name}
            near = [regencies.describe(item) for item in sorted(regencies.list_named(name))]
            self.errors.append(FieldError(kind, cell=cell, value=code, values=values, candidates=near))
            return None
        return region


def _parse_code(value: Value) -> tuple[str, str]:
    """Return a region's code as written, and its digits ("" if malformed); the number 11.1 was the text 11.10."""
    if isinstance(value, float) and round(value, 2) == value:
        text = f"{value:.2f}"
    else:
        text = render_text(value).strip().lower()
    return text, text.replace(".", "") if re.fullmatch(r"\d{2}(\.?\d{2})?", text) else ""
