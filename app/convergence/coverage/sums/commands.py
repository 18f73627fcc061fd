"""Commands that recompute the sums of districts and regencies above the written villages.

A district sums its villages, a regency its districts. Queries pool provinces and the nation from regencies
(`regions`), so writers of different regencies share no row and do not block each other. The lock of a regency's chain
protects its sums.

A report makes its village expected for the next four quarters, so their sums change too.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.access.queries import is_below_region
from app.convergence.coverage.models import ServiceCoverageRow
from app.convergence.coverage.queries import find_uncovered
from app.convergence.coverage.rules import (
    QUARTERS_BACK,
    add_quarters,
    find_district,
    find_regency,
    is_regency,
    is_village,
)
from app.convergence.coverage.sums.queries import (
    SUM_COLUMNS,
    bind_touched,
    build_touched,
    coverage,
    dump_sources,
    expected,
    region_sums,
    select_expected,
    select_sums,
    service_sums,
)
from app.convergence.editions.commands import lock_choices, pin_choices
from app.convergence.editions.methods.queries import EDITIONS, NoEdition, region_editions
from app.convergence.editions.methods.rules import COVERAGE_CHAIN
from app.kit.database.engine import get_table
from app.kit.database.journal import append, lock_chain
from app.kit.database.json_sql import build_once, dump_json, whole_sum
from app.plans.copies.models import location_copies, plan_copies
from app.plans.core.models import Plan
from app.reference.models import RegionLevel
from app.tracking.lines.queries import read_quarter_copies
from app.tracking.quarters.rules import QuarterStatus

cells = get_table(ServiceCoverageRow)


def refresh_after_reports(session: Session, period: str, villages: Iterable[str]) -> None:
    """Recompute the sums above villages after writes to a quarter, and those of the four quarters after it.

    The caller holds the locks of the regencies' chains. Later quarters that are submitted keep their sums
    (`dump_sources`).
    """
    districts = {find_district(village) for village in villages}
    _sum_services(session, period, districts)
    _sum_regions(session, [add_quarters(period, n) for n in range(QUARTERS_BACK + 1)], districts)


def refresh_after_locations(session: Session, region: str, year: int, places: Collection[str]) -> None:
    """Lock a regency's chain and recompute a year's sums after its plan has changed the priority locations `places`."""
    districts = {find_district(place) for place in places if is_village(place)}
    if not is_regency(region) or not districts:
        return
    lock_chain(session, f"{COVERAGE_CHAIN}{region}")
    _sum_regions(session, [f"{year}-Q{n}" for n in range(1, 5)], districts)


def refresh_after_adoption(session: Session, plan: Plan) -> None:
    """Recompute a year's sums after an adoption: open quarters may have the priority locations of a new revision."""
    places = session.scalars(_select_copied_places(plan.id)).all()
    refresh_after_locations(session, plan.region_code, plan.year, places)


def _select_copied_places(plan_id: int) -> sa.Select[str]:
    of_plan = sa.select(plan_copies.c.id).where(plan_copies.c.plan_id == plan_id)
    return sa.select(location_copies.c.region_code).where(location_copies.c.copy_id.in_(of_plan)).distinct()


# Submitted quarters


def hold_coverage(write: Write, plan: Plan, status: QuarterStatus) -> list[str]:
    """Lock the coverage of a region against writes, and store the editions that the figures of its year follow.

    Return the priority locations that a quarter does not cover.
    """
    session, region = write.session, plan.region_code
    chain = lock_chain(session, f"{COVERAGE_CHAIN}{region}")
    with suppress(NoEdition):
        editions = lock_choices(session, EDITIONS, [region], plan.year)
        author = write.author
        append(session, chain, author, pin_choices(session, author, EDITIONS, editions, plan.year))
    return find_uncovered(session, plan, status)


def settle_coverage(session: Session, plan: Plan, period: str) -> None:
    """Keep the villages that a submitted quarter expects, so that neither a later plan nor an earlier quarter changes
    them; drop them when the quarter is open again. The caller has locked the plan's chain."""
    region = plan.region_code
    if not is_regency(region):
        return
    lock_chain(session, f"{COVERAGE_CHAIN}{region}")
    e, c = expected.c, coverage.c
    of_quarter = (e.region_code == region, e.period == period)
    periods = [add_quarters(period, -back) for back in range(QUARTERS_BACK + 1)]
    reported = sa.select(c.village).where(c.region_code == region, c.period.in_(periods)).distinct()
    kept = sa.select(e.village).where(*of_quarter)
    places = session.scalars(sa.union(_select_copied_places(plan.id), reported, kept)).all()
    districts = {find_district(place) for place in places if is_village(place)}
    session.execute(sa.delete(expected).where(*of_quarter))
    copy = read_quarter_copies(session, [region], [period])[region, period]
    if copy.is_closed and districts:
        foreseen = select_expected(session).subquery("foreseen")
        rows = sa.select(
            foreseen.c.period, foreseen.c.village, sa.literal(region), foreseen.c.target_families
        )
        insert = sa.insert(expected).from_select(
            ["period", "village", "region_code", "target_families"], rows
        )
        bound = {"records": dump_sources(session, [period], districts, is_settling=True)}
        session.connection().execute(insert, bound)
    if districts:
        _sum_regions(session, [period], districts)


