"""Queries of tokens and principals, and the visibility predicates of every SELECT of regional data."""

import hashlib
import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session, col

from app.access.models import (
    Membership,
    MembershipShape,
    Principal,
    PrincipalOut,
    PrincipalQuery,
    PrincipalVerb,
    Role,
    Token,
    TokenOut,
    TokenPosition,
    TokenScope,
)
from app.access.rules import RIGHTS, ROLES_BELOW, Actor, Grant, read_scopes
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.database.json_sql import build_json_array, select_fields
from app.kit.database.resources import ResourceText, read_record, read_text
from app.kit.http.pagination import Listing
from app.kit.problems import require_found

_token, _principal, _membership = get_table(Token), get_table(Principal), get_table(Membership)
_journal, _positions = get_table(JournalRow), get_table(TokenPosition)

MISSING_REGIONS: list[Callable[[Session, Collection[str]], set[str]]] = []
"""(session, region codes) → the codes that do not exist. The area of the regions adds its function on import:
this area cannot import it, yet refuses a membership in an unknown region."""


# Authentication


class Bearer(NamedTuple):
    """The actor of a bearer token, with the token's expiry and last use."""

    actor: Actor
    expires_at: datetime
    kind: Literal["service", "person"]
    id: int
    """Id of the token's row; for a person, of the principal's."""
    last_used_at: datetime | None


_GRANT = (_membership.c.role, _membership.c.region_code, _membership.c.agency_code)
_BY_HASH = (
    sa.select(
        _principal.c.name.label("principal"),
        _token.c.id,
        _token.c.name.label("token"),
        _token.c.scopes,
        _token.c.networks,
        _token.c.expires_at,
        _token.c.revoked_at,
        _token.c.last_used_at,
        *_GRANT,
    )
    .select_from(
        _token.join(_principal, _principal.c.id == _token.c.principal_id).outerjoin(
            _membership, _membership.c.principal_id == _principal.c.id
        )
    )
    .where(_token.c.hash == sa.bindparam("hash"))
)
_PERSONS = sa.select(
    _principal.c.id, _principal.c.name.label("principal"), _principal.c.last_used_at, *_GRANT
).select_from(_principal.outerjoin(_membership, _membership.c.principal_id == _principal.c.id))
_BY_IDENTITY = _PERSONS.where(
    _principal.c.issuer == sa.bindparam("issuer"), _principal.c.subject == sa.bindparam("subject")
)


class _TokenRow(NamedTuple):
    """A row of `_BY_HASH`: a token with one membership of its principal."""

    principal: str
    id: int
    token: str
    scopes: list[str]
    networks: list[str]
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    role: str | None
    region_code: str | None
    agency_code: str | None


class _PersonRow(NamedTuple):
    """A row of `_BY_IDENTITY`: a principal with one of its memberships."""

    id: int
    principal: str
    last_used_at: datetime | None
    role: str | None
    region_code: str | None
    agency_code: str | None


