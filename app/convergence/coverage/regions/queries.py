"""Figures of regions, read from the sums that are kept: a province and the nation pool those of their regencies."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.convergence.coverage.models import (
    ChildrenQuery,
    CoverageSums,
    RegionCoverage,
    RegionSums,
    ServiceSums,
    StrategyCoverage,
)
from app.convergence.coverage.queries import percent_of, regions
from app.convergence.coverage.rules import (
    Count,
    Expected,
    balance,
    by_strategy,
    percent,
    pooled,
    reach,
    regency_of,
)
from app.convergence.coverage.sums.queries import (
    SUMMED,
    region_sums,
    service_sums,
    sources_of,
    sums_of_villages,
)
from app.convergence.editions.methods.models import Service
from app.convergence.editions.methods.queries import (
    NoEdition,
    methods,
    packages,
    region_editions,
    services,
    services_of,
)
from app.convergence.editions.rules import edition_for
from app.kit.database.json_sql import built_once, fields_of, json_tables, whole_sum
from app.kit.http.pagination import Listing
from app.kit.problems import NotFound
from app.plans.actions.models import RecipientKind
from app.reference.models import RegionLevel
from app.reference.queries import check_region
from app.reference.rules import level_of

_KEPT = (RegionLevel.district, RegionLevel.regency)


def region_coverage(session: Session, actor: Actor, region: str, period: str) -> RegionCoverage:
    """A region in a quarter with everything that its figures were computed from; one statement reads it all.

    NotFound where the actor does not see it, or for a village, which has its own address.
    """
    actor.require_seen(regency_of(region))
    read = _read(session, region, period)
    if read.level in (None, RegionLevel.village):
        raise NotFound()
    package, method = _own_editions(read, int(period[:4]))
    counted = {row.service_package for row in read.services}
    known = _known(read.packages, {*counted, package}, package)
    counts = {row.code: Count(0, 0) for row in read.packages if row.edition == package}
    for row in read.services:
        counts[row.service] = pooled([counts.get(row.service, Count(0, 0)), Count(row.eligible, row.served)])
    strategies = by_strategy(counts, {code: known[code].strategy for code in counts})
    lowest = balance(strategies)
    figures = _figures(read.sums)
    return RegionCoverage.model_construct(
        **dict(figures),
        region_code=region,
        period=period,
        balance_percent=lowest.percent,
        lowest_strategy=lowest.strategy,
        undefined_strategies=list(lowest.undefined),
        is_rankable=figures.reach_percent is not None and figures.reach_percent >= method.rank_reach,
        by_strategy=StrategyCoverage.from_counts(strategies),
        by_service=[_service_sums(known[code], count) for code, count in counts.items()],
        service_packages=sorted(counted),
        methods=sorted(read.methods_used) if counted else [],
        method=method.edition,
    )


class _Counted(NamedTuple):
    """E and C of a service of a package, in the whole region."""

    service_package: str
    service: str
    eligible: int
    served: int


class _PackageService(Service):
    """A service, with the package that has it."""

    edition: str
    first_year: int


class _MethodEdition(NamedTuple):
    edition: str
    first_year: int
    rank_reach: float


class _Read(NamedTuple):
    """What the figures of a region are made of."""

    level: RegionLevel | None
    """None where there is no such region."""
    sums: dict[str, int]
    services: list[_Counted]
    own: tuple[str, str] | None
    """Package and method of the region's own year, where they were chosen."""
    methods_used: list[str]
    packages: list[_PackageService]
    methods: list[_MethodEdition]


def _read(session: Session, region: str, period: str) -> _Read:
    """Return the region, its sums and those of its services, its editions and every edition there is."""
    level = RegionLevel(level_of(region))
    low, high = (
        (region, region) if level in _KEPT else ("", "~") if region == "0" else (f"{region}.", f"{region}/")
    )
    own = regency_of(region)
    bound = {
        "region": region,
        "period": period,
        "level": level if level in _KEPT else RegionLevel.regency,
        "low": low,
        "high": high,
        "own": own,
        "own_low": own if level in _KEPT else low,
        "own_high": own if level in _KEPT else high,
        "year": int(period[:4]),
    }
    row = session.connection().execute(_parts(session), bound).one()
    levels, sums, counted, chosen, used, services_known, methods_known = map(json.loads, row)
    return _Read(
        RegionLevel(levels[0]["level"]) if levels else None,
        sums[0],
        [_Counted(**one) for one in counted],
        (chosen[0]["service_package"], chosen[0]["method"]) if chosen else None,
        [one["method"] for one in used],
        [_PackageService.model_construct(**one) for one in services_known],
        [_MethodEdition(**one) for one in methods_known],
    )


@built_once
def _parts(session: Session) -> sa.Select[*tuple[str, ...]]:
    year = sa.bindparam("year", type_=sa.BigInteger)

    def inside(table: sa.Table) -> Sequence[ColumnElement[bool]]:
        c = table.c
        chosen = c.region_code.between(sa.bindparam("low"), sa.bindparam("high"))
        return (c.period == sa.bindparam("period"), c.level == sa.bindparam("level"), chosen)

    s, e = service_sums.c, region_editions.c
    service = [services.c[name] for name in Service.model_fields]
    queries: dict[str, sa.SelectBase] = {
        "region": sa.select(regions.c.level).where(regions.c.code == sa.bindparam("region")),
        "sums": sa.select(*[whole_sum(region_sums.c[name]).label(name) for name in SUMMED]).where(
            *inside(region_sums)
        ),
        "services": sa.select(
            s.service_package,
            s.service,
            whole_sum(s.eligible).label("eligible"),
            whole_sum(s.served).label("served"),
        )
        .where(*inside(service_sums))
        .group_by(s.service_package, s.service)
        .order_by(s.service_package, s.service),
        "own": sa.select(e.service_package, e.method).where(
            e.region_code == sa.bindparam("own"), e.year == year
        ),
        "used": sa.select(e.method)
        .where(
            e.region_code.between(sa.bindparam("own_low"), sa.bindparam("own_high")),
            e.year == year,
            sa.func.length(e.region_code) == 5,
        )
        .distinct(),
        "packages": sa.select(packages.c.edition, packages.c.first_year, *service)
        .join_from(packages, services, services.c.edition == packages.c.edition)
        .order_by(packages.c.edition, services.c.position),
        "methods": sa.select(methods.c.edition, methods.c.first_year, methods.c.rank_reach),
    }
    return json_tables(queries)


