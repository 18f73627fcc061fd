"""Reads a file, and looks up everything that it names in a fixed number of statements."""

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
    """A matrix from a file, with its names not yet looked up, and the SHA-256 (hex) of the file."""

    matrix: Matrix
    sha256: str


def read_file(session: Session, data: bytes, filename: str, sheet: str | None = None) -> ReadFile:
    """Read the matrix in a file. Raises UnreadableFile if there is none, TooLarge above 20 MB.

    A large file takes seconds: call this with a reading session, before taking locks.
    """
    known_sources = list(funding_source_labels(session).values())
    return ReadFile(
        read_matrix(data, filename, sheet=sheet, known_sources=known_sources), sha256(data).hexdigest()
    )


def action_ids(session: Session, plan: Plan) -> dict[str, int]:
    """Return code → id of every line of a plan."""
    return {
        row.code: row.id
        for row in session.execute(
            sa.select(actions.c.code, actions.c.id).where(actions.c.plan_id == plan.id)
        )
    }


@dataclass(frozen=True)
class Known:
    """Stored items that a file and its resolutions name, by code and by name as written."""

    agencies: Mapping[str, StoredAgency]
    agencies_by_name: Mapping[str, Sequence[StoredAgency]]
    subs: Mapping[str, FoundSubactivity]
    subs_by_name: Mapping[Pair, Sequence[FoundSubactivity]]
    successors: Mapping[str, Sequence[FoundSubactivity]]
    """Code that is unknown or retired → its successors."""
    sources: Mapping[str, FoundFundingSource]
    sources_by_name: Mapping[str, Sequence[FoundFundingSource]]
    regions: Mapping[str, FoundRegion]
    regions_by_name: Mapping[str, Sequence[FoundRegion]]


def look_up(
    session: Session, plan: Plan, lines: Sequence[MatrixRow], resolutions: Sequence[Resolution]
) -> Known:
    """Look up every name and code of the lines and of the resolutions."""
    region, edition, level = plan.region_code, plan.nomenclature_edition, government_level(plan.region_code)

    def list_codes(column: str) -> set[str]:
        return {r.code for r in resolutions if r.column == column and r.code}

    named: list[Named] = [line["agency"] for line in lines if line["agency"]]
    by_name = agencies_named(session, region, {item.name for item in named if item.name})
    merged_into = {
        item.merged_into for same_name in by_name.values() for item in same_name if item.merged_into
    }
    agencies = agencies_by_code(
        session, region, {item.code for item in named if item.code} | list_codes("agency") | merged_into
    )
    merged_into = {item.merged_into for item in agencies.values() if item.merged_into} - agencies.keys()
    agencies |= agencies_by_code(session, region, merged_into)

    subs: list[Named] = [line["subactivity"] for line in lines if line["subactivity"]]
    codes = {item.code for item in subs if item.code} | list_codes("subactivity")
    known = subactivities_by_code(session, edition, level, codes)
    in_force = {code for code, item in known.items() if not item.retired}

    shares = {share.name for line in lines for share in line["funding_sources"] or ()}
    places: list[Place] = [place for line in lines for place in line["location"] or ()]
    words = {words for place in places for words in (place.text, place.name, place.within) if words}
    return Known(
        agencies=agencies,
        agencies_by_name=by_name,
        subs=known,
        subs_by_name=subactivities_named(
            session, edition, level, {pair for line in lines for pair in pairs_of(line)}
        ),
        successors=successors_of(session, edition, level, codes - in_force),
        sources=funding_sources_by_code(
            session, {code_in(name) for name in shares} | list_codes("funding_sources")
        ),
        sources_by_name=funding_sources_named(session, shares),
        regions=regions_by_code(session, {place.code for place in places if place.code}),
        regions_by_name=regions_named(session, region, words),
    )


def pairs_of(line: MatrixRow) -> list[Pair]:
    """Return the (activity, sub-activity) names to look up; the activity's is "" if the line has its code.

    Returns an empty list without an activity, since a name alone would be a guess.
    """
    activity: Named | None = line["activity"]
    named: Named | None = line["subactivity"]
    name = named.name if named else None
    if activity is None or name is None:
        return []
    return [("", name)] if activity.code else [(activity.name or "", name)]


def code_in(name: str) -> str:
    """Return the code in front of a name (`1.01.01.15 Pajak Bumi dan Bangunan`); a lone code is itself."""
    return name.partition(" ")[0].rstrip(".")
