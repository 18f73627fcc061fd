"""Reads reference data: lists and single resources as JSON, and batch look-ups for the other areas.

Every valid token may read all reference data, so no query takes an actor.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import within
from app.access.rules import ancestors_of
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, json_row, json_rows, json_texts, to_json
from app.kit.database.upsert import records
from app.kit.fields import folded, words_of
from app.kit.http.pagination import Listing, equal
from app.kit.problems import NotFound, require_found
from app.reference.models import (
    FundingSourceKind,
    FundingSourceOut,
    FundingSourceQuery,
    FundingSourceRow,
    RegionCounts,
    RegionLevel,
    RegionName,
    RegionOut,
    RegionQuery,
    RegionReply,
    RegionRow,
    StrategyOut,
    StrategyRow,
)
from app.reference.rules import forms_of

_region, _source, _strategy = table_of(RegionRow), table_of(FundingSourceRow), table_of(StrategyRow)
_parent, _below, _above = (_region.alias(name) for name in ("parent", "below", "above"))


def has_words(column: ColumnElement[str], text: str | None) -> ColumnElement[bool]:
    """Return a predicate: every word of `text` occurs in the folded `column`; true without text."""
    return sa.and_(sa.true(), *[column.contains(word, autoescape=True) for word in words_of(text or "")])


def one_json(session: Session, query: Select[Any]) -> str:
    """Return the one row of a query as JSON. Raises NotFound if there is none."""
    return require_found(session.scalar(json_texts(query)))


_VALUES = {"value": sa.String()}


def among(session: Session, column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return a predicate: the column is one of `values`, any number of them in a single JSON parameter.

    A statement can use it once, since the parameter has a fixed name.
    """
    parameter = records(session, _VALUES)
    rows = to_json([{"value": value} for value in set(values)])
    return column.in_(sa.select(parameter.c.value).params(records=rows))


# Regions


def _select_regions(
    shape: type[RegionOut] = RegionOut, **given: sa.SQLColumnExpression[object]
) -> Select[Any]:
    return sa.select(*fields_of(shape, _region, parent_name=_parent.c.name, **given)).select_from(
        _region.outerjoin(_parent, _parent.c.code == _region.c.parent_code)
    )


def regions(query: RegionQuery) -> Listing:
    """List the regions that match."""
    c = _region.c
    statement = _select_regions().where(
        c.retired.is_(query.retired),
        has_words(c.folded, query.q),
        *equal((c.level, query.level), (c.parent_code, query.parent), (c.bps_code, query.bps_code)),
        within(c.code, query.within),
    )
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code})


def children_of(region: str) -> Listing:
    """List the regions one level below."""
    return regions(RegionQuery(parent=region))


def region_json(session: Session, region: str) -> str:
    """Return one region as `RegionReply`. Raises NotFound if there is none."""
    c, below, above = _region.c, _below, _above
    by_level: list[sa.SQLColumnExpression[object]] = [
        sa.func.count().filter(below.c.level == RegionLevel(name)).label(name)
        for name in RegionCounts.model_fields
    ]
    counts = sa.select(*by_level).where(
        within(below.c.code, region), below.c.code != region, below.c.retired.is_(False)
    )
    ancestors = (
        sa.select(*fields_of(RegionName, above))
        .where(above.c.code.in_(ancestors_of(region)))
        .order_by(above.c.code)
    )
    return one_json(
        session,
        _select_regions(
            RegionReply,
            ancestors=json_rows(ancestors, name="ancestors_of"),
            below=json_row(counts, name="counts"),
        ).where(c.code == region),
    )


_BY_CODE = sa.select(_region.c.code).where(_region.c.code == sa.bindparam("region"))


def is_region(session: Session, region: str) -> bool:
    return session.scalar(_BY_CODE, {"region": region}) is not None


def check_region(session: Session, region: str) -> None:
    """Raise NotFound if there is no such region."""
    if not is_region(session, region):
        raise NotFound()


def missing_regions(session: Session, codes: Collection[str]) -> set[str]:
    """Return the codes without a region."""
    existing = session.scalars(sa.select(_region.c.code).where(among(session, _region.c.code, codes)))
    return set(codes) - set(existing)


class FoundRegion(NamedTuple):
    """A region as other areas refer to it."""

    code: str
    name: str
    level: RegionLevel
    parent_code: str | None
    timezone: str
    retired: bool


_FOUND_REGION = [_region.c[name] for name in FoundRegion._fields]


def regions_by_code(session: Session, codes: Collection[str]) -> dict[str, FoundRegion]:
    """Return code → region, in one SELECT; without unknown codes, with retired ones."""
    if not codes:
        return {}
    rows = session.execute(sa.select(*_FOUND_REGION).where(among(session, _region.c.code, codes)))
    return {row.code: FoundRegion(*row) for row in rows}


def regencies_by_bps(session: Session, bps_codes: Collection[str]) -> dict[str, str]:
    """Return BPS code of a regency or city → its Kemendagri code, without unknown ones."""
    if not bps_codes:
        return {}
    rows = session.execute(
        sa.select(_region.c.bps_code, _region.c.code).where(among(session, _region.c.bps_code, bps_codes))
    )
    return {row.bps_code: row.code for row in rows}


