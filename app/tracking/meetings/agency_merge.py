"""What becomes of meetings and commitments when an agency is merged into another."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import Referrer
from app.kit.database.journal import Author, Entry, hold, record
from app.tracking.meetings.commands import Noun, entry
from app.tracking.meetings.queries import (
    Stored,
    attended,
    commitments,
    meetings,
    stored_commitments,
    stored_meetings,
    supported,
)
from app.tracking.meetings.rules import meetings_chain

_Read = Callable[[Session, str, sa.ColumnElement[bool]], list[Stored]]


def move_meetings(session: Session, author: Author, region: str, old: str, new: str) -> None:
    """Point attendance, responsibility and support of an agency at another; each leaves its entry.

    The region's chain is held first: whoever writes meanwhile is done before, or waits.
    """
    chain = hold(session, meetings_chain(region))
    entries = [one for noun in _NOUNS for one in _moved(session, author, noun, region, old, new)]
    record(session, chain, author, entries)


def _moved(session: Session, author: Author, noun: Noun, region: str, old: str, new: str) -> list[Entry]:
    """Move the references of all meetings or commitments, by as many statements as for one."""
    table, named, read = _NOUNS[noun]
    owner = named.c[f"{noun}_id"]
    names_old: sa.ColumnElement[bool] = table.c.id.in_(sa.select(owner).where(_names(named, region, old)))
    if noun == "commitment":
        names_old = sa.or_(commitments.c.responsible_agency == old, names_old)
    before = read(session, region, names_old)
    if not before:
        return []
    ids = [one.id for one in before]
    chosen = table.c.id.in_(ids)
    _replace(session, named, owner, ids, old, new)
    if noun == "commitment":
        is_old = sa.and_(chosen, commitments.c.responsible_agency == old)
        session.execute(sa.update(commitments).where(is_old).values(responsible_agency=new))
        answers = sa.select(commitments.c.id).where(chosen, commitments.c.responsible_agency == new)
        # Nobody supports what it answers for.
        session.execute(sa.delete(supported).where(supported.c.agency_code == new, owner.in_(answers)))
    session.execute(sa.update(table).where(chosen).values(version=table.c.version + 1, updated_at=author.at))
    after = {one.id: one.content for one in read(session, region, chosen)}
    return [entry(noun, region, one, after[one.id], f"merge {old} → {new}") for one in before]


def _replace(
    session: Session, named: sa.Table, owner: sa.Column[int], ids: list[int], old: str, new: str
) -> None:
    """One agency in the place of another; where both are named, the one that stays."""
    is_old = sa.and_(owner.in_(ids), named.c.agency_code == old)
    both = sa.select(owner).where(owner.in_(ids), named.c.agency_code == new)
    session.execute(sa.delete(named).where(is_old, owner.in_(both)))
    session.execute(sa.update(named).where(is_old).values(agency_code=new))


_NOUNS: dict[Noun, tuple[sa.Table, sa.Table, _Read]] = {
    "meeting": (meetings, attended, stored_meetings),
    "commitment": (commitments, supported, stored_commitments),
}


def _names(table: sa.Table, region: str, agency: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.region_code == region, table.c.agency_code == agency)


def _count(table: sa.Table, column: str) -> Callable[[Session, str, str], int]:
    def count(session: Session, region: str, agency: str) -> int:
        named = sa.and_(table.c.region_code == region, table.c[column] == agency)
        return session.scalar(sa.select(sa.func.count()).select_from(table).where(named)) or 0

    return count


REFERRERS = [
    Referrer("meetings it attended", _count(attended, "agency_code")),
    Referrer("commitments it answers for", _count(commitments, "responsible_agency")),
    Referrer("commitments it supports", _count(supported, "agency_code")),
]
