"""Commands on service tokens: over HTTP and from the console.

Only the reply that creates a token contains its secret. The route is a PUT to a name, since the server stores the
replies of a POST for its retries, and would store the secret with them.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import (
    NameTaken,
    StoredPrincipal,
    Write,
    enrol_locked,
    find_principal,
    lock_principal,
)
from app.access.models import Principal, Token, TokenIn
from app.access.queries import hash_secret
from app.access.rules import (
    MAX_TOKEN_LIFE,
    Grant,
    choose_expiry,
    format_principal_chain,
    format_principal_subject,
)
from app.kit.database.engine import get_table
from app.kit.database.journal import Chain, Entry, append, assign_version, lock_chain
from app.kit.database.resources import write_version
from app.kit.http.validation import check_key
from app.kit.problems import Conflict, FieldError, Kind, NotFound, Problem, refuse, require_found
from app.kit.wording import Text

_tokens, _principals = get_table(Token), get_table(Principal)

scope_beyond_own = Kind(
    "scope_beyond_own",
    id="Token Anda hanya memiliki cakupan {own:scope}, jadi tidak dapat memberi cakupan {scope:scope}.",
    en="Your token has only the scopes {own:scope}, so it cannot give the scope {scope:scope}.",
)
expiry_out_of_range = Kind(
    "expiry_out_of_range",
    id="Harus di masa depan, paling lambat {allowed}.",
    en="Must lie in the future, at the latest {allowed}.",
)


class TokenRevoked(Problem):
    status = 409
    code = "token_revoked"
    title = Text("Token sudah dicabut", "Token revoked")
    detail = Text(
        "Token “{token}” sudah dicabut dan tidak dapat diubah. Buat token lain.",
        "Token “{token}” was revoked and cannot change any more. Create another token.",
    )


class StoredToken(NamedTuple):
    """A row of the tokens, without the hash."""

    id: int
    name: str
    scopes: list[str]
    networks: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    version: int


_STORED = [_tokens.c[name] for name in StoredToken._fields]


def put_token(write: Write, principal: str, name: str, content: TokenIn) -> str | None:
    """Create a token and return its secret, the only time; or change its limits and return None."""
    chain, owner = lock_principal(write, principal)
    stored = _find_token(write.session, owner.id, name)
    if stored is None and _is_taken(write.session, name):
        raise NameTaken()
    write.precondition.check(stored.version if stored else None)
    if stored is not None and stored.revoked_at is not None:
        raise TokenRevoked(token=name)
    expires_at = choose_expiry(content.expires_at, stored.created_at if stored else write.author.at)
    _check_token(write, content, expires_at, stored)
    if stored is None:
        return _issue(write, chain, owner, check_key(name), content, expires_at)
    scopes = [str(scope) for scope in content.scopes]
    new = stored._replace(scopes=scopes, networks=list(content.networks), expires_at=expires_at)
    if new != stored:
        _change(write, chain, owner, "changed", stored, new)
    return None


def revoke_token_of_principal(write: Write, principal: str, name: str) -> None:
    """Revoke a token, which ends before the next request. Idempotent."""
    chain, owner = lock_principal(write, principal)
    stored = require_found(_find_token(write.session, owner.id, name))
    if stored.revoked_at is None:
        _revoke(write, chain, owner, stored)


def _find_token(session: Session, owner: int, name: str) -> StoredToken | None:
    c = _tokens.c
    row = session.execute(sa.select(*_STORED).where(c.principal_id == owner, c.name == name)).one_or_none()
    return StoredToken(*row) if row else None


def _is_taken(session: Session, name: str) -> bool:
    return session.scalar(sa.select(_tokens.c.id).where(_tokens.c.name == name)) is not None


def _check_token(write: Write, content: TokenIn, expires_at: datetime, stored: StoredToken | None) -> None:
    """Raise Invalid for a scope that the actor's token lacks, or an expiry in the past or beyond `MAX_TOKEN_LIFE`."""
    own, kept = write.actor.scopes, set(stored.scopes) if stored else set()
    errors = [
        FieldError(
            scope_beyond_own,
            pointer=f"/scopes/{n}",
            value=scope,
            allowed=sorted(own),
            values={"scope": scope, "own": sorted(own)},
        )
        for n, scope in enumerate(content.scopes)
        if scope not in own and scope not in kept
    ]
    latest = write.author.at + MAX_TOKEN_LIFE
    if content.expires_at is not None and not write.author.at < expires_at <= latest:
        value = content.expires_at.isoformat()
        errors.append(
            FieldError(expiry_out_of_range, pointer="/expires_at", value=value, allowed=latest.isoformat())
        )
    refuse(errors)


