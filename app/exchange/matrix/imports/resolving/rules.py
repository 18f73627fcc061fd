"""The lists that have the codes of resolutions, and the codes of new agencies. Pure."""

import re
from collections import defaultdict
from collections.abc import Collection, Container, Sequence

from app.exchange.matrix.models import MatrixRow, Named
from app.kit.fields import fold_name

SOURCES = {
    "agency": "agencies",
    "subactivity": "subactivities",
    "funding_sources": "funding-sources",
    "location": "regions",
}
"""Column → the list that has its codes."""
LONGEST_CODE = 40


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
