"""Queries of regions' coverage from the stored sums; a province and the nation pool their regencies."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.coverage.models import (
    ChildrenQuery,
    CoverageSums,
    RegionCoverage,
    RegionSums,
    ServiceSums,
    StrategyCoverage,
)
from app.convergence.coverage.queries import build_percent, regions
from app.convergence.coverage.rules import (
    CoverageCount,
    ReachInput,
    compute_percent,
    compute_reach,
    find_balance,
    find_regency,
    pool_by_strategy,
    pool_counts,
)
from app.convergence.coverage.sums.queries import (
    SUM_COLUMNS,
    dump_sources,
    region_sums,
    select_sums,
    service_sums,
)
from app.convergence.editions.methods.models import Service
from app.convergence.editions.methods.queries import (
    NoEdition,
    methods,
    packages,
    read_services,
    region_editions,
    services,
)
from app.convergence.editions.rules import choose_edition
from app.kit.database.json_sql import build_once, select_fields, select_json_tables, whole_sum
from app.kit.http.pagination import Listing
from app.kit.problems import NotFound
from app.plans.actions.models import RecipientKind
from app.reference.models import RegionLevel
from app.reference.queries import check_region
from app.reference.rules import get_level

_STORED = (RegionLevel.district, RegionLevel.regency)


def compute_region_coverage(session: Session, actor: Actor, region: str, period: str) -> RegionCoverage:
    """Return a region's coverage in a quarter with the input of its figures, from one SQL statement.

    Raises NotFound if the actor cannot see the region, and for a village, which has its own address.
    """
    actor.require_seen(find_regency(region))
    read = _read_source(session, region, period)
    if read.level in (None, RegionLevel.village):
        raise NotFound()
    package, method = _choose_editions(read, int(period[:4]))
    counted = {row.service_package for row in read.services}
    known = _index_services(read.packages, {*counted, package}, package)
    counts = {row.code: CoverageCount(0, 0) for row in read.packages if row.edition == package}
    for row in read.services:
        counts[row.service] = pool_counts(
            [counts.get(row.service, CoverageCount(0, 0)), CoverageCount(row.eligible, row.served)]
        )
    strategies = pool_by_strategy(counts, {code: known[code].strategy for code in counts})
    lowest = find_balance(strategies)
    figures = _build_sums(read.sums)
    return RegionCoverage.model_construct(
        **dict(figures),
        region_code=region,
        period=period,
        balance_percent=lowest.percent,
        lowest_strategy=lowest.strategy,
        undefined_strategies=list(lowest.undefined),
        is_rankable=figures.reach_percent is not None and figures.reach_percent >= method.rank_reach,
        by_strategy=StrategyCoverage.from_counts(strategies),
        by_service=[_build_service_sums(known[code], count) for code, count in counts.items()],
        service_packages=sorted(counted),
        methods=sorted(read.methods_used) if counted else [],
        method=method.edition,
    )


class _ServiceCount(NamedTuple):
    service_package: str
    service: str
    eligible: int
    served: int


class _PackageService(Service):
    edition: str
    first_year: int


class _MethodEdition(NamedTuple):
    edition: str
    first_year: int
    rank_reach: float


class _Source(NamedTuple):
    """Input of a region's figures."""

    level: RegionLevel | None
    """None if the region does not exist."""
    sums: dict[str, int]
    services: list[_ServiceCount]
    own: tuple[str, str] | None
    """Package and method chosen for the region's year; None without a choice."""
    methods_used: list[str]
    packages: list[_PackageService]
    methods: list[_MethodEdition]


def _read_source(session: Session, region: str, period: str) -> _Source:
    """Return the region, its sums in total and by service, its editions and all editions."""
    level = RegionLevel(get_level(region))
    low, high = (
        (region, region) if level in _STORED else ("", "~") if region == "0" else (f"{region}.", f"{region}/")
    )
    own = find_regency(region)
    bound = {
        "region": region,
        "period": period,
        "level": level if level in _STORED else RegionLevel.regency,
        "low": low,
        "high": high,
        "own": own,
        "own_low": own if level in _STORED else low,
        "own_high": own if level in _STORED else high,
        "year": int(period[:4]),
    }
    row = session.connection().execute(_select_parts(session), bound).one()
    levels, sums, counted, chosen, used, services_known, methods_known = map(json.loads, row)
    return _Source(
        RegionLevel(levels[0]["level"]) if levels else None,
        sums[0],
        [_ServiceCount(**item) for item in counted],
        (chosen[0]["service_package"], chosen[0]["method"]) if chosen else None,
        [item["method"] for item in used],
        [_PackageService.model_construct(**item) for item in services_known],
        [_MethodEdition(**item) for item in methods_known],
    )


