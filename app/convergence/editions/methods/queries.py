"""Reading editions of packages and methods, and which of them hold for a region's year."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.methods.models import (
    MethodOut,
    MethodRow,
    RegionEditionRow,
    Service,
    ServicePackageOut,
    ServicePackageRow,
    ServiceRow,
)
from app.convergence.editions.methods.rules import edition_for
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, json_rows, json_texts, records, to_json
from app.kit.http.pagination import Listing
from app.kit.problems import NotFound, Problem, Text
from app.reference.queries import is_region

packages, services = table_of(ServicePackageRow), table_of(ServiceRow)
methods, region_editions = table_of(MethodRow), table_of(RegionEditionRow)


class NoEdition(Problem):
    status = 409
    code = "no_edition"
    title = Text("Belum ada edisi", "No edition yet")
    detail = Text(
        "Untuk tahun {year} belum ada edisi paket layanan atau metode; administrator nasional menambahkannya.",
        "There is no edition of a service package or a method for {year} yet; the nation's administrator adds one.",
    )


class EditionKind(NamedTuple):
    """What has editions: its table, its noun in the journal, its address below /v1/, its columns as they are read."""

    table: sa.Table
    noun: str
    address: str
    columns: Callable[[], list[ColumnElement[Any]]]


def in_use(column: ColumnElement[Any], edition: ColumnElement[Any]) -> ColumnElement[bool]:
    """Predicate: some region's year is measured by the edition."""
    return sa.exists().where(column == edition).correlate(edition.table)


def _package_columns() -> list[ColumnElement[Any]]:
    of_package = (
        sa.select(*fields_of(Service, services))
        .where(services.c.edition == packages.c.edition)
        .order_by(services.c.position)
        .correlate(packages)
    )
    return fields_of(
        ServicePackageOut,
        packages,
        services=json_rows(of_package, name="services"),
        in_use=in_use(region_editions.c.service_package, packages.c.edition),
    )


def _method_columns() -> list[ColumnElement[Any]]:
    return fields_of(MethodOut, methods, in_use=in_use(region_editions.c.method, methods.c.edition))


PACKAGE = EditionKind(packages, "service_package", "service-packages", _package_columns)
METHOD = EditionKind(methods, "method", "methods", _method_columns)


def list_editions(kind: EditionKind) -> Listing:
    key = {"edition": kind.table.c.edition}
    return Listing(sa.select(*kind.columns()), key, key)


def edition_json(session: Session, kind: EditionKind, edition: str) -> tuple[str, int]:
    """(an edition's JSON, its version); NotFound where there is none."""
    row = session.execute(json_texts(_edition(kind, edition), "version")).one_or_none()
    if row is None:
        raise NotFound()
    return str(row.json), int(row.version)


def stored_edition(session: Session, kind: EditionKind, edition: str) -> dict[str, Any] | None:
    """An edition with its version and whether it is in use, as it is read; None where there is none."""
    text = session.scalar(json_texts(_edition(kind, edition)))
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def known_editions(session: Session, kind: EditionKind) -> list[str]:
    return list(session.scalars(sa.select(kind.table.c.edition).order_by(kind.table.c.edition)))


def _edition(kind: EditionKind, edition: str) -> Select[Any]:
    return sa.select(*kind.columns()).where(kind.table.c.edition == edition)


@dataclass(frozen=True)
class Editions:
    """The editions of a region's year; `version` None where neither chosen nor used yet."""

    service_package: str
    method: str
    legal_basis: str | None = None
    version: int | None = None

    @property
    def content(self) -> dict[str, Any]:
        return {
            "service_package": self.service_package,
            "method": self.method,
            "legal_basis": self.legal_basis,
        }


def editions_of(session: Session, regions: Collection[str], year: int) -> dict[str, Editions]:
    """Region → the editions that its year is measured by: those chosen or used, else the newest for the year.

    NoEdition (409) where there is none.
    """
    given = records(session, {"code": region_editions.c.region_code.type})
    c = region_editions.c
    rows = session.connection().execute(
        sa.select(c.region_code, c.service_package, c.method, c.legal_basis, c.version).where(
            c.year == year, c.region_code.in_(sa.select(given.c.code))
        ),
        {"records": to_json([{"code": code} for code in sorted(regions)])},
    )
    found = {row[0]: Editions(*row[1:]) for row in rows}
    if len(found) < len(set(regions)):
        newest = _newest(session, year)
        found |= {code: newest for code in regions if code not in found}
    return found


def _newest(session: Session, year: int) -> Editions:
    chosen = [
        edition_for(year, session.execute(sa.select(table.c.edition, table.c.first_year)).all())
        for table in (packages, methods)
    ]
    if None in chosen:
        raise NoEdition(year=year)
    return Editions(*[one.edition for one in chosen if one is not None])


def visible_editions(session: Session, actor: Actor, region: str, year: int) -> Editions:
    """The editions of a region's year; NotFound where the actor does not see the region or there is none."""
    if not actor.sees(region) or not is_region(session, region):
        raise NotFound()
    return editions_of(session, [region], year)[region]


IS_MEASURED: list[Callable[[Session, str, int], bool]] = []
"""Whether something of a region's year was measured already: what measures adds its own question."""


def is_measured(session: Session, region: str, year: int) -> bool:
    return any(ask(session, region, year) for ask in IS_MEASURED)


def services_of(session: Session, editions: Collection[str]) -> dict[str, dict[str, Service]]:
    """Package edition → code → service, in the package's order."""
    rows = session.execute(
        sa.select(services.c.edition, *fields_of(Service, services))
        .where(services.c.edition.in_(set(editions)))
        .order_by(services.c.edition, services.c.position)
    )
    found: dict[str, dict[str, Service]] = {edition: {} for edition in editions}
    for row in rows:
        service = Service.model_construct(**{name: getattr(row, name) for name in Service.model_fields})
        found[row.edition][row.code] = service
    return found


def services_until(session: Session, year: int) -> list[Service]:
    """The services of every package that a region's year may be measured by, those of the latest last."""
    rows = session.execute(
        sa.select(*fields_of(Service, services))
        .join_from(services, packages, packages.c.edition == services.c.edition)
        .where(packages.c.first_year <= year)
        .order_by(packages.c.first_year, packages.c.edition, services.c.position)
    )
    return [Service.model_construct(**row._mapping) for row in rows]


def methods_of(session: Session, editions: Collection[str]) -> dict[str, sa.Row[Any]]:
    """Edition → method."""
    rows = session.execute(sa.select(methods).where(methods.c.edition.in_(set(editions))))
    return {row.edition: row for row in rows}
