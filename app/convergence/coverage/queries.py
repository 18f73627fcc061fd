"""Queries of villages' coverage; a query for an actor covers only the regencies that the actor sees."""

from collections.abc import Collection
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.coverage.models import (
    CoverageIn,
    CoverageListQuery,
    CoverageOut,
    CoverageRow,
    ServiceCoverage,
    ServiceCoverageRow,
)
from app.convergence.coverage.rules import VILLAGE_LENGTH, find_regency, is_regency
from app.convergence.editions.methods.queries import region_editions
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, build_once, dump_json, select_fields, select_json
from app.kit.database.resources import StoredRow
from app.kit.database.upsert import unnest_records
from app.kit.http.pagination import Listing
from app.kit.problems import require_found
from app.plans.copies.queries import select_priority_locations
from app.plans.core.models import Plan
from app.reference.models import RegionRow
from app.tracking.quarters.rules import QuarterStatus

coverage, cells, regions = get_table(CoverageRow), get_table(ServiceCoverageRow), get_table(RegionRow)


def build_percent(
    part: sa.SQLColumnExpression[object], whole: sa.SQLColumnExpression[object]
) -> ColumnElement[Any]:
    """Return the SQL expression of `rules.compute_percent`: equal digits on both engines."""
    hundredths = (20_000 * part + whole) // (2 * sa.func.nullif(whole, 0, type_=sa.BigInteger()))
    return sa.cast(hundredths, sa.Double) / sa.literal_column("100.0", sa.Double)


@cache
def list_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a village's coverage, one for each field of `CoverageOut`."""
    c = coverage.c
    services = (
        sa.select(*select_fields(ServiceCoverage, cells))
        .where(cells.c.period == c.period, cells.c.village == c.village)
        .order_by(cells.c.position)
        .correlate(coverage)
    )

    def edition(column: sa.SQLColumnExpression[object]) -> sa.SQLColumnExpression[object]:
        return (
            sa.select(column)
            .where(region_editions.c.region_code == c.region_code, region_editions.c.year == c.year)
            .correlate(coverage)
            .scalar_subquery()
        )

    return select_fields(
        CoverageOut,
        coverage,
        village_name=sa.select(regions.c.name).where(regions.c.code == c.village).scalar_subquery(),
        services=build_json_array(services, name="services"),
        service_package=edition(region_editions.c.service_package),
        method=edition(region_editions.c.method),
        coverage_percent=build_percent(c.served, c.eligible),
        completeness_percent=build_percent(c.complete_families, c.target_families),
    )


def find_uncovered(session: Session, plan: Plan, status: QuarterStatus) -> list[str]:
    """Return the villages among a regency's priority locations of a quarter that have no coverage of it, by code."""
    if not is_regency(plan.region_code):
        return []
    bound = {"plan": plan.id, "copy": status.copy_id, "period": status.period}
    return list(session.scalars(_select_uncovered(session), bound))


@build_once
def _select_uncovered(session: Session) -> Select[str]:
    chosen = sa.select(
        sa.bindparam("plan", type_=sa.BigInteger).label("plan_id"),
        sa.bindparam("copy", type_=sa.BigInteger).label("copy_id"),
    )
    village = select_priority_locations(chosen.cte("chosen")).c.region_code
    of_quarter = (coverage.c.village == village, coverage.c.period == sa.bindparam("period"))
    is_village = sa.func.length(village) == VILLAGE_LENGTH
    return sa.select(village).where(is_village, ~sa.exists().where(*of_quarter)).order_by(village)


def list_coverage(actor: Actor, period: str, query: CoverageListQuery) -> Listing:
    """Return the villages of a region that report. Raises NotFound if the actor cannot see the region."""
    actor.require_seen(find_regency(query.region))
    c = coverage.c
    statement = sa.select(*list_columns()).where(
        can_see_region(actor, c.region_code), c.period == period, is_in_region(c.village, query.region)
    )
    return Listing(statement, {"village": c.village, "reported_at": c.reported_at}, {"village": c.village})


def read_coverage_text(session: Session, actor: Actor, period: str, village: str) -> str:
    """Return a village's coverage as JSON (`CoverageOut`). Raises NotFound if the actor sees none."""
    bound = {"period": period, "village": village}
    actor.require_seen(find_regency(village))
    text = require_found(session.connection().execute(_select_one(session), bound).scalar_one_or_none())
    return str(text)


@build_once
def _select_one(session: Session) -> Select[Any]:
    chosen = (coverage.c.period == sa.bindparam("period"), coverage.c.village == sa.bindparam("village"))
    return select_json(sa.select(*list_columns()).where(*chosen))


def read_stored_coverage(session: Session, period: str, villages: Collection[str]) -> dict[str, StoredRow]:
    """Return the stored coverage of villages in a quarter, by village."""
    bound = {"period": period, "records": dump_json([{"village": village} for village in villages])}
    rows = session.connection().execute(_select_stored(session), bound)
    return {village: StoredRow.parse(text) for text, village in rows}


@build_once
def _select_stored(session: Session) -> Select[Any]:
    given = unnest_records(session, {"village": coverage.c.village.type})
    columns = [c for c in list_columns() if c.name in {*CoverageIn.model_fields, "version"}]
    query = sa.select(*columns, coverage.c.village.label("_village")).where(
        coverage.c.period == sa.bindparam("period"),
        coverage.c.village.in_(sa.select(given.c.village)),
    )
    return select_json(query, "_village")


def has_coverage(session: Session, region: str, year: int) -> bool:
    """Return whether a regency has coverage of a year, which fixes its editions."""
    statement = sa.select(sa.literal(1)).where(
        coverage.c.region_code == region, coverage.c.period.between(f"{year}-Q1", f"{year}-Q4")
    )
    return session.execute(statement.limit(1)).first() is not None