def region_labels(session: Session, within_region: str) -> dict[str, str]:
    """Return code → name of the regions in force in `within_region`, with the region itself."""
    c = _region.c
    statement = (
        sa.select(c.code, c.name).where(within(c.code, within_region), c.retired.is_(False)).order_by(c.code)
    )
    return {row.code: row.name for row in session.execute(statement)}


def regions_named(
    session: Session, within_region: str, names: Collection[str]
) -> dict[str, list[FoundRegion]]:
    """Return name as written → the regions in `within_region` with exactly that name; one SELECT.

    The first word of `Kec. Pulau Sebuku`, `Desa Semaras` or `Kabupaten Kotabaru` gives the level if no region has that
    literal name. Names without a region are missing; with several, the caller has to choose.
    """
    forms = {name: forms_of(name) for name in names}
    spellings = {form.folded for reading in forms.values() for form in reading}
    if not spellings:
        return {}
    c = _region.c
    rows = session.execute(
        sa.select(c.folded, *_FOUND_REGION)
        .where(among(session, c.folded, spellings), within(c.code, within_region), c.retired.is_(False))
        .order_by(c.code)
    )
    by_folded: dict[str, list[FoundRegion]] = {}
    for spelling, *row in rows:
        by_folded.setdefault(spelling, []).append(FoundRegion(*row))
    result: dict[str, list[FoundRegion]] = {}
    for name, reading in forms.items():
        for form in reading:
            matches = [r for r in by_folded.get(form.folded, ()) if not form.levels or r.level in form.levels]
            if matches:
                result[name] = matches
                break
    return result


# Funding sources


def funding_sources(query: FundingSourceQuery) -> Listing:
    """List the funding sources that match."""
    c = _source.c
    statement = sa.select(*fields_of(FundingSourceOut, _source)).where(
        c.retired.is_(query.retired),
        has_words(c.folded, query.q),
        *equal((c.kind, query.kind), (c.parent_code, query.parent)),
    )
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code})


def funding_source_json(session: Session, code: str) -> str:
    return one_json(session, sa.select(*fields_of(FundingSourceOut, _source)).where(_source.c.code == code))


class FoundFundingSource(NamedTuple):
    """A funding source as other areas refer to it."""

    code: str
    name: str
    kind: FundingSourceKind
    aliases: list[str]
    retired: bool


def _read_funding_sources(session: Session, *conditions: ColumnElement[bool]) -> list[FoundFundingSource]:
    columns = [_source.c[name] for name in FoundFundingSource._fields]
    rows = session.execute(sa.select(*columns).where(*conditions).order_by(_source.c.code))
    return [FoundFundingSource(*row) for row in rows]


def funding_sources_by_code(session: Session, codes: Collection[str]) -> dict[str, FoundFundingSource]:
    """Return code → funding source, in one SELECT; without unknown codes, with retired ones."""
    if not codes:
        return {}
    return {
        source.code: source
        for source in _read_funding_sources(session, among(session, _source.c.code, codes))
    }


def funding_source_labels(session: Session) -> dict[str, str]:
    """Return code → name of every funding source, also of retired ones."""
    c = _source.c
    rows = session.execute(sa.select(c.code, c.name).order_by(c.code))
    return {row.code: row.name for row in rows}


def funding_source_words(session: Session) -> dict[str, str]:
    """Return code → the words for the source in a matrix: `APBD`, `Dana Desa`, `1.01.01 Pajak Daerah`.

    An import finds the source by `funding_sources_named` or by the code in front.
    """
    return {
        source.code: f"{source.code} {source.name}"
        if source.kind == FundingSourceKind.official
        else source.code
        if "-" not in source.code
        else source.name
        for source in _read_funding_sources(session)
    }


def funding_sources_named(session: Session, names: Collection[str]) -> dict[str, list[FoundFundingSource]]:
    """Return name as written → the funding sources with this code, name or alias, in one SELECT.

    A group wins over official codes with an equal name (`Dana Desa` has three). Names without a source are missing,
    several sources are ambiguous. Retired sources do not count.
    """
    if not names:
        return {}
    groups: dict[str, list[FoundFundingSource]] = {}
    official: dict[str, list[FoundFundingSource]] = {}
    for source in _read_funding_sources(session):
        if not source.retired:
            known = groups if source.kind == FundingSourceKind.group else official
            for spelling in dict.fromkeys(folded(s) for s in (source.code, source.name, *source.aliases)):
                known.setdefault(spelling, []).append(source)
    result = {name: groups.get(folded(name)) or official.get(folded(name)) or [] for name in names}
    return {name: sources for name, sources in result.items() if sources}


# Strategies


def strategies() -> Listing:
    """List all strategies, also retired ones, since old plans refer to them."""
    statement = sa.select(*fields_of(StrategyOut, _strategy))
    return Listing(statement, {"number": _strategy.c.number}, {"key": _strategy.c.key})


def strategy_json(session: Session, key: str) -> str:
    return one_json(session, sa.select(*fields_of(StrategyOut, _strategy)).where(_strategy.c.key == key))


def strategy_labels(session: Session) -> dict[str, str]:
    """Return key → name of every strategy, also of retired ones."""
    return {row.key: row.name for row in session.execute(sa.select(_strategy.c.key, _strategy.c.name))}
