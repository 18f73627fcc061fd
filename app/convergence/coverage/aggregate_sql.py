"""The SELECTs that sums over villages are made of."""

from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select, Subquery
from sqlmodel import Session

from app.access.queries import below
from app.convergence.coverage.models import CoverageRegionRow, CoverageRow
from app.convergence.coverage.rules import QUARTERS_BACK, VillageStatus, quarters_from, regency_of
from app.kit.database.engine import table_of
from app.kit.database.json_sql import to_json
from app.kit.database.upsert import records
from app.plans.core.models import PlanRow, PriorityLocationRow

coverage = table_of(CoverageRow)
_plans, _locations = table_of(PlanRow), table_of(PriorityLocationRow)

SUMMED = [name for name in CoverageRegionRow.model_fields if name not in ("period", "level", "region_code")]
"""Columns of `coverage_region` that add up from region to region."""


def touched_by(period: str, code: str) -> dict[str, object]:
    return {"period": period, "code": code, "regency": regency_of(code), "year": int(period[:4])}


def touched_records(session: Session, *more: str) -> Subquery:
    kinds: dict[str, sa.types.TypeEngine[Any]] = {
        "period": coverage.c.period.type,
        "code": coverage.c.village.type,
        "regency": coverage.c.village.type,
        "year": coverage.c.year.type,
        "source": coverage.c.period.type,
        "back": coverage.c.year.type,
    }
    return records(session, {name: kinds[name] for name in ("period", "code", "regency", "year", *more)})


def sources_of(periods: Iterable[str], districts: Iterable[str]) -> str:
    """JSON of the quarters that tell of districts: each quarter itself and those before it."""
    codes = sorted(districts)
    return to_json(
        [
            {**touched_by(period, code), "source": quarters_from(period, -back), "back": back}
            for period in periods
            for code in codes
            for back in range(QUARTERS_BACK + 1)
        ]
    )


def sums_of_villages(session: Session, by: Literal["code", "village"] = "code") -> Select[Any]:
    """SELECT of the sums of districts (or of each of their villages) from what is reported, planned and was
    reported before: of each village the figures that it reports, and as its target families the first that
    somebody says (`rules.target_of`). Takes `sources_of` as its records."""
    one = _villages(touched_records(session, "source", "back"))
    is_reported, first = one.c.rank == 0, one.c.place == 1

    def reported(value: sa.SQLColumnExpression[object] | int) -> ColumnElement[Any]:
        return whole_sum(sa.case((is_reported, value), else_=0))

    def in_status(status: VillageStatus | None) -> ColumnElement[Any]:
        has = one.c.status.is_(None) if status is None else one.c.status == status
        return whole_sum(sa.case((sa.and_(is_reported, has), 1), else_=0))

    is_counted = one.c.complete_families.is_not(None)
    sums: dict[str, sa.SQLColumnExpression[object]] = {
        "eligible": reported(one.c.eligible),
        "served": reported(one.c.served),
        "villages_reporting": reported(1),
        "villages_expected": whole_sum(sa.case((first, 1), else_=0)),
        "villages_foreseen": whole_sum(sa.case((sa.and_(first, one.c.last_rank > 0), 1), else_=0)),
        "villages_without_target": whole_sum(
            sa.case((sa.and_(first, one.c.target_families.is_(None)), 1), else_=0)
        ),
        "families_reporting": reported(one.c.target_families),
        "families_expected": whole_sum(sa.case((first, sa.func.coalesce(one.c.target_families, 0)), else_=0)),
        "complete_families": reported(sa.func.coalesce(one.c.complete_families, 0)),
        "families_counted": reported(sa.case((is_counted, one.c.target_families), else_=0)),
        "converged": in_status(VillageStatus.converged),
        "partial": in_status(VillageStatus.partial),
        "not_yet": in_status(VillageStatus.not_yet),
        "undefined": in_status(None),
    }
    return (
        sa.select(one.c.period, one.c[by].label("region_code"), *[sums[name].label(name) for name in SUMMED])
        .select_from(one)
        .group_by(one.c.period, one.c[by])
    )


def _villages(touched: Subquery) -> Subquery:
    """Every word on every expected village: `rank` 0 its report, 1 the plan's, 2 … its earlier reports; `place` 1 the
    word that says its target families, `last_rank` > 0 where it was foreseen."""
    c = coverage.c
    told = ("eligible", "served", "complete_families", "status")
    reports = sa.select(
        touched.c.period,
        touched.c.code,
        c.village,
        c.target_families,
        sa.case((touched.c.back == 0, 0), else_=touched.c.back + 1).label("rank"),
        *[c[name] for name in told],
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
            *[sa.cast(sa.null(), c[name].type) for name in told],
        )
        .select_from(
            touched.join(
                _plans, sa.and_(_plans.c.region_code == touched.c.regency, _plans.c.year == touched.c.year)
            ).join(
                _locations,
                sa.and_(_locations.c.plan_id == _plans.c.id, below(_locations.c.region_code, touched.c.code)),
            )
        )
        .where(touched.c.back == 0)
    )
    words = reports.union_all(planned).subquery("words")
    village = (words.c.period, words.c.village)
    return sa.select(
        *words.c,
        sa.func.row_number()
        .over(partition_by=village, order_by=(words.c.target_families.is_(None), words.c.rank))
        .label("place"),
        sa.func.max(words.c.rank).over(partition_by=village).label("last_rank"),
    ).subquery("one")


def whole_sum(value: object) -> ColumnElement[Any]:
    """A sum as the whole number that it is."""
    return sa.cast(sa.func.sum(value), sa.BigInteger)
