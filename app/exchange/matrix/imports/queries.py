"""Reads a file, and looks up everything that it names in a fixed number of statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from app.agencies.queries import StoredAgency, find_agencies_by_code, find_agencies_by_name, read_successors
from app.exchange.matrix.imports.models import Resolution
from app.exchange.matrix.models import Content, Matrix, MatrixRow, Named
from app.exchange.matrix.rules import DEFAULTS, read_matrix
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.options import LineOptions
from app.plans.copies.queries import read_line_contents
from app.plans.core.models import Plan
from app.plans.core.rules import find_government_level
from app.reference.names.queries import read_source_names
from app.reference.names.rules import SourceNames
from app.reference.nomenclature.queries import (
    Pair,
    SubactivityRef,
    find_subactivities_by_code,
    find_subactivities_by_name,
    find_successors,
)
from app.reference.places.queries import PlaceFinder
from app.reference.queries import read_funding_sources
from app.tracking.quarters.queries import read_copies


@dataclass(frozen=True)
class MatrixFile:
    """A matrix from a file, with its names not yet looked up, the file's name and bytes, and the chosen columns."""

    matrix: Matrix
    name: str
    data: bytes
    choices: Sequence[ColumnChoice]


def read_file(
    session: Session,
    data: bytes,
    filename: str,
    options: LineOptions = DEFAULTS,
    choices: Sequence[ColumnChoice] = (),
) -> MatrixFile:
    """Read the matrix in a file. Raises UnreadableFile if there is none, TooLarge above 20 MB.

    A large file takes seconds: call this with a reading session, before taking locks.
    """
    known_sources = [name for item in read_funding_sources(session) for name in (item.name, *item.aliases)]
    matrix = read_matrix(data, filename, options=options, known_sources=known_sources, choices=choices)
    return MatrixFile(matrix, filename, data, choices)


def read_quarter_plans(
    session: Session, plan: Plan, target: Mapping[str, Content], quarters: Sequence[str]
) -> list[Mapping[str, Content]]:
    """Return the lines that quarters have, by code, each set that differs from the target of an import once.

    Their lead agencies are the successors of those that merged into another.
    """
    if not quarters:
        return []
    copies = read_copies(session, plan)
    successors = read_successors(session, plan.region_code)
    result: list[Mapping[str, Content]] = []
    for copy_id in {copies.get(f"{plan.year}-{quarter}"): None for quarter in quarters}:
        contents = read_line_contents(session, plan, copy_id)
        lines = {
            code: {**content, "lead_agency": successors.get(content["lead_agency"], content["lead_agency"])}
            for code, content in contents.items()
        }
        if lines not in (target, *result):
            result.append(lines)
    return result


@dataclass(frozen=True)
class KnownItems:
    """Stored items that a file and its resolutions name, by code and by name as written."""

    agencies: Mapping[str, StoredAgency]
    agencies_by_name: Mapping[str, Sequence[StoredAgency]]
    subs: Mapping[str, SubactivityRef]
    subs_by_name: Mapping[Pair, Sequence[SubactivityRef]]
    successors: Mapping[str, Sequence[SubactivityRef]]
    """Code that is unknown or retired → its successors."""
    sources: SourceNames
    places: PlaceFinder


def look_up(
    session: Session, plan: Plan, lines: Sequence[MatrixRow], resolutions: Sequence[Resolution]
) -> KnownItems:
    """Look up every name and code of the lines and of the resolutions."""
    region, edition, level = (
        plan.region_code,
        plan.nomenclature_edition,
        find_government_level(plan.region_code),
    )

    def list_codes(column: str) -> set[str]:
        return {r.code for r in resolutions if r.column == column and r.code}

    named: list[Named] = [line["agency"] for line in lines if line["agency"]]
    by_name = find_agencies_by_name(session, region, {item.name for item in named if item.name})
    merged_into = {
        item.merged_into for same_name in by_name.values() for item in same_name if item.merged_into
    }
    agencies = find_agencies_by_code(
        session, region, {item.code for item in named if item.code} | list_codes("agency") | merged_into
    )
    merged_into = {item.merged_into for item in agencies.values() if item.merged_into} - agencies.keys()
    agencies |= find_agencies_by_code(session, region, merged_into)

    subs: list[Named] = [line["subactivity"] for line in lines if line["subactivity"]]
    codes = {item.code for item in subs if item.code} | list_codes("subactivity")
    known = find_subactivities_by_code(session, edition, level, codes)
    in_force = {code for code, item in known.items() if not item.retired}

    places = {text for line in lines for text in line["location"] or ()}
    return KnownItems(
        agencies=agencies,
        agencies_by_name=by_name,
        subs=known,
        subs_by_name=find_subactivities_by_name(
            session, edition, level, {pair for line in lines for pair in list_name_pairs(line)}
        ),
        successors=find_successors(session, edition, level, codes - in_force),
        sources=read_source_names(session, region),
        places=PlaceFinder(session, region, places, list_codes("location")),
    )


def list_name_pairs(line: MatrixRow) -> list[Pair]:
    """Return the (activity, sub-activity) names to look up; the activity's is "" if the line has its code.

    Returns an empty list without an activity, since a name alone would be a guess.
    """
    activity: Named | None = line["activity"]
    named: Named | None = line["subactivity"]
    name = named.name if named else None
    if activity is None or name is None:
        return []
    return [("", name)] if activity.code else [(activity.name or "", name)]
