"""Reading editions of any kind, and which of them hold for a region's year."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.models import EditionFields
from app.convergence.editions.rules import FirstYear, edition_for
from app.kit.database.json_sql import fields_of, json_texts
from app.kit.database.resources import Resource, ResourceText, Stored, read_text
from app.kit.http.pagination import Listing
from app.kit.problems import FieldError, Problem
from app.reference.queries import check_region


@dataclass(frozen=True)
class EditionPart:
    """Rows of a table of their own that an edition consists of: a field of its shape, and their columns."""

    field: str
    table: sa.Table


@dataclass(frozen=True)
class EditionKind:
    """A kind of editions, declared by its room."""

    table: sa.Table
    noun: str
    """Name in the journal."""
    address: str
    """Address below /v1/."""
    shape: type[EditionFields]
    """Shape as it is written."""
    shipped: Path
    """File of the editions that this version brings."""
    reply: type[BaseModel]
    """Shape as it is read."""
    columns: Mapping[str, sa.SQLColumnExpression[object]]
    """Fields of the reply that the table does not have."""
    part: EditionPart | None = None
    find_errors: Callable[[Session, Any], list[FieldError]] | None = None
    """Checks of a written edition that need the database."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The editions of a region's year; `version` None where neither chosen nor used yet."""

    legal_basis: str | None = None
    version: int | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The choice as it is written: all but its version."""
        return {name: value for name, value in asdict(self).items() if name != "version"}


Chosen = TypeVar("Chosen", bound=Choice)


@dataclass(frozen=True)
class ChoiceKind(Generic[Chosen]):
    """A kind of choice that a region makes for a year, declared by its room."""

    resource: Resource
    """Rows by region and year."""
    chain: str
    """With a region's code behind it: the journal's chain of the choice, and of what is measured by it."""
    record: type[Chosen]
    reply: type[BaseModel]
    kinds: Mapping[str, EditionKind]
    """Field of the choice → the kind of edition that it names."""
    missing: type[Problem]
    """Raised where no edition is for the year."""
    settled: type[Problem]
    """Raised where the choice may not change any more."""
    check_region: Callable[[Session, Actor, str], None]
    """Raises NotFound if the actor cannot see the region, or it makes no such choice."""
    settled_by: list[Callable[[Session, str, int], bool]] = field(default_factory=list, compare=False)
    """Whether something was written by the choice of a region's year already: what writes adds its own question."""

    def is_settled(self, session: Session, region: str, year: int) -> bool:
        """Return whether the choice may not change any more."""
        return any(ask(session, region, year) for ask in self.settled_by)


def is_chosen(column: sa.SQLColumnExpression[object], edition: sa.Column[str]) -> ColumnElement[bool]:
    """Predicate: some region's year is measured by the edition."""
    return sa.exists().where(column == edition).correlate(edition.table)


def check_seen(session: Session, actor: Actor, region: str) -> None:
    """Raises NotFound if there is no such region, or the actor does not see it."""
    actor.require_seen(region)
    check_region(session, region)


def list_editions(kind: EditionKind) -> Listing:
    key = {"edition": kind.table.c.edition}
    return Listing(_editions(kind), key, key)


def edition_json(session: Session, kind: EditionKind, edition: str) -> ResourceText:
    """Return an edition as it is read. Raises NotFound if there is none."""
    return read_text(session, _editions(kind).where(kind.table.c.edition == edition))


def stored_edition(session: Session, kind: EditionKind, edition: str) -> Stored | None:
    """An edition as it is read, also whether it is in use; None where there is none."""
    text = session.scalar(json_texts(_editions(kind).where(kind.table.c.edition == edition)))
    return Stored.parse(text) if text else None


def known_editions(session: Session, kind: EditionKind) -> list[str]:
    return list(session.scalars(sa.select(kind.table.c.edition).order_by(kind.table.c.edition)))


def _editions(kind: EditionKind) -> Select[Any]:
    return sa.select(*fields_of(kind.reply, kind.table, **kind.columns))


def choices_of(
    session: Session, kind: ChoiceKind[Chosen], regions: Collection[str], year: int
) -> dict[str, Chosen]:
    """Region → the editions that its year is measured by: those chosen or used, else the newest for the year.

    Raises the kind's problem (409) where there is none.
    """
    stored = kind.resource.read(session, [(region, year) for region in regions])
    found = {region: kind.record(**row.content, version=row.version) for (region, _), row in stored.items()}
    if len(found) < len(set(regions)):
        newest = kind.record(**_newest(session, kind, year))
        found |= {code: newest for code in regions if code not in found}
    return found


def _newest(session: Session, kind: ChoiceKind[Chosen], year: int) -> dict[str, Any]:
    names = {}
    for name, of in kind.kinds.items():
        known = session.execute(sa.select(of.table.c.edition, of.table.c.first_year))
        newest = edition_for(year, [FirstYear(*row) for row in known])
        if newest is None:
            raise kind.missing(year=year)
        names[name] = newest.edition
    return names


def choice_of(session: Session, kind: ChoiceKind[Chosen], actor: Actor, region: str, year: int) -> Chosen:
    """The editions of a region's year; NotFound where the actor does not see the region or there is none."""
    kind.check_region(session, actor, region)
    return choices_of(session, kind, [region], year)[region]
