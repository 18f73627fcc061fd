"""Service packages and methods: their declarations and queries."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.editions.methods.models import (
    Method,
    MethodIn,
    MethodOut,
    MethodRow,
    RegionEditionIn,
    RegionEditionReply,
    RegionEditionRow,
    Service,
    ServicePackageIn,
    ServicePackageOut,
    ServicePackageRow,
    ServiceRow,
)
from app.convergence.editions.methods.rules import BASE, COVERAGE_CHAIN
from app.convergence.editions.queries import (
    Choice,
    ChoiceKind,
    EditionKind,
    EditionPart,
    check_visible,
    is_chosen,
)
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, select_fields
from app.kit.database.resources import Resource
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Problem
from app.kit.wording import Text
from app.reference.queries import read_strategy_labels

DATA = Path(__file__).parent / "data"

packages, services = get_table(ServicePackageRow), get_table(ServiceRow)
methods, region_editions = get_table(MethodRow), get_table(RegionEditionRow)


class NoEdition(Problem):
    status = 409
    code = "no_edition"
    title = Text("Belum ada edisi", "No edition yet")
    detail = Text(
        "Belum ada edisi paket layanan atau metode untuk tahun {year}. Minta administrator nasional menambahkannya.",
        "There is no edition of the service package or the method for {year}. Ask the nation's administrator to add "
        "one.",
    )


class CoverageByEdition(Problem):
    status = 409
    code = "measured_already"
    title = Text("Cakupan sudah dicatat", "Coverage is on record")
    detail = Text(
        "Cakupan atau triwulan yang sudah diajukan wilayah {region} untuk tahun {year} mengikuti paket layanan "
        "“{service_package}” dan metode “{method}”, sehingga keduanya tidak dapat diganti.",
        "Coverage or a submitted quarter of region {region} for {year} follows the service package "
        "“{service_package}” and the method “{method}”, so that they cannot change.",
    )


_SERVICES = (
    sa.select(*select_fields(Service, services))
    .where(services.c.edition == packages.c.edition)
    .order_by(services.c.position)
    .correlate(packages)
)


def _find_unknown_strategies(session: Session, content: ServicePackageIn) -> list[FieldError]:
    known = [*read_strategy_labels(session), BASE]
    return [
        describe_unknown(
            service.strategy, "strategies", known, allowed=known, pointer=f"/services/{n}/strategy"
        )
        for n, service in enumerate(content.services)
        if service.strategy not in known
    ]


PACKAGE = EditionKind(
    table=packages,
    noun="service_package",
    address="service-packages",
    shape=ServicePackageIn,
    shipped=DATA / "service_packages.json",
    reply=ServicePackageOut,
    columns={
        "services": build_json_array(_SERVICES, name="services"),
        "in_use": is_chosen(region_editions.c.service_package, packages.c.edition),
    },
    part=EditionPart("services", services),
    find_errors=_find_unknown_strategies,
)
METHOD = EditionKind(
    table=methods,
    noun="method",
    address="methods",
    shape=MethodIn,
    shipped=DATA / "methods.json",
    reply=MethodOut,
    columns={"in_use": is_chosen(region_editions.c.method, methods.c.edition)},
)


@dataclass(frozen=True, kw_only=True)
class RegionEditions(Choice):
    """The service package and the method of a region's year."""

    service_package: str
    method: str


EDITIONS = ChoiceKind(
    resource=Resource(
        "region_edition",
        region_editions,
        RegionEditionIn,
        ("region_code", "year"),
        "regions/{region_code}/editions/{year}",
        written_at="updated_at",
    ),
    chain=COVERAGE_CHAIN,
    record=RegionEditions,
    reply=RegionEditionReply,
    kinds={"service_package": PACKAGE, "method": METHOD},
    missing=NoEdition,
    settled=CoverageByEdition,
    check_region=check_visible,
)


def read_services(session: Session, editions: Collection[str]) -> dict[str, dict[str, Service]]:
    """Return package edition → code → service, in the package's order."""
    rows = session.execute(
        sa.select(services.c.edition, *select_fields(Service, services))
        .where(services.c.edition.in_(set(editions)))
        .order_by(services.c.edition, services.c.position)
    )
    packages_by_edition: dict[str, dict[str, Service]] = {edition: {} for edition in editions}
    for row in rows:
        packages_by_edition[row.edition][row.code] = Service.model_construct(**row._mapping)
    return packages_by_edition


def read_services_until(session: Session, year: int) -> list[Service]:
    """Return the services of every package that a region's year may follow, those of the latest package last."""
    rows = session.execute(
        sa.select(*select_fields(Service, services))
        .join_from(services, packages, packages.c.edition == services.c.edition)
        .where(packages.c.first_year <= year)
        .order_by(packages.c.first_year, packages.c.edition, services.c.position)
    )
    return [Service.model_construct(**row._mapping) for row in rows]


def read_methods(session: Session, editions: Collection[str]) -> dict[str, Method]:
    """Return the methods of editions, by edition."""
    chosen = sa.select(*select_fields(Method, methods)).where(methods.c.edition.in_(set(editions)))
    return {row.edition: Method.model_construct(**row._mapping) for row in session.execute(chosen)}
