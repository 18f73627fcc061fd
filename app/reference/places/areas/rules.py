"""Names of areas in cells that hold one each: `Suka Marga`, `Pekon Suka Marga`, `Kec. Suoh`. Pure.

Equal names decide, with or without the word of their level; a name a letter off is asked, with its candidates.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from app.access.rules import is_within
from app.kit.fields import REGION_PATTERN, fold_name
from app.kit.http.validation import unknown_reference
from app.kit.problems import MOST_CELL_ERRORS, Candidate, Cell, FieldError, Kind, ResolutionShape
from app.kit.tables.candidates import NamedEntry, NameIndex
from app.kit.tables.resolutions import Question, ResolutionSet
from app.kit.tables.rows import PlainTable, TableRow, find_first_text, list_filled
from app.kit.wording import Text
from app.reference.places.areas.models import AreaResolution
from app.reference.places.rules import LEVELS
from app.reference.rules import add_dots, get_kind, get_level, get_parent

UNCLEAR_AREA = Kind(
    "unclear_area",
    "Nama “{value}” tidak menunjuk tepat satu {level} di {place}. Terdekat: {nearest}. Perbaiki selnya, atau pilih "
    "kodenya saat mengimpor.",
    "The name “{value}” does not identify exactly one {level} in {place}. Nearest: {nearest}. Correct it, or choose "
    "its code in the import.",
)
NAME_OF_ANOTHER = Kind(
    "name_of_another",
    "Kode {code} adalah kode {allowed}, bukan “{value}”. Periksa kode dan sistem kodenya.",
    "The code {code} is that of {allowed}, not of “{value}”. Check the code and the code system.",
)
MALFORMED_CODE = Kind(
    "malformed_region_code",
    "“{value}” bukan kode {level} menurut {system}. Tulis misalnya {allowed}.",
    "“{value}” is not the {system} code of a {level}. Write one such as {allowed}.",
)
CODE_OF_OTHER_SYSTEM = Kind(
    "code_of_other_system",
    "“{value}” adalah kode {system} untuk {allowed}, padahal berkas dinyatakan memakai kode lain. Samakan sistem "
    "kodenya.",
    "“{value}” is the {system} code of {allowed}, but the call declares the other code system. Make them equal.",
)
REGION_NEEDED = Kind(
    "region_needed",
    "Tabel ini tidak memuat kode wilayah. Sebutkan kabupaten atau kotanya, agar nama dibaca di dalamnya.",
    "This table has no codes of regions. Name its regency or city, so that the import reads the names within it.",
)
_KELURAHAN = frozenset(("kelurahan", "kel", "lurah"))
LEVEL_TEXTS = {
    "village": Text("desa atau kelurahan", "village"),
    "district": Text("kecamatan", "district"),
    None: Text("wilayah", "region"),
}
SOURCES = dict.fromkeys(("district", "village", "name"), "regions")
"""Column of a resolution → the list that has its codes."""


def list_level_headings(level: str) -> list[str]:
    """Return the headings of a column with names of a level: `Desa`, `Pekon/Kelurahan`, `Nama Nagari`."""
    words = [word for word, own in LEVELS.items() if own == level]
    pairs = [f"{a}/{b}" for a in words for b in words if a != b and {a, b} & {"desa", "kelurahan", "kel"}]
    return [f"{before}{heading}" for before in ("", "nama ") for heading in (*words, *pairs)]


def list_code_headings() -> list[str]:
    """Return the headings of a column with codes of regions: `Kode Wilayah`, `Kode Desa/Kelurahan`."""
    villages = [heading for heading in list_level_headings("village") if not heading.startswith("nama ")]
    return ["kode", *(f"kode {word}" for word in ("wilayah", "kemendagri", "bps", *villages))]


def get_word_level(text: str) -> str | None:
    """Return the level that the first word of a name says, None if it says none."""
    return LEVELS.get(fold_name(text).partition(" ")[0])


def normalize_code(code: str) -> str:
    """Return `6302052001` as `63.02.05.2001`, "" for a text that is no code."""
    code = add_dots(code)
    return code if re.fullmatch(REGION_PATTERN, code) else ""


def _list_forms(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the folded name as it is, and without the words of levels in front, with these words."""
    name, words = fold_name(text), set[str]()
    yield name, words
    while LEVELS.get(name.partition(" ")[0]) and name.partition(" ")[2]:
        word, _, name = name.partition(" ")
        words = words | {word}
        yield name, words


