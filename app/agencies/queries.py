"""Queries of the agencies of one region."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.models import Membership
from app.access.rules import Actor
from app.agencies.models import PARTNER_KINDS, AgencyKind, AgencyOut, AgencyQuery, AgencyRow, AgencyState
from app.agencies.rules import AgencyVerb, can_have_agencies, list_possible_verbs
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import read_record
from app.kit.fields import fold_name
from app.kit.http.pagination import Listing, match_values
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Kind, NotFound
from app.kit.tables.candidates import NamedEntry, NameIndex
from app.kit.wording import Text
from app.reference.queries import is_among, is_region, rank_keys

_agency, _membership = get_table(AgencyRow), get_table(Membership)


def check_agency_region(session: Session, actor: Actor, region: str) -> str:
    """Return the region. Raises NotFound if the actor does not see it or it cannot have agencies."""
    if not (can_have_agencies(region) and actor.sees(region) and is_region(session, region)):
        raise NotFound()
    return region


def _select_agencies(region: str) -> Select[Any]:
    is_partner = _agency.c.kind.in_(PARTNER_KINDS)
    return sa.select(*select_fields(AgencyOut, _agency, is_partner=is_partner)).where(
        _agency.c.region_code == region
    )


def list_agencies(session: Session, region: str, query: AgencyQuery) -> Listing:
    """Return the matching agencies of a region."""
    c = _agency.c
    statement = _select_agencies(region).where(*match_values((c.kind, query.kind), (c.state, query.state)))
    ranking = rank_keys(query.q, lambda: read_agency_index(session, region))
    return Listing(statement, {"code": c.code, "name": c.name}, {"code": c.code}, ranking=ranking)


class AgencyText(NamedTuple):
    """An agency as JSON (`AgencyOut`), with the columns that its reply needs."""

    json: str
    state: AgencyState
    version: int


def read_agency_text(session: Session, region: str, code: str) -> AgencyText:
    """Return one agency. Raises NotFound if the region has none of that code."""
    statement = _select_agencies(region).where(_agency.c.code == code)
    return read_record(session, statement, AgencyText, "state", "version")


class StoredAgency(NamedTuple):
    """A row of the agencies."""

    id: int
    region_code: str
    code: str
    name: str
    short_name: str | None
    kind: AgencyKind
    state: AgencyState
    merged_into: str | None
    folded: str
    version: int


_STORED = [_agency.c[name] for name in StoredAgency._fields]


def list_stored(session: Session, region: str, *conditions: ColumnElement[bool]) -> list[StoredAgency]:
    """Return the agencies of a region that meet the conditions, in the order of their codes."""
    statement = sa.select(*_STORED).where(_agency.c.region_code == region, *conditions)
    return [StoredAgency(*row) for row in session.execute(statement.order_by(_agency.c.code))]


def find_agency(session: Session, region: str, code: str) -> StoredAgency | None:
    """Return one agency of a region. Returns None if there is none of that code."""
    return next(iter(list_stored(session, region, _agency.c.code == code)), None)


def find_agencies_by_code(session: Session, region: str, codes: Collection[str]) -> dict[str, StoredAgency]:
    """Return code → agency of the region, of any state, with one SELECT."""
    if not codes:
        return {}
    rows = list_stored(session, region, is_among(session, _agency.c.code, codes))
    return {agency.code: agency for agency in rows}


def find_agencies_by_name(
    session: Session, region: str, names: Collection[str]
) -> dict[str, list[StoredAgency]]:
    """Return name → the region's agencies with that folded name, else those with that short name; one SELECT.

    If some of a name are active, the list has only those; `merged_into` of a merged one names its successor.
    A name without agencies has no entry; a name with several is ambiguous.
    """
    if not names:
        return {}
    by_name: dict[str, list[StoredAgency]] = {}
    by_short_name: dict[str, list[StoredAgency]] = {}
    for agency in list_stored(session, region):
        by_name.setdefault(agency.folded, []).append(agency)
        by_short_name.setdefault(fold_name(agency.short_name or ""), []).append(agency)
    result = {}
    for name in names:
        key = fold_name(name)
        rows = by_name.get(key) or (by_short_name.get(key, []) if key else [])
        active = [agency for agency in rows if agency.state == AgencyState.active]
        if rows:
            result[name] = active or rows
    return result


def read_agency_names(session: Session, region: str, *, state: AgencyState | None = None) -> dict[str, str]:
    """Return code → name of the agencies of a region, of one state or of all."""
    c = _agency.c
    statement = sa.select(c.code, c.name).where(c.region_code == region).order_by(c.code)
    if state is not None:
        statement = statement.where(c.state == state)
    return {row.code: row.name for row in session.execute(statement)}


def read_agency_index(session: Session, region: str) -> NameIndex:
    """Return the index of the agencies of a region by their names and short names."""
    entries = (
        NamedEntry(agency.code, tuple(filter(None, (agency.name, agency.short_name))))
        for agency in list_stored(session, region)
    )
    return NameIndex(entries, has_abbreviations=True)


retired_agency = Kind(
    "retired_agency",
    id="Perangkat daerah “{value}” sudah tidak aktif. Penggantinya: {nearest}.",
    en="Agency “{value}” is no longer active. Its successor: {nearest}.",
)


def select_successor(
    region: ColumnElement[str], code: sa.SQLColumnExpression[str]
) -> sa.SQLColumnExpression[str]:
    """Return the code of the agency that an agency of a region merged into; without one, its own."""
    c = _agency.c
    merged = sa.select(c.merged_into).where(c.region_code == region, c.code == code)
    return sa.func.coalesce(merged.correlate_except(_agency).scalar_subquery(), code)


def count_merged(region: ColumnElement[str]) -> sa.ScalarSelect[int]:
    """Return the number of a region's agencies that merged into another: each merge raises it."""
    c = _agency.c
    merged = sa.select(sa.func.count()).where(c.region_code == region, c.merged_into.is_not(None))
    return merged.correlate_except(_agency).scalar_subquery()