def _own_editions(read: _Read, year: int) -> tuple[str, _MethodEdition]:
    """(package, method) that the region's year is measured by. NoEdition where there is none."""
    if read.own is not None:
        package_chosen, method_chosen = read.own
        return package_chosen, next(row for row in read.methods if row.edition == method_chosen)
    package, method = edition_for(year, read.packages), edition_for(year, read.methods)
    if package is None or method is None:
        raise NoEdition(year=year)
    return package.edition, method


def _known(rows: Sequence[_PackageService], editions: set[str], own: str) -> dict[str, Service]:
    """Code → service. Where editions differ in what a code means, the region's own says it, else the latest by name."""
    found = [row for row in rows if row.edition in editions]
    return {row.code: row for row in [*found, *(row for row in found if row.edition == own)]}


def _service_sums(service: Service, count: Count) -> ServiceSums:
    return ServiceSums.model_construct(
        service=service.code,
        name=service.name,
        name_english=service.name_english,
        unit=RecipientKind(service.unit),
        strategy=service.strategy,
        **count._asdict(),
        coverage_percent=percent(count.served, count.eligible),
    )


def level_seen(session: Session, actor: Actor, region: str) -> RegionLevel:
    """Return the level of a region. Raises NotFound if there is no such region, or the actor does not see it."""
    actor.require_seen(regency_of(region))
    check_region(session, region)
    return RegionLevel(level_of(region))


def _figures(sums: dict[str, int]) -> CoverageSums:
    """Sums with what they say; `_said` is the same in the database, and a test holds the two together."""
    expected = Expected(sums["families_reporting"], sums["families_expected"], sums["villages_foreseen"])
    return CoverageSums.model_construct(
        None,
        **{name: sum for name, sum in sums.items() if name in CoverageSums.model_fields},
        coverage_percent=percent(sums["served"], sums["eligible"]),
        reach_percent=reach(expected),
        completeness_percent=percent(sums["complete_families"], sums["families_counted"]),
    )


def list_children(session: Session, actor: Actor, region: str, query: ChildrenQuery) -> Listing:
    """The regions one level below that the actor sees, those without any report too."""
    level = level_seen(session, actor, region)
    if level is RegionLevel.village:
        raise NotFound()
    children = regions.alias("children")
    if level is RegionLevel.nation:
        rows = _by_province(query.period)
    elif level is RegionLevel.district:
        rows = _by_village(session, region, query.period)
    else:
        kept = RegionLevel.regency if level is RegionLevel.province else RegionLevel.district
        rows = sa.select(region_sums).where(
            region_sums.c.period == query.period,
            region_sums.c.level == kept,
            within(region_sums.c.region_code, region),
        )
    sums = rows.subquery("sums")
    zeros = {name: sa.func.coalesce(sums.c[name], 0) for name in SUMMED}
    columns = fields_of(
        RegionSums,
        children,
        **{name: zeros[name] for name in SUMMED if name in RegionSums.model_fields},
        **_said(sums),
        region_code=children.c.code,
    )
    found = (
        sa.select(*columns)
        .select_from(children.outerjoin(sums, sums.c.region_code == children.c.code))
        .where(
            children.c.parent_code == region,
            sa.or_(children.c.retired.is_(False), sums.c.region_code.is_not(None)),
        )
    )
    if level in (RegionLevel.nation, RegionLevel.province):
        found = found.where(visible(actor, children.c.code))
    return Listing(found, {"region_code": children.c.code}, {"region_code": children.c.code})


def _said(sums: sa.Subquery) -> dict[str, sa.SQLColumnExpression[object]]:
    c = sums.c
    return {
        "coverage_percent": percent_of(c.served, c.eligible),
        "reach_percent": sa.case(
            (c.villages_foreseen > 0, percent_of(c.families_reporting, c.families_expected))
        ),
        "completeness_percent": percent_of(c.complete_families, c.families_counted),
    }


def _by_province(period: str) -> sa.SelectBase:
    c = region_sums.c
    province = sa.func.substr(c.region_code, 1, 2)
    return (
        sa.select(province.label("region_code"), *[whole_sum(c[name]).label(name) for name in SUMMED])
        .where(c.period == period, c.level == RegionLevel.regency)
        .group_by(province)
    )


def _by_village(session: Session, district: str, period: str) -> sa.SelectBase:
    """A district's villages as if each were a region: what it reports, and whether it was expected to."""
    return sums_of_villages(session, "village").params(records=sources_of([period], [district]))


def village_strategies(session: Session, text: str) -> tuple[list[StrategyCoverage], int]:
    """(by strategy, version) of a village's coverage, given as JSON (`CoverageOut`)."""
    found = json.loads(text)
    package = services_of(session, [found["service_package"]])[found["service_package"]]
    counts = {item["service"]: Count(item["eligible"], item["served"]) for item in found["services"]}
    strategies = by_strategy(counts, {code: service.strategy for code, service in package.items()})
    return StrategyCoverage.from_counts(strategies), found["version"]
