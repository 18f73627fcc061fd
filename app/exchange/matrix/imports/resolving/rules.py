"""The resolutions of a call, which cell each of them settles, and the codes of new agencies. Pure."""

import re
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from app.exchange.matrix.imports.models import Resolution, resolution_needs_row, unused_resolution
from app.exchange.matrix.models import MatrixRow, Named
from app.kit.fields import fold_name
from app.kit.http.validation import duplicate_key
from app.kit.problems import Candidate, FieldError, Kind

SOURCES = {
    "agency": "agencies",
    "subactivity": "subactivities",
    "funding_sources": "funding-sources",
    "location": "regions",
}
"""Column → the list that has its codes."""
LONGEST_CODE = 40


class Question(NamedTuple):
    """A cell that a resolution can settle: its column and row, its words, and what gives them their meaning there."""

    column: str
    row: int
    words: tuple[str | None, ...]
    context: object = None


class ResolutionSet:
    """The resolutions of a call. One without a row settles only cells in which its words mean one thing."""

    def __init__(self, given: Sequence[Resolution], questions: Iterable[Question]) -> None:
        self.given, self._questions = given, questions
        self.errors: list[FieldError] = []
        self._places: dict[tuple[str, str, int | None], int] = {}
        self._used: set[int] = set()
        self._vague: dict[int, list[int]] = {}
        for n, resolution in enumerate(given):
            key = (resolution.column, fold_name(resolution.value), resolution.row)
            if self._places.setdefault(key, n) != n:
                self.errors.append(self.build_error(duplicate_key, n, "value"))

    def find(self, column: str, row: int, *words: str | None) -> Resolution | None:
        """Find the resolution of a cell by any of its `words`; one for its row wins over one for all rows."""
        for of_row in (row, None):
            for word in filter(None, words):
                n = self._places.get((column, fold_name(word), of_row))
                if n is not None:
                    self._used.add(n)
                    if of_row is None and len(rows := self._list_rows(column, word)) > 1:
                        self._vague[n] = sorted(set().union(*rows))
                    return self.given[n]
        return None

    def needs_row(self, column: str, value: str) -> bool:
        """Return whether the words have several meanings in the file."""
        return len(self._contexts.get((column, fold_name(value)), ())) > 1

    def list_misfits(self) -> list[FieldError]:
        """Return an error for each resolution that no cell used, or that fits cells of several meanings."""
        unused = [n for n in range(len(self.given)) if n not in self._used]
        return [
            *(self.build_error(unused_resolution, n, "value") for n in unused),
            *(
                self.build_error(resolution_needs_row, n, "value", allowed=rows)
                for n, rows in self._vague.items()
            ),
        ]

    def build_error(
        self,
        kind: Kind,
        n: int,
        name: Literal["value", "code"],
        *,
        allowed: Sequence[int] | None = None,
        candidates: Sequence[Candidate] = (),
    ) -> FieldError:
        resolution = self.given[n]
        return FieldError(
            kind,
            pointer=f"/resolutions/{n}/{name}",
            value=getattr(resolution, name),
            allowed=allowed,
            values={"source": SOURCES[resolution.column]},
            candidates=candidates,
        )

    def _list_rows(self, column: str, word: str) -> list[set[int]]:
        """Return the rows of each meaning of the words, without those that have a resolution of their own."""
        folded = fold_name(word)
        rows = self._contexts[column, folded].values()
        return [
            left for of in rows if (left := {row for row in of if (column, folded, row) not in self._places})
        ]

    @cached_property
    def _contexts(self) -> Mapping[tuple[str, str], Mapping[object, set[int]]]:
        contexts: dict[tuple[str, str], dict[object, set[int]]] = defaultdict(lambda: defaultdict(set))
        for question in self._questions:
            for word in {fold_name(word) for word in question.words if word}:
                contexts[question.column, word][question.context].add(question.row)
        return contexts


class NewCodes:
    """The codes that a file has for agencies which the region does not have; none unless the import creates them."""

    def __init__(self, lines: Sequence[MatrixRow], known: Container[str], *, are_created: bool) -> None:
        self.are_created = are_created
        self._codes: dict[str, list[str]] = defaultdict(list)
        for line in lines if are_created else ():
            named: Named | None = line["agency"]
            if named and named.name and named.code and named.code not in known:
                codes = self._codes[fold_name(named.name)]
                codes += [named.code] if named.code not in codes else []

    def __contains__(self, code: str | None) -> bool:
        return any(code in codes for codes in self._codes.values())

    def list_codes(self, name: str) -> list[str]:
        """Return the codes of an agency; the caller may add the one that it made."""
        return self._codes[fold_name(name)]

    def make_code(self, name: str, taken: Collection[str]) -> str:
        """Return a free code of the name's words: `DINAS-KOPERASI-DAN-UKM`."""
        words = re.sub("[^A-Z0-9]+", "-", fold_name(name).upper()).strip("-") or "PD"
        endings = ("", *(f"-{n}" for n in range(2, len(taken) + len(self._codes) + 3)))
        codes = (words[: LONGEST_CODE - len(end)].strip("-") + end for end in endings)
        return next(code for code in codes if code not in taken and code not in self)
