"""Queries that compute sums over villages."""

from collections.abc import Iterable
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Subquery
from sqlmodel import Session

from app.access.queries import is_below_region
from app.convergence.coverage.models import CoverageRegionRow, CoverageRow, CoverageTotalRow
from app.convergence.coverage.rules import QUARTERS_BACK, VillageStatus, add_quarters, find_regency
from app.kit.database.engine import get_table
from app.kit.database.json_sql import dump_json, sum_where
from app.kit.database.upsert import unnest_records
from app.plans.core.models import PlanRow, PriorityLocationRow

coverage = get_table(CoverageRow)
region_sums, service_sums = get_table(CoverageRegionRow), get_table(CoverageTotalRow)
_plans, _locations = get_table(PlanRow), get_table(PriorityLocationRow)

SUM_COLUMNS = [
    name for name in CoverageRegionRow.model_fields if name not in ("period", "level", "region_code")
]
"""Columns of `coverage_region` that add up from region to region."""


def build_touched(period: str, code: str) -> dict[str, object]:
    """Return the record of a region in a quarter, for sums that a write changes."""
    return {"period": period, "code": code, "regency": find_regency(code), "year": int(period[:4])}


def bind_touched(session: Session, *more: str) -> Subquery:
    """Return the bound records of `build_touched` as a subquery, with columns `more`."""
    c = coverage.c
    columns = {"code": c.village, "regency": c.village, "source": c.period, "back": c.year}
    names = ("period", "code", "regency", "year", *more)
    return unnest_records(
        session, {name: (columns[name] if name in columns else c[name]).type for name in names}
    )


def dump_sources(periods: Iterable[str], districts: Iterable[str]) -> str:
    """Return JSON records of districts with each quarter that can report on them: itself and the quarters before."""
    codes = sorted(districts)
    return dump_json(
        [
            {**build_touched(period, code), "source": add_quarters(period, -back), "back": back}
            for period in periods
            for code in codes
            for back in range(QUARTERS_BACK + 1)
        ]
    )


def select_sums(session: Session, by: Literal["code", "village"] = "code") -> sa.Select[*tuple[object, ...]]:
    """Return the query of the sums of districts, or of each of their villages.

    A village contributes its reported figures; its target families come from the first source that gives them
    (`rules.choose_target`). The caller binds the records of `dump_sources`.
    """
    ranked = _rank_sources(bind_touched(session, "source", "back"))
    is_reported, first = ranked.c.rank == 0, ranked.c.place == 1

    def has_status(status: VillageStatus | None) -> ColumnElement[bool]:
        return sa.and_(
            is_reported, ranked.c.status.is_(None) if status is None else ranked.c.status == status
        )

    is_counted = sa.and_(is_reported, ranked.c.complete_families.is_not(None))
    sums = {
        "eligible": sum_where(is_reported, ranked.c.eligible),
        "served": sum_where(is_reported, ranked.c.served),
        "villages_reporting": sum_where(is_reported),
        "villages_expected": sum_where(first),
        "villages_foreseen": sum_where(sa.and_(first, ranked.c.last_rank > 0)),
        "villages_without_target": sum_where(sa.and_(first, ranked.c.target_families.is_(None))),
        "families_reporting": sum_where(is_reported, ranked.c.target_families),
        "families_expected": sum_where(first, ranked.c.target_families),
        "complete_families": sum_where(is_reported, ranked.c.complete_families),
        "families_counted": sum_where(is_counted, ranked.c.target_families),
        "converged": sum_where(has_status(VillageStatus.converged)),
        "partial": sum_where(has_status(VillageStatus.partial)),
        "not_yet": sum_where(has_status(VillageStatus.not_yet)),
        "undefined": sum_where(has_status(None)),
    }
    return (
        sa.select(
            ranked.c.period,
            ranked.c[by].label("region_code"),
            *[sums[name].label(name) for name in SUM_COLUMNS],
        )
        .select_from(ranked)
        .group_by(ranked.c.period, ranked.c[by])
    )


def _rank_sources(touched: Subquery) -> Subquery:
    """Return all sources for each expected village, ranked: 0 this report, 1 the plan, 2+ earlier reports.

    `place` 1 is the source of the village's target families; `last_rank` > 0 if a source other than its report has it.
    """
    c = coverage.c
    figures = ("eligible", "served", "complete_families", "status")
    reports = sa.select(
        touched.c.period,
        touched.c.code,
        c.village,
        c.target_families,
        sa.case((touched.c.back == 0, 0), else_=touched.c.back + 1).label("rank"),
        *[c[name] for name in figures],
    ).select_from(
        touched.join(coverage, sa.and_(c.period == touched.c.source, c.district_code == touched.c.code))
    )
    planned = (
        sa.select(
            touched.c.period,
            touched.c.code,
            _locations.c.region_code,
            _locations.c.target_families,
            sa.literal_column("1").label("rank"),
            *[sa.cast(sa.null(), c[name].type) for name in figures],
        )
        .select_from(
            touched.join(
                _plans, sa.and_(_plans.c.region_code == touched.c.regency, _plans.c.year == touched.c.year)
            ).join(
                _locations,
                sa.and_(
                    _locations.c.plan_id == _plans.c.id,
                    is_below_region(_locations.c.region_code, touched.c.code),
                ),
            )
        )
        .where(touched.c.back == 0)
    )
    sources = reports.union_all(planned).subquery("sources")
    village = (sources.c.period, sources.c.village)
    return sa.select(
        *sources.c,
        sa.func.row_number()
        .over(partition_by=village, order_by=(sources.c.target_families.is_(None), sources.c.rank))
        .label("place"),
        sa.func.max(sources.c.rank).over(partition_by=village).label("last_rank"),
    ).subquery("ranked")
