"""Queries of editions of any kind, and of the editions of a region's year."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.models import RuleEditionFields
from app.convergence.editions.rules import FirstYear, choose_edition
from app.kit.database.json_sql import select_fields, select_json
from app.kit.database.resources import Resource, ResourceText, StoredRow, read_text
from app.kit.http.pagination import Listing
from app.kit.problems import FieldError, Problem
from app.kit.wording import Text, declare_words
from app.reference.queries import check_region


@dataclass(frozen=True)
class EditionPart:
    """A list of an edition that has its own table."""

    field: str
    """Field of the edition's shape."""
    table: sa.Table


@dataclass(frozen=True)
class EditionKind:
    """Declaration of a kind of editions."""

    table: sa.Table
    noun: str
    """Name in the journal."""
    address: str
    """Path below /v1/."""
    shape: type[RuleEditionFields]
    """Shape of the request body."""
    shipped: Path
    """File with the editions of this release."""
    reply: type[BaseModel]
    """Shape of the response."""
    columns: Mapping[str, sa.SQLColumnExpression[object]]
    """Fields of the reply that are no columns of the table."""
    part: EditionPart | None = None
    find_errors: Callable[[Session, Any], list[FieldError]] | None = None
    """Validation that needs the database."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The editions of a region's year; `version` is None before the first choice or use."""

    legal_basis: str | None = None
    version: int | None = None

    @property
    def content(self) -> dict[str, Any]:
        """Return the stored fields: all but the version."""
        return {name: value for name, value in asdict(self).items() if name != "version"}


declare_words(
    {
        "methods": Text("daftar metode", "the list of methods"),
        "step-templates": Text("daftar templat langkah", "the list of step templates"),
    },
    form="list",
)

AnyChoice = TypeVar("AnyChoice", bound=Choice)


@dataclass(frozen=True)
class ChoiceKind(Generic[AnyChoice]):
    """Declaration of a kind of choice that a region makes for a year."""

    resource: Resource
    """Rows by region and year."""
    chain: str
    """Prefix of the journal chain of a region: its choice, and the data that follow the choice."""
    record: type[AnyChoice]
    reply: type[BaseModel]
    kinds: Mapping[str, EditionKind]
    """Field of the choice → kind of its edition."""
    missing: type[Problem]
    """Problem (409) if no edition applies to the year."""
    settled: type[Problem]
    """Problem (409) if the choice is settled."""
    check_region: Callable[[Session, Actor, str], None]
    """Hook that raises NotFound if the actor cannot see the region, or it makes no such choice."""
    settled_by: list[Callable[[Session, str, int], bool]] = field(default_factory=list, compare=False)
    """Predicates, each true if its data already follow the choice of a region's year; their modules add them."""

    def is_settled(self, session: Session, region: str, year: int) -> bool:
        """Return whether data follow the choice of a region's year, which therefore may not change."""
        return any(has_data(session, region, year) for has_data in self.settled_by)


def is_chosen(column: sa.SQLColumnExpression[object], edition: sa.Column[str]) -> ColumnElement[bool]:
    """Return the SQL predicate that a region's year follows the edition."""
    return sa.exists().where(column == edition).correlate(edition.table)


def check_visible(session: Session, actor: Actor, region: str) -> None:
    """Raise NotFound if the region does not exist or the actor cannot see it."""
    actor.require_seen(region)
    check_region(session, region)


def list_editions(kind: EditionKind) -> Listing:
    """Return all editions of a kind, by edition."""
    key = {"edition": kind.table.c.edition}
    return Listing(_select_editions(kind), key, key)


def read_edition(session: Session, kind: EditionKind, edition: str) -> ResourceText:
    """Return an edition as the JSON of its reply. Raises NotFound if there is none."""
    return read_text(session, _select_editions(kind).where(kind.table.c.edition == edition))


def read_stored_edition(session: Session, kind: EditionKind, edition: str) -> StoredRow | None:
    """Return the fields of an edition's reply, with `in_use`. Returns None if there is none."""
    text = session.scalar(select_json(_select_editions(kind).where(kind.table.c.edition == edition)))
    return StoredRow.parse(text) if text else None


def list_edition_names(session: Session, kind: EditionKind) -> list[str]:
    """Return the names of all editions of a kind, sorted."""
    return list(session.scalars(sa.select(kind.table.c.edition).order_by(kind.table.c.edition)))


def _select_editions(kind: EditionKind) -> Select[Any]:
    return sa.select(*select_fields(kind.reply, kind.table, **kind.columns))


def read_choices(
    session: Session, kind: ChoiceKind[AnyChoice], regions: Collection[str], year: int
) -> dict[str, AnyChoice]:
    """Return region → the editions of its year: the stored choice, else the newest for the year.

    Raises the kind's problem (409) if no edition applies to the year.
    """
    stored = kind.resource.read(session, [(region, year) for region in regions])
    choices = {region: kind.record(**row.content, version=row.version) for (region, _), row in stored.items()}
    if len(choices) < len(set(regions)):
        newest = kind.record(**_find_newest(session, kind, year))
        choices |= {code: newest for code in regions if code not in choices}
    return choices


def _find_newest(session: Session, kind: ChoiceKind[AnyChoice], year: int) -> dict[str, Any]:
    names = {}
    for name, edition_kind in kind.kinds.items():
        columns = edition_kind.table.c
        known = session.execute(sa.select(columns.edition, columns.first_year))
        newest = choose_edition(year, [FirstYear(*row) for row in known])
        if newest is None:
            raise kind.missing(year=year)
        names[name] = newest.edition
    return names


def read_choice(
    session: Session, kind: ChoiceKind[AnyChoice], actor: Actor, region: str, year: int
) -> AnyChoice:
    """Return the editions of a region's year. Raises NotFound if `check_region` of the kind does."""
    kind.check_region(session, actor, region)
    return read_choices(session, kind, [region], year)[region]
