"""Creating and revoking tokens: from the command line, journaled like every write."""

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from app.access.models import Membership, Principal, Role, Token, TokenScope
from app.access.queries import hash_of
from app.access.rules import SCOPE_CHANGED, Grant, scope_chain, scope_changes
from app.kit.db import table_of
from app.kit.journal import Author, Entry, hold, record
from app.kit.problems import Conflict, NotFound

CHAIN = "access"


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
    """Make a token for a principal (made too if new) and give its secret, which is never shown again.

    The principal's memberships become exactly `grants` where any are given. Conflict: the name is taken.
    """
    chain = hold(session, CHAIN)
    for network in networks:
        ipaddress.ip_network(network)
    table = table_of(Principal)
    owner = session.scalar(sa.select(table.c.id).where(table.c.name == principal))
    if owner is None:
        made = Principal(name=principal, created_at=author.at)
        session.add(made)
        session.flush()
        owner = made.id
    assert owner is not None
    if grants:
        _set_memberships(session, author, owner, principal, grants)
    if session.scalar(sa.select(table_of(Token).c.id).where(table_of(Token).c.name == name)) is not None:
        raise Conflict()
    secret = f"rata_{secrets.token_urlsafe(32)}"
    session.add(
        Token(
            principal_id=owner,
            name=name,
            hash=hash_of(secret),
            scopes=[str(s) for s in scopes],
            networks=list(networks),
            created_at=author.at,
            expires_at=expires_at,
        )
    )
    session.flush()
    after = {
        "principal": principal,
        "scopes": [str(s) for s in scopes],
        "expires_at": expires_at.isoformat(),
        "networks": list(networks),
        "grants": [[g.role, g.region, g.agency] for g in grants],
    }
    record(session, chain, author, [Entry("token.created", "0", f"tokens/{name}", 1, None, after)])
    return secret


def _set_memberships(
    session: Session, author: Author, owner: int, principal: str, grants: Sequence[Grant]
) -> None:
    """Make a principal's memberships what they shall be, and tell its readers of the feed what they see by it."""
    table = table_of(Membership)
    rows = session.execute(sa.select(table).where(table.c.principal_id == owner)).all()
    before = [Grant(Role(row.role), row.region_code, row.agency_code or None) for row in rows]
    session.execute(sa.delete(table).where(table.c.principal_id == owner))
    session.add_all(
        Membership(principal_id=owner, role=g.role, region_code=g.region, agency_code=g.agency or "")
        for g in grants
    )
    # Whoever saw nothing before has no copy to mend.
    changes = scope_changes(before, grants) if before else []
    if changes:
        chain = hold(session, scope_chain(principal))
        entries = [
            Entry(
                SCOPE_CHANGED,
                change.region,
                "me",
                chain.position + n,
                {"sees": change.before, "sees_drafts": change.drafts_before},
                {"sees": change.after, "sees_drafts": change.drafts_after},
            )
            for n, change in enumerate(changes, 1)
        ]
        record(session, chain, author, entries)


def revoke_token(session: Session, author: Author, *, name: str) -> None:
    """End a token at once. NotFound: there is none of that name."""
    chain = hold(session, CHAIN)
    table = table_of(Token)
    ended = session.execute(
        sa.update(table)
        .where(table.c.name == name, table.c.revoked_at.is_(None))
        .values(revoked_at=author.at)
    )
    if ended.rowcount == 0:  # type: ignore[attr-defined]  # a cursor result, typed as its base
        raise NotFound()
    change = {"revoked_at": author.at.isoformat()}
    record(
        session,
        chain,
        author,
        [Entry("token.revoked", "0", f"tokens/{name}", 2, {"revoked_at": None}, change)],
    )
