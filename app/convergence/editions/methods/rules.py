"""Which edition holds, and what adds up to one. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from app.kit.problems import NotFound

BASE = "base"
"""In the place of a strategy: a service that all strategies rest on."""

WEIGHTS = (
    ("weight_process", "weight_coverage", "weight_targeting", "weight_spending", "weight_outcome"),
    ("share_direct", "share_indirect", "share_supporting"),
)
"""Fields of a method that sum to one."""


class Edition(Protocol):
    @property
    def edition(self) -> str: ...
    @property
    def first_year(self) -> int: ...


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


def not_one(shares: Sequence[float]) -> float | None:
    """Their sum where it is not 1; None where it is."""
    total = round(sum(shares), 6)
    return None if total == 1 else total