def _has_kind(words: set[str], kind: str) -> bool:
    return not words or kind in {LEVELS[word] for word in words}


def _tell_kelurahan(codes: list[str], words: set[str]) -> list[str]:
    """Return the village of several that the word in front means: the fourth part of a kelurahan begins with 1."""
    firsts = {"1" if word in _KELURAHAN else "2" for word in words}
    own = [code for code in codes if code.rpartition(".")[2][0] in firsts]
    return own if len(own) == 1 else codes


def is_name_of(text: str, code: str, name: str) -> bool:
    """Return whether a cell has the name of a region: `Kec. Suoh`, `Suoh`, `Kab. Lampung Barat`, `Lampung Barat`."""
    kind, folded = get_kind(code, name), fold_name(name)
    names = {folded, folded.removeprefix(f"{kind} ")}
    return any(form in names and _has_kind(words, kind) for form, words in _list_forms(text))


class AreaNames:
    """The names of a region and of all areas below it. `labels` has them by code."""

    def __init__(self, region: str, labels: Mapping[str, str]) -> None:
        self.region, self.labels = region, labels
        self._indexes: dict[tuple[str | None, str], NameIndex] = {}

    @cached_property
    def _codes(self) -> dict[str, list[str]]:
        """Folded name → the codes that may have it."""
        codes: dict[str, list[str]] = {}
        for code, name in self.labels.items():
            folded = fold_name(name)
            for form in {folded, folded.removeprefix(f"{get_kind(code, name)} ")}:
                codes.setdefault(form, []).append(code)
        return codes

    def find(self, text: str, level: str | None, within: str) -> list[str]:
        """Return the codes of the regions in `within` that have this name, at one level or at any.

        The words as they are win over those behind the word of a level: `Kampung Baru` is a name.
        """
        for form, words in _list_forms(text):
            codes = [
                code
                for code in self._codes.get(form, ())
                if is_within(code, within)
                and level in (None, get_level(code))
                and _has_kind(words, get_kind(code, self.labels[code]))
            ]
            if codes:
                return _tell_kelurahan(codes, words) if len(codes) > 1 else codes
        return []

    def find_candidates(self, text: str, level: str | None, within: str) -> list[Candidate]:
        """Return the regions that a name may mean: those of this name, also elsewhere, then those that are like it."""
        codes = self.find(text, level, within) or self.find(text, level, self.region)
        if not codes:
            # A name says nothing of its level to the index.
            *_, (name, _) = _list_forms(text)
            index = self._get_index(level, within)
            codes = [item.code for item in index.find_candidates(name)] or [
                item.code for item in self._get_index(level, self.region).find_candidates(name)
            ]
        return [
            Candidate(code, self.labels[code], get_level(code), self.labels.get(get_parent(code) or ""))
            for code in codes
        ]

    def _get_index(self, level: str | None, within: str) -> NameIndex:
        if (level, within) not in self._indexes:
            self._indexes[level, within] = NameIndex(
                NamedEntry(code, (name,), code.count("."))
                for code, name in self.labels.items()
                if is_within(code, within) and level in (None, get_level(code))
            )
        return self._indexes[level, within]


class AreaCell(NamedTuple):
    """A cell with the name of an area: its column among those of resolutions, its words and its address."""

    column: str
    text: str
    cell: Cell
    level: str | None
    context: str = ""
    """What gives the name its meaning: the words for the district."""
    is_own: bool = True
    """Whether the row has the name itself, not one above it."""


@dataclass
class AreaRow:
    """The cells of a row that say which region it is about, names from the highest level down, and their errors."""

    code: str
    cell: Cell
    names: list[AreaCell] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)

    def list_contradictions(self, code: str, labels: Mapping[str, str]) -> list[FieldError]:
        """Return an error for each name written in the row that is not the name of a code, or of its district."""
        errors = []
        for item in self.names:
            own = code if item.level in (None, get_level(code)) else get_parent(code) or ""
            if own in labels and item.is_own and not is_name_of(item.text, own, labels[own]):
                values = {"code": own}
                errors.append(
                    FieldError(
                        NAME_OF_ANOTHER, cell=item.cell, value=item.text, allowed=labels[own], values=values
                    )
                )
        return errors


