"""Rules of overlaps: the common benefits, recipients, places and months of two lines. Pure.

`queries` finds a plan's pairs in the database by these conditions; a test compares the two.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypedDict

from app.plans.actions.rules import ActionContent, RecipientContent, list_quarters

BETWEEN = "~"
"""Separator of the two keys of a pair; no key contains it."""


class CommonRecipientsContent(TypedDict):
    kind: str
    decile_from: int
    decile_to: int
    vulnerable_groups: list[str]


class CoincidenceContent(TypedDict):
    """The common agencies, forms, recipients, places and months of two lines (`Coincidence`)."""

    agencies: list[str]
    benefit_forms: list[str]
    recipients: list[CommonRecipientsContent]
    places: list[str]
    first_month: int
    last_month: int


class LinePair(NamedTuple):
    """Two lines of a plan, in the order of their keys."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first}{BETWEEN}{self.second}"


def parse_pair(text: str) -> LinePair | None:
    """Return the pair of `A-014~A-001`, in either order. Returns None for other texts."""
    keys = sorted(text.split(BETWEEN))
    return LinePair(*keys) if len(keys) == 2 and keys[0] != keys[1] and all(keys) else None


def find_coincidence(line: ActionContent, other: ActionContent, year: int) -> CoincidenceContent | None:
    """Return what two lines have in common (`Coincidence`), or None if they do not overlap.

    A missing field excludes nothing: no months mean the whole year, no deciles all deciles, no vulnerable groups all
    people. The months of a line end with its quarters. A line without locations, recipients or forms of benefit
    overlaps with no other.
    """
    agencies = sorted({line["lead_agency"], other["lead_agency"]})
    first, last = _intersect(_read_months(line, year), _read_months(other, year))
    forms = sorted({*line["benefit_forms"]} & {*other["benefit_forms"]})
    recipients = _find_common_recipients(line, other)
    places = find_common_places(_read_places(line), _read_places(other))
    if len(agencies) < 2 or first > last or not (forms and recipients and places):
        return None
    return {
        "agencies": agencies,
        "benefit_forms": forms,
        "recipients": recipients,
        "places": places,
        "first_month": first,
        "last_month": last,
    }


def _intersect(span: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(span[0], other[0]), min(span[1], other[1])


def _read_months(line: ActionContent, year: int) -> tuple[int, int]:
    """Return the first and the last month of a line, cut to its quarters; (1, 0) if it has none."""
    quarters = [int(quarter[-1]) for quarter in list_quarters(line, year)]
    of_quarters = (3 * min(quarters) - 2, 3 * max(quarters)) if quarters else (1, 0)
    return _intersect((line["first_month"] or 1, line["last_month"] or 12), of_quarters)


def _find_common_recipients(line: ActionContent, other: ActionContent) -> list[CommonRecipientsContent]:
    common = {
        (mine["kind"], deciles, groups)
        for mine in line["recipients"]
        for theirs in other["recipients"]
        if mine["kind"] == theirs["kind"]
        for deciles in [_intersect(_read_deciles(mine), _read_deciles(theirs))]
        if deciles[0] <= deciles[1]
        for groups in _find_common_groups(mine["vulnerable_groups"], theirs["vulnerable_groups"])
    }
    return [
        {"kind": kind, "decile_from": first, "decile_to": last, "vulnerable_groups": list(groups)}
        for kind, (first, last), groups in sorted(common)
    ]


def _read_deciles(recipient: RecipientContent) -> tuple[int, int]:
    return recipient["decile_from"] or 1, recipient["decile_to"] or 10


def _find_common_groups(groups: list[str], other: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the groups that both name, or the groups of the only side that names any; none if they differ."""
    common = {*groups} & {*other} if groups and other else {*groups, *other}
    if common or not (groups and other):
        yield tuple(sorted(common))


def _read_places(line: ActionContent) -> set[str]:
    return {location["region_code"] for location in line["locations"]}


def find_common_places(places: set[str], other: set[str]) -> list[str]:
    """Return the common regions; of a region and a part of it, the part."""
    return sorted(_select_inside(places, other) | _select_inside(other, places))


def _select_inside(places: Iterable[str], regions: set[str]) -> set[str]:
    return {place for place in places if any(above in regions for above in _list_upwards(place))}


def _list_upwards(place: str) -> Iterator[str]:
    parts = place.split(".")
    for depth in range(len(parts), 0, -1):
        yield ".".join(parts[:depth])