def hash_secret(secret: str) -> str:
    """Return the stored form of a token's secret: SHA-256, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find_token_bearer(session: Session, secret: str, *, now: datetime, client: str | None) -> Bearer | None:
    """Return the bearer of a service token.

    Returns None if the token is unknown, expired or revoked, or if `client` lies outside its networks.
    """
    rows = [_TokenRow(*row) for row in session.connection().execute(_BY_HASH, {"hash": hash_secret(secret)})]
    if not rows:
        return None
    first = rows[0]
    if first.revoked_at is not None or first.expires_at <= now or not _is_in_networks(client, first.networks):
        return None
    scopes = frozenset(TokenScope(scope) for scope in first.scopes)
    actor = Actor(first.principal, first.token, scopes, _build_grants(rows))
    return Bearer(actor, first.expires_at.astimezone(UTC), "service", first.id, first.last_used_at)


def find_person_bearer(
    session: Session, claims: Mapping[str, Any], *, issuer: str, subject: str
) -> Bearer | None:
    """Return the bearer of an authentic token of the issuer. Returns None if its subject is not enrolled."""
    identity = {"issuer": issuer, "subject": subject}
    rows = [_PersonRow(*row) for row in session.connection().execute(_BY_IDENTITY, identity)]
    if not rows:
        return None
    first, grants = rows[0], _build_grants(rows)
    actor = Actor(first.principal, first.principal, read_scopes(claims, grants), grants)
    until = datetime.fromtimestamp(int(claims["exp"]), UTC)
    return Bearer(actor, until, "person", first.id, first.last_used_at)


def find_reader(session: Session, principal: int) -> Actor | None:
    """Return a principal as an actor with scope `read`, for reads outside a request. Returns None if it is gone."""
    rows = [_PersonRow(*row) for row in session.execute(_PERSONS.where(_principal.c.id == principal))]
    if not rows:
        return None
    name = rows[0].principal
    return Actor(name, name, frozenset({TokenScope.read}), _build_grants(rows))


def can_read(principal: ColumnElement[int], region: ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """Return the predicate: the principal can read something of the region now, with a token or as a person."""
    c, member, person = _token.c, _membership.c, _principal.c
    has_token = sa.exists().where(
        c.principal_id == principal,
        c.revoked_at.is_(None),
        c.expires_at > now,
        sa.cast(c.scopes, sa.Text).contains(f'"{TokenScope.read}"'),  # a list of four words at most
    )
    is_person = sa.exists().where(person.id == principal, person.subject.is_not(None))
    from_above = sa.or_(member.region_code == "0", is_below_region(region, member.region_code))
    reaches = sa.exists().where(
        member.principal_id == principal,
        sa.or_(member.region_code == region, sa.and_(member.role.in_(ROLES_BELOW), from_above)),
    )
    return sa.and_(sa.or_(is_person, has_token), reaches)


def _build_grants(rows: Sequence[_TokenRow | _PersonRow]) -> tuple[Grant, ...]:
    return tuple(
        Grant(Role(r.role), r.region_code, r.agency_code or None) for r in rows if r.role and r.region_code
    )


def _is_in_networks(client: str | None, networks: list[str]) -> bool:
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(client or "")
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)


# Visibility


def is_in_region(column: ColumnElement[str], region: str | None) -> ColumnElement[bool]:
    """Return the predicate: the code in `column` is `region` or lies below it. None allows any code.

    An index on the column serves it.
    """
    if region in (None, "0"):
        return sa.true()
    # "/" is the character behind ".", so this is the range of everything that begins with "73.".
    return sa.or_(column == region, sa.and_(column > f"{region}.", column < f"{region}/"))


def is_below_region(column: ColumnElement[str], ancestor: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the predicate: the code in `column` lies below that in `ancestor`, which is not the nation's."""
    return sa.and_(column > ancestor.concat("."), column < ancestor.concat("/"))


def can_see_region(actor: Actor, column: ColumnElement[str], verb: str = "read") -> ColumnElement[bool]:
    """Return the predicate: the actor has the right `verb` in the region in `column`."""
    right = RIGHTS[verb]
    if right.scope not in actor.scopes:
        return sa.false()
    regions = [
        is_in_region(column, g.region) if g.is_below else column == g.region
        for g in actor.grants
        if g.role in right.roles
    ]
    return sa.or_(*regions) if regions else sa.false()


