"""Writing editions: by the nation's administrator, never once something was measured by them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.methods.models import (
    EditionFields,
    MethodIn,
    RegionEditionIn,
    RegionEditionRow,
    ServicePackageIn,
    ServiceRow,
)
from app.convergence.editions.methods.queries import (
    METHOD,
    PACKAGE,
    EditionKind,
    Editions,
    editions_of,
    is_measured,
    known_editions,
    services,
    stored_edition,
    visible_editions,
)
from app.convergence.editions.methods.rules import BASE
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Entry, hold, record
from app.kit.database.json_sql import upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import checked_key, nearest, unknown_reference
from app.kit.problems import FieldError, Invalid, PreconditionFailed, Problem, Text
from app.reference.queries import strategy_labels

DATA = Path(__file__).parent / "data"
CHAIN = "editions"
"""Chain of the journal in which packages and methods are written."""

COVERAGE_CHAIN = "coverage:"
"""With a region's code behind it: the journal's chain of its coverage, and of what that is measured by."""


class EditionInUse(Problem):
    status = 409
    code = "edition_in_use"
    title = Text("Edisi sudah dipakai", "The edition is in use")
    detail = Text(
        "Edisi {edition} sudah menjadi dasar perhitungan; angka lama tidak boleh berubah. Buat edisi baru.",
        "Figures were computed by the edition {edition} and must stay what they are. Make a new edition.",
    )


class CoverageByEdition(Problem):
    status = 409
    code = "measured_already"
    title = Text("Sudah diukur", "Measured already")
    detail = Text(
        "Cakupan {region} tahun {year} sudah dicatat menurut paket {service_package} dan metode {method}.",
        "Coverage of {region} in {year} was written by package {service_package} and method {method} already.",
    )


def put_package(
    session: Session,
    author: Author,
    actor: Actor,
    edition: str,
    content: ServicePackageIn,
    check: CheckVersion,
) -> bool:
    """Create or replace an edition of the service package; True when it was created."""
    actor.require("write_editions", "0")
    known = [*strategy_labels(session), BASE]
    errors = [
        FieldError(
            unknown_reference,
            pointer=f"/services/{n}/strategy",
            value=service.strategy,
            allowed=known,
            nearest=nearest(service.strategy, known),
            values={"source": "strategies"},
        )
        for n, service in enumerate(content.services)
        if service.strategy not in known
    ]
    if errors:
        raise Invalid(errors=errors)
    return put_edition(session, author, PACKAGE, edition, content, check)


def put_method(
    session: Session, author: Author, actor: Actor, edition: str, content: MethodIn, check: CheckVersion
) -> bool:
    """Create or replace an edition of the method; True when it was created."""
    actor.require("write_editions", "0")
    return put_edition(session, author, METHOD, edition, content, check)


def put_edition(
    session: Session,
    author: Author,
    kind: EditionKind,
    edition: str,
    content: EditionFields,
    check: CheckVersion,
) -> bool:
    """Create (True) or replace (False) an edition that may be written; one in use is refused."""
    after = content.model_dump(mode="json")
    chain = hold(session, CHAIN)
    stored = stored_edition(session, kind, edition)
    check(stored["version"] if stored else None)
    before = {name: stored[name] for name in after} if stored else None
    if before == after:
        return False
    if stored is None:
        checked_key(edition)
    elif stored["in_use"]:
        raise EditionInUse(edition=edition)
    version = stored["version"] + 1 if stored else 1
    _store(session, author, kind.table, edition, after, version)
    entry = Entry.of(kind.noun, "0", f"{kind.address}/{edition}", version, before, after)
    record(session, chain, author, [entry])
    return stored is None


def _store(
    session: Session,
    author: Author,
    table: sa.Table,
    edition: str,
    content: Mapping[str, Any],
    version: int,
) -> None:
    scalars = {name: value for name, value in content.items() if name != "services"}
    row = {**scalars, "edition": edition, "version": version, "updated_at": author.at.isoformat()}
    if not upsert(session, table, [row], key=["edition"], versioned=True, returning=["edition"]):
        raise PreconditionFailed(sent=version - 1, current="–")
    if "services" in content:
        session.execute(sa.delete(services).where(services.c.edition == edition))
        items = [{**item, "edition": edition, "position": n} for n, item in enumerate(content["services"])]
        upsert(session, table_of(ServiceRow), items)


def load_editions(session: Session, author: Author) -> list[str]:
    """Add the editions that this version brings and the database has not, and name them; what is there stays."""
    return [
        *load_shipped(session, author, PACKAGE, ServicePackageIn, DATA / "service_packages.json"),
        *load_shipped(session, author, METHOD, MethodIn, DATA / "methods.json"),
    ]


def load_shipped(
    session: Session, author: Author, kind: EditionKind, shape: type[EditionFields], file: Path
) -> list[str]:
    """The same for the editions of one kind, from a file."""
    chain = hold(session, CHAIN)
    done, entries = [], []
    for content in json.loads(file.read_text(encoding="utf-8")):
        edition = content.pop("edition")
        if stored_edition(session, kind, edition) is None:
            after = shape.model_validate(content).model_dump(mode="json")
            _store(session, author, kind.table, edition, after, 1)
            subject = f"{kind.address}/{edition}"
            entries.append(Entry(f"{kind.noun}.created", "0", subject, 1, None, after))
            done.append(f"{kind.noun} {edition}".replace("_", " "))
    record(session, chain, author, entries)
    return done


# Which editions a region's year is measured by


def put_editions(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    content: RegionEditionIn,
    check: CheckVersion,
) -> bool:
    """Choose the editions of a region's year; True where none were chosen or used before."""
    visible_editions(session, actor, region, year)
    actor.require("choose_editions", region)
    chain = hold(session, f"{COVERAGE_CHAIN}{region}")
    before = editions_of(session, [region], year)[region]
    check(before.version)
    after = content.model_dump(mode="json")
    if before.version is not None and before.content == after:
        return False
    _check_known(session, after)
    is_other = (before.service_package, before.method) != (after["service_package"], after["method"])
    if is_other and is_measured(session, region, year):
        raise CoverageByEdition(region=region, year=year, **before.content)
    chosen = Editions(**after, version=(before.version or 0) + 1)
    entry = _keep(session, author, region, year, chosen, before)
    record(session, chain, author, [entry])
    return before.version is None


