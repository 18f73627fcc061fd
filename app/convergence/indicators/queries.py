"""Queries of definitions, observations and targets.

Definitions and observations are public: every valid token reads all of them. Targets belong to a region: their queries
cover only the regions that the actor sees.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.indicators.files.rules import HEADED, ObservedTable, TableReader
from app.convergence.indicators.models import (
    Direction,
    IndicatorIn,
    IndicatorOut,
    IndicatorQuery,
    IndicatorRow,
    ObservationIn,
    ObservationOut,
    ObservationQuery,
    ObservationRow,
    TableQuery,
    TargetIn,
    TargetOut,
    TargetQuery,
    TargetRow,
)
from app.convergence.indicators.rules import NATION
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.files.reader import open_book
from app.kit.http.pagination import Listing, match_values
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.sheets import NO_TABLE, choose_table
from app.reference.models import RegionLevel, RegionRow
from app.reference.places.areas.models import AreaResolution
from app.reference.places.regencies import RegencyNames
from app.reference.queries import check_region, is_among

indicators, observations, targets = get_table(IndicatorRow), get_table(ObservationRow), get_table(TargetRow)
_regions = get_table(RegionRow)

POVERTY_RATE = "p0"
"""Code of the poverty rate."""

INDICATOR = Resource("indicator", indicators, IndicatorIn, ("code",), "indicators/{code}", NATION)
OBSERVATION = Resource(
    "observation",
    observations,
    ObservationIn,
    ("region_code", "indicator", "period"),
    "regions/{region_code}/indicators/{indicator}/observations/{period}",
    NATION,
)
TARGET = Resource(
    "target",
    targets,
    TargetIn,
    ("region_code", "indicator", "year"),
    "regions/{region_code}/indicators/{indicator}/targets/{year}",
)


class Indicator(IndicatorIn):
    """A stored definition."""

    code: str
    shipped: bool
    version: int


def list_indicators(query: IndicatorQuery) -> Listing:
    """Return the definitions that match a query, by code."""
    statement = sa.select(*select_fields(IndicatorOut, indicators)).where(
        indicators.c.retired.is_(query.retired)
    )
    return Listing(statement, {"code": indicators.c.code}, {"code": indicators.c.code})


def read_indicators(session: Session) -> dict[str, Indicator]:
    """Return code → definition of every indicator, with retired ones."""
    names = list(Indicator.model_fields)
    rows = session.execute(sa.select(*[indicators.c[name] for name in names]).order_by(indicators.c.code))
    return {row.code: Indicator.model_construct(**row._mapping) for row in rows}


def has_observations(session: Session, code: str) -> bool:
    """Return whether an indicator has observations."""
    return (
        session.scalar(sa.select(sa.literal(1)).where(observations.c.indicator == code).limit(1)) is not None
    )


def list_observations(query: ObservationQuery) -> Listing:
    """Return the observations that match a query."""
    c = observations.c
    statement = _select_observations().where(
        is_in_region(c.region_code, query.region),
        *match_values((_regions.c.level, query.level), (c.indicator, query.indicator)),
        _match_period(query.period) if query.period else sa.true(),
    )
    key = {"region_code": c.region_code, "indicator": c.indicator, "period": c.period}
    return Listing(statement, {"region_code": c.region_code, "period": c.period}, key)


def _select_observations() -> Select[Any]:
    columns = select_fields(ObservationOut, observations, region_name=_regions.c.name)
    return sa.select(*columns).select_from(
        observations.join(_regions, _regions.c.code == observations.c.region_code)
    )


def _match_period(period: str) -> ColumnElement[bool]:
    """Return the predicate of a period; a year includes its halves."""
    if len(period) > 4:
        return observations.c.period == period
    # "." is the next character after "-": the range holds "2021" and each text that begins with "2021-".
    return sa.and_(observations.c.period >= period, observations.c.period < f"{period}.")


def read_observation_text(session: Session, region: str, indicator: str, period: str) -> ResourceText:
    """Return an observation as JSON (`ObservationOut`). Raises NotFound if there is none."""
    c = observations.c
    chosen = (c.region_code == region, c.indicator == indicator, c.period == period)
    return read_text(session, _select_observations().where(*chosen))


def check_place(session: Session, region: str, indicator: str) -> None:
    """Raise NotFound if the region or the indicator does not exist."""
    INDICATOR.read_reply(session, IndicatorOut, indicator)
    check_region(session, region)


def list_targets(actor: Actor, query: TargetQuery) -> Listing:
    """Return the targets that match a query, of regions that the actor sees."""
    c = targets.c
    statement = sa.select(*select_fields(TargetOut, targets)).where(
        can_see_region(actor, c.region_code),
        is_in_region(c.region_code, query.region),
        *match_values((c.indicator, query.indicator), (c.year, query.year)),
    )
    key = {"region_code": c.region_code, "indicator": c.indicator, "year": c.year}
    return Listing(statement, {"region_code": c.region_code, "year": c.year}, key)


class OutcomeInput(NamedTuple):
    """A target of a year with its newest observation; `actual` is None if there is none since the baseline."""

    region_code: str
    indicator: str
    direction: Direction
    baseline: float
    baseline_year: int
    target: float
    actual: float | None
    actual_period: str | None


def read_outcome_inputs(session: Session, regions: Collection[str], year: int) -> list[OutcomeInput]:
    """Return the input of the outcome `O` of regions (domain, section 7), from one SQL statement.

    Each target of the year has the newest value after its baseline year and up to the year; a symbol is no value.
    The caller has checked that the actor sees `regions`.
    """
    o, t = observations.c, targets.c
    newer = observations.alias("newer")
    text_of = sa.String(7)
    after, until = sa.cast(t.baseline_year + 1, text_of), sa.cast(t.year + 1, text_of)

    def is_in_time(c: Any) -> ColumnElement[bool]:
        return sa.and_(
            c.region_code == t.region_code,
            c.indicator == t.indicator,
            c.value.is_not(None),
            c.period >= after,
            c.period < until,
        )

    newest = sa.select(sa.func.max(newer.c.period)).where(is_in_time(newer.c)).correlate(targets)
    statement = (
        sa.select(
            t.region_code,
            t.indicator,
            indicators.c.direction,
            t.baseline,
            t.baseline_year,
            t.value,
            o.value,
            o.period,
        )
        .select_from(
            targets.join(indicators, indicators.c.code == t.indicator).outerjoin(
                observations, sa.and_(is_in_time(o), o.period == newest.scalar_subquery())
            )
        )
        .where(t.year == year, is_among(session, t.region_code, regions))
        .order_by(t.region_code, t.indicator)
    )
    return [OutcomeInput(*row) for row in session.execute(statement)]


def _read_regencies(session: Session) -> RegencyNames:
    """Return the nation, provinces and regencies in force, with their names, BPS codes and populations."""
    c = _regions.c
    levels = (RegionLevel.nation, RegionLevel.province, RegionLevel.regency)
    rows = session.execute(
        sa.select(c.code, c.name, c.bps_code, c.population).where(c.level.in_(levels), c.retired.is_(False))
    ).all()
    return RegencyNames(
        {row.code: row.name for row in rows},
        {row.bps_code: row.code for row in rows if row.bps_code},
        {row.code: row.population for row in rows},
    )


def read_observed_table(
    session: Session,
    data: bytes,
    filename: str,
    query: TableQuery,
    resolutions: Sequence[AreaResolution] = (),
    choices: Sequence[ColumnChoice] = (),
) -> ObservedTable:
    """Read a publisher's table from the named sheet of a file, else from the first visible one that has a header.

    Raises UnreadableFile, TooLarge, or Invalid with every unusable cell.
    """
    reader = TableReader(read_indicators(session), _read_regencies(session), query, choices, resolutions)
    reader.check_query()
    book = open_book(data, filename)
    sheet, _, others = choose_table(
        book,
        query.sheet,
        reader.find,
        NO_TABLE,
        propose=reader.propose,
        has_choices=bool(choices),
        allowed=HEADED,
    )
    table = reader.read(sheet, filename)
    return replace(table, warnings=[*others, *table.warnings])
