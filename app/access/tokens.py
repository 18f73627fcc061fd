"""Writing service tokens: over HTTP within the writer's regions, and from the console.

A secret leaves in the one reply that creates it, by PUT to a name: a POST's reply would be stored for its retries, and
the secret with it.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import NameTaken, enrol_chained, held, stored_principal
from app.access.models import Principal, Token, TokenIn, TokenScope
from app.access.queries import hash_of
from app.access.rules import LONGEST_LIFE, Actor, Grant, expiry_of, principal_chain, principal_subject
from app.access.write import Write
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Chain, Entry, hold, next_version, record
from app.kit.database.resources import update_versioned
from app.kit.http.validation import checked_key
from app.kit.problems import Conflict, FieldError, Invalid, Kind, NotFound, Problem, Text

_tokens, _principals = table_of(Token), table_of(Principal)

scope_beyond_own = Kind(
    "scope_beyond_own",
    id="token Anda tidak memiliki cakupan {value}, sehingga tidak dapat memberikannya; yang ada: {allowed}",
    en="your token has no scope {value} and cannot give it; it has: {allowed}",
)
expiry_out_of_range = Kind(
    "expiry_out_of_range",
    id="harus di masa depan, paling lambat {allowed}",
    en="must lie in the future, at the latest {allowed}",
)


class TokenRevoked(Problem):
    status = 409
    code = "token_revoked"
    title = Text("Token sudah dicabut", "Token revoked")
    detail = Text(
        "Token {token} sudah dicabut dan tidak dapat diubah. Buat token lain.",
        "Token {token} was revoked and cannot be changed. Create another.",
    )


def put_token(write: Write, principal: str, name: str, content: TokenIn) -> str | None:
    """Create a token, giving its secret, which is never shown again; or change what one is limited to (None)."""
    chain, owner = held(write, principal)
    stored = _stored_token(write.session, owner["id"], name)
    write.precondition.check(stored["version"] if stored else None)
    if stored is None and _is_taken(write.session, name):
        raise NameTaken(name=name)
    if stored is not None and stored["revoked_at"] is not None:
        raise TokenRevoked(token=name)
    expires_at = expiry_of(content.expires_at, stored["created_at"] if stored else write.author.at)
    _check_token(write.actor, content, expires_at, write.author.at, stored)
    values = {
        "scopes": [str(scope) for scope in content.scopes],
        "networks": list(content.networks),
        "expires_at": expires_at,
    }
    if stored is None:
        return _issue(write.session, chain, write.author, owner, checked_key(name), values)
    if any(stored[field] != value for field, value in values.items()):
        new = update_versioned(write.session, _tokens, stored, values)
        record(write.session, chain, write.author, [_token_entry("changed", principal, owner, stored, new)])
    return None


def end_token(write: Write, principal: str, name: str) -> None:
    """Revoke a token: the next request with it is refused. One that was revoked stays as it is."""
    chain, owner = held(write, principal)
    stored = _stored_token(write.session, owner["id"], name)
    if stored is None:
        raise NotFound()
    if stored["revoked_at"] is None:
        _revoke(write.session, chain, write.author, owner, stored)


def _stored_token(session: Session, owner: int, name: str) -> dict[str, Any] | None:
    c = _tokens.c
    row = session.execute(sa.select(_tokens).where(c.principal_id == owner, c.name == name)).one_or_none()
    return dict(row._mapping) if row else None


def _is_taken(session: Session, name: str) -> bool:
    return session.scalar(sa.select(_tokens.c.id).where(_tokens.c.name == name)) is not None


def _check_token(
    actor: Actor, content: TokenIn, expires_at: datetime, now: datetime, stored: dict[str, Any] | None
) -> None:
    """Raise Invalid for a scope beyond the giver's own, or an end in the past or too far off."""
    kept = set(stored["scopes"]) if stored else set()
    errors = [
        FieldError(scope_beyond_own, pointer=f"/scopes/{n}", value=scope, allowed=sorted(actor.scopes))
        for n, scope in enumerate(content.scopes)
        if scope not in actor.scopes and scope not in kept
    ]
    latest = now + LONGEST_LIFE
    if content.expires_at is not None and not now < expires_at <= latest:
        said = content.expires_at.isoformat()
        errors.append(
            FieldError(expiry_out_of_range, pointer="/expires_at", value=said, allowed=latest.isoformat())
        )
    if errors:
        raise Invalid(errors=errors)


def _issue(
    session: Session,
    chain: Chain,
    author: Author,
    owner: dict[str, Any],
    name: str,
    values: dict[str, object],
) -> str:
    secret = f"rata_{secrets.token_urlsafe(32)}"
    new = {
        "principal_id": owner["id"],
        "name": name,
        "hash": hash_of(secret),
        "created_at": author.at,
        "revoked_at": None,
        "version": next_version(session, principal_subject(owner["name"], name), None),
        **values,
    }
    session.execute(sa.insert(_tokens).values(**new))
    record(session, chain, author, [_token_entry("created", owner["name"], owner, None, new)])
    return secret


def _revoke(
    session: Session, chain: Chain, author: Author, owner: dict[str, Any], stored: dict[str, Any]
) -> None:
    new = update_versioned(session, _tokens, stored, {"revoked_at": author.at})
    record(session, chain, author, [_token_entry("revoked", owner["name"], owner, stored, new)])


def _token_entry(
    what: str,
    principal: str,
    owner: dict[str, Any],
    before: dict[str, object] | None,
    after: dict[str, object] | None,
) -> Entry:
    def said(row: dict[str, Any] | None) -> dict[str, object] | None:
        if row is None:
            return None
        ends = {name: row[name].isoformat() if row[name] else None for name in ("expires_at", "revoked_at")}
        return {"scopes": row["scopes"], "networks": row["networks"], **ends}

    row: dict[str, Any] = after or before or {}
    address = principal_subject(principal, row["name"])
    version = row["version"] + (after is None)
    return Entry(f"token.{what}", owner["region_code"], address, version, said(before), said(after))


# From the console


def create_token(
    session: Session,
    author: Author,
    *,
    name: str,
    principal: str,
    grants: Sequence[Grant],
    scopes: Sequence[TokenScope],
    expires_at: datetime,
    networks: Sequence[str] = (),
) -> str:
    """Make a token for a principal (made too if new) and return its secret, which is never shown again.

    The principal's memberships become exactly `grants` if any are given. Raises Conflict if the name is taken and
    Invalid if a name is none that the HTTP interface takes.
    """
    name, principal = checked_key(name), checked_key(principal)
    chain = hold(session, principal_chain(principal))
    owner = stored_principal(session, principal)
    if owner is None or grants:
        chain, owner = enrol_chained(session, chain, author, principal, grants)
    if _is_taken(session, name):
        raise Conflict()
    values = {"scopes": [str(s) for s in scopes], "networks": list(networks), "expires_at": expires_at}
    return _issue(session, chain, author, owner, name, values)


def revoke_token(session: Session, author: Author, *, name: str) -> None:
    """End a token at once. Raises NotFound if no token of that name is valid."""
    c = _tokens.c
    owned = sa.select(_principals.c.name).join(_tokens, c.principal_id == _principals.c.id)
    principal = session.scalar(owned.where(c.name == name, c.revoked_at.is_(None)))
    if principal is None:
        raise NotFound()
    chain = hold(session, principal_chain(principal))
    owner = stored_principal(session, principal)
    stored = _stored_token(session, owner["id"], name) if owner else None
    if owner is None or stored is None or stored["revoked_at"] is not None:
        raise NotFound()
    _revoke(session, chain, author, owner, stored)
