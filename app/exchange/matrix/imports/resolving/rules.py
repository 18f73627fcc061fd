"""The cells that resolutions settle, the plan's own lines, and the codes of new agencies. Pure."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence

from app.exchange.matrix.codes import write_named
from app.exchange.matrix.imports.matching.rules import Key, make_keys
from app.exchange.matrix.imports.rules import Subactivity
from app.exchange.matrix.models import Content, MatrixRow, Named
from app.kit.fields import fold_name
from app.kit.problems import Candidate
from app.kit.tables.resolutions import Question
from app.kit.wording import Text
from app.reference.places.rules import AskedPlace, FoundPlaces
from app.reference.rules import get_level, get_parent

SOURCES = {
    "agency": "agencies",
    "subactivity": "subactivities",
    "funding_sources": "funding-sources",
    "location": "regions",
}
"""Column → the list that has its codes."""
LONGEST_CODE = 40
OUTSIDE = Text("di luar wilayah rencana", "outside the plan's region")
BPS_CODE = Text("isi sel adalah kode BPS wilayah ini", "the cell has the code of BPS for this region")


def list_questions(
    lines: Iterable[MatrixRow], find_places: Callable[[str], FoundPlaces]
) -> Iterator[Question]:
    """Yield the cells that a resolution can settle; `find_places` reads the text of a location."""
    for line in lines:
        agency: Named | None = line["agency"]
        if agency:
            words = agency.name, agency.code, write_named(agency)
            yield Question("agency", line.row, words, agency.code)
        sub: Named | None = line["subactivity"]
        if sub:
            activity = fold_name(write_named(line["activity"]) or "")
            yield Question(
                "subactivity", line.row, (write_named(sub), sub.name, sub.code), (activity, sub.code)
            )
        for share in line["funding_sources"] or ():
            yield Question("funding_sources", line.row, (share.name,))
        for text in line["location"] or ():
            for asked in find_places(text).asked:
                yield Question("location", line.row, (asked.words,), (asked.codes, asked.around))


def describe_place(code: str, asked: AskedPlace, labels: Mapping[str, str]) -> Candidate:
    """Return a region that a cell may name, with its level, the region around it and its peculiarity."""
    note = BPS_CODE if asked.words.isdecimal() else OUTSIDE if asked.doubt == "outside" else None
    return Candidate(code, labels[code], get_level(code), labels.get(get_parent(code) or ""), note)


class OwnLines:
    """The sub-activities and texts that lines of the plan have; those of an earlier version win."""

    def __init__(self, versions: Iterable[Mapping[str, Content]]) -> None:
        self.codes: dict[str, Subactivity] = {}
        self.names: dict[Key | None, Subactivity | None] = {}
        """Sub-activity by the key of a line; None where lines of one version disagree."""
        self.places: set[str] = set()
        """Locations that lines keep as text, folded."""
        for version in versions:
            self._add(version.values())

    def _add(self, stored: Iterable[Content]) -> None:
        names: dict[Key | None, Subactivity | None] = {}
        for content in stored:
            own = Subactivity(
                content["subactivity_code"],
                content["subactivity"] or content["title"],
                content["activity"],
                content["program"],
                content["nomenclature_edition"],
            )
            self.places.add(fold_name(content["matrix_texts"].get("location", "")))
            if own.code:
                self.codes.setdefault(own.code, own)
            for key in set(make_keys(content)[1:3]):
                other = names.setdefault(key, own)
                if other is not None and other.code != own.code:
                    names[key] = None
        self.names = names | self.names


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
