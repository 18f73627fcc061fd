"""Figures of regions, read from the sums that are kept: a province and the nation pool those of their regencies."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
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
from app.convergence.coverage.sums import SUMMED, sources_of, sums_of_villages, whole_sum
from app.convergence.coverage.totals import region_sums, service_sums
from app.convergence.methods.models import Service
from app.convergence.methods.queries import editions_of, methods_of, region_editions, services_of
from app.kit.json_sql import fields_of
from app.kit.pages import Listing
from app.kit.problems import NotFound
from app.reference.models import RegionLevel
from app.reference.queries import is_region
from app.reference.rules import level_of

_KEPT = (RegionLevel.district, RegionLevel.regency)


def region_coverage(session: Session, actor: Actor, region: str, period: str) -> RegionCoverage:
    """A region in a quarter with everything that its figures were computed from.

    NotFound where the actor does not see it, or for a village, which has its own address.
    """
    level = _level(session, actor, region)
    year = int(period[:4])
    sums = _sums(session, region, level, period)
    counted = _services(session, region, level, period)
    used = _editions_used(session, region, year, [edition for edition, _, _ in counted])
    own = editions_of(session, [regency_of(region)], year)[regency_of(region)]
    packages = services_of(session, {*(edition for edition, _, _ in counted), own.service_package})
    known = _known(packages, own.service_package)
    counts: dict[str, Count] = {code: Count(0, 0) for code in packages[own.service_package]}
    for _, code, count in counted:
        counts[code] = pooled([counts.get(code, Count(0, 0)), count])
    strategies = by_strategy(counts, {code: known[code].strategy for code in counts})
    lowest = balance(strategies)
    figures = _figures(sums)
    cut_off = methods_of(session, [own.method])[own.method].rank_reach
    return RegionCoverage.model_construct(
        **figures,
        region_code=region,
        period=period,
        balance_percent=lowest.percent,
        lowest_strategy=lowest.strategy,
        undefined_strategies=list(lowest.undefined),
        is_rankable=figures["reach_percent"] is not None and figures["reach_percent"] >= cut_off,
        by_strategy=strategy_figures(strategies),
        by_service=[_service_sums(known[code], count) for code, count in counts.items()],
        service_packages=used[0],
        methods=used[1],
        method=own.method,
    )


def strategy_figures(strategies: dict[str, Count]) -> list[StrategyCoverage]:
    return [
        StrategyCoverage.model_construct(
            strategy=name, **count._asdict(), coverage_percent=percent(count.served, count.eligible)
        )
        for name, count in strategies.items()
    ]


def _known(packages: dict[str, dict[str, Service]], own: str) -> dict[str, Service]:
    """Code → service. Where editions differ in what a code means, the region's own says it, else the latest by name."""
    known: dict[str, Service] = {}
    for edition in [*sorted(packages), own]:
        known |= packages[edition]
    return known


def _service_sums(service: Service, count: Count) -> ServiceSums:
    return ServiceSums.model_construct(
        service=service.code,
        name=service.name,
        name_english=service.name_english,
        unit=service.unit,
        strategy=service.strategy,
        **count._asdict(),
        coverage_percent=percent(count.served, count.eligible),
    )


def _level(session: Session, actor: Actor, region: str) -> RegionLevel:
    if not actor.sees(regency_of(region)) or not is_region(session, region):
        raise NotFound()
    level = RegionLevel(level_of(region))
    if level is RegionLevel.village:
        raise NotFound()
    return level


def _of_region(
    table: sa.Table, region: str, level: RegionLevel, period: str
) -> Sequence[ColumnElement[bool]]:
    """The rows that make up a region: its own, or those of its regencies."""
    kept = level if level in _KEPT else RegionLevel.regency
    return (table.c.period == period, table.c.level == kept, within(table.c.region_code, region))


def _sums(session: Session, region: str, level: RegionLevel, period: str) -> dict[str, int]:
    query = sa.select(*[whole_sum(region_sums.c[name]).label(name) for name in SUMMED])
    row = session.execute(query.where(*_of_region(region_sums, region, level, period))).one()
    return {name: value or 0 for name, value in row._mapping.items()}


def _services(session: Session, region: str, level: RegionLevel, period: str) -> list[tuple[str, str, Count]]:
    """(package edition, service, E and C)."""
    c = service_sums.c
    query = (
        sa.select(c.service_package, c.service, whole_sum(c.eligible), whole_sum(c.served))
        .where(*_of_region(service_sums, region, level, period))
        .group_by(c.service_package, c.service)
        .order_by(c.service_package, c.service)
    )
    return [(row[0], row[1], Count(row[2], row[3])) for row in session.execute(query)]


def _editions_used(
    session: Session, region: str, year: int, packages: Sequence[str]
) -> tuple[list[str], list[str]]:
    """(package editions, method editions) by which the coverage below was written."""
    c = region_editions.c
    chosen = (c.year == year, within(c.region_code, regency_of(region)), sa.func.length(c.region_code) == 5)
    found = session.scalars(sa.select(c.method).where(*chosen).distinct()) if packages else ()
    return sorted(set(packages)), sorted(found)


def _figures(sums: dict[str, int]) -> dict[str, Any]:
    """Sums with what they say; `_said` is the same in the database, and a test holds the two together."""
    expected = Expected(sums["families_reporting"], sums["families_expected"], sums["villages_foreseen"])
    said = {
        "coverage_percent": percent(sums["served"], sums["eligible"]),
        "reach_percent": reach(expected),
        "completeness_percent": percent(sums["complete_families"], sums["families_counted"]),
    }
    told = {**sums, **said}
    return {name: told[name] for name in CoverageSums.model_fields}


def list_children(session: Session, actor: Actor, region: str, query: ChildrenQuery) -> Listing:
    """The regions one level below that the actor sees, those without any report too."""
    level = _level(session, actor, region)
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


def _said(sums: sa.Subquery) -> dict[str, ColumnElement[Any]]:
    c = sums.c
    return {
        "coverage_percent": percent_of(c.served, c.eligible),
        "reach_percent": sa.case(
            (c.villages_foreseen > 0, percent_of(c.families_reporting, c.families_expected))
        ),
        "completeness_percent": percent_of(c.complete_families, c.families_counted),
    }


def _by_province(period: str) -> Select[Any]:
    c = region_sums.c
    province = sa.func.substr(c.region_code, 1, 2)
    return (
        sa.select(province.label("region_code"), *[whole_sum(c[name]).label(name) for name in SUMMED])
        .where(c.period == period, c.level == RegionLevel.regency)
        .group_by(province)
    )


def _by_village(session: Session, district: str, period: str) -> Select[Any]:
    """A district's villages as if each were a region: what it reports, and whether it was expected to."""
    return sums_of_villages(session, "village").params(records=sources_of([period], [district]))


def village_strategies(session: Session, text: str) -> tuple[list[StrategyCoverage], int]:
    """(by strategy, version) of a village's coverage, given as JSON (`CoverageOut`)."""
    found = json.loads(text)
    package = services_of(session, [found["service_package"]])[found["service_package"]]
    counts = {item["service"]: Count(item["eligible"], item["served"]) for item in found["services"]}
    strategies = by_strategy(counts, {code: service.strategy for code, service in package.items()})
    return strategy_figures(strategies), found["version"]
