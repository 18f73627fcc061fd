"""Writing where regions lie: by the administrators of them and of what they lie in."""

from collections import Counter
from collections.abc import Sequence

from sqlmodel import Session

from app.access.commands import Write
from app.kit.database.journal import hold
from app.kit.fields import folded
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Kind, refuse
from app.reference.coordinates.models import CoordinatesWritten
from app.reference.coordinates.queries import COORDINATES
from app.reference.coordinates.rules import CHAIN, NATION, Told
from app.reference.queries import regions_by_code
from app.reference.rules import forms_of

name_of_other_region = Kind(
    "name_of_other_region",
    id="kode {code} adalah {allowed}, bukan {value}; periksa sistem kodenya",
    en="the code {code} is {allowed}, not {value}; check whose codes these are",
)


def put_coordinates(write: Write, told: Sequence[Told]) -> CoordinatesWritten:
    """Create or replace points, all of them or none; unchanged ones are not written.

    Raises Invalid with every unknown region, and every name that is not the region's.
    """
    for code in sorted({one.region for one in told}):
        write.actor.require("write_coordinates", code)
    refuse(_errors(write.session, told))
    chain = hold(write.session, CHAIN)
    drafts = {(one.region,): one.content.model_dump(mode="json") for one in told}
    stored = COORDINATES.read(write.session, drafts)
    write.precondition.check_many(write.session, [one.version for one in stored.values()], CHAIN)
    outcomes = Counter(COORDINATES.put(write.session, write.author, chain, drafts, stored).values())
    return CoordinatesWritten(
        created=outcomes["created"], updated=outcomes["updated"], unchanged=outcomes["unchanged"]
    )


def _errors(session: Session, told: Sequence[Told]) -> list[FieldError]:
    regions = regions_by_code(session, {one.region for one in told})
    errors = []
    for one in told:
        region = regions.get(one.region)
        if region is None or region.code == NATION:
            errors.append(describe_unknown(one.region, "regions", (), **one.place("region_code")))
        elif one.name and folded(region.name) not in {form.folded for form in forms_of(one.name)}:
            errors.append(
                FieldError(
                    name_of_other_region,
                    **one.place("name"),
                    value=one.name,
                    allowed=region.name,
                    values={"code": region.code},
                )
            )
    return errors


def delete_coordinates(write: Write, region: str) -> None:
    """Take back where a region lies. Raises NotFound if nothing is stored."""
    write.actor.require("write_coordinates", region)
    chain = hold(write.session, CHAIN)
    stored = COORDINATES.read(write.session, [(region,)]).get((region,))
    existing = write.precondition.check_existing(stored)
    COORDINATES.delete(write.session, write.author, chain, (region,), existing)
