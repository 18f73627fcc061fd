"""Writing where regions lie: by the administrators of them and of what they lie in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.journal import Author, Entry, hold, next_versions, record
from app.kit.database.upsert import upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import unknown_reference
from app.kit.problems import FieldError, Invalid, Kind, NotFound, PreconditionFailed
from app.reference.coordinates.models import CoordinatesWritten
from app.reference.coordinates.queries import Stored, coordinates, stored_coordinates
from app.reference.coordinates.rules import CHAIN, NATION, Told
from app.reference.queries import regions_by_code
from app.reference.rules import folded, forms_of

name_of_other_region = Kind(
    "name_of_other_region",
    id="kode {code} adalah {allowed}, bukan {value}; periksa sistem kodenya",
    en="the code {code} is {allowed}, not {value}; check whose codes these are",
)


def put_coordinates(
    session: Session,
    author: Author,
    actor: Actor,
    told: Sequence[Told],
    check: Callable[[Mapping[str, Stored]], None],
) -> CoordinatesWritten:
    """Create or replace points, all of them or none; what is as it was stays untouched.

    Invalid names every one that speaks of no region, or by a name that is not the region's.
    """
    for code in sorted({one.region for one in told}):
        actor.require("write_coordinates", code)
    if errors := _errors(session, told):
        raise Invalid(errors=errors)
    chain = hold(session, CHAIN)
    stored = stored_coordinates(session, [one.region for one in told])
    check(stored)
    points = {one.region: one.content.model_dump(mode="json") for one in told}
    changed = {
        code: point for code, point in points.items() if code not in stored or stored[code].content != point
    }
    versions = next_versions(session, {code: _address(code) for code in changed}, stored)
    rows = [{"region_code": code, **point, "version": versions[code]} for code, point in changed.items()]
    written = upsert(session, coordinates, rows, key=["region_code"], versioned=True, returning=["version"])
    if len(written) != len(rows):
        raise PreconditionFailed()
    entries = [
        _entry(
            row["region_code"], row["version"], stored.get(row["region_code"]), changed[row["region_code"]]
        )
        for row in rows
    ]
    record(session, chain, author, entries)
    new = sum(code not in stored for code in changed)
    return CoordinatesWritten(created=new, updated=len(changed) - new, unchanged=len(points) - len(changed))


def _errors(session: Session, told: Sequence[Told]) -> list[FieldError]:
    regions = regions_by_code(session, {one.region for one in told})
    errors = []
    for one in told:
        region = regions.get(one.region)
        if region is None or region.code == NATION:
            errors.append(
                FieldError(
                    unknown_reference,
                    **one.place("region_code"),
                    value=one.region,
                    values={"source": "regions"},
                )
            )
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


def delete_coordinates(
    session: Session, author: Author, actor: Actor, region: str, check: CheckVersion
) -> None:
    """Take back where a region lies. NotFound: nobody had said so."""
    actor.require("write_coordinates", region)
    chain = hold(session, CHAIN)
    stored = stored_coordinates(session, [region]).get(region)
    if stored is None:
        raise NotFound()
    check(stored.version)
    session.execute(sa.delete(coordinates).where(coordinates.c.region_code == region))
    record(session, chain, author, [_entry(region, stored.version + 1, stored, None)])


def _entry(region: str, version: int, before: Stored | None, after: dict[str, Any] | None) -> Entry:
    old = before.content if before else None
    return Entry.of("coordinates", NATION, _address(region), version, old, after)


def _address(region: str) -> str:
    return f"regions/{region}/coordinates"
