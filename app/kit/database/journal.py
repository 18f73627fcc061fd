"""The journal: every write adds one row in its own transaction.

The hash of a row covers that of the row before it in its chain (a plan with all its parts; a region's
agencies; access), so a later change or removal of a row shows. The chain's head is also the lock by
which writers of one plan take turns, and its hash the state by which a list is stale or unchanged.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlmodel import Field, Session

from app.kit.database.engine import Table, get_table
from app.kit.database.json_sql import build_once, dump_json
from app.kit.database.upsert import unnest_records, upsert
from app.kit.personal import find_written_numbers
from app.kit.problems import refuse


class JournalRow(Table, table=True):
    """One write: its author, instant, subject, changes and reason."""

    __tablename__ = "journal"
    __table_args__ = (
        sa.UniqueConstraint("chain", "position"),
        sa.Index(None, "subject", "sequence"),
        sa.Index(None, "region_code", "sequence"),
    )

    sequence: int = Field(
        primary_key=True,
        sa_column_kwargs={"autoincrement": False},
        description="Place in the feed of all chains, in commit order, from 1.",
    )
    at: datetime
    actor: str = Field(max_length=200, description="Name of the token; of the position if it used none.")
    kind: str = Field(max_length=60, description="Noun and verb, such as `action.changed`.")
    region_code: str = Field(max_length=13)
    subject: str = Field(max_length=200, description="Address below /v1/ of what changed.")
    version: int
    changes: dict[str, object] = Field(sa_type=sa.JSON, description="Field → [old, new].")
    reason: str | None = Field(default=None, max_length=1000)
    request_id: str | None = Field(default=None, max_length=64)
    chain: str = Field(max_length=60)
    position: int = Field(description="Place in the chain, from 1.")
    hash: str = Field(max_length=64, description="SHA-256 over the previous hash and this row.")
    is_draft: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": sa.false()},
        description="Of what is not in force yet; format 1 does not hash it.",
    )
    format: int = Field(
        default=1, sa_column_kwargs={"server_default": "1"}, description="What the hash covers, and how."
    )
    principal: str | None = Field(
        default=None, max_length=200, description="Position of the author; null in format 1. Never a person."
    )
    salt: str | None = Field(
        default=None,
        max_length=64,
        description="Random; keys the digests of the values. Null after blanking.",
    )
    blanked: dict[str, object] | None = Field(
        default=None,
        sa_type=sa.JSON(none_as_null=True),
        description="After blanking: `keys` of the remaining values and `digests` of the blanked ones, by path. "
        "The salt is gone, so no digest gives a value away to one who guesses it.",
    )


class JournalHead(Table, table=True):
    """The last row of a chain."""

    __tablename__ = "journal_head"

    chain: str = Field(primary_key=True, max_length=60)
    position: int
    hash: str = Field(max_length=64)


FEED = "feed"
"""Name of the head that counts the rows of all chains."""

_UNNUMBERED = "journal rows without their sequence"
SENT_NUMBERS = "numbers of persons that the request sent"
_LATEST = "instant of the latest entry in the chains that this transaction locks"


@dataclass(frozen=True)
class Author:
    """The author of a write, with its instant and request."""

    actor: str
    """Name of the position, also of a service; never of a person."""
    at: datetime
    request_id: str | None = None
    token: str | None = None
    """Name of the token; None on the command line."""


@dataclass(frozen=True)
class Entry:
    """One change for the journal. `before` None: created; `after` None: deleted."""

    kind: str
    region_code: str
    subject: str
    version: int
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    reason: str | None = None
    is_draft: bool = False
    """True hides the entry from readers without the right to drafts of that region."""

    @classmethod
    def of(
        cls,
        noun: str,
        region_code: str,
        subject: str,
        version: int,
        before: Mapping[str, object] | None,
        after: Mapping[str, object] | None,
        reason: str | None = None,
        *,
        is_draft: bool = False,
    ) -> "Entry":
        """Return the entry of a noun; its verb follows from `before` and `after`."""
        verb = "created" if before is None else "deleted" if after is None else "changed"
        return cls(f"{noun}.{verb}", region_code, subject, version, before, after, reason, is_draft)

    @property
    def changes(self) -> dict[str, list[object]]:
        old, new = self.before or {}, self.after or {}
        return {
            name: [old.get(name), new.get(name)]
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        }


@dataclass(frozen=True)
class Chain:
    """The end of a chain that this transaction locks, so no other one writes to it."""

    name: str
    position: int
    hash: str


def lock_chain(session: Session, name: str) -> Chain:
    """Lock a chain until the transaction ends; other writers of that chain wait in line.

    Later instants of this transaction are not before the last one of the chain (`keep_order`).
    """
    chain = _move_head(session, name, by=0)
    last = {"name": name, "position": chain.position}
    if chain.position and (at := session.connection().scalar(_LAST_INSTANT, last)) is not None:
        session.info[_LATEST] = max(at, session.info.get(_LATEST, at))
    return chain


def keep_order(session: Session, author: Author) -> Author:
    """Return the author at an instant that is not before the entries of any chain that this transaction locks.

    The order of a chain decides, not the clock: clocks of two servers differ, and a clock may be set back.
    """
    return replace(author, at=max(author.at, session.info.get(_LATEST, author.at)))


# Every write runs these statements, so they are built once.
_heads, _journal = get_table(JournalHead), get_table(JournalRow)
_LAST_INSTANT = sa.select(_journal.c.at).where(
    _journal.c.chain == sa.bindparam("name"), _journal.c.position == sa.bindparam("position")
)
_MOVE = (
    sa.update(_heads)
    .where(_heads.c.chain == sa.bindparam("name"))
    .values(position=_heads.c.position + sa.bindparam("by"))
    .returning(_heads.c.position, _heads.c.hash)
)
_END = (
    sa.update(_heads)
    .where(_heads.c.chain == sa.bindparam("name"))
    .values(position=sa.bindparam("position"), hash=sa.bindparam("hash"))
)


def _move_head(session: Session, name: str, *, by: int) -> Chain:
    connection, moved = session.connection(), {"name": name, "by": by}
    row = connection.execute(_MOVE, moved).one_or_none()
    if row is None:
        upsert(
            session, _heads, [{"chain": name, "position": 0, "hash": "0" * 64}], key=["chain"], replace=False
        )
        row = connection.execute(_MOVE, moved).one()
    return Chain(name, row.position, row.hash)


class Versioned(Protocol):
    """A row with a version, which counts its writes."""

    @property
    def version(self) -> int: ...


Key = TypeVar("Key")


def assign_versions(
    session: Session, subjects: Mapping[Key, str], stored: Mapping[Key, Versioned]
) -> dict[Key, int]:
    """Return the version that a write gives each subject: one more than that of its row in `stored`.

    A subject without a row continues from the journal, which outlives rows: the ETag of a deleted row
    never matches a later one at its address. The caller has locked the chain of the subjects. One
    statement looks up all subjects without a row; without such subjects there is none.
    """
    new = {key: subject for key, subject in subjects.items() if key not in stored}
    last = _last_versions(session, set(new.values())) if new else {}
    return {
        key: (last.get(subject, 0) if key in new else stored[key].version) + 1
        for key, subject in subjects.items()
    }


def assign_version(session: Session, subject: str, stored: int | None) -> int:
    """Return the version that a write gives one subject; `stored` None: it has no row."""
    return (_last_versions(session, {subject}).get(subject, 0) if stored is None else stored) + 1


def _last_versions(session: Session, subjects: set[str]) -> dict[str, int]:
    """Return the highest version of each subject in the journal, rows of this transaction included.

    The highest, not the last: in older journals the versions of some subjects fall.
    """
    bound = {"records": dump_json([{"subject": subject} for subject in sorted(subjects)])}
    rows = session.connection().execute(_highest_versions(session), bound)
    last = {subject: version for subject, version in rows if version is not None}
    for row in session.info.get(_UNNUMBERED, ()):
        if row["subject"] in subjects:
            last[row["subject"]] = max(row["version"], last.get(row["subject"], 0))
    return last


@build_once
def _highest_versions(session: Session) -> sa.Select[str, int | None]:
    journal = get_table(JournalRow)
    subjects = unnest_records(session, {"subject": journal.c.subject.type})
    highest = sa.select(sa.func.max(journal.c.version)).where(journal.c.subject == subjects.c.subject)
    return sa.select(subjects.c.subject, highest.correlate(subjects).scalar_subquery())


def append(session: Session, chain: Chain, author: Author, entries: Sequence[Entry]) -> Chain:
    """Append the entries to the chain, and return its new end.

    Raises Invalid if they bring a number of a person that the request sent in a free text.
    """
    if sent := session.info.get(SENT_NUMBERS):
        writes = [(entry.before or {}, {**(entry.after or {}), "": entry.reason}) for entry in entries]
        refuse(find_written_numbers(sent, writes))
    rows, position, link, author = [], chain.position, chain.hash, keep_order(session, author)
    for entry in entries:
        position += 1
        row = {
            "format": FORMAT,
            "at": author.at.isoformat(),
            "actor": author.token or author.actor,
            "principal": author.actor,
            "kind": entry.kind,
            "region_code": entry.region_code,
            "subject": entry.subject,
            "version": entry.version,
            "changes": entry.changes,
            "reason": entry.reason,
            "request_id": author.request_id,
            "chain": chain.name,
            "position": position,
            "is_draft": entry.is_draft,
            "salt": secrets.token_hex(32),
        }
        link = hash_row(link, row)
        rows.append({**row, "hash": link})
    if rows:
        session.info.setdefault(_UNNUMBERED, []).extend(rows)
        session.info[_LATEST] = author.at
        session.connection().execute(_END, {"name": chain.name, "position": position, "hash": link})
    return Chain(chain.name, position, link)


@event.listens_for(Session, "before_commit")
def _number_rows(session: Session) -> None:
    """Give the rows their sequence numbers in the feed, as the last step before the commit.

    The transaction locks the feed's head after every other lock, and only until the commit. So the
    numbers follow the order of commits without a gap: a reader that has seen n meets no smaller one later.
    """
    rows, _ = session.info.pop(_UNNUMBERED, None), session.info.pop(_LATEST, None)
    if rows:
        first = _move_head(session, FEED, by=len(rows)).position - len(rows) + 1
        upsert(session, get_table(JournalRow), [{**row, "sequence": first + n} for n, row in enumerate(rows)])


@event.listens_for(Session, "after_rollback")
def _forget_rows(session: Session) -> None:
    session.info.pop(_UNNUMBERED, None)
    session.info.pop(_LATEST, None)


LAST_SEQUENCE = sa.select(_heads.c.position).where(_heads.c.chain == FEED)


def last_sequence(session: Session) -> int:
    """Return the last sequence number that the session sees; the numbers follow the order of commits."""
    return session.connection().scalar(LAST_SEQUENCE) or 0


# Hashes of rows

_CELLS = (
    "at", "actor", "kind", "region_code", "subject", "version", "changes", "reason", "request_id", "chain", "position"
)  # fmt: skip
COVERED: Mapping[int, Sequence[str]] = {1: _CELLS, 2: (*_CELLS, "format", "principal", "is_draft")}
"""Cells that the hash of a row covers, by its format. Rows of each format stay for ever."""
FORMAT = 2
"""Format of the rows that this version writes."""


def hash_row(previous: str, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the previous link and of the canonical JSON of the cells that the format covers.

    Format 2 covers each changed value and the reason by a digest, so that the row verifies after one is blanked.
    Raises LookupError for an unknown format; also AttributeError, TypeError or ValueError for cells of another shape.
    """
    covered = {name: row[name] for name in COVERED[row["format"]]}
    if row["format"] == 1:
        later = ("principal", "salt", "blanked")
        covered |= {name: row[name] for name in later if row.get(name) is not None}
    else:
        digests = _compute_digests(row)
        covered["reason"] = digests["reason"]
        covered["changes"] = {
            field: [digests.get(f"changes/{field}/{side}") for side in range(len(pair))]
            for field, pair in row["changes"].items()
        }
    body = dump_json({name: covered[name] for name in sorted(covered)})
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def list_values(row: Mapping[str, Any]) -> dict[str, object]:
    """Return the changed values and the reason of a row by path: `changes/spent/0` is the old value of `spent`."""
    values: dict[str, object] = {
        f"changes/{field}/{side}": value
        for field, pair in row["changes"].items()
        for side, value in enumerate(pair)
    }
    return {**values, "reason": row["reason"]}


