"""What is planned, funded, delivered and on time in each village, aggregated by the database.

A line counts in a village that it names itself. One that names a district or more says nothing of the single village:
it is counted beside (`wider`), never spread. Every SELECT starts from the plans and the coverage that the actor sees.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import CTE
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.convergence.coverage.queries import coverage, percent_of
from app.convergence.villages.models import (
    AgencyEfforts,
    Efforts,
    StrategyEfforts,
    VillageFilters,
    VillageOut,
    VillageTotals,
    WiderEfforts,
)
from app.kit.db import table_of
from app.kit.json_sql import fields_of, json_rows, json_texts
from app.kit.pages import Listing
from app.kit.periods import Period
from app.plans.actions.models import BudgetLineRow, LocationRow, MilestoneRow, Strategy
from app.plans.actions.queries import actions
from app.plans.models import PriorityLocationRow
from app.plans.overlaps.queries import agencies_at_once
from app.plans.queries import plans, regions, seen, seen_lines
from app.reference.coordinates.queries import coordinates
from app.tracking.models import MilestoneProgressRow, MilestoneState, OutputProgressRow, RecipientProgressRow
from app.tracking.queries import progress

_agencies, _places, _priorities = table_of(AgencyRow), table_of(LocationRow), table_of(PriorityLocationRow)
_budget_lines, _milestones = table_of(BudgetLineRow), table_of(MilestoneRow)
_done, _outputs, _reached = (
    table_of(MilestoneProgressRow),
    table_of(OutputProgressRow),
    table_of(RecipientProgressRow),
)

_VILLAGE_LENGTH = 13
_ABOVE = (8, 5, 2)
"""Lengths of the codes above a village: district, regency, province."""
_EFFORTS = tuple(Efforts.model_fields)


def _of(strategy: Strategy, name: str) -> str:
    """Column of a strategy's figure."""
    return f"{strategy.value}_{name}"


_NUMBERS = (*_EFFORTS, "late", *(_of(strategy, name) for strategy in Strategy for name in _EFFORTS))
"""Columns that count lines."""


# Filters: parameter → predicate over the columns of `villages_of`, given its value

Predicate = Callable[[Any, Any], ColumnElement[bool]]

FILTERS: Mapping[str, Predicate] = {
    "is_priority": lambda village, wanted: village.is_priority.is_(wanted),
    "strategy": lambda village, strategy: village[_of(strategy, "lines")] > 0,
    "missing_strategy": lambda village, strategy: village[_of(strategy, "lines")] == 0,
    "not_funded": lambda village, wanted: _is(village.lines > village.funded, wanted),
    "late": lambda village, wanted: _is(village.late > 0, wanted),
    "overlap": lambda village, wanted: _is(village.overlapping_agencies > 0, wanted),
    "min_agencies": lambda village, number: village.overlapping_agencies >= number,
    "status": lambda village, status: village.status == status,
}


def _is(condition: ColumnElement[bool], wanted: bool) -> ColumnElement[bool]:
    return condition if wanted else sa.not_(condition)


# Lines


class _Asked(NamedTuple):
    """Of which plans and of which time something is asked."""

    actor: Actor
    region: str
    quarter: str

    @property
    def year(self) -> int:
        return int(self.quarter[:4])

    def is_in_plans(self) -> ColumnElement[bool]:
        """Predicate: the action is of a plan of the year that the actor sees."""
        c = actions.c
        return sa.and_(
            c.year == self.year, visible(self.actor, c.region_code), seen_lines(self.actor, c.plan_id)
        )

    def is_village(self, code: ColumnElement[str]) -> ColumnElement[bool]:
        return sa.and_(within(code, self.region), sa.func.length(code) == _VILLAGE_LENGTH)