def _issue(
    write: Write, chain: Chain, owner: StoredPrincipal, name: str, content: TokenIn, expires_at: datetime
) -> str:
    secret = f"rata_{secrets.token_urlsafe(32)}"
    version = assign_version(write.session, format_principal_subject(owner.name, name), None)
    scopes, networks = [str(scope) for scope in content.scopes], list(content.networks)
    new = StoredToken(0, name, scopes, networks, write.author.at, expires_at, None, version)
    row = {**new._asdict(), "principal_id": owner.id, "hash": hash_secret(secret)}
    del row["id"]
    write.session.execute(sa.insert(_tokens).values(**row))
    append(write.session, chain, write.author, [_build_entry("created", owner, None, new)])
    return secret


def _revoke(write: Write, chain: Chain, owner: StoredPrincipal, stored: StoredToken) -> None:
    _change(write, chain, owner, "revoked", stored, stored._replace(revoked_at=write.author.at))


def _change(
    write: Write,
    chain: Chain,
    owner: StoredPrincipal,
    what: str,
    stored: StoredToken,
    new: StoredToken,
) -> None:
    changed = {
        "scopes": new.scopes,
        "networks": new.networks,
        "expires_at": new.expires_at,
        "revoked_at": new.revoked_at,
    }
    new = new._replace(version=write_version(write.session, _tokens, stored, changed))
    append(write.session, chain, write.author, [_build_entry(what, owner, stored, new)])


def _build_entry(what: str, owner: StoredPrincipal, before: StoredToken | None, after: StoredToken) -> Entry:
    def describe(row: StoredToken | None) -> dict[str, object] | None:
        if row is None:
            return None
        ends = {"expires_at": row.expires_at, "revoked_at": row.revoked_at}
        instants = {name: at.isoformat() if at else None for name, at in ends.items()}
        return {"scopes": row.scopes, "networks": row.networks, **instants}

    address = format_principal_subject(owner.name, after.name)
    return Entry(
        f"token.{what}", owner.region_code, address, after.version, describe(before), describe(after)
    )


# From the console


def create_token(
    write: Write,
    *,
    name: str,
    principal: str,
    grants: Sequence[Grant],
    content: TokenIn,
) -> str:
    """Create a token, and its principal if that is new, and return the secret, the only time.

    Non-empty `grants` replace the principal's memberships. Raises Conflict if another token has the name, Invalid if
    the HTTP interface would refuse a name.
    """
    name, principal = check_key(name), check_key(principal)
    chain = lock_chain(write.session, format_principal_chain(principal))
    owner = find_principal(write.session, principal)
    if owner is None or grants:
        chain, owner = enrol_locked(write, chain, principal, grants)
    if _is_taken(write.session, name):
        raise Conflict()
    return _issue(write, chain, owner, name, content, choose_expiry(content.expires_at, write.author.at))


def revoke_token(write: Write, *, name: str) -> None:
    """Revoke a token by name. Raises NotFound if it does not exist or is already revoked."""
    c = _tokens.c
    owned = sa.select(_principals.c.name).join(_tokens, c.principal_id == _principals.c.id)
    principal = require_found(write.session.scalar(owned.where(c.name == name, c.revoked_at.is_(None))))
    chain = lock_chain(write.session, format_principal_chain(principal))
    owner = find_principal(write.session, principal)
    stored = _find_token(write.session, owner.id, name) if owner else None
    if owner is None or stored is None or stored.revoked_at is not None:
        raise NotFound()
    _revoke(write, chain, owner, stored)
