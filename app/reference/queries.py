"""Reads reference data: lists and single resources as JSON, and batch look-ups for the other areas.

Every valid token may read all reference data, so no query takes an actor.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import is_in_region
from app.access.rules import list_ancestors
from app.kit.database.engine import get_table
from app.kit.database.journal import state_hash
from app.kit.database.json_sql import (
    build_json_array,
    build_json_object,
    dump_json,
    select_fields,
    select_json,
)
from app.kit.database.upsert import unnest_records
from app.kit.http.pagination import Listing, match_values
from app.kit.problems import NotFound, require_found
from app.kit.tables.candidates import NamedEntry, NameIndex
from app.reference.models import (
    FundingSourceKind,
    FundingSourceOut,
    FundingSourceQuery,
    FundingSourceRef,
    FundingSourceRow,
    RegionCounts,
    RegionLevel,
    RegionName,
    RegionOut,
    RegionReply,
    RegionRow,
    RegionSearchQuery,
    StrategyOut,
    StrategyRow,
)
from app.reference.rules import CHAIN, list_other_names

_region, _source, _strategy = get_table(RegionRow), get_table(FundingSourceRow), get_table(StrategyRow)
_parent, _below, _above = (_region.alias(name) for name in ("parent", "below", "above"))


def rank_keys(words: str | None, read_index: Callable[[], NameIndex]) -> list[tuple[str]] | None:
    """Return the keys of the entries that are like the words, best first. Returns None without words."""
    return [(item.code,) for item in read_index().rank(words)] if words else None


def read_json(session: Session, query: Select[Any]) -> str:
    """Return the one row of a query as JSON. Raises NotFound if there is none."""
    return require_found(session.scalar(select_json(query)))


_VALUES = {"value": sa.String()}


def is_among(session: Session, column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return a predicate: the column is one of `values`, any number of them in a single JSON parameter.

    A statement can use it once, since the parameter has a fixed name.
    """
    parameter = unnest_records(session, _VALUES)
    rows = dump_json([{"value": value} for value in set(values)])
    return column.in_(sa.select(parameter.c.value).params(records=rows))


# Regions


def _select_regions(
    shape: type[RegionOut] = RegionOut, **given: sa.SQLColumnExpression[object]
) -> Select[Any]:
    return sa.select(*select_fields(shape, _region, parent_name=_parent.c.name, **given)).select_from(
        _region.outerjoin(_parent, _parent.c.code == _region.c.parent_code)
    )


def list_regions(session: Session, query: RegionSearchQuery) -> Listing:
    """List the regions that match."""
    c = _region.c
    statement = _select_regions().where(
        c.retired.is_(query.retired),
        *match_values((c.level, query.level), (c.parent_code, query.parent), (c.bps_code, query.bps_code)),
        is_in_region(c.code, query.within),
    )
    ranking = rank_keys(query.q, lambda: _read_region_index(session))
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code}, ranking=ranking)


_region_index: dict[str, NameIndex] = {}
"""State of the reference data → the index of its regions, one at a time."""


def _read_region_index(session: Session) -> NameIndex:
    """Return the index of all regions by their names. The first call after a change takes 0.3 s, and 16 MB."""
    state = state_hash(session, CHAIN)
    index = _region_index.get(state)
    if index is None:
        rows = session.execute(sa.select(_region.c.code, _region.c.folded))
        index = NameIndex(
            NamedEntry(code, (name, *list_other_names(code, name)), level=code.count("."))
            for code, name in rows
        )
        _region_index.clear()
        _region_index[state] = index
    return index


def read_region(session: Session, region: str) -> str:
    """Return one region as `RegionReply`. Raises NotFound if there is none."""
    c, below, above = _region.c, _below, _above
    by_level: list[sa.SQLColumnExpression[object]] = [
        sa.func.count().filter(below.c.level == RegionLevel(name)).label(name)
        for name in RegionCounts.model_fields
    ]
    counts = sa.select(*by_level).where(
        is_in_region(below.c.code, region), below.c.code != region, below.c.retired.is_(False)
    )
    ancestors = (
        sa.select(*select_fields(RegionName, above))
        .where(above.c.code.in_(list_ancestors(region)))
        .order_by(above.c.code)
    )
    return read_json(
        session,
        _select_regions(
            RegionReply,
            ancestors=build_json_array(ancestors, name="ancestors_of"),
            below=build_json_object(counts, name="counts"),
        ).where(c.code == region),
    )


_BY_CODE = sa.select(_region.c.code).where(_region.c.code == sa.bindparam("region"))


def is_region(session: Session, region: str) -> bool:
    return session.scalar(_BY_CODE, {"region": region}) is not None


def check_region(session: Session, region: str) -> None:
    """Raise NotFound if there is no such region."""
    if not is_region(session, region):
        raise NotFound()


def find_missing_regions(session: Session, codes: Collection[str]) -> set[str]:
    """Return the codes without a region."""
    existing = session.scalars(sa.select(_region.c.code).where(is_among(session, _region.c.code, codes)))
    return set(codes) - set(existing)