def _check_known(session: Session, content: Mapping[str, Any]) -> None:
    errors = []
    for field, kind in (("service_package", PACKAGE), ("method", METHOD)):
        known = known_editions(session, kind)
        if content[field] not in known:
            errors.append(
                FieldError(
                    unknown_reference,
                    pointer=f"/{field}",
                    value=content[field],
                    allowed=known,
                    nearest=nearest(content[field], known),
                    values={"source": kind.address},
                )
            )
    if errors:
        raise Invalid(errors=errors)


def pin_editions(session: Session, author: Author, regions: Mapping[str, Editions], year: int) -> list[Entry]:
    """Keep the editions by which coverage is now written where nothing kept them yet: later editions do
    not change what was measured. The entries are for whoever holds the regions' chains."""
    return [
        _keep(session, author, region, year, replace(found, version=1), found)
        for region, found in sorted(regions.items())
        if found.version is None
    ]


def _keep(
    session: Session, author: Author, region: str, year: int, chosen: Editions, before: Editions
) -> Entry:
    version = chosen.version or 1
    key = {"region_code": region, "year": year}
    row = {**key, **chosen.content, "version": version, "updated_at": author.at.isoformat()}
    upsert(session, table_of(RegionEditionRow), [row], key=["region_code", "year"])
    old = before.content if before.version is not None else None
    return Entry.of(
        "region_edition", region, f"regions/{region}/editions/{year}", version, old, chosen.content
    )
