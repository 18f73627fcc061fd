"""The order of likeness of names, for candidates of an import.

It proposes and orders; it never decides. The order is total and the same on every machine: kind of likeness, level,
closeness, code.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from rapidfuzz import fuzz, process

from app.kit.fields import fold_name
from app.kit.problems import Candidate

NEAR_WORD, NEAR_NAME, REWORDED = 84, 80, 60
"""Likeness, from 0 to 100, from which on a word, a whole name, and its words in any order are candidates."""
LONGEST_QUERY = 200
MOST_CANDIDATES = 5
_SMALL = {"dan", "di", "ke", "atas", "serta", "untuk"}


class Likeness(IntEnum):
    """Ways in which a name is like a query, the best first."""

    exact = 0
    abbreviation = 1
    words = 2
    near_words = 3
    near_name = 4
    reworded = 5
    code = 6


class NamedEntry(NamedTuple):
    """Something with a code and names: its official one first, then aliases and its short name."""

    code: str
    names: tuple[str, ...]
    level: int = 0
    """Height in its hierarchy: the smaller, the higher."""


class Ranked(NamedTuple):
    """An entry with its likeness to a query; sorts by it."""

    likeness: Likeness
    level: int
    distance: float
    code: str


class NameIndex:
    """Names in memory, ranked by their likeness to a query."""

    def __init__(self, entries: Iterable[NamedEntry], *, has_abbreviations: bool = False) -> None:
        self._has_abbreviations = has_abbreviations
        self.entries = {entry.code: entry for entry in entries}
        self._folded: list[tuple[str, str]] = [
            (folded, entry.code)
            for entry in self.entries.values()
            for name in dict.fromkeys(entry.names)
            if (folded := fold_name(name))
        ]
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, (folded, _) in enumerate(self._folded):
            for word in set(folded.split()):
                self._places[word].append(place)
        self._vocabulary = sorted(self._places)

    def rank(self, query: str, limit: int | None = None) -> list[Ranked]:
        """Return the entries that are like a query, best first; near names only if no better ones fill the limit."""
        folded = fold_name(query[:LONGEST_QUERY])
        letters = folded.replace(" ", "")
        best: dict[str, Ranked] = {}
        for likeness, places in self._find_places(folded, letters, limit, best):
            for place in places:
                name, code = self._folded[place]
                distance = 100 - round(fuzz.ratio(letters, name.replace(" ", "")), 6)
                ranked = Ranked(likeness, self.entries[code].level, distance, code)
                best[code] = min(ranked, best.get(code, ranked))
        return sorted(best.values())[:limit]

    def find_candidates(self, query: str) -> list[Candidate]:
        """Return the entries that a query may mean, for a person to choose from."""
        entries = [self.entries[item.code] for item in self.rank(query, MOST_CANDIDATES)]
        return [Candidate(entry.code, entry.names[0]) for entry in entries]

    def _find_places(
        self, folded: str, letters: str, limit: int | None, best: dict[str, Ranked]
    ) -> Iterator[tuple[Likeness, Iterable[int]]]:
        """Yield the positions of names by likeness; `best` grows meanwhile."""
        words = folded.split()
        if not words:
            return
        yield Likeness.exact, self._exact.get(folded, ())
        if self._has_abbreviations and len(words) == 1 and len(letters) > 2:
            yield Likeness.abbreviation, self._find_abbreviated(letters)
        yield Likeness.words, self._intersect([self._find_beginning(word) for word in words])
        if limit is None or len(best) < limit:
            yield Likeness.near_words, self._intersect([self._find_near_words(word) for word in words])
        if len(best) < (limit or 1):
            near = process.extract(
                letters, self._letters, scorer=fuzz.ratio, score_cutoff=NEAR_NAME, limit=limit or 100
            )
            yield Likeness.near_name, [place for _, _, place in near]
        if limit is not None and len(best) < limit:
            near = process.extract(
                _sort_words(folded), self._sorted, scorer=fuzz.ratio, score_cutoff=REWORDED, limit=limit
            )
            yield Likeness.reworded, [place for _, _, place in near]
        if words[0].isdecimal():
            starts = ".".join(words)
            by_code = {code for code in self.entries if code.startswith(starts)} - best.keys()
            yield Likeness.code, [place for place, (_, code) in enumerate(self._folded) if code in by_code]

    @cached_property
    def _exact(self) -> dict[str, list[int]]:
        exact = defaultdict(list)
        for place, (folded, _) in enumerate(self._folded):
            exact[folded].append(place)
        return exact

    @cached_property
    def _letters(self) -> list[str]:
        return [folded.replace(" ", "") for folded, _ in self._folded]

    @cached_property
    def _sorted(self) -> list[str]:
        return [_sort_words(folded) for folded, _ in self._folded]

    def _find_abbreviated(self, letters: str) -> Iterator[int]:
        """Yield names whose words begin with the letters, in their order: `dinsos`, `bappeda`, `dpmd`."""
        forms = (letters, f"din{letters[3:]}") if letters.startswith("dis") else (letters,)
        for place, (folded, _) in enumerate(self._folded):
            words = [word for word in folded.split() if word not in _SMALL]
            for form in forms:
                if any(len(rest) > 1 and _abbreviates(form, rest) for rest in (words, words[1:])):
                    yield place
                    break

    def _find_beginning(self, word: str) -> set[int]:
        """Return the names with a word that begins with this one."""
        found: set[int] = set()
        for known in self._vocabulary[bisect_left(self._vocabulary, word) :]:
            if not known.startswith(word):
                break
            found.update(self._places[known])
        return found

    def _find_near_words(self, word: str) -> set[int]:
        if word in self._places:
            return self._find_beginning(word)
        near = process.extract(word, self._vocabulary, scorer=fuzz.ratio, score_cutoff=NEAR_WORD, limit=20)
        return self._find_beginning(word).union(*(self._places[known] for known, _, _ in near))

    @staticmethod
    def _intersect(sets: Sequence[set[int]]) -> set[int]:
        return set.intersection(*sets)


def _sort_words(folded: str) -> str:
    return " ".join(sorted(folded.split()))


def _abbreviates(letters: str, words: Sequence[str]) -> bool:
    """Return whether letters are beginnings of all these words, one after the other."""
    if not words:
        return not letters
    word, rest = words[0], words[1:]
    for n in range(1, min(len(letters), len(word)) + 1):
        if letters[n - 1] != word[n - 1]:
            return False
        if _abbreviates(letters[n:], rest):
            return True
    return False
