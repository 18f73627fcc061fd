"""Reading a file, and everything that it names at once: as many statements for many lines as for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import StoredAgency, agencies_by_code, agencies_named
from app.exchange.matrix.imports.models import Resolution
from app.exchange.matrix.models import Matrix, MatrixRow, Named, Place
from app.exchange.matrix.rules import read_matrix
from app.plans.actions.queries import actions
from app.plans.core.models import Plan
from app.plans.core.rules import government_level
from app.reference.nomenclature.queries import (
    FoundSubactivity,
    Pair,
    subactivities_by_code,
    subactivities_named,
    successors_of,
)
from app.reference.queries import (
    FoundFundingSource,
    FoundRegion,
    funding_source_labels,
    funding_sources_by_code,
    funding_sources_named,
    regions_by_code,
    regions_named,
)


@dataclass(frozen=True)
class ReadFile:
    """A matrix as read from a file, nothing in it resolved yet, and the SHA-256 (hex) of that file."""

    matrix: Matrix
    sha256: str


def read_file(session: Session, data: bytes, filename: str, sheet: str | None = None) -> ReadFile:
    """The matrix in a file. UnreadableFile where it is none, TooLarge above 20 MB.

    A large file takes its time: read it with a reading session, before anything is locked.
    """
    known_sources = list(funding_source_labels(session).values())
    return ReadFile(
        read_matrix(data, filename, sheet=sheet, known_sources=known_sources), sha256(data).hexdigest()
    )


def action_ids(session: Session, plan: Plan) -> dict[str, int]:
    """Code → id of every line of a plan."""
    return {
        row.code: row.id
        for row in session.execute(
            sa.select(actions.c.code, actions.c.id).where(actions.c.plan_id == plan.id)
        )
    }


@dataclass(frozen=True)
class Known:
    """What there is of what a file and its resolutions name, by code and by name as written."""

    agencies: Mapping[str, StoredAgency]
    agencies_named: Mapping[str, Sequence[StoredAgency]]
    subs: Mapping[str, FoundSubactivity]
    subs_named: Mapping[Pair, Sequence[FoundSubactivity]]
    successors: Mapping[str, Sequence[FoundSubactivity]]
    """Code that is unknown or retired → the codes that name it as predecessor."""
    sources: Mapping[str, FoundFundingSource]
    sources_named: Mapping[str, Sequence[FoundFundingSource]]
    regions: Mapping[str, FoundRegion]
    regions_named: Mapping[str, Sequence[FoundRegion]]


def look_up(
    session: Session, plan: Plan, lines: Sequence[MatrixRow], resolutions: Sequence[Resolution]
) -> Known:
    region, edition, level = plan.region_code, plan.nomenclature_edition, government_level(plan.region_code)

    def settled(column: str) -> set[str]:
        return {r.code for r in resolutions if r.column == column and r.code}

    named: list[Named] = [line["agency"] for line in lines if line["agency"]]
    by_name = agencies_named(session, region, {one.name for one in named if one.name})
    heirs = {one.merged_into for found in by_name.values() for one in found if one.merged_into}
    agencies = agencies_by_code(
        session, region, {one.code for one in named if one.code} | settled("agency") | heirs
    )
    heirs = {one.merged_into for one in agencies.values() if one.merged_into} - agencies.keys()
    agencies |= agencies_by_code(session, region, heirs)

    subs: list[Named] = [line["subactivity"] for line in lines if line["subactivity"]]
    codes = {one.code for one in subs if one.code} | settled("subactivity")
    known = subactivities_by_code(session, edition, level, codes)
    in_force = {code for code, one in known.items() if not one.retired}

    shares = {share.name for line in lines for share in line["funding_sources"] or ()}
    places: list[Place] = [place for line in lines for place in line["location"] or ()]
    words = {words for place in places for words in (place.text, place.name, place.within) if words}
    return Known(
        agencies=agencies,
        agencies_named=by_name,
        subs=known,
        subs_named=subactivities_named(
            session, edition, level, {pair for line in lines for pair in pairs_of(line)}
        ),
        successors=successors_of(session, edition, level, codes - in_force),
        sources=funding_sources_by_code(
            session, {code_in(name) for name in shares} | settled("funding_sources")
        ),
        sources_named=funding_sources_named(session, shares),
        regions=regions_by_code(session, {place.code for place in places if place.code}),
        regions_named=regions_named(session, region, words),
    )


def pairs_of(line: MatrixRow) -> list[Pair]:
    """(activity, sub-activity) names to look up, the activity's empty where it is known by its code;
    without an activity no name is looked up, for it would be a guess."""
    activity: Named | None = line["activity"]
    named: Named | None = line["subactivity"]
    name = named.name if named else None
    if activity is None or name is None:
        return []
    return [("", name)] if activity.code else [(activity.name or "", name)]


def code_in(name: str) -> str:
    """`1.01.01.15 Pajak Bumi dan Bangunan` → its code; a lone code is itself."""
    return name.partition(" ")[0].rstrip(".")
