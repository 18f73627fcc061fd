"""Matcher of funding sources. The whole text decides, never its first word: `APBD Provinsi` is not `APBD`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.kit.fields import fold_name
from app.reference.models import FundingSourceKind, FundingSourceRef

DONORS = {"CSR", "BAZNAS", "HIBAH", "SWASTA", "PINJAMAN"}
"""Sources with a donor, whose name may follow (`CSR Bank Lampung`)."""
MOST_PARTS = 3
"""Parts of a source that are candidates with it: the two of DAK, not all of APBD."""

_CODE = re.compile(r"(\d+(?:\.\d+)*)\.?(?:\s+|$)")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_YEAR = re.compile(r"\b(?:(?:ta|t a|tahun|tahun anggaran) )?20\d\d\b")
_LEVELS = {"prov": "provinsi", "kab": "kabupaten"}


@dataclass(frozen=True)
class SourceMatch:
    """The source that a text names, None if it is not clear; then `candidates` are those that it may mean.

    `rest` holds the words that the source itself does not have: a donor, a programme in brackets.
    """

    source: FundingSourceRef | None = None
    candidates: tuple[FundingSourceRef, ...] = ()
    rest: str = ""


class SourceNames:
    """Every funding source by its code and spellings, for the cells of one region.

    `regions` are the names of the region and of its province, each with its level: `APBD Prov. Lampung` names the
    province's budget in a regency of Lampung.
    """

    def __init__(self, sources: Iterable[FundingSourceRef], regions: Mapping[str, str] | None = None) -> None:
        self.by_code = {source.code: source for source in sources}
        groups: dict[str, list[FundingSourceRef]] = {}
        official: dict[str, list[FundingSourceRef]] = {}
        for source in self.by_code.values():
            if not source.retired:
                # A group wins over official codes with an equal name (`Dana Desa` has three).
                known = groups if source.kind == FundingSourceKind.group else official
                for spelling in {_fold(s) for s in (source.code, source.name, *source.aliases)}:
                    known.setdefault(spelling, []).append(source)
        self._spellings = official | groups
        self._groups = sorted(groups, key=len, reverse=True)
        self._regions = [
            (re.compile(rf"(?<!provinsi )(?<!kabupaten )(?<!kota )\b(?:{level} )?{re.escape(bare)}\b"), level)
            for name, level in (regions or {}).items()
            if (bare := re.sub("^(kabupaten|kota) ", "", fold_name(name)))
        ]

    def list_words(self) -> dict[str, str]:
        """Return code → the words for the source in a matrix: `APBD`, `Dana Desa`, `1.01.01 Pajak Daerah`."""
        return {
            source.code: f"{source.code} {source.name}"
            if source.kind == FundingSourceKind.official
            else source.code
            if "-" not in source.code
            else source.name
            for source in self.by_code.values()
        }

    def match(self, text: str) -> SourceMatch:
        """Match a text by a code in front, by its words, or by a source with the name of a donor behind."""
        if by_code := self._match_code(text):
            return SourceMatch(by_code)
        if exact := self._spellings.get(_fold(text)):
            return _choose(exact)
        inner = _BRACKETS.findall(text)
        words = self._shorten(_BRACKETS.sub(" ", text))
        found = self._find(words)
        named = [source for part in inner for source in self._find(self._shorten(part))]
        if not found:
            return self._match_beginning(words, " ".join(inner), named)
        if named:
            return self._choose_lowest([*found, *named])
        return _choose(found, " ".join(inner))

    def find_code(self, text: str) -> str | None:
        """Return the code of the source that a text names. Returns None if it is not clear."""
        source = self.match(text).source
        return source.code if source else None

    def _match_code(self, text: str) -> FundingSourceRef | None:
        """Match an official code in front of the name; a number without dots counts only with its own name."""
        match = _CODE.match(text)
        source = self.by_code.get(match[1]) if match else None
        if match is None or source is None:
            return None
        name = text[match.end() :]
        return source if "." in source.code or not name or _fold(name) == _fold(source.name) else None

    def _match_beginning(self, words: str, inner: str, named: list[FundingSourceRef]) -> SourceMatch:
        """Match the longest spelling in front. More words must be a donor's; others leave it to the caller."""
        match = next(
            (m for s in self._groups if (m := re.match(rf"(?:dana )?({re.escape(s)}) ", words))), None
        )
        if match is None:
            return SourceMatch(candidates=_drop_repeated(named))
        (source, *_), rest = self._spellings[match[1]], words[match.end() :]
        foreign = [
            other
            for spelling in self._groups
            if re.search(rf"\b{re.escape(spelling)}\b", rest)
            for other in self._spellings[spelling]
            if other is not source
        ]
        if source.code in DONORS and not foreign and not named:
            return SourceMatch(source, rest=f"{rest} {inner}".strip())
        children = [item for item in self.by_code.values() if item.parent_code == source.code]
        parts = children if len(children) <= MOST_PARTS else []
        return SourceMatch(candidates=_drop_repeated([*foreign, *named, *parts, source]))

    def _choose_lowest(self, sources: list[FundingSourceRef]) -> SourceMatch:
        """Choose the one source that all others contain: `DAK Nonfisik (BOS)` is BOS."""
        above = {source.code: self._list_above(source.code) for source in sources}
        for source in sources:
            if all(other.code in (source.code, *above[source.code]) for other in sources):
                return SourceMatch(source)
        return SourceMatch(candidates=_drop_repeated(sources))

    def _list_above(self, code: str) -> list[str]:
        parent = self.by_code[code].parent_code if code in self.by_code else None
        return [parent, *self._list_above(parent)] if parent else []

    def _find(self, words: str) -> list[FundingSourceRef]:
        return self._spellings.get(words) or self._spellings.get(words.removeprefix("dana "), [])

    def _shorten(self, text: str) -> str:
        """Return the folded words without years, with a level in the place of a region's name."""
        words = _YEAR.sub("", _fold(text))
        for pattern, level in self._regions:
            words = pattern.sub(level, words)
        return " ".join(words.split())


def _fold(text: str) -> str:
    return " ".join(_LEVELS.get(word, word) for word in fold_name(text).split())


def _drop_repeated(sources: list[FundingSourceRef]) -> tuple[FundingSourceRef, ...]:
    return tuple({source.code: source for source in sources}.values())


def _choose(sources: list[FundingSourceRef], rest: str = "") -> SourceMatch:
    """Return the only source, or several as candidates."""
    return SourceMatch(sources[0], rest=rest) if len(sources) == 1 else SourceMatch(candidates=tuple(sources))
