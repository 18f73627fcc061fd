"""Reading reference data: lists and single resources as JSON, and look-ups of many at once for the other areas.

Reference data is nobody's secret: every valid token reads all of it, so nothing here takes an actor.
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
    """Predicate: every word of `text` occurs in the folded `column`; true without text."""
    return sa.and_(sa.true(), *[column.contains(word, autoescape=True) for word in words_of(text or "")])


def one_json(session: Session, query: Select[Any]) -> str:
    """Return the one row of a query as JSON. Raises NotFound if there is none."""
    return require_found(session.scalar(json_texts(query)))


_VALUES = {"value": sa.String()}


def among(session: Session, column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Predicate: the column is one of `values`, sent as one JSON parameter, so no number of them is too many.

    Once in a statement: the parameter has one name.
    """
    given = records(session, _VALUES)
    rows = to_json([{"value": one} for one in set(values)])
    return column.in_(sa.select(given.c.value).params(records=rows))


# Regions


def _region_items(shape: type[RegionOut] = RegionOut, **given: sa.SQLColumnExpression[object]) -> Select[Any]:
    return sa.select(*fields_of(shape, _region, parent_name=_parent.c.name, **given)).select_from(
        _region.outerjoin(_parent, _parent.c.code == _region.c.parent_code)
    )


def regions(query: RegionQuery) -> Listing:
    """The regions that match."""
    c = _region.c
    statement = _region_items().where(
        c.retired.is_(query.retired),
        has_words(c.folded, query.q),
        *equal((c.level, query.level), (c.parent_code, query.parent), (c.bps_code, query.bps_code)),
        within(c.code, query.within),
    )
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code})


def children_of(region: str) -> Listing:
    """The regions one level below."""
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
        _region_items(
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
    """Those of the codes that are no region's."""
    there = session.scalars(sa.select(_region.c.code).where(among(session, _region.c.code, codes)))
    return set(codes) - set(there)


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
    """Code → region, in one SELECT; codes that do not exist are missing, retired ones are there."""
    if not codes:
        return {}
    found = session.execute(sa.select(*_FOUND_REGION).where(among(session, _region.c.code, codes)))
    return {row.code: FoundRegion(*row) for row in found}


def regencies_by_bps(session: Session, bps_codes: Collection[str]) -> dict[str, str]:
    """BPS code of a regency or city → its Kemendagri code; unknown ones are missing."""
    if not bps_codes:
        return {}
    found = session.execute(
        sa.select(_region.c.bps_code, _region.c.code).where(among(session, _region.c.bps_code, bps_codes))
    )
    return {row.bps_code: row.code for row in found}


def region_labels(session: Session, within_region: str) -> dict[str, str]:
    """Code → name of the regions in force in `within_region`, itself included."""
    c = _region.c
    found = (
        sa.select(c.code, c.name).where(within(c.code, within_region), c.retired.is_(False)).order_by(c.code)
    )
    return {row.code: row.name for row in session.execute(found)}


def regions_named(
    session: Session, within_region: str, names: Collection[str]
) -> dict[str, list[FoundRegion]]:
    """Name as written → the regions of exactly that name in `within_region`, itself included; one SELECT.

    `Kec. Pulau Sebuku`, `Desa Semaras`, `Kabupaten Kotabaru` are read by their first word where no
    region is literally called so. No entry: no such region. Several regions: ambiguous, the caller's
    to settle.
    """
    forms = {name: forms_of(name) for name in names}
    wanted = {form.folded for reading in forms.values() for form in reading}
    if not wanted:
        return {}
    c = _region.c
    rows = session.execute(
        sa.select(c.folded, *_FOUND_REGION)
        .where(among(session, c.folded, wanted), within(c.code, within_region), c.retired.is_(False))
        .order_by(c.code)
    )
    by_folded: dict[str, list[FoundRegion]] = {}
    for one, *row in rows:
        by_folded.setdefault(one, []).append(FoundRegion(*row))
    result: dict[str, list[FoundRegion]] = {}
    for name, reading in forms.items():
        for form in reading:
            found = [r for r in by_folded.get(form.folded, ()) if not form.levels or r.level in form.levels]
            if found:
                result[name] = found
                break
    return result


# Funding sources


def funding_sources(query: FundingSourceQuery) -> Listing:
    """The funding sources that match."""
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


def _funding_sources(session: Session, *conditions: ColumnElement[bool]) -> list[FoundFundingSource]:
    columns = [_source.c[name] for name in FoundFundingSource._fields]
    rows = session.execute(sa.select(*columns).where(*conditions).order_by(_source.c.code))
    return [FoundFundingSource(*row) for row in rows]


def funding_sources_by_code(session: Session, codes: Collection[str]) -> dict[str, FoundFundingSource]:
    """Code → funding source, in one SELECT; unknown codes are missing, retired ones are there."""
    if not codes:
        return {}
    return {
        source.code: source for source in _funding_sources(session, among(session, _source.c.code, codes))
    }


def funding_source_labels(session: Session) -> dict[str, str]:
    """Code → name of every funding source, retired ones too."""
    c = _source.c
    rows = session.execute(sa.select(c.code, c.name).order_by(c.code))
    return {row.code: row.name for row in rows}


def funding_source_words(session: Session) -> dict[str, str]:
    """Code → the words by which a matrix names the source, which `funding_sources_named` or the code in
    front reads back: `APBD`, `Dana Desa`, `1.01.01 Pajak Daerah`."""
    return {
        found.code: f"{found.code} {found.name}"
        if found.kind == FundingSourceKind.official
        else found.code
        if "-" not in found.code
        else found.name
        for found in _funding_sources(session)
    }


def funding_sources_named(session: Session, names: Collection[str]) -> dict[str, list[FoundFundingSource]]:
    """Name as written → the funding sources whose code, name or alias it is, in one SELECT.

    A group wins over official codes of the same name (`Dana Desa` is three of them). No entry: none;
    several: ambiguous. Retired ones are left out.
    """
    if not names:
        return {}
    groups: dict[str, list[FoundFundingSource]] = {}
    official: dict[str, list[FoundFundingSource]] = {}
    for found in _funding_sources(session):
        if not found.retired:
            known = groups if found.kind == FundingSourceKind.group else official
            for spelling in dict.fromkeys(folded(s) for s in (found.code, found.name, *found.aliases)):
                known.setdefault(spelling, []).append(found)
    result = {name: groups.get(folded(name)) or official.get(folded(name)) or [] for name in names}
    return {name: found for name, found in result.items() if found}


# Strategies


def strategies() -> Listing:
    """All strategies, retired ones too: old plans refer to them."""
    statement = sa.select(*fields_of(StrategyOut, _strategy))
    return Listing(statement, {"number": _strategy.c.number}, {"key": _strategy.c.key})


def strategy_json(session: Session, key: str) -> str:
    return one_json(session, sa.select(*fields_of(StrategyOut, _strategy)).where(_strategy.c.key == key))


def strategy_labels(session: Session) -> dict[str, str]:
    """Key → name of every strategy, retired ones too."""
    return {row.key: row.name for row in session.execute(sa.select(_strategy.c.key, _strategy.c.name))}
