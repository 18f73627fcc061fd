"""Queries for the villages that match filters, and for their JSON. The database aggregates.

A line that names a district or more counts in `wider`, never in its villages. Every SELECT starts from the plans and
the coverage that the actor sees (`figures`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.convergence.coverage.queries import build_percent
from app.convergence.coverage.rules import VILLAGE_LENGTH
from app.convergence.villages.figures import (
    COUNT_COLUMNS,
    EFFORTS,
    LENGTHS_ABOVE,
    OF_LINE,
    VillageScope,
    make_scope,
    name_column,
    select_efforts,
    select_facts,
    select_named_lines,
)
from app.convergence.villages.models import (
    AgencyEfforts,
    StrategyEfforts,
    VillageFilters,
    VillageOut,
    VillageTotals,
    WiderEfforts,
)
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, select_fields, select_json, whole_sum
from app.kit.http.pagination import Listing
from app.plans.actions.models import Strategy
from app.plans.core.queries import regions
from app.reference.coordinates.queries import coordinates

_agencies = get_table(AgencyRow)

# Filters: parameter → predicate over the columns of a village, given its value

Predicate = Callable[[Any, Any], ColumnElement[bool]]

FILTERS: Mapping[str, Predicate] = {
    "is_priority": lambda village, value: village.is_priority.is_(value),
    "strategy": lambda village, strategy: village[name_column(strategy, "lines")] > 0,
    "missing_strategy": lambda village, strategy: village[name_column(strategy, "lines")] == 0,
    "not_funded": lambda village, value: _match(village.lines > village.funded, value),
    "late": lambda village, value: _match(village.late > 0, value),
    "overlap": lambda village, value: _match(village.overlapping_agencies > 0, value),
    "min_agencies": lambda village, number: village.overlapping_agencies >= number,
    "status": lambda village, status: village.status == status,
}


def _match(condition: ColumnElement[bool], value: bool) -> ColumnElement[bool]:
    return condition if value else sa.not_(condition)


class Villages(NamedTuple):
    """Villages with their figures as columns, and the scope of the query."""

    scope: VillageScope
    table: CTE


def find_villages(session: Session, actor: Actor, filters: VillageFilters) -> Villages:
    """Return the villages of a region with a line, a priority location or a report that the actor sees, filtered."""
    scope = make_scope(session, actor, filters.region, filters.period)
    facts = select_facts(session, scope)
    v, c = facts.c, coordinates.c
    numbers = [sa.func.coalesce(v[name], 0).label(name) for name in (*COUNT_COLUMNS, "overlapping_agencies")]
    whole = (
        sa.select(
            v.village,
            v.is_named.is_not(None).label("is_priority"),
            sa.func.coalesce(v.reported_families, v.planned_families).label("target_families"),
            *numbers,
            build_percent(v.served, v.eligible).label("coverage_percent"),
            v.balance_percent,
            v.status,
            c.longitude,
            c.latitude,
        )
        .select_from(facts.outerjoin(coordinates, c.region_code == v.village))
        .cte("village_efforts")
    )
    return Villages(scope, sa.select(whole).where(*_list_conditions(whole, filters)).cte("matching_villages"))


def _list_conditions(villages: CTE, filters: VillageFilters) -> Iterator[ColumnElement[bool]]:
    for name, predicate in FILTERS.items():
        value = getattr(filters, name)
        if value is not None:
            yield predicate(villages.c, value)


def _select_items(matching: Villages) -> Select[Any]:
    scope, villages = matching
    v = villages.c

    def name_of(length: int) -> sa.SQLColumnExpression[object]:
        code = sa.func.substr(v.village, 1, length)
        return sa.select(regions.c.name).where(regions.c.code == code).correlate(villages).scalar_subquery()

    return sa.select(
        *select_fields(
            VillageOut,
            villages,
            village_name=name_of(VILLAGE_LENGTH),
            district_name=name_of(LENGTHS_ABOVE[0]),
            region_code=sa.func.substr(v.village, 1, LENGTHS_ABOVE[1]),
            strategies=build_json_array(_select_strategies(villages), name="strategy_efforts"),
            agencies=build_json_array(_select_agencies(scope, villages), name="agency_efforts"),
            wider=build_json_array(_select_wider(scope, villages), name="wider_efforts"),
        )
    )


def _select_strategies(villages: CTE) -> Any:
    rows = [
        sa.select(
            *select_fields(
                StrategyEfforts,
                villages,
                strategy=sa.literal(strategy.value),
                **{name: villages.c[name_column(strategy, name)] for name in EFFORTS},
            )
        ).correlate(villages)
        for strategy in Strategy
    ]
    return sa.union_all(*rows)


def _select_agencies(scope: VillageScope, villages: CTE) -> Select[Any]:
    names = ("plan_region", "lead_agency")
    there = select_named_lines(scope, lambda place: place == villages.c.village, *OF_LINE, *names)
    named = sa.union_all(*[query.correlate(villages) for query in there]).subquery("line_there")
    efforts = select_efforts(scope, named, *names).subquery("efforts")
    key = [efforts.c.plan_region, efforts.c.lead_agency]
    columns = select_fields(
        AgencyEfforts,
        efforts,
        region_code=efforts.c.plan_region,
        agency_code=efforts.c.lead_agency,
        agency_name=sa.func.coalesce(_agencies.c.name, efforts.c.lead_agency),
        merged_into=_agencies.c.merged_into,
        **{name: whole_sum(efforts.c[name]) for name in EFFORTS},
    )
    is_lead = sa.and_(_agencies.c.region_code == key[0], _agencies.c.code == key[1])
    return (
        sa.select(*columns)
        .select_from(efforts.outerjoin(_agencies, is_lead))
        .group_by(*key, _agencies.c.name, _agencies.c.merged_into)
        .order_by(*key)
    )


def _select_wider(scope: VillageScope, villages: CTE) -> Select[Any]:
    above = [sa.func.substr(villages.c.village, 1, length) for length in LENGTHS_ABOVE]
    named = select_named_lines(scope, lambda place: place.in_(above), "strategy")
    lines = sa.union_all(*[query.correlate(villages) for query in named]).subquery("wider_line")
    key = [lines.c.place, lines.c.strategy]
    columns = select_fields(WiderEfforts, lines, region_code=lines.c.place, lines=sa.func.count())
    return sa.select(*columns).group_by(*key).order_by(*key)


def list_villages(villages: Villages) -> Listing:
    """Return the villages as a listing for pages."""
    v = villages.table.c
    sorts = {name: v[name] for name in ("village", "lines", "late", "overlapping_agencies")}
    return Listing(_select_items(villages), sorts, {"village": v.village})


def read_totals(session: Session, villages: Villages) -> str:
    """Return the `VillageTotals` of all villages as JSON."""
    v = villages.table.c

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return sa.func.count().filter(*conditions) if conditions else sa.func.count()

    given = {
        "villages": number(),
        "target_families": whole_sum(v.target_families),
        "villages_without_target": number(v.target_families.is_(None)),
        "priority": number(v.is_priority.is_(True)),
        "overlapping": number(v.overlapping_agencies > 0),
        "not_funded": number(v.lines > v.funded),
        "late": number(v.late > 0),
        "without_coordinates": number(v.longitude.is_(None)),
    }
    query = sa.select(*select_fields(VillageTotals, villages.table, **given))
    return str(session.connection().execute(select_json(query)).scalar_one())


class VillagePoint(NamedTuple):
    """A village as JSON (`VillageOut`), with its coordinates."""

    json: str
    village: str
    longitude: float
    latitude: float


def read_village_points(session: Session, villages: Villages) -> Iterator[VillagePoint]:
    """Yield the villages with coordinates, by code."""
    v = villages.table.c
    query = _select_items(villages).where(v.longitude.is_not(None)).order_by(v.village)
    for row in session.connection().execute(select_json(query, *VillagePoint._fields[1:])):
        yield VillagePoint._make(row)
