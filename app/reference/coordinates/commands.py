"""Writes of the points of regions, by the administrators of the region or of a region above."""

from collections import Counter
from collections.abc import Sequence

from sqlmodel import Session

from app.access.commands import Write
from app.kit.database.journal import lock_chain
from app.kit.fields import fold_name
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Kind, refuse
from app.reference.coordinates.models import CoordinatesWritten
from app.reference.coordinates.queries import COORDINATES
from app.reference.coordinates.rules import CHAIN, NATION, RegionPoint
from app.reference.queries import find_regions_by_code
from app.reference.rules import list_name_forms

name_of_other_region = Kind(
    "name_of_other_region",
    id="Kode {code} adalah {allowed}, bukan “{value}”. Periksa sistem kodenya.",
    en="The code {code} is {allowed}, not “{value}”. Check the code system.",
)


def put_coordinates(write: Write, points: Sequence[RegionPoint]) -> CoordinatesWritten:
    """Create or replace points, all of them or none, without writing unchanged ones.

    Raises Invalid with every unknown region, and every name that is not the region's.
    """
    for code in sorted({point.region for point in points}):
        write.actor.require("write_coordinates", code)
    refuse(_check_regions(write.session, points))
    chain = lock_chain(write.session, CHAIN)
    drafts = {(point.region,): point.content.model_dump(mode="json") for point in points}
    stored = COORDINATES.read(write.session, drafts)
    write.precondition.check_many(write.session, [point.version for point in stored.values()], CHAIN)
    refuse(COORDINATES.find_numbers(drafts, stored, {(point.region,): point.place for point in points}))
    outcomes = Counter(COORDINATES.put(write.session, write.author, chain, drafts, stored).values())
    return CoordinatesWritten(
        created=outcomes["created"], updated=outcomes["updated"], unchanged=outcomes["unchanged"]
    )


def _check_regions(session: Session, points: Sequence[RegionPoint]) -> list[FieldError]:
    regions = find_regions_by_code(session, {point.region for point in points})
    errors = []
    for point in points:
        region = regions.get(point.region)
        if region is None or region.code == NATION:
            errors.append(describe_unknown(point.region, "regions", (), **point.place("region_code")))
        elif point.name and fold_name(region.name) not in {
            form.folded for form in list_name_forms(point.name)
        }:
            errors.append(
                FieldError(
                    name_of_other_region,
                    **point.place("name"),
                    value=point.name,
                    allowed=region.name,
                    values={"code": region.code},
                )
            )
    return errors


def delete_coordinates(write: Write, region: str) -> None:
    """Delete the point of a region. Raises NotFound if there is none."""
    write.actor.require("write_coordinates", region)
    chain = lock_chain(write.session, CHAIN)
    stored = COORDINATES.read(write.session, [(region,)]).get((region,))
    existing = write.precondition.check_existing(stored)
    COORDINATES.delete(write.session, write.author, chain, (region,), existing)