class AreaColumns:
    """The columns of a table that say which regions its rows are about.

    A district holds for the rows below that leave it blank, also one in a heading of its own. `levels` are those of
    the columns with names, highest first.
    """

    def __init__(self, table: PlainTable, code: str, levels: Mapping[str, str | None]) -> None:
        self.table, self._code = table, code
        self._levels = {key: level for key, level in levels.items() if key in table.at}
        self.district: AreaCell | None = None
        self.is_new_district = False
        """Whether the latest row has another district than those before."""

    def read_heading(self, row: TableRow) -> bool:
        """Keep the district of a row for the rows below. Return whether the row has nothing else."""
        text, place = row.text("district"), (row.r, self.table.at.get("district", 0))
        is_heading = bool(text) and not row.list_given(
            [key for key in self.table.at if key not in ("number", "district")]
        )
        heading = find_first_text(row.sheet, row.r)
        if row.is_lone and get_word_level(heading) == "district":
            text, is_heading, place = heading, True, (row.r, list_filled(row.sheet, row.r)[0])
        before = self.district.text if self.district else ""
        self.is_new_district = bool(text) and fold_name(text) != fold_name(before)
        if text:
            cell = row.sheet.cell(*row.sheet.merged.get(place, place))
            self.district = AreaCell("district", text, cell, "district")
        return is_heading

    def read(self, row: TableRow) -> AreaRow:
        """Return the code and the names of a row, with an error for each cell that the import does not take."""
        code = row.text(self._code)
        area = AreaRow(code, row.cell(*[self._code] * bool(code), *reversed(self._levels), self._code))
        if self.district is not None:
            area.names.append(self.district._replace(is_own=bool(row.text("district"))))
        for key in (self._code, *self._levels):
            if kind := self.table.find_refusal(row, key):
                area.errors.append(FieldError(kind, cell=row.cell(key), value=str(row.value(key))))
            elif key not in (self._code, "district") and (text := row.text(key)):
                context = self.district.text if self.district else ""
                area.names.append(AreaCell(key, text, row.cell(key), self._levels[key], context))
        return area


class AreaReader:
    """Reader of cells with names of areas, by the resolutions of a call."""

    def __init__(self, given: Sequence[AreaResolution], rows: Iterable[AreaRow]) -> None:
        cells = {item.cell: item for row in rows for item in row.names}
        questions = [
            Question(item.column, item.cell.row, (item.text,), fold_name(item.context))
            for item in cells.values()
        ]
        self._resolutions = ResolutionSet(given, questions, SOURCES)
        self._asked = 0

    def read(self, item: AreaCell, names: AreaNames, within: str) -> str | FieldError:
        """Return the code of the region in a cell, or the error that asks for it."""
        if resolution := self._resolutions.find(item.column, item.cell.row, item.text):
            return resolution.code
        codes = names.find(item.text, item.level, within)
        if len(codes) == 1:
            return codes[0]
        needs_row = self._resolutions.needs_row(item.column, item.text)
        self._asked += 1
        # The search for similar names is slow, and a reply has no room for more.
        has_room = self._asked <= MOST_CELL_ERRORS
        return FieldError(
            UNCLEAR_AREA,
            cell=item.cell,
            value=item.text,
            values={"place": names.labels.get(within, within), "level": LEVEL_TEXTS[item.level]},
            candidates=names.find_candidates(item.text, item.level, within) if has_room else (),
            resolution=ResolutionShape(
                column=item.column, value=item.text, row=item.cell.row if needs_row else None
            ),
        )

    def list_misfits(self, labels: Mapping[str, str]) -> list[FieldError]:
        """Return the errors of resolutions: repeated, unused, with several meanings, or a code without a region."""
        given = self._resolutions.given
        levels = {"district": "district", "village": "village"}
        return [
            *self._resolutions.errors,
            *self._resolutions.list_misfits(),
            *(
                self._resolutions.build_error(unknown_reference, n, "code")
                for n, item in enumerate(given)
                if item.code not in labels
                or get_level(item.code) != levels.get(item.column, get_level(item.code))
            ),
        ]
