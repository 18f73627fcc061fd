"""Reading definitions, observations and targets.

Definitions and observations are published: every valid token reads all of them. Targets are the region's:
they start from what the actor sees.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.convergence.indicators.files.rules import Places
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
    TargetIn,
    TargetOut,
    TargetQuery,
    TargetRow,
)
from app.convergence.indicators.rules import NATION
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.database.resources import Resource, ResourceText, read_text
from app.kit.files.books import Sheet
from app.kit.files.sheets import open_book
from app.kit.http.pagination import Listing, equal
from app.reference.models import RegionLevel, RegionRow
from app.reference.queries import among, check_region

indicators, observations, targets = table_of(IndicatorRow), table_of(ObservationRow), table_of(TargetRow)
_regions = table_of(RegionRow)

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

# Definitions


class Indicator(IndicatorIn):
    """A definition as it is stored."""

    code: str
    shipped: bool
    version: int


def list_indicators(query: IndicatorQuery) -> Listing:
    found = sa.select(*fields_of(IndicatorOut, indicators)).where(indicators.c.retired.is_(query.retired))
    return Listing(found, {"code": indicators.c.code}, {"code": indicators.c.code})


def all_indicators(session: Session) -> dict[str, Indicator]:
    """Code → definition of every indicator, retired ones too."""
    names = list(Indicator.model_fields)
    rows = session.execute(sa.select(*[indicators.c[name] for name in names]).order_by(indicators.c.code))
    return {row.code: Indicator.model_construct(**row._mapping) for row in rows}


def is_observed(session: Session, code: str) -> bool:
    return (
        session.scalar(sa.select(sa.literal(1)).where(observations.c.indicator == code).limit(1)) is not None
    )


# Observations


def list_observations(query: ObservationQuery) -> Listing:
    c = observations.c
    found = _observed().where(
        within(c.region_code, query.region),
        *equal((_regions.c.level, query.level), (c.indicator, query.indicator)),
        _in_period(query.period) if query.period else sa.true(),
    )
    key = {"region_code": c.region_code, "indicator": c.indicator, "period": c.period}
    return Listing(found, {"region_code": c.region_code, "period": c.period}, key)


def _observed() -> Select[Any]:
    columns = fields_of(ObservationOut, observations, region_name=_regions.c.name)
    return sa.select(*columns).select_from(
        observations.join(_regions, _regions.c.code == observations.c.region_code)
    )


def _in_period(period: str) -> ColumnElement[bool]:
    """Predicate: of this period, or of a part of this year."""
    if len(period) > 4:
        return observations.c.period == period
    # "." is the character behind "-", so this is the year and everything that begins with "2021-".
    return sa.and_(observations.c.period >= period, observations.c.period < f"{period}.")


def observation_text(session: Session, region: str, indicator: str, period: str) -> ResourceText:
    """One observation. NotFound: there is none."""
    c = observations.c
    chosen = (c.region_code == region, c.indicator == indicator, c.period == period)
    return read_text(session, _observed().where(*chosen))


def check_place(session: Session, region: str, indicator: str) -> None:
    """NotFound: there is no such region, or no such indicator."""
    INDICATOR.read_reply(session, IndicatorOut, indicator)
    check_region(session, region)


# Targets


def list_targets(actor: Actor, query: TargetQuery) -> Listing:
    c = targets.c
    found = sa.select(*fields_of(TargetOut, targets)).where(
        visible(actor, c.region_code),
        within(c.region_code, query.region),
        *equal((c.indicator, query.indicator), (c.year, query.year)),
    )
    key = {"region_code": c.region_code, "indicator": c.indicator, "year": c.year}
    return Listing(found, {"region_code": c.region_code, "year": c.year}, key)


# What an outcome is computed from


class OutcomeInput(NamedTuple):
    """A target of a year and what was observed of it; `actual` None: nothing since the baseline."""

    region_code: str
    indicator: str
    direction: Direction
    baseline: float
    baseline_year: int
    target: float
    actual: float | None
    actual_period: str | None


def outcome_inputs(session: Session, regions: Collection[str], year: int) -> list[OutcomeInput]:
    """What the outcome `O` of many regions is computed from (domain, section 7), in one SELECT.

    Each target of the year, with the newest value observed after its baseline and up to the year; a symbol
    is no value. `regions` are those that the caller was found to see.
    """
    o, t = observations.c, targets.c
    newer = observations.alias("newer")
    text_of = sa.String(7)
    after, until = sa.cast(t.baseline_year + 1, text_of), sa.cast(t.year + 1, text_of)

    def in_time(c: Any) -> ColumnElement[bool]:
        return sa.and_(
            c.region_code == t.region_code,
            c.indicator == t.indicator,
            c.value.is_not(None),
            c.period >= after,
            c.period < until,
        )

    newest = sa.select(sa.func.max(newer.c.period)).where(in_time(newer.c)).correlate(targets)
    found = (
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
                observations, sa.and_(in_time(o), o.period == newest.scalar_subquery())
            )
        )
        .where(t.year == year, among(session, t.region_code, regions))
        .order_by(t.region_code, t.indicator)
    )
    return [OutcomeInput(*row) for row in session.execute(found)]


# Tables


def places_of(session: Session) -> Places:
    """Nation, provinces and regencies by code, with their names and BPS codes."""
    c = _regions.c
    levels = (RegionLevel.nation, RegionLevel.province, RegionLevel.regency)
    rows = session.execute(
        sa.select(c.code, c.name, c.bps_code).where(c.level.in_(levels), c.retired.is_(False))
    ).all()
    return Places(
        {row.code: row.name for row in rows}, {row.bps_code: row.code for row in rows if row.bps_code}
    )


def read_sheet(data: bytes, filename: str, name: str | None) -> Sheet:
    """The sheet of a file that is asked for, or its first visible one; UnreadableFile where it is no table."""
    book = open_book(data, filename)
    return book.sheet(name if name is not None else (book.visible or book.names)[0])