class RegionRef(NamedTuple):
    """A region as other areas refer to it."""

    code: str
    name: str
    level: RegionLevel
    parent_code: str | None
    timezone: str
    retired: bool


_FOUND_REGION = [_region.c[name] for name in RegionRef._fields]


def find_regions_by_code(session: Session, codes: Collection[str]) -> dict[str, RegionRef]:
    """Return code → region, in one SELECT; without unknown codes, with retired ones."""
    if not codes:
        return {}
    rows = session.execute(sa.select(*_FOUND_REGION).where(is_among(session, _region.c.code, codes)))
    return {row.code: RegionRef(*row) for row in rows}


def read_populations(session: Session, codes: Collection[str]) -> dict[str, int]:
    """Return code → population of regions, that of the next region above where one has none."""
    if not codes:
        return {}
    wanted = {code: [code, *reversed(list_ancestors(code))] for code in codes}
    chosen = is_among(session, _region.c.code, {own for ancestors in wanted.values() for own in ancestors})
    rows = session.execute(sa.select(_region.c.code, _region.c.population).where(chosen))
    known = {row.code: row.population for row in rows if row.population is not None}
    own = {code: next((a for a in ancestors if a in known), None) for code, ancestors in wanted.items()}
    return {code: known[source] for code, source in own.items() if source is not None}


def find_regencies_by_bps(session: Session, bps_codes: Collection[str]) -> dict[str, str]:
    """Return BPS code of a regency or city → its Kemendagri code, without unknown ones."""
    if not bps_codes:
        return {}
    rows = session.execute(
        sa.select(_region.c.bps_code, _region.c.code).where(is_among(session, _region.c.bps_code, bps_codes))
    )
    return {row.bps_code: row.code for row in rows}


def read_region_labels(session: Session, within_region: str) -> dict[str, str]:
    """Return code → name of the regions in force in `within_region`, with the region itself."""
    c = _region.c
    statement = (
        sa.select(c.code, c.name)
        .where(is_in_region(c.code, within_region), c.retired.is_(False))
        .order_by(c.code)
    )
    return {row.code: row.name for row in session.execute(statement)}


# Funding sources


def list_funding_sources(session: Session, query: FundingSourceQuery) -> Listing:
    """List the funding sources that match."""
    c = _source.c
    statement = sa.select(*select_fields(FundingSourceOut, _source)).where(
        c.retired.is_(query.retired),
        *match_values((c.kind, query.kind), (c.parent_code, query.parent)),
    )
    ranking = rank_keys(query.q, lambda: index_sources(read_funding_sources(session)))
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code}, ranking=ranking)


def index_sources(sources: Iterable[FundingSourceRef]) -> NameIndex:
    """Return the index of funding sources by name, code and aliases; the groups of the matrix are higher."""
    entries = (
        NamedEntry(
            item.code,
            (item.name, item.code, *item.aliases),
            level=item.kind == FundingSourceKind.official,
            around=" ".join((item.code, item.name, *item.aliases)),
        )
        for item in sources
    )
    return NameIndex(entries, has_abbreviations=True)


def read_funding_source(session: Session, code: str) -> str:
    return read_json(
        session, sa.select(*select_fields(FundingSourceOut, _source)).where(_source.c.code == code)
    )


def read_funding_sources(session: Session, *conditions: ColumnElement[bool]) -> list[FundingSourceRef]:
    """Return the funding sources that meet the conditions, also retired ones, in the order of their codes."""
    columns = [_source.c[name] for name in FundingSourceRef._fields]
    rows = session.execute(sa.select(*columns).where(*conditions).order_by(_source.c.code))
    return [FundingSourceRef(*row) for row in rows]


def find_funding_sources_by_code(session: Session, codes: Collection[str]) -> dict[str, FundingSourceRef]:
    """Return code → funding source, in one SELECT; without unknown codes, with retired ones."""
    if not codes:
        return {}
    return {
        source.code: source
        for source in read_funding_sources(session, is_among(session, _source.c.code, codes))
    }


def read_funding_source_labels(session: Session) -> dict[str, str]:
    """Return code → name of every funding source, also of retired ones."""
    c = _source.c
    rows = session.execute(sa.select(c.code, c.name).order_by(c.code))
    return {row.code: row.name for row in rows}


# Strategies


def list_strategies() -> Listing:
    """List all strategies, also retired ones, since old plans refer to them."""
    statement = sa.select(*select_fields(StrategyOut, _strategy))
    return Listing(statement, {"number": _strategy.c.number}, {"key": _strategy.c.key})


def read_strategy(session: Session, key: str) -> str:
    return read_json(session, sa.select(*select_fields(StrategyOut, _strategy)).where(_strategy.c.key == key))


def read_strategy_labels(session: Session) -> dict[str, str]:
    """Return key → name of every strategy, also of retired ones."""
    return {row.key: row.name for row in session.execute(sa.select(_strategy.c.key, _strategy.c.name))}
