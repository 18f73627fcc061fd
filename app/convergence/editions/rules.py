"""Choice of the edition for a year. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from app.kit.problems import NotFound

CHAIN = "editions"
"""Journal chain of editions of all kinds."""


class DatedEdition(Protocol):
    @property
    def edition(self) -> str: ...
    @property
    def first_year(self) -> int: ...


class FirstYear(NamedTuple):
    """An edition with the first year that it applies to."""

    edition: str
    first_year: int


_YEAR = re.compile(r"20[0-9]{2}\Z")


def parse_year(text: str) -> int:
    """Return the year in a path. Raises NotFound if the text is not a year from 2000 to 2099."""
    if not _YEAR.match(text):
        raise NotFound()
    return int(text)


AnyEdition = TypeVar("AnyEdition", bound=DatedEdition)


def choose_edition(year: int, editions: Iterable[AnyEdition]) -> AnyEdition | None:
    """Return the default edition of a year, the newest that applies. Returns None if all are for later years."""
    fitting = [edition for edition in editions if edition.first_year <= year]
    return max(fitting, key=lambda edition: (edition.first_year, edition.edition), default=None)
