"""Commands of editions: the nation's administrator writes them, a region's administrator chooses them for a year.

An edition in use never changes; a new edition supersedes it.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlmodel import Session

from app.access.commands import Write
from app.convergence.editions.models import RuleEditionFields
from app.convergence.editions.queries import (
    AnyChoice,
    ChoiceKind,
    EditionKind,
    list_edition_names,
    read_choices,
    read_stored_edition,
)
from app.convergence.editions.rules import CHAIN
from app.kit.database.journal import Author, Entry, append, keep_order, lock_chain
from app.kit.database.resources import StoredRow
from app.kit.database.upsert import upsert
from app.kit.http.validation import check_key, describe_unknown
from app.kit.problems import Invalid, Problem, refuse
from app.kit.wording import Text


class EditionInUse(Problem):
    status = 409
    code = "edition_in_use"
    title = Text("Edisi sudah dipakai", "The edition is in use")
    detail = Text(
        "Edisi “{edition}” sudah menjadi dasar perhitungan dan tidak dapat diubah lagi. Buat edisi baru.",
        "Figures follow the edition “{edition}”, so that it cannot change any more. Make a new edition.",
    )


def put_edition(write: Write, kind: EditionKind, edition: str, content: RuleEditionFields) -> bool:
    """Create or replace an edition. Return whether it is new. Raises EditionInUse if a region's year follows it."""
    write.actor.require("write_editions", "0")
    if kind.find_errors is not None and (errors := kind.find_errors(write.session, content)):
        raise Invalid(errors=errors)
    after = content.model_dump(mode="json")
    chain = lock_chain(write.session, CHAIN)
    stored = read_stored_edition(write.session, kind, edition)
    write.precondition.check(stored.version if stored else None)
    before = {name: stored.content[name] for name in after} if stored else None
    if before == after:
        return False
    if stored is None:
        check_key(edition)
    elif stored.content["in_use"]:
        raise EditionInUse(edition=edition)
    version = stored.version + 1 if stored else 1
    _store(write.session, write.author, kind, edition, after, version)
    entry = Entry.of(kind.noun, "0", f"{kind.address}/{edition}", version, before, after)
    append(write.session, chain, write.author, [entry])
    return stored is None


def _store(
    session: Session,
    author: Author,
    kind: EditionKind,
    edition: str,
    content: Mapping[str, Any],
    version: int,
) -> None:
    part = kind.part
    own = {name: value for name, value in content.items() if part is None or name != part.field}
    row = {**own, "edition": edition, "version": version, "updated_at": author.at.isoformat()}
    upsert(session, kind.table, [row], key=["edition"], versioned=True)
    if part is not None:
        session.execute(sa.delete(part.table).where(part.table.c.edition == edition))
        items = [{**item, "edition": edition, "position": n} for n, item in enumerate(content[part.field])]
        upsert(session, part.table, items)


def load_editions(session: Session, author: Author, kinds: Collection[EditionKind]) -> list[str]:
    """Insert the editions of this release that the database lacks; change no other. Return their labels."""
    return [name for kind in kinds for name in _load(session, author, kind)]


def _load(session: Session, author: Author, kind: EditionKind) -> list[str]:
    chain, author = lock_chain(session, CHAIN), keep_order(session, author)
    done, entries = [], []
    for content in json.loads(kind.shipped.read_text(encoding="utf-8")):
        edition = content.pop("edition")
        if read_stored_edition(session, kind, edition) is None:
            after = kind.shape.model_validate(content).model_dump(mode="json")
            _store(session, author, kind, edition, after, 1)
            subject = f"{kind.address}/{edition}"
            entries.append(Entry(f"{kind.noun}.created", "0", subject, 1, None, after))
            done.append(f"{kind.noun} {edition}".replace("_", " "))
    append(session, chain, author, entries)
    return done


def put_choice(write: Write, kind: ChoiceKind[AnyChoice], region: str, year: int, content: BaseModel) -> bool:
    """Choose the editions of a region's year. Return whether this is its first stored choice.

    Raises the kind's problem `settled` (409) if data follow other editions.
    """
    kind.check_region(write.session, write.actor, region)
    write.actor.require("choose_editions", region)
    chain = lock_chain(write.session, f"{kind.chain}{region}")
    before = read_choices(write.session, kind, [region], year)[region]
    write.precondition.check(before.version)
    after = content.model_dump(mode="json")
    if before.version is not None and before.content == after:
        return False
    _check_known(write.session, kind, after)
    is_other = any(before.content[field] != after[field] for field in kind.kinds)
    if is_other and kind.is_settled(write.session, region, year):
        raise kind.settled(region=region, year=year, **before.content)
    key = (region, year)
    stored = {} if before.version is None else {key: StoredRow(before.content, before.version)}
    kind.resource.put(write.session, write.author, chain, {key: after}, stored)
    return not stored


def _check_known(session: Session, kind: ChoiceKind[AnyChoice], content: Mapping[str, Any]) -> None:
    errors = []
    for field, edition_kind in kind.kinds.items():
        known, edition = list_edition_names(session, edition_kind), content[field]
        if edition not in known:
            address = edition_kind.address
            errors.append(describe_unknown(edition, address, known, allowed=known, pointer=f"/{field}"))
    refuse(errors)


def lock_choices(
    session: Session, kind: ChoiceKind[AnyChoice], regions: Collection[str], year: int
) -> dict[str, AnyChoice]:
    """Return the editions of the regions' year, for a writer that holds the locks of their chains.

    The first writer also locks the chain of editions, so that no edition changes while it comes into use.
    """
    choices = read_choices(session, kind, regions, year)
    if any(choice.version is None for choice in choices.values()):
        lock_chain(session, CHAIN)
        choices = read_choices(session, kind, regions, year)
    return choices


def pin_choices(
    session: Session, author: Author, kind: ChoiceKind[AnyChoice], regions: Mapping[str, AnyChoice], year: int
) -> list[Entry]:
    """Store the choices of regions that have none yet, so that later editions do not change written data.

    Return the journal entries; the writer, which holds the locks of the regions' chains, appends them.
    """
    drafts = {
        (region, year): choice.content for region, choice in sorted(regions.items()) if choice.version is None
    }
    return kind.resource.store(session, author, drafts, {})
