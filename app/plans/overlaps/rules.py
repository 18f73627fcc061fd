"""What makes two lines overlap, and what a pair of lines is called. Pure.

`queries` finds the pairs of a plan in the database by the same conditions; a test holds the two together.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypedDict

from app.plans.actions.rules import ActionContent, RecipientContent

BETWEEN = "~"
"""Stands between the two keys of a pair; no key has it."""


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


class Pair(NamedTuple):
    """Two lines of a plan, in the order of their keys."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first}{BETWEEN}{self.second}"


def pair_of(text: str) -> Pair | None:
    """The pair of `A-014~A-001`, whatever the order; None where it is none."""
    keys = sorted(text.split(BETWEEN))
    return Pair(*keys) if len(keys) == 2 and keys[0] != keys[1] and all(keys) else None


def coincidence(one: ActionContent, other: ActionContent) -> CoincidenceContent | None:
    """What two lines have in common, as `Coincidence` has it; None where they do not overlap.

    What a line does not say is not excluded: without months it is the whole year, without deciles all of
    them, without vulnerable groups everybody. Without locations, recipients or forms of benefit it is about
    nobody in particular, and overlaps with nothing.
    """
    agencies = sorted({one["lead_agency"], other["lead_agency"]})
    first, last = _common(_months(one), _months(other))
    forms = sorted({*one["benefit_forms"]} & {*other["benefit_forms"]})
    recipients = _common_recipients(one, other)
    places = common_places(_places(one), _places(other))
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


def _common(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])


def _months(line: ActionContent) -> tuple[int, int]:
    return line["first_month"] or 1, line["last_month"] or 12


def _common_recipients(one: ActionContent, other: ActionContent) -> list[CommonRecipientsContent]:
    found = {
        (mine["kind"], deciles, groups)
        for mine in one["recipients"]
        for theirs in other["recipients"]
        if mine["kind"] == theirs["kind"]
        for deciles in [_common(_deciles(mine), _deciles(theirs))]
        if deciles[0] <= deciles[1]
        for groups in _common_groups(mine["vulnerable_groups"], theirs["vulnerable_groups"])
    }
    return [
        {"kind": kind, "decile_from": first, "decile_to": last, "vulnerable_groups": list(groups)}
        for kind, (first, last), groups in sorted(found)
    ]


def _deciles(recipient: RecipientContent) -> tuple[int, int]:
    return recipient["decile_from"] or 1, recipient["decile_to"] or 10


def _common_groups(one: list[str], other: list[str]) -> Iterator[tuple[str, ...]]:
    """The groups that both name, or that the one names who does; nothing where they name different ones."""
    common = {*one} & {*other} if one and other else {*one, *other}
    if common or not (one and other):
        yield tuple(sorted(common))


def _places(line: ActionContent) -> set[str]:
    return {location["region_code"] for location in line["locations"]}


def common_places(one: set[str], other: set[str]) -> list[str]:
    """Regions where both work; where the one names a region and the other a part of it, that part."""
    return sorted(_inside(one, other) | _inside(other, one))


def _inside(places: Iterable[str], others: set[str]) -> set[str]:
    return {place for place in places if any(above in others for above in _upwards(place))}


def _upwards(place: str) -> Iterator[str]:
    parts = place.split(".")
    for depth in range(len(parts), 0, -1):
        yield ".".join(parts[:depth])