def _sum_services(session: Session, period: str, districts: Collection[str]) -> None:
    connection = session.connection()
    inserts = {
        RegionLevel.district: _insert_services(session),
        RegionLevel.regency: _insert_regencies(session, service_sums),
    }
    codes = {RegionLevel.district: districts, RegionLevel.regency: {find_regency(code) for code in districts}}
    for level, insert in inserts.items():
        bound = {"records": dump_json([build_touched(period, code) for code in sorted(codes[level])])}
        connection.execute(_clear(session, service_sums, level), bound)
        connection.execute(insert, bound)


def _sum_regions(session: Session, periods: list[str], districts: Collection[str]) -> None:
    connection = session.connection()
    regencies = sorted({find_regency(code) for code in districts})
    of_districts = {
        "records": dump_json([build_touched(p, code) for p in periods for code in sorted(districts)])
    }
    connection.execute(_clear(session, region_sums, RegionLevel.district), of_districts)
    connection.execute(_insert_districts(session), {"records": dump_sources(session, periods, districts)})
    of_regencies = {"records": dump_json([build_touched(p, code) for p in periods for code in regencies])}
    connection.execute(_clear(session, region_sums, RegionLevel.regency), of_regencies)
    connection.execute(_insert_regencies(session, region_sums), of_regencies)


@build_once
def _clear(session: Session, table: sa.Table, level: RegionLevel) -> sa.Delete:
    touched = bind_touched(session)
    key = sa.tuple_(table.c.period, table.c.region_code)
    return sa.delete(table).where(
        table.c.level == level, key.in_(sa.select(touched.c.period, touched.c.code))
    )


@build_once
def _insert_services(session: Session) -> sa.Insert:
    touched, editions = bind_touched(session), region_editions
    source = (
        touched.join(
            coverage,
            sa.and_(coverage.c.period == touched.c.period, coverage.c.district_code == touched.c.code),
        )
        .join(cells, sa.and_(cells.c.period == coverage.c.period, cells.c.village == coverage.c.village))
        .join(
            editions,
            sa.and_(editions.c.region_code == touched.c.regency, editions.c.year == touched.c.year),
        )
    )
    key = (touched.c.period, touched.c.code, cells.c.service, editions.c.service_package)
    sums = (whole_sum(cells.c.eligible), whole_sum(cells.c.served))
    query = sa.select(*key, *sums, _bind_level(RegionLevel.district)).select_from(source).group_by(*key)
    names = ["period", "region_code", "service", "service_package", "eligible", "served", "level"]
    return sa.insert(service_sums).from_select(names, query)


@build_once
def _insert_regencies(session: Session, sums: sa.Table) -> sa.Insert:
    """Insert the sums of regencies in a table, added up from those of their districts in it."""
    touched, below = bind_touched(session), sums.alias("below")
    is_inside = sa.and_(
        below.c.period == touched.c.period,
        below.c.level == RegionLevel.district,
        is_below_region(below.c.region_code, touched.c.code),
    )
    names = [column.name for column in sums.c if column.name not in ("period", "region_code", "level")]
    key = {"period": touched.c.period, "region_code": touched.c.code}
    key |= {name: below.c[name] for name in ("service", "service_package") if name in names}
    added = {name: whole_sum(below.c[name]) for name in names if name not in key}
    query = (
        sa.select(*key.values(), *added.values(), _bind_level(RegionLevel.regency))
        .select_from(touched.join(below, is_inside))
        .group_by(*key.values())
    )
    return sa.insert(sums).from_select([*key, *added, "level"], query)


@build_once
def _insert_districts(session: Session) -> sa.Insert:
    sums = select_sums(session).subquery("sums")
    query = sa.select(
        sums.c.period,
        _bind_level(RegionLevel.district),
        *[sums.c[name] for name in ("region_code", *SUM_COLUMNS)],
    )
    return sa.insert(region_sums).from_select(["period", "level", "region_code", *SUM_COLUMNS], query)


def _bind_level(level: RegionLevel) -> sa.SQLColumnExpression[object]:
    return sa.literal(level, region_sums.c.level.type)
