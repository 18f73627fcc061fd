"""Nation, provinces and regencies by code, and by their names as tables write them. Pure.

`Kota Bandung` is the city; `Bandung` is the regency or the city, whichever the other names of the table leave.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rapidfuzz import fuzz

from app.access.rules import is_within
from app.kit.fields import fold_name
from app.kit.problems import Candidate
from app.kit.tables.candidates import NamedEntry, NameIndex
from app.reference.rules import OTHER_NAMES, get_level, get_parent

CLOSENESS = 80
"""Likeness of two spellings, from 0 to 100, from which on a name may be that of the code beside it."""
_WORDS = {
    "kab": "kabupaten",
    "prov": "provinsi",
    "propinsi": "provinsi",
    "kep": "kepulauan",
    **dict.fromkeys(("adm", "administrasi", "administratif"), ""),
}
_TYPES = ("kabupaten", "kota", "provinsi")
# Running numbers, marks of footnotes, and brackets that do not tell a regency from a city
_MARKS = re.compile(r"^\W*\d{1,3}[.)]?\s+|\((?!\s*(?:kab|kota)).*?\)|[*¹²³⁴⁵]+|\s*\d\)\s*$", re.IGNORECASE)


class TableName(NamedTuple):
    """A name in a table: its type if the rows above give it, and the province around it, None for the nation."""

    text: str
    type: str = ""
    province: str | None = None


@dataclass(frozen=True)
class RegencyNames:
    """Names and populations of the nation, provinces and regencies by code, and codes of regencies by BPS code."""

    names: Mapping[str, str]
    bps: Mapping[str, str]
    populations: Mapping[str, int | None]

    def find_by_kemendagri(self, digits: str) -> str | None:
        """Return the area of a Kemendagri code of two or four digits. Returns None if there is none."""
        code = digits if len(digits) == 2 else f"{digits[:2]}.{digits[2:]}"
        return code if code in self.names else None

    def find_by_bps(self, digits: str) -> str | None:
        """Return the area of a BPS code. Returns None if there is none.

        A province (`18`, `1800`) needs all its regencies in one Kemendagri province: the numbers differ in Papua.
        """
        if len(digits) == 4 and not digits.endswith("00"):
            return self.bps.get(digits)
        provinces = {ours[:2] for theirs, ours in self.bps.items() if theirs.startswith(digits[:2])}
        return provinces.pop() if len(provinces) == 1 else None

    def find_population(self, code: str) -> int | None:
        """Return the population of a region, else that of the next one above that has one."""
        while self.populations.get(code) is None and (above := get_parent(code)) is not None:
            code = above
        return self.populations.get(code)

    def list_named(self, text: str) -> Collection[str]:
        """Return the codes of all areas with a name."""
        return self._by_letters.get(_spell(text), frozenset())

    def settle_names(self, names: Iterable[TableName]) -> dict[TableName, set[str]]:
        """Return the areas that each name of one table may mean.

        A name that several areas have is none of those that other names of the table mean alone.
        """
        settled = {name: self._list_fitting(name) for name in names}
        alone = defaultdict[str | None, set[str]](set)
        for name, codes in settled.items():
            alone[name.province] |= codes if len(codes) == 1 else set()
        left = {name: codes - alone[name.province] for name, codes in settled.items()}
        return {name: left[name] if len(left[name]) == 1 else codes for name, codes in settled.items()}

    def is_name_of(self, code: str, text: str) -> bool:
        """Return whether a name may be that of an area: one of its names, or like it and like no other."""
        if named := self.list_named(text):
            return code in named
        letters, own_type = _spell(text), _find_type(text)
        if own_type not in ("", _find_type(self.names[code])):
            return False
        likeness = max(fuzz.ratio(letters, form) for form in self._forms[code])
        others = (form for own, forms in self._forms.items() if own != code for form in forms)
        return likeness >= CLOSENESS and all(fuzz.ratio(letters, form) <= likeness for form in others)

    def find_candidates(self, name: TableName) -> list[Candidate]:
        """Return the areas that a name may mean, the likely ones first."""
        if name.province not in self._indexes:
            self._indexes[name.province] = NameIndex(
                NamedEntry(code, (own, *OTHER_NAMES.get(code, ())), code.count("."))
                for code, own in self.names.items()
                if (is_within(code, name.province) if name.province else "." not in code)
            )
        return [self.describe(item.code) for item in self._indexes[name.province].find_candidates(name.text)]

    @cached_property
    def _indexes(self) -> dict[str | None, NameIndex]:
        return {}

    def describe(self, code: str) -> Candidate:
        """Return an area as a candidate."""
        parent = get_parent(code)
        return Candidate(code, self.names[code], get_level(code), self.names.get(parent) if parent else None)

    def _list_fitting(self, name: TableName) -> set[str]:
        return {
            code
            for code in self.list_named(name.text)
            if (code == "0" or is_within(code, name.province) if name.province else "." not in code)
            and ("." not in code or name.type in ("", _find_type(self.names[code])))
        }

    @cached_property
    def _forms(self) -> Mapping[str, set[str]]:
        """Code → the letters of its names, with and without their type."""
        forms = {}
        for code, name in self.names.items():
            full = [_spell(own) for own in (name, *OTHER_NAMES.get(code, ()))]
            if get_level(code) == "regency":
                kind = _find_type(name)
                forms[code] = {form for own in full for form in (own, own.removeprefix(kind))}
            else:
                forms[code] = {*full, *(f"provinsi{own}" for own in full)}
        return forms

    @cached_property
    def _by_letters(self) -> Mapping[str, set[str]]:
        codes = defaultdict(set)
        for code, forms in self._forms.items():
            for form in forms:
                codes[form].add(code)
        return codes


def _spell(text: str) -> str:
    return "".join(_split(text))


def _split(text: str) -> list[str]:
    """Return the words of a name without numbers, footnotes and abbreviations."""
    return [_WORDS.get(word, word) for word in fold_name(_MARKS.sub(" ", text)).split()]


def _find_type(text: str) -> str:
    """Return the type that a name begins with: `kabupaten`, `kota`, `provinsi` or ""."""
    first, *rest = [*_split(text), ""]
    return first if any(rest) and first in _TYPES else ""