def is_public_region(actor: Actor, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the predicate: the region in `column` opens its adopted and frozen data to the public."""
    regions = [is_in_region(column, region) for region in actor.opened]
    return sa.or_(*regions) if regions else sa.false()


def can_read_frozen(actor: Actor, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the predicate for frozen rows: the actor sees the region in `column`, or it is public."""
    return sa.or_(can_see_region(actor, column), is_public_region(actor, column))


# Positions in the journal

_named = sa.select(_positions.c.principal).where(
    _positions.c.token == _journal.c.actor, _positions.c.from_sequence < _journal.c.sequence
)
_named = _named.order_by(_positions.c.from_sequence.desc()).limit(1).correlate(_journal)
POSITION = sa.func.coalesce(_journal.c.principal, _named.scalar_subquery(), _journal.c.actor)
"""The position of an entry's author: of an entry of format 1, the principal of its token; else the stored name."""


def select_token(actor: Actor) -> ColumnElement[str | None]:
    """Return the name of an entry's token, for administrators of the home of its author; else null.

    The nation's administrators also get the names of deleted principals, and of the command line.
    """
    if actor.may("read_access", "0"):
        return _journal.c.actor
    if not any(actor.may("read_access", grant.region) for grant in actor.grants):
        return sa.cast(sa.null(), sa.Text)
    home = sa.select(_principal.c.region_code).where(_principal.c.name == POSITION).correlate(_journal)
    return sa.case((can_see_region(actor, home.scalar_subquery(), "read_access"), _journal.c.actor))


# Principals and their tokens, for their administrators


def _select_principals(actor: Actor) -> Select[Any]:
    memberships = (
        sa.select(
            *select_fields(
                MembershipShape, _membership, agency_code=sa.func.nullif(_membership.c.agency_code, "")
            )
        )
        .where(_membership.c.principal_id == _principal.c.id)
        .order_by(_membership.c.region_code, _membership.c.role, _membership.c.agency_code)
        .correlate(_principal)
    )
    columns = select_fields(
        PrincipalOut, _principal, memberships=build_json_array(memberships, name="memberships")
    )
    return sa.select(*columns).where(can_see_region(actor, _principal.c.region_code, "read_access"))


def select_principals(actor: Actor, query: PrincipalQuery) -> Listing:
    """Return the matching principals of the regions whose access the actor may read."""
    c = _principal.c
    statement = _select_principals(actor).where(is_in_region(c.region_code, query.region))
    if query.role is not None:
        has_role = sa.exists().where(_membership.c.principal_id == c.id, _membership.c.role == query.role)
        statement = statement.where(has_role.correlate(_principal))
    return Listing(statement, {"name": c.name}, {"name": c.name})


class PrincipalText(NamedTuple):
    """A principal as JSON (`PrincipalOut`), with the columns that its reply needs."""

    json: str
    region_code: str
    version: int


def read_principal_text(session: Session, actor: Actor, name: str) -> PrincipalText:
    """Return one principal. Raises NotFound if it does not exist or the actor may not read its region's access."""
    statement = _select_principals(actor).where(_principal.c.name == name)
    return read_record(session, statement, PrincipalText, "region_code", "version")


def list_allowed_verbs(actor: Actor, region: str) -> list[PrincipalVerb]:
    """Return the verbs that the actor may use on a principal of this home."""
    return ["edit", "delete", "write_tokens"] if actor.may("write_access", region) else []


def find_principal_id(session: Session, actor: Actor, name: str) -> int:
    """Return the row id of a principal. Raises NotFound if the actor sees none of that name."""
    is_visible = can_see_region(actor, _principal.c.region_code, "read_access")
    statement = sa.select(_principal.c.id).where(_principal.c.name == name, is_visible)
    return int(require_found(session.scalar(statement)))


def select_tokens(principal: int) -> Listing:
    """Return the tokens of a principal, including revoked and expired ones."""
    c = _token.c
    statement = sa.select(*select_fields(TokenOut, _token)).where(c.principal_id == principal)
    return Listing(statement, {"name": c.name, "expires_at": c.expires_at}, {"name": c.name})


def read_token_text(session: Session, principal: int, name: str) -> ResourceText:
    """Return a token as `TokenOut`. Raises NotFound if the principal has none of that name."""
    c = _token.c
    statement = sa.select(*select_fields(TokenOut, _token)).where(c.principal_id == principal, c.name == name)
    return read_text(session, statement)


# For the command line


def has_administrator(session: Session) -> bool:
    """Return whether any principal is an administrator of any region."""
    statement = sa.select(_membership.c.id).where(_membership.c.role == Role.administrator).limit(1)
    return session.scalar(statement) is not None


def list_tokens(session: Session) -> list[tuple[Token, Principal, list[Grant]]]:
    """Return every token with its principal and the principal's memberships, by name."""
    statement = sa.select(Token, Principal).join(Principal, col(Principal.id) == col(Token.principal_id))
    grants = _list_grants(session)
    rows = session.execute(statement.order_by(col(Token.name)))
    return [(token, principal, grants.get(token.principal_id, [])) for token, principal in rows]


def list_principals(session: Session) -> list[tuple[Principal, list[Grant]]]:
    """Return every principal with its memberships, by name."""
    grants = _list_grants(session)
    rows = session.scalars(sa.select(Principal).order_by(col(Principal.name)))
    return [(row, grants.get(row.id or 0, [])) for row in rows]


def _list_grants(session: Session) -> dict[int, list[Grant]]:
    grants: dict[int, list[Grant]] = {}
    for row in session.execute(sa.select(_membership).order_by(*_GRANT)):
        grant = Grant(Role(row.role), row.region_code, row.agency_code or None)
        grants.setdefault(row.principal_id, []).append(grant)
    return grants