def has_digest(path: str, value: object) -> bool:
    """Return whether a value has a digest: not a null of a change, but always the reason, which binds the salt."""
    return value is not None or path == "reason"


def derive_key(salt: str, path: str) -> str:
    """Return the key of one value of a row: keys of other values do not lead to it."""
    return hashlib.sha256(f"{salt}{path}".encode()).hexdigest()


def compute_digest(key: str, value: object) -> str:
    """Return the HMAC-SHA-256 (hex) of a value's canonical JSON."""
    return hmac.digest(key.encode(), dump_json(value).encode(), "sha256").hex()


def _compute_digests(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each value by path; of blanked ones, the stored digest."""
    values, blanked, salt = list_values(row), row.get("blanked"), row["salt"]
    digests = blanked["digests"] if blanked else {}
    rest = {path: value for path, value in values.items() if has_digest(path, value) and path not in digests}
    keys = {path: derive_key(salt, path) for path in rest} if blanked is None else blanked["keys"]
    if blanked is not None and (salt is not None or len(blanked) != 2):
        raise ValueError("a row has a salt, or keys and digests")
    if keys.keys() != rest.keys() or any(values[path] is not None for path in digests):
        raise ValueError("the blanked values do not fit the row")
    return {**{path: compute_digest(keys[path], value) for path, value in rest.items()}, **digests}


# State of chains


def state_hash(session: Session, *chains: str) -> str:
    """Return the state of these chains, which each write to them changes: the hashes of their last rows."""
    table = get_table(JournalHead)
    hashes = session.scalars(sa.select(table.c.hash).where(table.c.chain.in_(chains)).order_by(table.c.chain))
    return ",".join(hashes)