def _standing(asked: _Asked, line: FromClause) -> dict[str, ColumnElement[Any]]:
    """`Efforts` of one line, as 0 and 1, given its id, allocation and latest report."""
    c = line.c

    def there(table: sa.Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return sa.exists().where(table.c.action_id == c.id, *conditions).correlate_except(table)

    def told(table: sa.Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return there(table, table.c.period == c.latest, condition)

    last_day = Period.parse(asked.quarter).last_day
    done = (
        sa.exists()
        .where(
            _done.c.action_id == c.id,
            _done.c.period == c.latest,
            _done.c.code == _milestones.c.code,
            _done.c.state == MilestoneState.done,
        )
        .correlate_except(_done)
    )
    is_due = _milestones.c.due <= last_day
    conditions = {
        "lines": sa.true(),
        "funded": sa.and_(c.allocation > 0, there(_budget_lines)),
        "delivering": sa.or_(
            told(progress, progress.c.spent > 0),
            told(_outputs, _outputs.c.achieved > 0),
            told(_reached, _reached.c.reached > 0),
        ),
        "on_time": sa.case(
            (there(_milestones, is_due), ~there(_milestones, is_due, ~done)),
            else_=sa.func.coalesce(c.latest == asked.quarter, sa.false()),
        ),
    }
    return {name: sa.case((condition, 1), else_=0) for name, condition in conditions.items()}


def _lines(asked: _Asked, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The actions of visible plans for which the conditions hold, with the latest quarter reported on."""
    latest = (
        sa.select(sa.func.max(progress.c.period))
        .where(
            progress.c.action_id == actions.c.id,
            progress.c.period <= asked.quarter,
            progress.c.period > asked.quarter[:4],
        )
        .correlate(actions)
        .scalar_subquery()
    )
    c = actions.c
    return sa.select(
        c.id, c.region_code, c.lead_agency, c.strategy, c.allocation, latest.label("latest")
    ).where(asked.is_in_plans(), *conditions)


# Villages


def _counts(asked: _Asked) -> Select[Any]:
    """Village → its lines by strategy and in all."""
    there = _places.c.region_code
    named = sa.select(_places.c.action_id).where(asked.is_village(there))
    line = _lines(asked, actions.c.id.in_(named)).subquery("line")
    each = sa.select(line.c.id, line.c.strategy, *_labelled(_standing(asked, line)))
    # Computed once for each line; an engine that folds it into the sums below looks a line up for every sum.
    standing = each.cte("standing").prefix_with("MATERIALIZED")
    s = standing.c
    late = sa.case((sa.and_(s.funded == 1, s.on_time == 0), 1), else_=0)
    of_strategies = [
        _whole(sa.case((s.strategy == strategy, s[name]), else_=0)).label(_of(strategy, name))
        for strategy in Strategy
        for name in _EFFORTS
    ]
    return (
        sa.select(
            there.label("village"),
            *[_whole(s[name]).label(name) for name in _EFFORTS],
            _whole(late).label("late"),
            *of_strategies,
        )
        .select_from(_places.join(standing, s.id == _places.c.action_id))
        .where(asked.is_village(there))
        .group_by(there)
    )


def _labelled(columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [column.label(name) for name, column in columns.items()]


def _whole(value: ColumnElement[Any]) -> ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger)


def _named(asked: _Asked) -> Select[Any]:
    """Village that a plan names as a priority location → its target families; the larger number of two plans."""
    c = _priorities.c
    families = sa.func.max(c.target_families).label("planned_families")
    return (
        sa.select(c.region_code.label("village"), sa.literal(1).label("is_named"), families)
        .select_from(_priorities.join(plans, plans.c.id == c.plan_id))
        .where(seen(asked.actor), plans.c.year == asked.year, asked.is_village(c.region_code))
        .group_by(c.region_code)
    )


def _covered(asked: _Asked) -> Select[Any]:
    """Villages that report their coverage of the quarter."""
    c = coverage.c
    told = (c.eligible, c.served, c.balance_percent, c.status)
    return sa.select(c.village, c.target_families.label("reported_families"), *told).where(
        visible(asked.actor, c.region_code), c.period == asked.quarter, within(c.village, asked.region)
    )


def _overlapping(session: Session, asked: _Asked) -> Select[Any]:
    """Village → the most agencies that overlap in it, all with all."""
    here = sa.and_(asked.is_in_plans(), asked.is_village(_places.c.region_code))
    found = agencies_at_once(session, here).subquery("at_once")
    most = sa.func.max(found.c.agencies).label("overlapping_agencies")
    return sa.select(found.c.place.label("village"), most).group_by(found.c.place)


class Villages(NamedTuple):
    """Villages with their figures, as columns, and what was asked."""

    asked: _Asked
    table: CTE


def villages_of(session: Session, actor: Actor, filters: VillageFilters) -> Villages:
    """The villages of a region that a line, a plan or a report speaks of, and that fulfil the filters: of the plans
    and the coverage that the actor sees."""
    asked = _Asked(actor, filters.region, filters.period)
    said = _said(session, asked)
    v, c = said.c, coordinates.c
    numbers = [sa.func.coalesce(v[name], 0).label(name) for name in (*_NUMBERS, "overlapping_agencies")]
    whole = (
        sa.select(
            v.village,
            v.is_named.is_not(None).label("is_priority"),
            sa.func.coalesce(v.reported_families, v.planned_families).label("target_families"),
            *numbers,
            percent_of(v.served, v.eligible).label("coverage_percent"),
            v.balance_percent,
            v.status,
            c.longitude,
            c.latitude,
        )
        .select_from(said.outerjoin(coordinates, c.region_code == v.village))
        .cte("village_efforts")
    )
    return Villages(asked, sa.select(whole).where(*_conditions(whole, filters)).cte("village_found"))


def _said(session: Session, asked: _Asked) -> CTE:
    """What lines, plans and reports say of each village, a row for each. Put below one another and grouped, not
    joined: the work is that of reading them, whatever an engine expects of their number."""
    sources = [_counts(asked), _named(asked), _covered(asked), _overlapping(session, asked)]
    parts = [
        source.cte(name) for source, name in zip(sources, ("counted", "named", "covered", "met"), strict=True)
    ]
    kinds = {column.name: column.type for part in parts for column in part.c if column.name != "village"}
    words = sa.union_all(
        *[
            sa.select(
                part.c.village,
                *[
                    part.c[name].label(name) if name in part.c else sa.cast(sa.null(), kind).label(name)
                    for name, kind in kinds.items()
                ],
            )
            for part in parts
        ]
    ).subquery("words")
    most = [sa.func.max(words.c[name]).label(name) for name in kinds]
    return sa.select(words.c.village, *most).group_by(words.c.village).cte("said")


def _conditions(villages: CTE, filters: VillageFilters) -> Iterator[ColumnElement[bool]]:
    for name, predicate in FILTERS.items():
        wanted = getattr(filters, name)
        if wanted is not None:
            yield predicate(villages.c, wanted)


# Their JSON


def _items(found: Villages) -> Select[Any]:
    """`VillageOut` of each."""
    asked, villages = found
    v = villages.c

    def name_of(length: int) -> ColumnElement[Any]:
        code = sa.func.substr(v.village, 1, length)
        return sa.select(regions.c.name).where(regions.c.code == code).correlate(villages).scalar_subquery()

    return sa.select(
        *fields_of(
            VillageOut,
            villages,
            village_name=name_of(_VILLAGE_LENGTH),
            district_name=name_of(_ABOVE[0]),
            region_code=sa.func.substr(v.village, 1, _ABOVE[1]),
            strategies=json_rows(_of_strategies(villages), name="strategy_efforts"),
            agencies=json_rows(_of_agencies(asked, villages), name="agency_efforts"),
            wider=json_rows(_wider(asked, villages), name="wider_efforts"),
        )
    )


def _of_strategies(villages: CTE) -> Any:
    rows = [
        sa.select(
            *fields_of(
                StrategyEfforts,
                villages,
                strategy=sa.literal(strategy.value),
                **{name: villages.c[_of(strategy, name)] for name in _EFFORTS},
            )
        ).correlate(villages)
        for strategy in Strategy
    ]
    return sa.union_all(*rows)


def _of_agencies(asked: _Asked, villages: CTE) -> Select[Any]:
    here = _places.c.region_code == villages.c.village
    named = _lines(asked, actions.c.id == _places.c.action_id, here).correlate(villages)
    line = named.subquery("line_there")
    there = sa.select(line.c.region_code, line.c.lead_agency, *_labelled(_standing(asked, line))).subquery(
        "there"
    )
    key = [there.c.region_code, there.c.lead_agency]
    columns = fields_of(
        AgencyEfforts,
        there,
        agency_code=there.c.lead_agency,
        agency_name=_agencies.c.name,
        **{name: _whole(there.c[name]) for name in _EFFORTS},
    )
    is_lead = sa.and_(_agencies.c.region_code == key[0], _agencies.c.code == key[1])
    return (
        sa.select(*columns)
        .select_from(there.join(_agencies, is_lead))
        .group_by(*key, _agencies.c.name)
        .order_by(*key)
    )


def _wider(asked: _Asked, villages: CTE) -> Select[Any]:
    place = _places.c.region_code
    above = [sa.func.substr(villages.c.village, 1, length) for length in _ABOVE]
    columns = fields_of(WiderEfforts, _places, strategy=actions.c.strategy, lines=sa.func.count())
    return (
        sa.select(*columns)
        .select_from(_places.join(actions, actions.c.id == _places.c.action_id))
        .where(place.in_(above), asked.is_in_plans())
        .group_by(place, actions.c.strategy)
        .order_by(place, actions.c.strategy)
        .correlate(villages)
    )


# What routes ask


def list_villages(found: Villages) -> Listing:
    """The villages as a list."""
    v = found.table.c
    sorts = {name: v[name] for name in ("village", "lines", "late", "overlapping_agencies")}
    return Listing(_items(found), sorts, {"village": v.village})


def totals_text(session: Session, villages: Villages) -> str:
    """`VillageTotals` of all of them, as JSON."""
    v = villages.table.c

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return sa.func.count().filter(*conditions) if conditions else sa.func.count()

    given = {
        "villages": number(),
        "target_families": _whole(v.target_families),
        "villages_without_target": number(v.target_families.is_(None)),
        "priority": number(v.is_priority.is_(True)),
        "overlapping": number(v.overlapping_agencies > 0),
        "not_funded": number(v.lines > v.funded),
        "late": number(v.late > 0),
        "without_coordinates": number(v.longitude.is_(None)),
    }
    found = sa.select(*fields_of(VillageTotals, _places, **given))
    return str(session.connection().execute(json_texts(found)).scalar_one())


class Placed(NamedTuple):
    """A village as JSON (`VillageOut`), and where it lies."""

    json: str
    village: str
    longitude: float
    latitude: float


def placed_villages(session: Session, villages: Villages) -> Iterator[Placed]:
    """Those whose point is known, by code."""
    v = villages.table.c
    found = _items(villages).where(v.longitude.is_not(None)).order_by(v.village)
    for row in session.connection().execute(json_texts(found, *Placed._fields[1:])):
        yield Placed(*row)
