"""Writes of the points of regions, by the administrators of the region or of a region above."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlmodel import Session

from app.access.commands import Write
from app.kit.database.journal import lock_chain
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, refuse
from app.reference.coordinates.queries import COORDINATES
from app.reference.coordinates.rules import CHAIN, NATION, RegionPoint
from app.reference.queries import find_regions_by_code


def put_coordinates(write: Write, points: Sequence[RegionPoint]) -> Mapping[str, int]:
    """Create or replace points, all of them or none, without writing unchanged ones. Return the number by outcome.

    Raises Invalid with every unknown region.
    """
    for code in sorted({point.region for point in points}):
        write.actor.require("write_coordinates", code)
    refuse(_check_regions(write.session, points))
    chain = lock_chain(write.session, CHAIN)
    drafts = {(point.region,): point.content.model_dump(mode="json") for point in points}
    stored = COORDINATES.read(write.session, drafts)
    write.precondition.check_many(write.session, [point.version for point in stored.values()], CHAIN)
    refuse(COORDINATES.find_numbers(drafts, stored, {(point.region,): point.place for point in points}))
    return Counter(COORDINATES.put(write.session, write.author, chain, drafts, stored).values())


def _check_regions(session: Session, points: Sequence[RegionPoint]) -> list[FieldError]:
    known = find_regions_by_code(session, {point.region for point in points}).keys() - {NATION}
    return [
        describe_unknown(point.region, "regions", (), **point.place("region_code"))
        for point in points
        if point.region not in known
    ]


def delete_coordinates(write: Write, region: str) -> None:
    """Delete the point of a region. Raises NotFound if there is none."""
    write.actor.require("write_coordinates", region)
    chain = lock_chain(write.session, CHAIN)
    stored = COORDINATES.read(write.session, [(region,)]).get((region,))
    existing = write.precondition.check_existing(stored)
    COORDINATES.delete(write.session, write.author, chain, (region,), existing)
