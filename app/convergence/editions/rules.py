"""Which edition holds for a year. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from app.kit.problems import NotFound

CHAIN = "editions"
"""Chain of the journal in which editions are written."""


class Edition(Protocol):
    @property
    def edition(self) -> str: ...
    @property
    def first_year(self) -> int: ...


class FirstYear(NamedTuple):
    """An edition, and the first year that it is for."""

    edition: str
    first_year: int


_YEAR = re.compile(r"20[0-9]{2}\Z")


def year_in(text: str) -> int:
    """A year in an address; NotFound where it is none."""
    if not _YEAR.match(text):
        raise NotFound()
    return int(text)


One = TypeVar("One", bound=Edition)


def edition_for(year: int, editions: Iterable[One]) -> One | None:
    """The edition that a year is measured by where none was chosen; None where all are for later years."""
    fitting = [one for one in editions if one.first_year <= year]
    return max(fitting, key=lambda one: (one.first_year, one.edition), default=None)
