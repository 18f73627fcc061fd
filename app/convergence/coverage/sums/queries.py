"""Queries that compute sums over villages."""

from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select, Subquery
from sqlmodel import Session

from app.access.queries import is_below_region
from app.convergence.coverage.models import (
    CoverageRegionRow,
    CoverageRow,
    CoverageTotalRow,
    ExpectedCoverageRow,
)
from app.convergence.coverage.rules import QUARTERS_BACK, VillageStatus, add_quarters, find_regency
from app.kit.database.engine import get_table
from app.kit.database.json_sql import dump_json, sum_where
from app.kit.database.upsert import unnest_records
from app.plans.copies.models import location_copies
from app.plans.core.models import PriorityLocationRow
from app.tracking.lines.queries import NO_COPY, read_quarter_copies

coverage, expected = get_table(CoverageRow), get_table(ExpectedCoverageRow)
region_sums, service_sums = get_table(CoverageRegionRow), get_table(CoverageTotalRow)
_locations = get_table(PriorityLocationRow)

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
    columns = {
        "code": c.village,
        "regency": c.village,
        "source": c.period,
        **dict.fromkeys(("back", "plan_id", "copy_id"), c.year),
    }
    names = ("period", "code", "regency", "year", *more)
    return unnest_records(
        session, {name: (columns[name] if name in columns else c[name]).type for name in names}
    )


def dump_sources(
    session: Session, periods: Iterable[str], districts: Iterable[str], *, is_settling: bool = False
) -> str:
    """Return JSON records of districts with each quarter that can report on them: itself and the quarters before.

    A submitted quarter has its own reports and the villages of `coverage_expected` alone; with `is_settling`, the
    sources of an open one.
    """
    codes, quarters = sorted(districts), sorted(periods)
    copies = read_quarter_copies(session, {find_regency(code) for code in codes}, quarters)
    records = []
    for period in quarters:
        for code in codes:
            touched = build_touched(period, code)
            copy = copies.get((find_regency(code), period), NO_COPY)
            is_open = is_settling or not copy.is_closed
            records += [
                {
                    **touched,
                    "source": add_quarters(period, -back),
                    "back": back,
                    "plan_id": copy.plan_id if is_open else None,
                    "copy_id": copy.copy_id if is_open else None,
                }
                for back in range(QUARTERS_BACK + 1 if is_open else 1)
            ]
    return dump_json(records)


def select_sums(session: Session, by: Literal["code", "village"] = "code") -> sa.Select[*tuple[object, ...]]:
    """Return the query of the sums of districts, or of each of their villages.

    A village contributes its reported figures; its target families come from the first source that gives them
    (`rules.choose_target`). The caller binds the records of `dump_sources`.
    """
    ranked = _rank_sources(_bind_sources(session))
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


def select_expected(session: Session) -> sa.Select[str, str, int]:
    """Return period, village and target families by the plan or by earlier reports. The caller binds `dump_sources`."""
    ranked = _rank_sources(_bind_sources(session), is_reported=False)
    return sa.select(ranked.c.period, ranked.c.village, ranked.c.target_families).where(ranked.c.place == 1)


def _bind_sources(session: Session) -> Subquery:
    return bind_touched(session, "source", "back", "plan_id", "copy_id")


def _rank_sources(touched: Subquery, *, is_reported: bool = True) -> Subquery:
    """Return all sources for each expected village, ranked: 0 this report, 1 the plan, 2+ earlier reports.

    `place` 1 is the source of the village's target families; `last_rank` > 0 if a source other than its report has it.
    Without `is_reported`, the village's own reports do not count.
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
    if not is_reported:
        reports = reports.where(touched.c.back > 0)

    def select_foreseen(
        table: sa.Table, village: sa.Column[str], is_source: ColumnElement[bool]
    ) -> Select[Any]:
        return (
            sa.select(
                touched.c.period,
                touched.c.code,
                village,
                table.c.target_families,
                sa.literal_column("1").label("rank"),
                *[sa.cast(sa.null(), c[name].type) for name in figures],
            )
            .select_from(touched.join(table, sa.and_(is_source, is_below_region(village, touched.c.code))))
            .where(touched.c.back == 0)
        )

    is_present = sa.and_(touched.c.copy_id.is_(None), _locations.c.plan_id == touched.c.plan_id)
    is_copied = location_copies.c.copy_id == touched.c.copy_id
    is_settled = expected.c.period == touched.c.period
    sources = reports.union_all(
        select_foreseen(_locations, _locations.c.region_code, is_present),
        select_foreseen(location_copies, location_copies.c.region_code, is_copied),
        *([select_foreseen(expected, expected.c.village, is_settled)] if is_reported else []),
    ).subquery("sources")
    village = (sources.c.period, sources.c.village)
    return sa.select(
        *sources.c,
        sa.func.row_number()
        .over(partition_by=village, order_by=(sources.c.target_families.is_(None), sources.c.rank))
        .label("place"),
        sa.func.max(sources.c.rank).over(partition_by=village).label("last_rank"),
    ).subquery("ranked")