def read_successors(session: Session, region: str) -> dict[str, str]:
    """Map each agency of a region that merged into another to that one."""
    c = _agency.c
    query = sa.select(c.code, c.merged_into).where(c.region_code == region, c.merged_into.is_not(None))
    return {row.code: row.merged_into for row in session.execute(query)}


def check_agencies(
    session: Session, region: str, named: Sequence[tuple[str, str]], kept: Collection[str] = ()
) -> list[FieldError]:
    """Return an error for each (pointer, code) that does not name an active agency of the region.

    Codes in `kept` are already in the stored row and need not be active: an agency's past attendance stays true.
    """
    known = find_agencies_by_code(session, region, {code for _, code in named})
    active: list[str] | None = None
    errors = []
    for pointer, code in named:
        agency = known.get(code)
        if agency is None:
            if active is None:
                labels = read_agency_names(session, region, state=AgencyState.active)
                active = [f"{other} {name}" for other, name in labels.items()]
            errors.append(describe_unknown(code, f"regions/{region}/agencies", active, pointer=pointer))
        elif agency.state != AgencyState.active and code not in kept:
            successor = (agency.merged_into,) if agency.merged_into else ()
            errors.append(FieldError(retired_agency, pointer=pointer, value=code, nearest=successor))
    return errors


# References to agencies


Count = Callable[[Session, str, str], int]
"""(session, region code, agency code) → number of references."""


class Referrer(NamedTuple):
    """A kind of row that refers to agencies, registered by the area that owns it."""

    name: Text
    how_many: Count


def make_counter(*columns: sa.Column[str]) -> Count:
    """Return a function that counts the rows with an agency in these columns, of tables with a `region_code`."""

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
    Referrer(
        Text("perangkat daerah yang digabung ke dalamnya", "agencies merged into it"),
        make_counter(_agency.c.merged_into),
    ),
    Referrer(Text("peran", "memberships"), make_counter(_membership.c.agency_code)),
]
REFERRERS = list(OWN_REFERRERS)
"""`app.wiring` adds those of the areas above: this area cannot import plans, yet must not delete an agency that a line
names."""


def count_references(session: Session, region: str, code: str) -> dict[Text, int]:
    """Return kind of row → number of references to the agency, without zeros."""
    counts = {referrer.name: referrer.how_many(session, region, code) for referrer in REFERRERS}
    return {name: count for name, count in counts.items() if count}


def list_allowed_verbs(
    session: Session, actor: Actor, region: str, code: str, state: str
) -> list[AgencyVerb]:
    """Return the verbs that the actor may use on an agency in this state."""
    if not actor.may("write_agencies", region):
        return []
    return [
        verb
        for verb in list_possible_verbs(state)
        if verb != "delete" or not count_references(session, region, code)
    ]
