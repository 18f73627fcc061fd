"""Reading agencies, each time of one region that the caller sees."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.models import Membership
from app.access.rules import Actor
from app.agencies.models import PARTNER_KINDS, AgencyKind, AgencyOut, AgencyQuery, AgencyRow, AgencyState
from app.agencies.rules import Verb, is_home, verbs_from
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.database.resources import read_record
from app.kit.fields import folded
from app.kit.http.pagination import Listing, equal
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Kind, NotFound
from app.reference.queries import among, has_words, is_region

_agency, _membership = table_of(AgencyRow), table_of(Membership)


def home_of(session: Session, actor: Actor, region: str) -> str:
    """The region, where the actor sees it and it can have agencies; NotFound otherwise."""
    if not (is_home(region) and actor.sees(region) and is_region(session, region)):
        raise NotFound()
    return region


def _agencies(region: str) -> Select[Any]:
    is_partner = _agency.c.kind.in_(PARTNER_KINDS)
    return sa.select(*fields_of(AgencyOut, _agency, is_partner=is_partner)).where(
        _agency.c.region_code == region
    )


def agencies(region: str, query: AgencyQuery) -> Listing:
    """The agencies of a region that match."""
    c = _agency.c
    same = equal((c.kind, query.kind), (c.state, query.state))
    statement = _agencies(region).where(has_words(c.folded, query.q), *same)
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code})


class AgencyText(NamedTuple):
    """An agency as JSON (`AgencyOut`), and what its reply depends on."""

    json: str
    state: AgencyState
    version: int


def agency_text(session: Session, region: str, code: str) -> AgencyText:
    """One agency. NotFound: the region has none of that code."""
    found = _agencies(region).where(_agency.c.code == code)
    return read_record(session, found, AgencyText, "state", "version")


class StoredAgency(NamedTuple):
    """A row of the agencies."""

    id: int
    region_code: str
    code: str
    name: str
    kind: AgencyKind
    state: AgencyState
    merged_into: str | None
    folded: str
    version: int


_STORED = [_agency.c[name] for name in StoredAgency._fields]


def list_stored(session: Session, region: str, *conditions: ColumnElement[bool]) -> list[StoredAgency]:
    """Return the agencies of a region that meet the conditions, in the order of their codes."""
    found = sa.select(*_STORED).where(_agency.c.region_code == region, *conditions)
    return [StoredAgency(*row) for row in session.execute(found.order_by(_agency.c.code))]


def find_agency(session: Session, region: str, code: str) -> StoredAgency | None:
    """Return one agency of a region. Returns None if there is none of that code."""
    return next(iter(list_stored(session, region, _agency.c.code == code)), None)


def agencies_by_code(session: Session, region: str, codes: Collection[str]) -> dict[str, StoredAgency]:
    """Code → agency of the region, in one SELECT; in whatever state it is."""
    if not codes:
        return {}
    return {one.code: one for one in list_stored(session, region, among(session, _agency.c.code, codes))}


def agencies_named(session: Session, region: str, names: Collection[str]) -> dict[str, list[StoredAgency]]:
    """Name as written → the region's agencies of exactly that folded name, in one SELECT.

    Where active ones bear the name, only those; merged ones say by `merged_into` who took over.
    No entry: none; several: ambiguous.
    """
    if not names:
        return {}
    wanted = {name: folded(name) for name in names}
    by_name: dict[str, list[StoredAgency]] = {}
    for agency in list_stored(session, region, among(session, _agency.c.folded, wanted.values())):
        by_name.setdefault(agency.folded, []).append(agency)
    result = {}
    for name, key in wanted.items():
        found = by_name.get(key, [])
        active = [one for one in found if one.state == AgencyState.active]
        if found:
            result[name] = active or found
    return result


def agency_labels(session: Session, region: str, *, state: AgencyState | None = None) -> dict[str, str]:
    """Code → name of the agencies of a region, in that state or in any."""
    c = _agency.c
    found = sa.select(c.code, c.name).where(c.region_code == region).order_by(c.code)
    if state is not None:
        found = found.where(c.state == state)
    return {row.code: row.name for row in session.execute(found)}


retired_agency = Kind(
    "retired_agency",
    id="perangkat daerah {value} sudah tidak aktif; penggantinya: {nearest}",
    en="agency {value} is no longer active; its successor: {nearest}",
)


def check_agencies(
    session: Session, region: str, named: Sequence[tuple[str, str]], kept: Collection[str] = ()
) -> list[FieldError]:
    """Return the errors of (pointer, code) pairs that are no active agencies of the region.

    Those in `kept` were named before: what an agency attended or promised stays true once it is retired.
    """
    known = agencies_by_code(session, region, {code for _, code in named})
    active: list[str] | None = None
    errors = []
    for pointer, code in named:
        found = known.get(code)
        if found is None:
            if active is None:
                labels = agency_labels(session, region, state=AgencyState.active)
                active = [f"{one} {name}" for one, name in labels.items()]
            errors.append(describe_unknown(code, f"regions/{region}/agencies", active, pointer=pointer))
        elif found.state != AgencyState.active and code not in kept:
            successor = (found.merged_into,) if found.merged_into else ()
            errors.append(FieldError(retired_agency, pointer=pointer, value=code, nearest=successor))
    return errors


# What refers to an agency


Count = Callable[[Session, str, str], int]
"""(session, region code, agency code) → how many refer to it."""


class Referrer(NamedTuple):
    """A kind of thing that refers to agencies, told to this area by the one that owns it."""

    name: str
    how_many: Count


def count_by(*columns: sa.Column[str]) -> Count:
    """Return what counts the rows that name an agency in these columns, of tables with a `region_code`."""

    def count(session: Session, region: str, code: str) -> int:
        return sum(
            session.scalar(
                sa.select(sa.func.count())
                .select_from(column.table)
                .where(column.table.c.region_code == region, column == code)
            )
            or 0
            for column in columns
        )

    return count


OWN_REFERRERS = [
    Referrer("agencies merged into it", count_by(_agency.c.merged_into)),
    Referrer("memberships", count_by(_membership.c.agency_code)),
]
REFERRERS = list(OWN_REFERRERS)
"""`app.wiring` adds those of the areas above: agencies must not know plans, yet an agency that a line names cannot
be deleted."""


def references_to(session: Session, region: str, code: str) -> dict[str, int]:
    """Kind of thing → how many of it refer to the agency; empty when nothing does."""
    counts = {referrer.name: referrer.how_many(session, region, code) for referrer in REFERRERS}
    return {name: count for name, count in counts.items() if count}


def allowed(session: Session, actor: Actor, region: str, code: str, state: str) -> list[Verb]:
    """What the actor may do with an agency in this state."""
    if not actor.may("write_agencies", region):
        return []
    return [
        verb for verb in verbs_from(state) if verb != "delete" or not references_to(session, region, code)
    ]