@build_once
def _select_parts(session: Session) -> sa.Select[*tuple[str, ...]]:
    year = sa.bindparam("year", type_=sa.BigInteger)

    def inside(table: sa.Table) -> Sequence[ColumnElement[bool]]:
        c = table.c
        chosen = c.region_code.between(sa.bindparam("low"), sa.bindparam("high"))
        return (c.period == sa.bindparam("period"), c.level == sa.bindparam("level"), chosen)

    s, e = service_sums.c, region_editions.c
    service = [services.c[name] for name in Service.model_fields]
    queries: dict[str, sa.SelectBase] = {
        "region": sa.select(regions.c.level).where(regions.c.code == sa.bindparam("region")),
        "sums": sa.select(*[whole_sum(region_sums.c[name]).label(name) for name in SUM_COLUMNS]).where(
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
    return select_json_tables(queries)


def _choose_editions(read: _Source, year: int) -> tuple[str, _MethodEdition]:
    """Return the package and the method of the region's year. Raises NoEdition if there is none."""
    if read.own is not None:
        package_chosen, method_chosen = read.own
        return package_chosen, next(row for row in read.methods if row.edition == method_chosen)
    package, method = choose_edition(year, read.packages), choose_edition(year, read.methods)
    if package is None or method is None:
        raise NoEdition(year=year)
    return package.edition, method


def _index_services(rows: Sequence[_PackageService], editions: set[str], own: str) -> dict[str, Service]:
    """Return the services of editions by code. If editions differ, `own` wins, else the last by name."""
    known = [row for row in rows if row.edition in editions]
    return {row.code: row for row in [*known, *(row for row in known if row.edition == own)]}


def _build_service_sums(service: Service, count: CoverageCount) -> ServiceSums:
    return ServiceSums.model_construct(
        service=service.code,
        name=service.name,
        name_english=service.name_english,
        unit=RecipientKind(service.unit),
        strategy=service.strategy,
        **count._asdict(),
        coverage_percent=compute_percent(count.served, count.eligible),
    )


def find_visible_level(session: Session, actor: Actor, region: str) -> RegionLevel:
    """Return the level of a region. Raises NotFound if it does not exist or the actor cannot see it."""
    actor.require_seen(find_regency(region))
    check_region(session, region)
    return RegionLevel(get_level(region))


def _build_sums(sums: dict[str, int]) -> CoverageSums:
    """Return sums with their percentages. A test compares them with `_select_percentages`, the SQL of this."""
    expected = ReachInput(sums["families_reporting"], sums["families_expected"], sums["villages_foreseen"])
    return CoverageSums.model_construct(
        None,
        **{name: sum for name, sum in sums.items() if name in CoverageSums.model_fields},
        coverage_percent=compute_percent(sums["served"], sums["eligible"]),
        reach_percent=compute_reach(expected),
        completeness_percent=compute_percent(sums["complete_families"], sums["families_counted"]),
    )


def list_children(session: Session, actor: Actor, region: str, query: ChildrenQuery) -> Listing:
    """Return the visible regions one level below, with or without reports. Raises NotFound for a village."""
    level = find_visible_level(session, actor, region)
    if level is RegionLevel.village:
        raise NotFound()
    children = regions.alias("children")
    if level is RegionLevel.nation:
        rows = _sum_by_province(query.period)
    elif level is RegionLevel.district:
        rows = _sum_by_village(session, region, query.period)
    else:
        child_level = RegionLevel.regency if level is RegionLevel.province else RegionLevel.district
        rows = sa.select(region_sums).where(
            region_sums.c.period == query.period,
            region_sums.c.level == child_level,
            is_in_region(region_sums.c.region_code, region),
        )
    sums = rows.subquery("sums")
    zeros = {name: sa.func.coalesce(sums.c[name], 0) for name in SUM_COLUMNS}
    columns = select_fields(
        RegionSums,
        children,
        **{name: zeros[name] for name in SUM_COLUMNS if name in RegionSums.model_fields},
        **_select_percentages(sums),
        region_code=children.c.code,
    )
    statement = (
        sa.select(*columns)
        .select_from(children.outerjoin(sums, sums.c.region_code == children.c.code))
        .where(
            children.c.parent_code == region,
            sa.or_(children.c.retired.is_(False), sums.c.region_code.is_not(None)),
        )
    )
    if level in (RegionLevel.nation, RegionLevel.province):
        statement = statement.where(can_see_region(actor, children.c.code))
    return Listing(statement, {"region_code": children.c.code}, {"region_code": children.c.code})


def _select_percentages(sums: sa.Subquery) -> dict[str, sa.SQLColumnExpression[object]]:
    c = sums.c
    return {
        "coverage_percent": build_percent(c.served, c.eligible),
        "reach_percent": sa.case(
            (c.villages_foreseen > 0, build_percent(c.families_reporting, c.families_expected))
        ),
        "completeness_percent": build_percent(c.complete_families, c.families_counted),
    }


def _sum_by_province(period: str) -> sa.SelectBase:
    c = region_sums.c
    province = sa.func.substr(c.region_code, 1, 2)
    return (
        sa.select(province.label("region_code"), *[whole_sum(c[name]).label(name) for name in SUM_COLUMNS])
        .where(c.period == period, c.level == RegionLevel.regency)
        .group_by(province)
    )


def _sum_by_village(session: Session, district: str, period: str) -> sa.SelectBase:
    """Return the sums of each village of a district, as if it were a region."""
    return select_sums(session, "village").params(records=dump_sources(session, [period], [district]))


def parse_strategies(session: Session, text: str) -> tuple[list[StrategyCoverage], int]:
    """Return figures by strategy and the version of a village's coverage, from its JSON (`CoverageOut`)."""
    content = json.loads(text)
    edition = content["service_package"]
    package = read_services(session, [edition])[edition]
    counts = {
        item["service"]: CoverageCount(item["eligible"], item["served"]) for item in content["services"]
    }
    strategies = pool_by_strategy(counts, {code: service.strategy for code, service in package.items()})
    return StrategyCoverage.from_counts(strategies), content["version"]
