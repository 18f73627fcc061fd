"""Random journals and readers, and in plain Python the rule that decides which rows a reader may see.

The rule here is written from the documentation alone, so it judges the SELECTs of the feed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from app.access.models import Role, TokenScope
from app.access.rules import Actor, Grant
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import Author, Entry, JournalHead, JournalRow, append, lock_chain

Row = dict[str, Any]

NATION = "0"
REGIONS = (NATION, "63", "63.02", "63.02.01", "63.03", "73", "73.22")
READERS = ("dasbor", "opd")
"""Principals: the first reads, the other has private chains that the first may not see."""
KINDS = ("plan.created", "plan.changed", "action.changed", "action.deleted", "reference.loaded")
ROLES_BELOW = {"reader", "reviewer", "administrator"}


# Writes


@dataclass(frozen=True)
class Write:
    """One row to write."""

    chain: str
    region: str
    kind: str
    is_draft: bool


def _digest(principal: str) -> str:
    return sha256(principal.encode()).hexdigest()[:40]


def _build_write(shape: str, region: str, kind: str, principal: str, is_draft: bool) -> Write:
    """Return a row as the service writes it: neither the nation nor a private chain has drafts."""
    chain = {
        "plan": f"plan:{region}-2026",
        "amendment": f"amendment:{region}-2026",
        "access": "access",
        "principal": f"principal:{_digest(principal)}",
        "webhook": f"webhook:{principal}",
        "scope": f"scope:{_digest(principal)}",
    }[shape]
    private = {"principal": "principal.changed", "webhook": "webhook.changed", "scope": "scope.changed"}
    drafted = is_draft and shape in ("plan", "amendment") and region != NATION
    return Write(chain, region, private.get(shape, kind), drafted)


_SHAPES = ("plan", "plan", "plan", "amendment", "access", "principal", "webhook", "scope")

writes = st.builds(
    _build_write,
    st.sampled_from(_SHAPES),
    st.sampled_from(REGIONS),
    st.sampled_from(KINDS),
    st.sampled_from(READERS),
    st.booleans(),
)
transactions = st.lists(writes, min_size=1, max_size=6)
"""The rows of one transaction."""

grants = st.builds(Grant, st.sampled_from(Role), st.sampled_from(REGIONS), st.sampled_from((None, "A")))
_EVERY_SCOPE = frozenset(TokenScope)
scopes = st.sampled_from(
    (_EVERY_SCOPE, _EVERY_SCOPE, frozenset({TokenScope.read}), frozenset({TokenScope.write}))
)
readers = st.builds(
    lambda grants, scopes: Actor(READERS[0], "token", scopes, tuple(grants)),
    st.lists(grants, max_size=3),
    scopes,
)
filters = st.fixed_dictionaries(
    {
        "region": st.sampled_from((None, *REGIONS)),
        "kind": st.sampled_from(([], [], ["plan"], ["action.deleted"], ["reference", "plan.changed"])),
        "changes": st.booleans(),
    }
)


def empty_journal(database: Database) -> None:
    with database.writing() as session:
        for table in (JournalRow, JournalHead):
            session.execute(sa.delete(get_table(table)))


def write_all(database: Database, rows: list[Write], first: int) -> None:
    """Write the rows in one transaction, each with an address of its own, numbered from `first`."""
    author = Author("writer", datetime.now(UTC))
    with database.writing() as session:
        for n, row in enumerate(rows, first):
            chain = lock_chain(session, row.chain)
            entry = Entry(row.kind, row.region, f"t/{n}", 1, None, {"n": n}, is_draft=row.is_draft)
            append(session, chain, author, [entry])


def read_journal(database: Database) -> list[Row]:
    """Return every row in the order of the commits."""
    table = get_table(JournalRow)
    with database.read_session() as session:
        return [dict(row) for row in session.execute(sa.select(table).order_by(table.c.sequence)).mappings()]


# Rights


def _is_within(region: str, ancestor: str) -> bool:
    return ancestor in (NATION, region) or region.startswith(f"{ancestor}.")


def _is_reached(grant: Grant, region: str) -> bool:
    return _is_within(region, grant.region) if str(grant.role) in ROLES_BELOW else region == grant.region


def _administers(actor: Actor, region: str) -> bool:
    return TokenScope.administer in actor.scopes and any(
        grant.role == Role.administrator and _is_reached(grant, region) for grant in actor.grants
    )


def may_know(actor: Actor, row: Row, region: str | None) -> bool:
    """True if a reader of the feed of a region may see a row."""
    if TokenScope.read not in actor.scopes:
        return False
    chain, home = str(row["chain"]), str(row["region_code"])
    is_asked = region is None or _is_within(home, region)
    if chain.startswith("scope:"):
        is_above = region is not None and _is_within(region, home)
        return chain == f"scope:{_digest(actor.principal)}" and (is_asked or is_above)
    if not is_asked:
        return False
    if chain == "access":
        return _administers(actor, NATION)
    if chain.startswith(("principal:", "webhook:")):
        return _administers(actor, home)
    reached = [grant for grant in actor.grants if _is_reached(grant, home)]
    if row["is_draft"]:
        return any(grant.role != Role.reader for grant in reached)
    return bool(reached) or (home == NATION and bool(actor.grants))


def is_of_kind(row: Row, kinds: list[str]) -> bool:
    kind = str(row["kind"])
    is_named = any(kind == name or kind.startswith(f"{name}.") for name in kinds)
    return not kinds or kind == "scope.changed" or is_named
