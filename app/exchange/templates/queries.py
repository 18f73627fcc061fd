"""Reads what a template has in advance: the regions of its rows, and the services of a year."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.methods.queries import EDITIONS, read_services
from app.convergence.editions.queries import read_choices
from app.exchange.templates.rules import (
    list_coordinate_columns,
    list_coverage_columns,
    list_observation_columns,
)
from app.kit.problems import require_found
from app.kit.tables.templates import TemplateColumn
from app.reference.queries import find_regions_by_code, read_region_labels
from app.reference.rules import format_region, get_level, get_parent

_NATION = "0"


@dataclass(frozen=True)
class TemplateTable:
    """Columns of a template, and its rows filled in advance."""

    columns: Sequence[TemplateColumn]
    rows: Sequence[Sequence[str | None]]


def read_region_title(session: Session, region: str) -> str:
    """Return the name of a region with its level. Raises NotFound if there is no such region."""
    row = require_found(find_regions_by_code(session, [region]).get(region))
    return format_region(row.code, row.name)


def read_template_table(
    session: Session, actor: Actor, name: str, region: str | None, year: int
) -> TemplateTable:
    """Return the table of coverage, observations or coordinates.

    Raises NotFound if there is no such region, NoEdition if no service package applies to the year.
    """
    labels = read_region_labels(session, region) if region else {}
    if region and not labels:
        require_found(None)
    villages = [code for code in labels if get_level(code) == "village"]
    if name == "coverage":
        chosen = region if region and actor.sees(region) else _NATION
        package = read_choices(session, EDITIONS, [chosen], year)[chosen].service_package
        services = list(read_services(session, [package])[package].values())
        rows = [[code, labels.get(get_parent(code) or ""), labels[code]] for code in villages]
        return TemplateTable(list_coverage_columns(services), rows)
    if name == "coordinates":
        return TemplateTable(list_coordinate_columns(), [[code, labels[code]] for code in villages])
    regencies = [code for code in labels if get_level(code) in ("regency", "province", "nation")]
    return TemplateTable(list_observation_columns(), [[code, labels[code]] for code in regencies])
