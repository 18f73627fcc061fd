"""Headings of publishers' tables: an indicator, a period or both, in one or several rows, and their units. Pure.

A heading is read only if all its words are known. A column that has another word above or below, such as "Perkotaan",
is not the indicator of the whole region, and stays unread.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from app.convergence.indicators.files.cells import MONTH_WORDS
from app.convergence.indicators.models import IndicatorIn
from app.convergence.indicators.rules import PERSONS
from app.kit.fields import fold_name
from app.kit.tables.layouts import TableField, TableLayout
from app.kit.tables.units import find_heading_scales, split_tokens

ROLES = {
    "code": "kode;code;kode wilayah;kode kabupaten kota;kode kab kota;kode provinsi;kode bps;kode kemendagri;region;"
    "region code;bps code",
    "name": "nama;name;wilayah;nama wilayah;kabupaten kota;nama kabupaten kota;kab kota;kabupaten;kab;daerah;"
    "region name;regency",
    "province": "provinsi;nama provinsi;province",
    "number": "no;nomor",
    "year": "tahun;year",
    "month": "bulan;month",
    "half": "semester",
    "period": "periode;period",
    "indicator": "indikator;indicator",
    "value": "nilai;value;angka",
}
"""Labels of the columns that are no figures."""
_OF_PROVINCE = ("wilayah", "kabupaten kota", "kabupaten kota di", "kabupaten kota se", "provinsi")
_COUNTED = [f"{number} provinsi" for number in range(30, 41)]
MOST_ROWS = 5

HALVES = {"1": 1, "2": 2, "i": 1, "ii": 2, "s1": 1, "s2": 2}
_YEAR = re.compile(r"(?:19|20)\d\d")
_FILLING_WORDS = (
    "tahun periode bulan data angka nilai per dalam satuan persen ribu ribuan juta jutaan jiwa orang rupiah rp kapita "
    "indeks poin year month period value"
)
_FILLING = set(_FILLING_WORDS.split())
_OF_ALL = {"perkotaan", "perdesaan", "pedesaan", "urban", "rural", "dan", "and", "jumlah", "total"}
_URBAN, _RURAL = {"perkotaan", "urban"}, {"perdesaan", "pedesaan", "rural"}
_PARTS = _URBAN | _RURAL | {"laki", "perempuan", "pria", "wanita", "male", "female"}
_INTRODUCTIONS = {"menurut", "di", "provinsi", "kabupaten", "by"}
_FOOTNOTE = re.compile(r"[\u00b9\u00b2\u00b3\u2070-\u2079]+|\*+\)?|(?:(?<=\s)|(?<=\b20\d\d))\d\)\s*$")
_BEFORE = re.compile(r"^\s*(?:tabel\s+[\d.a-z]{1,12}\s|\[metode baru\])", re.IGNORECASE)


class Heading(NamedTuple):
    """The indicator and the period that headings name. All are None for words that change nothing, such as "Tahun"."""

    indicator: str | None = None
    year: int | None = None
    month: int | None = None
    half: int | None = None
    is_annual: bool | None = None

    def __str__(self) -> str:
        """Return a text that reads to this heading again."""
        marks = ("", "", "m", "s", "tahunan")
        parts = [
            mark if value is True else f"{mark}{value}"
            for mark, value in zip(marks, self, strict=True)
            if value is not None
        ]
        return " ".join(parts)

    @property
    def period(self) -> tuple[int | None, int | None, int | None, bool | None]:
        return self[1:]

    def fill(self, other: "Heading") -> "Heading":
        """Return this heading with what only another one names."""
        return other._replace(**{name: own for name, own in self._asdict().items() if own is not None})


class HeadingReader:
    """The words of headings: names of indicators, periods, and those that change nothing."""

    def __init__(self, indicators: Mapping[str, IndicatorIn], texts: Iterable[str]) -> None:
        self.spellings = {
            fold_name(word): code
            for code, item in indicators.items()
            for word in (code, item.name, item.name_english, *item.aliases)
        }
        self._texts, self._indicators = texts, indicators
        self._known: dict[str, Heading | None] = {}
        self._spans: set[str] = set()
        """Headings with several periods, as titles have."""

    @cached_property
    def _fillings(self) -> Collection[str]:
        """Words that change nothing: "Jumlah" is one only next to "Perkotaan" and "Perdesaan"."""
        words = {word for text in self._texts for word in fold_name(text).split()}
        return _FILLING | (_OF_ALL if words & _URBAN and words & _RURAL else set())

    def read(self, text: str) -> Heading | None:
        """Return what a heading names. Returns None if it has unknown words, or several indicators or years."""
        if text not in self._known:  # cells of a column of years have the texts of headings too
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: str) -> Heading | None:
        rest = fold_name(_FOOTNOTE.sub(" ", _BEFORE.sub("", text))).split()
        indicator = None
        while count := self._count_indicator(
            rest, indicator
        ):  # `Indeks Pembangunan Manusia (IPM)` names it twice
            indicator, rest = self.spellings[" ".join(rest[:count])], rest[count:]
        # "Garis Kemiskinan (Ribu Rupiah/Kapita/Bulan) Menurut …" has its unit before the places.
        introduction = next((word for word in rest if word not in _FILLING), None)
        if indicator and introduction in _INTRODUCTIONS:
            return self._read_title(indicator, rest, text)
        named = [] if _is_of_part(rest) else list(self._read_period(rest))
        if not named and rest:
            return None
        heading = Heading(indicator)
        for part in named:
            if any(
                own is not None and more not in (None, own) for own, more in zip(heading, part, strict=True)
            ):
                self._spans.add(text)
                return Heading(indicator) if indicator else None
            heading = heading.fill(part)
        return heading

    def has_several_periods(self, text: str) -> bool:
        """Return whether a text that names an indicator has several years or months: `P0 2022-2023`."""
        return self.read(text) is not None and text in self._spans

    def _count_indicator(self, words: Sequence[str], known: str | None) -> int:
        """Return how many words in front name an indicator, the `known` one if there is one already."""
        names = (self.spellings.get(" ".join(words[:n])) for n in range(len(words), 0, -1))
        return next((len(words) - n for n, code in enumerate(names) if code and known in (None, code)), 0)

    def read_indicator(self, text: str) -> str | None:
        """Return the indicator that a heading names, None if it names none."""
        heading = self.read(text)
        return heading.indicator if heading else None

    def _read_title(self, indicator: str, words: Sequence[str], text: str) -> Heading | None:
        """Return the indicator of a title ("… Menurut Kabupaten/Kota, 2024") with its only year."""
        if _is_of_part(words):
            return None
        years = {int(word) for word in words if _YEAR.fullmatch(word)}
        months = {MONTH_WORDS[word] for word in words if word in MONTH_WORDS and len(word) > 2}
        if len(years) > 1 or len(months) > 1:
            self._spans.add(text)
        if len(years) != 1 or len(months) > 1:
            return Heading(indicator)
        return Heading(indicator, years.pop(), months.pop() if months else None)

    def _read_period(self, words: Sequence[str]) -> Iterator[Heading]:
        """Yield what each of the words names; nothing at all if one is unknown."""
        named: list[Heading] = []
        before = ""
        for word in words:
            if _YEAR.fullmatch(word):
                named.append(Heading(year=int(word)))
            elif month := MONTH_WORDS.get(word):
                named.append(Heading(month=month))
            elif (before in ("semester", "sem", "smt") and word in HALVES) or word in ("s1", "s2"):
                named.append(Heading(half=HALVES[word]))
            elif re.fullmatch(r"m(1[0-2]|[1-9])", word) or (
                _YEAR.fullmatch(before) and re.fullmatch(r"0[1-9]|1[0-2]", word)
            ):
                named.append(Heading(month=int(word.removeprefix("m"))))
            elif word in ("tahunan", "annual"):
                named.append(Heading(is_annual=True))
            elif word in self._fillings or word in ("semester", "sem", "smt"):
                named.append(Heading())
            else:
                return
            before = word
        yield from named

    def compose(self, texts: Sequence[str]) -> str | None:
        """Return the key of a column by its headings, the lowest first: a lower one wins over those above.

        Returns None if one of them is unknown, or all of them change nothing.
        """
        heading = Heading()
        for text in texts:
            part = self.read(text)
            if part is None:
                return None
            heading = heading.fill(part)
        return str(heading) or None

    def join_titles(self, titles: Iterable[str]) -> Heading:
        """Return the only indicator that titles name, and the only period."""
        headings = [heading for text in titles if (heading := self.read(text))]
        indicators = {heading.indicator for heading in headings} - {None}
        periods = {heading.period for heading in headings if any(heading.period)}
        period = periods.pop() if len(periods) == 1 else ()
        return Heading(indicators.pop() if len(indicators) == 1 else None, *period)

    def build_layout(self, provinces: Iterable[str], chosen: Iterable[str | None]) -> TableLayout:
        """Return the layout of a table. `chosen` are the fields that the call names, a period or an indicator too."""
        labels = {role: words.split(";") for role, words in ROLES.items()}
        labels["name"] += [f"{word} {name}" for name in provinces for word in _OF_PROVINCE] + _COUNTED
        fields = [TableField(role, tuple(words)) for role, words in labels.items()]
        fields += [
            TableField(code, (item.name, code, item.name_english, *item.aliases), is_measured=True)
            for code, item in self._indicators.items()
        ]
        known = {item.key for item in fields}
        named = {key for key in chosen if key and key not in known and self.compose([key])}
        fields += [TableField(key, (key,), is_measured=True) for key in sorted(named)]
        return TableLayout(fields, fewest=2, compose=self.compose, most_rows=MOST_ROWS)


def _is_of_part(words: Iterable[str]) -> bool:
    """Return whether words name a part of the people, such as those in cities, and not all of them."""
    parts = _PARTS.intersection(words)
    return bool(parts) and not (parts & _URBAN and parts & _RURAL)


# Units

_KINDS = {
    "rupiah": {"rupiah", "rp", "idr"},
    "percent": {"persen", "percent", "%"},
    "persons": {"jiwa", "orang", "persons"},
    "years": {"tahun", "years"},
    "index": {"indeks", "poin", "index"},
}
"""Kind of unit → its words; the first one that a text has is its kind."""
_UNITS = {
    "percent": ("percent", 1),
    **{unit: ("persons", times) for unit, times in PERSONS.items()},
    "rupiah_per_capita_per_month": ("rupiah", 1),
    "thousand_rupiah_per_capita_per_year": ("rupiah", 1_000),
    "index": ("index", 1),
    "years": ("years", 1),
}
"""Unit of an indicator → kind and scale."""
_UNIT_TEXT = re.compile(r"\((.*?)\)|\b(?:satuan|dalam)\b\s*:?(.*)", re.IGNORECASE)


def find_factor(unit: str, headings: Sequence[str], titles: Sequence[str]) -> tuple[Fraction, str] | None:
    """Return by how much a column's unit exceeds that of its indicator, and the text that names it.

    The unit of a heading, the lowest first, beats that of the titles. Returns None if no text names a unit, and 0 as
    factor if the units cannot be compared, or two texts of one rank differ.
    """
    for texts in (*([text] for text in headings), titles):
        factors = {factor: text for text in texts for factor in _compare_units(unit, text)}
        fitting = {factor: text for factor, text in factors.items() if factor}
        if factors:
            text = next(iter((fitting or factors).values()))
            return (next(iter(fitting)) if len(fitting) == 1 else Fraction(0)), text
    return None


def _compare_units(unit: str, text: str) -> Iterator[Fraction]:
    """Yield the factor of each unit in a text; 0 for one of another kind."""
    own_kind, own_scale = _UNITS.get(unit, (None, 1))
    for match in _UNIT_TEXT.finditer(text):
        words = match[1] or match[2] or ""
        tokens = split_tokens(words)
        kind = next((kind for kind, names in _KINDS.items() if not names.isdisjoint(tokens)), None)
        scales = find_heading_scales(f"({words})")
        if kind == "years" and tokens != ["tahun"] and tokens != ["years"]:
            continue  # "(Tahun 2024)"
        if kind is None and not scales:
            continue
        if scales and own_kind not in ("persons", "rupiah", None):
            kind = ""  # no thousands of percent
        is_comparable = kind in (None, own_kind) or (kind, own_kind) == (
            "percent",
            "index",
        )  # BPS: P1 (Persen)
        yield Fraction(max(scales, default=1), own_scale) if is_comparable else Fraction(0)
