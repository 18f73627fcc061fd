"""Reading tokens, and the scope that every SELECT of regional data starts from."""

import hashlib
import ipaddress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.models import Membership, Principal, Role, Token, TokenScope
from app.access.rules import Actor, Grant
from app.kit.db import table_of

_token, _principal, _membership = table_of(Token), table_of(Principal), table_of(Membership)

_BY_HASH = (
    sa.select(
        _principal.c.name.label("principal"),
        _token.c.name.label("token"),
        _token.c.scopes,
        _token.c.networks,
        _token.c.expires_at,
        _token.c.revoked_at,
        _membership.c.role,
        _membership.c.region_code,
        _membership.c.agency_code,
    )
    .select_from(
        _token.join(_principal, _principal.c.id == _token.c.principal_id).outerjoin(
            _membership, _membership.c.principal_id == _principal.c.id
        )
    )
    .where(_token.c.hash == sa.bindparam("hash"))
)


def hash_of(secret: str) -> str:
    """What is stored of a token: SHA-256, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def actor_of(
    session: Session, secret: str, *, now: datetime, client: str | None
) -> tuple[Actor, datetime] | None:
    """The actor behind a token and when it expires; None when it is unknown, over, or from elsewhere."""
    rows: Any = session.connection().execute(_BY_HASH, {"hash": hash_of(secret)}).all()
    if not rows:
        return None
    first = rows[0]
    if first.revoked_at is not None or first.expires_at <= now or not _comes_from(client, first.networks):
        return None
    grants = tuple(Grant(Role(r.role), r.region_code, r.agency_code or None) for r in rows if r.role)
    scopes = frozenset(TokenScope(scope) for scope in first.scopes)
    return Actor(first.principal, first.token, scopes, grants), first.expires_at.astimezone(UTC)


def _comes_from(client: str | None, networks: list[str]) -> bool:
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(client or "")
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)


def within(column: ColumnElement[str], region: str) -> ColumnElement[bool]:
    """Predicate: the code in `column` is `region` or lies below it; an index on the column serves it."""
    if region == "0":
        return sa.true()
    # "/" is the character behind ".", so this is the range of everything that begins with "73.".
    return sa.or_(column == region, sa.and_(column > f"{region}.", column < f"{region}/"))


def below(column: ColumnElement[str], ancestor: ColumnElement[str]) -> ColumnElement[bool]:
    """Predicate: the code in `column` lies below that in `ancestor`, which is not the nation's."""
    return sa.and_(column > ancestor.concat("."), column < ancestor.concat("/"))


def visible(actor: Actor, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Predicate: the region in `column` is one the actor sees; false for whoever sees none."""
    if TokenScope.read not in actor.scopes:
        return sa.false()
    seen = [within(column, g.region) if g.is_below else column == g.region for g in actor.grants]
    return sa.or_(*seen) if seen else sa.false()


def list_tokens(session: Session) -> list[sa.Row[Any]]:
    """Every token with its principal and state; never a secret."""
    return list(
        session.execute(
            sa.select(
                _token.c.name,
                _principal.c.name.label("principal"),
                _token.c.scopes,
                _token.c.expires_at,
                _token.c.revoked_at,
            )
            .select_from(_token.join(_principal, _principal.c.id == _token.c.principal_id))
            .order_by(_token.c.name)
        )
    )
