"""Reads names of reference data for matches."""

from sqlmodel import Session

from app.access.rules import list_ancestors
from app.reference.names.rules import SourceNames
from app.reference.queries import find_regions_by_code, read_funding_sources


def read_source_names(session: Session, region: str) -> SourceNames:
    """Return the names of all funding sources, for the cells of a region's plan."""
    regions = find_regions_by_code(session, [region, *list_ancestors(region)])
    levels = {"province": "provinsi", "regency": "kabupaten"}
    names = {
        item.name: "kota" if item.name.startswith("Kota ") else levels[item.level]
        for _, item in sorted(regions.items(), reverse=True)
        if item.level in levels
    }
    return SourceNames(read_funding_sources(session), names)
