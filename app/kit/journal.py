"""The journal: every write leaves one row in its own transaction.

Rows of the same chain (a plan with all that hangs on it; a region's agencies; access) are hashed one
upon the other, so a row that is changed or taken out later shows. The chain's head is also the lock
that makes writers of one plan take turns, and the stamp by which a list knows that nothing changed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session

from app.kit.db import Table, table_of
from app.kit.json_sql import to_json, upsert


class JournalRow(Table, table=True):
    """One write: who, when, what, from and to, why."""

    __tablename__ = "journal"
    __table_args__ = (sa.UniqueConstraint("chain", "position"), sa.Index(None, "subject", "sequence"))

    sequence: int | None = Field(default=None, primary_key=True)
    at: datetime
    actor: str = Field(max_length=200, description="Name of the token or the position; never of a person.")
    kind: str = Field(max_length=60, description="Noun and verb, such as `action.changed`.")
    region_code: str = Field(max_length=13)
    subject: str = Field(max_length=200, description="Address below /v1/ of what changed.")
    version: int
    changes: dict[str, Any] = Field(sa_type=sa.JSON, description="Field → [old, new].")
    reason: str | None = Field(default=None, max_length=1000)
    request_id: str | None = Field(default=None, max_length=64)
    chain: str = Field(max_length=60)
    position: int = Field(description="Place in the chain, from 1.")
    hash: str = Field(max_length=64, description="SHA-256 over the previous hash and this row.")


class JournalHead(Table, table=True):
    """Where a chain ends."""

    __tablename__ = "journal_head"

    chain: str = Field(primary_key=True, max_length=60)
    position: int
    hash: str = Field(max_length=64)


@dataclass(frozen=True)
class Author:
    """Who writes, in which request."""

    actor: str
    at: datetime
    request_id: str | None = None


@dataclass(frozen=True)
class Entry:
    """One change to record. `before` None: created; `after` None: deleted."""

    kind: str
    region_code: str
    subject: str
    version: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None = None

    @property
    def changes(self) -> dict[str, list[Any]]:
        old, new = self.before or {}, self.after or {}
        return {
            name: [old.get(name), new.get(name)]
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        }


@dataclass(frozen=True)
class Chain:
    """A chain whose head this transaction holds, so nobody else writes to it meanwhile."""

    name: str
    position: int
    hash: str


def hold(session: Session, name: str) -> Chain:
    """Lock a chain until the transaction ends; writers of the same chain wait here, in line."""
    first = {"chain": name, "position": 0, "hash": "0" * 64}
    (row,) = upsert(
        session, table_of(JournalHead), [first], key=["chain"], replace=False, returning=["position", "hash"]
    )
    return Chain(name, row.position, row.hash)


def record(session: Session, chain: Chain, author: Author, entries: Sequence[Entry]) -> Chain:
    """Write the entries at the chain's end and give the chain as it then is."""
    rows, position, link = [], chain.position, chain.hash
    for entry in entries:
        position += 1
        row = {
            "at": author.at.isoformat(),
            "actor": author.actor,
            "kind": entry.kind,
            "region_code": entry.region_code,
            "subject": entry.subject,
            "version": entry.version,
            "changes": entry.changes,
            "reason": entry.reason,
            "request_id": author.request_id,
            "chain": chain.name,
            "position": position,
        }
        link = link_hash(link, row)
        rows.append({**row, "hash": link})
    if rows:
        upsert(session, table_of(JournalRow), rows)
        session.connection().execute(_MOVE, {"held": chain.name, "position": position, "hash": link})
    return Chain(chain.name, position, link)


_heads = table_of(JournalHead)
_MOVE = (
    sa.update(_heads)
    .where(_heads.c.chain == sa.bindparam("held"))
    .values(position=sa.bindparam("position"), hash=sa.bindparam("hash"))
)


def link_hash(previous: str, row: dict[str, Any]) -> str:
    """SHA-256 (hex) over the previous link and the row's canonical JSON."""
    body = to_json({name: row[name] for name in sorted(row)})
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def stamp(session: Session, *chains: str) -> str:
    """What changes whenever something in these chains does: the hashes at their ends."""
    table = table_of(JournalHead)
    found = session.scalars(sa.select(table.c.hash).where(table.c.chain.in_(chains)).order_by(table.c.chain))
    return ",".join(found)
