"""The order of likeness of names, for candidates of an import.

It proposes and orders; it never decides. The order is total and the same on every machine: kind of likeness, level,
closeness, code.
"""

from array import array
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
    inside = 3
    around = 4
    near_words = 5
    near_name = 6
    reworded = 7
    code = 8


class NamedEntry(NamedTuple):
    """Something with a code and names: its official one first, then aliases and its short name."""

    code: str
    names: tuple[str, ...]
    level: int = 0
    """Height in its hierarchy: the smaller, the higher."""
    around: str = ""
    """Names of the things that contain it, which a list searches too."""


class Ranked(NamedTuple):
    """An entry with its likeness to a query; sorts by it."""

    likeness: Likeness
    level: int
    distance: float
    code: str


class _Words:
    """The words of names in alphabetical order, each with the positions of the names that have it."""

    def __init__(self, texts: Iterable[str]) -> None:
        places: dict[str, array[int]] = defaultdict(lambda: array("I"))
        for place, text in enumerate(texts):
            for word in dict.fromkeys(text.split()):
                places[word].append(place)
        self.vocabulary = sorted(places)
        # One array for all words: thousands of small ones take ten times as much memory.
        self._places, self._starts = array("I"), array("I", [0])
        for word in self.vocabulary:
            self._places.extend(places[word])
            self._starts.append(len(self._places))

    def find(self, numbers: Iterable[int]) -> set[int]:
        """Return the positions of the names with one of these words."""
        return {place for n in numbers for place in self._places[self._starts[n] : self._starts[n + 1]]}

    def find_beginning(self, word: str) -> set[int]:
        first = bisect_left(self.vocabulary, word)
        last = bisect_left(self.vocabulary, word + chr(0x10FFFF), lo=first)
        return self.find(range(first, last))

    def find_inside(self, word: str) -> set[int]:
        return self.find(n for n, known in enumerate(self.vocabulary) if word in known)

    def find_near(self, word: str) -> set[int]:
        near = process.extract(word, self.vocabulary, scorer=fuzz.ratio, score_cutoff=NEAR_WORD, limit=20)
        # A known word is meant as it is.
        is_known = bool(near) and near[0][0] == word
        return self.find_beginning(word) | (set() if is_known else self.find(n for _, _, n in near))


class NameIndex:
    """Names in memory, ranked by their likeness to a query."""

    def __init__(self, entries: Iterable[NamedEntry], *, has_abbreviations: bool = False) -> None:
        self._has_abbreviations = has_abbreviations
        self._names: list[str] = []
        """Folded names; the lists below have the same order."""
        self._codes: list[str] = []
        self._titles: list[str] = []
        self._levels = array("B")
        around: list[str] = []
        for entry in entries:
            for name in dict.fromkeys(entry.names):
                folded = fold_name(name)
                self._names.append(name if name == folded else folded)
                self._codes.append(entry.code)
                self._titles.append(entry.names[0])
                self._levels.append(entry.level)
                around.append(entry.around)
        self._words = _Words(self._names)
        self._around = _Words(map(fold_name, around)) if any(around) else None

    @property
    def codes(self) -> set[str]:
        return set(self._codes)

    def rank(self, query: str, limit: int | None = None) -> list[Ranked]:
        """Return the entries that are like a query, best first; near names only if no better ones fill the limit.

        Without a limit: all that have the words of the query, also within words and in the names around, for a list;
        if there are none, the near ones.
        """
        folded = fold_name(query[:LONGEST_QUERY])
        letters = folded.replace(" ", "")
        best: dict[str, Ranked] = {}
        for likeness, places in self._find_places(folded, letters, limit, best):
            for place in places:
                code = self._codes[place]
                known = best.get(code)
                if known is not None and known.likeness < likeness:
                    continue
                distance = 100 - round(fuzz.ratio(letters, self._names[place].replace(" ", "")), 6)
                if known is None or distance < known.distance:
                    best[code] = Ranked(likeness, self._levels[place], distance, code)
        return sorted(best.values())[:limit]

    def find_candidates(self, query: str) -> list[Candidate]:
        """Return the entries that a query may mean, for a person to choose from."""
        titles = dict(zip(reversed(self._codes), reversed(self._titles), strict=True))
        return [Candidate(item.code, titles[item.code]) for item in self.rank(query, MOST_CANDIDATES)]

    def _find_places(
        self, folded: str, letters: str, limit: int | None, best: dict[str, Ranked]
    ) -> Iterator[tuple[Likeness, Iterable[int]]]:
        """Yield the positions of names by likeness; `best` grows meanwhile."""
        words, known = folded.split(), self._words
        if not words:
            return
        with_words = _intersect(known.find_beginning(word) for word in words)
        yield Likeness.exact, [place for place in with_words if self._names[place] == folded]
        if self._has_abbreviations and len(words) == 1 and len(letters) > 2:
            yield Likeness.abbreviation, self._find_abbreviated(letters)
        yield Likeness.words, with_words
        if limit is None:
            yield Likeness.inside, _intersect(known.find_inside(word) for word in words)
            if self._around is not None:
                around = self._around
                every = (known.find_inside(word) | around.find_inside(word) for word in words)
                yield Likeness.around, _intersect(every)
        if len(best) < (limit or 1):
            yield Likeness.near_words, _intersect(known.find_near(word) for word in words)
        if len(best) < (limit or 1):
            near = self._extract(letters, (name.replace(" ", "") for name in self._names), NEAR_NAME, limit)
            yield Likeness.near_name, near
        if limit is not None and len(best) < limit:
            yield Likeness.reworded, self._extract(_sort_words(folded), self._sorted, REWORDED, limit)
        if words[0].isdecimal():
            starts = ".".join(words)
            yield Likeness.code, [n for n, code in enumerate(self._codes) if code.startswith(starts)]

    def _extract(self, query: str, names: Iterable[str], least: int, limit: int | None) -> list[int]:
        near = process.extract(query, names, scorer=fuzz.ratio, score_cutoff=least, limit=limit or 100)
        return [place for _, _, place in near]

    @cached_property
    def _sorted(self) -> list[str]:
        return [_sort_words(folded) for folded in self._names]

    def _find_abbreviated(self, letters: str) -> Iterator[int]:
        """Yield names whose words begin with the letters, in their order: `dinsos`, `bappeda`, `dpmd`."""
        forms = (letters, f"din{letters[3:]}") if letters.startswith("dis") else (letters,)
        for place, folded in enumerate(self._names):
            words = [word for word in folded.split() if word not in _SMALL]
            for form in forms:
                if any(len(rest) > 1 and _abbreviates(form, rest) for rest in (words, words[1:])):
                    yield place
                    break


def _intersect(sets: Iterable[set[int]]) -> set[int]:
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
