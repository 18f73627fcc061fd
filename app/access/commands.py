"""Writing principals, their memberships and their uses: over HTTP within the writer's regions, and from the console.

Each write holds the principal's chain first. Whoever administers a principal's home manages all of it: its memberships
never lie outside, so nobody gives, by way of somebody else's position, what lies beyond his own regions.

A request only notes the use that it saw, and only where the stored one is older than a few minutes. What a killed
process had noted is lost: less than the time between two writings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.models import Membership, Principal, PrincipalIn, Role, Token
from app.access.queries import MISSING_REGIONS, Bearer, principal_id
from app.access.rules import (
    SCOPE_CHANGED,
    Actor,
    Grant,
    home_around,
    identity_digest,
    is_within,
    principal_chain,
    principal_subject,
    scope_chain,
    scope_changes,
)
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Chain, Entry, hold, next_version, record
from app.kit.database.resources import write_version
from app.kit.http.precondition import UNCONDITIONAL, Precondition
from app.kit.http.validation import checked_key, unknown_reference
from app.kit.problems import Conflict, FieldError, Invalid, Kind, Problem, Text, refuse, require_found
from app.kit.write_behind import WriteBehind


@dataclass(frozen=True, slots=True)
class Write:
    """The session, author, actor and condition of a write: what every command takes first."""

    session: Session
    author: Author
    """As the journal names the actor, with the instant and the request."""
    actor: Actor
    """Whose rights decide."""
    precondition: Precondition = UNCONDITIONAL

    def unconditional(self) -> "Write":
        """Return the same write without its condition: for what follows from a write that was checked."""
        return replace(self, precondition=UNCONDITIONAL)


CHAIN = "access"
"""Chain of what concerns the access of a whole region at once; of the nation's administrators alone."""

_principals, _tokens, _memberships = table_of(Principal), table_of(Token), table_of(Membership)

outside_home = Kind(
    "outside_home",
    id="{value} tidak terletak di {allowed}, wilayah asal prinsipal ini",
    en="{value} does not lie in {allowed}, the home of this principal",
)
not_administered = Kind(
    "region_not_administered",
    id="Anda bukan administrator wilayah {value}",
    en="you are no administrator of the region {value}",
)
home_stays = Kind(
    "home_stays",
    id="wilayah asal tetap {allowed}; buat prinsipal lain untuk {value}",
    en="its home stays {allowed}; create another principal for {value}",
)
no_issuer = Kind(
    "no_issuer",
    id="layanan ini tidak menerima token dari penerbit OIDC; kosongkan subject",
    en="this service takes no tokens of an OIDC issuer; leave subject out",
)
taken_subject = Kind(
    "taken_subject", id="subject ini sudah dipakai prinsipal lain", en="this subject is another principal's"
)


class NameTaken(Problem):
    status = 409
    code = "name_taken"
    title = Text("Nama sudah dipakai", "Name taken")
    detail = Text(
        "Nama {name} sudah dipakai di layanan ini. Pilih nama lain.",
        "The name {name} is taken in this service. Choose another.",
    )


class StoredPrincipal(NamedTuple):
    """A principal as it is stored, without its memberships."""

    id: int
    name: str
    region_code: str
    issuer: str | None
    subject: str | None
    version: int


_STORED = [_principals.c[name] for name in StoredPrincipal._fields]


def put_principal(write: Write, name: str, content: PrincipalIn, *, issuer: str | None) -> bool:
    """Create a principal (True) or replace its subject and memberships (False); the same content changes nothing.

    `issuer` is the one that the service trusts now; subjects are of it.
    """
    write.actor.require_somewhere("read_access")
    chain = hold(write.session, principal_chain(name))
    stored = stored_principal(write.session, name)
    if stored is not None and not write.actor.may("read_access", stored.region_code):
        raise NameTaken(name=name)
    write.precondition.check(stored.version if stored else None)
    home = stored.region_code if stored else content.region_code
    _check_content(write, content, home, issuer)
    identity = (issuer if content.subject is not None else None, content.subject)
    _check_subject_is_free(write.session, identity, stored)
    grants = [Grant(one.role, one.region_code, one.agency_code) for one in content.memberships]
    _store(write, chain, stored, StoredPrincipal(0, checked_key(name), home, *identity, 0), grants)
    return stored is None


def _store(
    write: Write,
    chain: Chain,
    stored: StoredPrincipal | None,
    wanted: StoredPrincipal,
    grants: Sequence[Grant],
) -> tuple[Chain, StoredPrincipal]:
    """Create or change a principal with its memberships. Id and version of `wanted` do not count."""
    session = write.session
    said = {"region_code": wanted.region_code, "issuer": wanted.issuer, "subject": wanted.subject}
    if stored is None:
        version = next_version(session, principal_subject(wanted.name), None)
        row = {"name": wanted.name, "created_at": write.author.at, "version": version, **said}
        insert = sa.insert(_principals).values(**row).returning(_principals.c.id)
        new = wanted._replace(id=session.execute(insert).scalar_one(), version=version)
        _write_memberships(session, new.id, grants)
        return record(
            session, chain, write.author, [_principal_entry("created", None, _Told(new, grants))]
        ), new
    before = _grants_of(session, stored.id)
    new = wanted._replace(id=stored.id, version=stored.version)
    if new == stored and set(before) == set(grants):
        return chain, stored
    new = new._replace(version=write_version(session, _principals, stored, said))
    entry = _principal_entry("changed", _Told(stored, before), _Told(new, grants))
    chain = record(session, chain, write.author, [entry])
    _replace_memberships(write, stored, before, grants)
    return chain, new


def delete_principal(write: Write, name: str) -> None:
    """Delete a principal with its memberships and tokens, all of which end at once."""
    chain, stored = held(write, name)
    write.precondition.check(stored.version)
    before = _grants_of(write.session, stored.id)
    names = write.session.scalars(sa.select(_tokens.c.name).where(_tokens.c.principal_id == stored.id))
    entry = _principal_entry("deleted", _Told(stored, before, sorted(names)), None)
    record(write.session, chain, write.author, [entry])
    _replace_memberships(write, stored, before, [])
    write.session.execute(sa.delete(_tokens).where(_tokens.c.principal_id == stored.id))
    write.session.execute(sa.delete(_principals).where(_principals.c.id == stored.id))


def held(write: Write, name: str) -> tuple[Chain, StoredPrincipal]:
    """A principal that the actor may write, with its chain."""
    principal_id(write.session, write.actor, name)
    chain = hold(write.session, principal_chain(name))
    stored = require_found(stored_principal(write.session, name))
    write.actor.require("write_access", stored.region_code)
    return chain, stored


def stored_principal(session: Session, name: str) -> StoredPrincipal | None:
    """Return a principal, without a look at rights. Returns None if there is none of that name."""
    row = session.execute(sa.select(*_STORED).where(_principals.c.name == name)).one_or_none()
    return StoredPrincipal(*row) if row else None


def _check_content(write: Write, content: PrincipalIn, home: str, issuer: str | None) -> None:
    """Raise Invalid with each place outside the home, outside the actor's regions, or unknown."""
    errors = []
    if not write.actor.may("write_access", content.region_code):
        errors.append(FieldError(not_administered, pointer="/region_code", value=content.region_code))
    elif content.region_code != home:
        errors.append(FieldError(home_stays, pointer="/region_code", value=content.region_code, allowed=home))
    if content.subject is not None and issuer is None:
        errors.append(FieldError(no_issuer, pointer="/subject", value=content.subject))
    places = {"/region_code": content.region_code} | {
        f"/memberships/{n}/region_code": one.region_code for n, one in enumerate(content.memberships)
    }
    missing = {code for find in MISSING_REGIONS for code in find(write.session, set(places.values()))}
    for pointer, code in places.items():
        if code in missing:
            values = {"source": "regions"}
            errors.append(FieldError(unknown_reference, pointer=pointer, value=code, values=values))
        elif not is_within(code, home) and pointer != "/region_code":
            errors.append(FieldError(outside_home, pointer=pointer, value=code, allowed=home))
    refuse(errors)


def _check_subject_is_free(
    session: Session, identity: tuple[str | None, str | None], stored: StoredPrincipal | None
) -> None:
    issuer, subject = identity
    if subject is None:
        return
    c = _principals.c
    owner = session.scalar(sa.select(c.id).where(c.issuer == issuer, c.subject == subject))
    if owner is not None and (stored is None or owner != stored.id):
        raise Invalid(errors=[FieldError(taken_subject, pointer="/subject", value=subject)])


def _grants_of(session: Session, owner: int) -> list[Grant]:
    c = _memberships.c
    rows = session.execute(
        sa.select(_memberships).where(c.principal_id == owner).order_by(c.region_code, c.role, c.agency_code)
    )
    return [Grant(Role(row.role), row.region_code, row.agency_code or None) for row in rows]


def _write_memberships(session: Session, owner: int, grants: Iterable[Grant]) -> None:
    rows = [
        {"principal_id": owner, "role": g.role, "region_code": g.region, "agency_code": g.agency or ""}
        for g in grants
    ]
    if rows:
        session.execute(sa.insert(_memberships), rows)


def _replace_memberships(
    write: Write, stored: StoredPrincipal, before: Sequence[Grant], grants: Sequence[Grant]
) -> None:
    """Make a principal's memberships what they shall be, and tell its readers of the feed what they see by it."""
    write.session.execute(sa.delete(_memberships).where(_memberships.c.principal_id == stored.id))
    _write_memberships(write.session, stored.id, grants)
    # Whoever saw nothing before has no copy to mend.
    changes = scope_changes(before, grants) if before else []
    if changes:
        chain = hold(write.session, scope_chain(stored.name))
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
        record(write.session, chain, write.author, entries)


class _Told(NamedTuple):
    """A principal as the journal records it."""

    row: StoredPrincipal
    grants: Sequence[Grant]
    tokens: Sequence[str] = ()


def _principal_entry(what: str, before: _Told | None, after: _Told | None) -> Entry:
    """Return the entry of the journal: of a person's subject a digest alone, since it stays for ever."""

    def said(told: _Told | None) -> dict[str, object] | None:
        if told is None:
            return None
        return {
            "region_code": told.row.region_code,
            "identity": identity_digest(told.row.issuer, told.row.subject),
            "memberships": sorted([g.role, g.region, g.agency or ""] for g in told.grants),
            **({"tokens": list(told.tokens)} if told.tokens else {}),
        }

    there = after or before
    assert there is not None
    row, version = there.row, there.row.version + (after is None)
    subject = principal_subject(row.name)
    return Entry(f"principal.{what}", row.region_code, subject, version, said(before), said(after))


# From the console


def enrol(
    write: Write, *, principal: str, grants: Sequence[Grant], identity: tuple[str, str] | None = None
) -> None:
    """Give a principal (made if new) exactly these memberships, and the person of (issuer, subject) who holds it.

    Without an identity the holder does not change. Raises Conflict if another principal has that subject and Invalid
    if the name is none that the HTTP interface takes.
    """
    principal = checked_key(principal)
    chain = hold(write.session, principal_chain(principal))
    if identity:
        try:
            _check_subject_is_free(write.session, identity, stored_principal(write.session, principal))
        except Invalid:
            raise Conflict() from None
    enrol_chained(write, chain, principal, grants, identity)


def enrol_chained(
    write: Write,
    chain: Chain,
    principal: str,
    grants: Sequence[Grant],
    identity: tuple[str, str] | None = None,
) -> tuple[Chain, StoredPrincipal]:
    """The principal as the console wants it; its home grows where its memberships no longer fit in."""
    stored = stored_principal(write.session, principal)
    regions = [grant.region for grant in grants]
    home = home_around([stored.region_code, *regions] if stored else regions)
    wanted = (stored or StoredPrincipal(0, principal, home, None, None, 0))._replace(region_code=home)
    if identity:
        wanted = wanted._replace(issuer=identity[0], subject=identity[1])
    return _store(write, chain, stored, wanted, grants)


# When tokens and persons were last used, written behind the requests


GRAIN = timedelta(minutes=5)
"""How old the stored instant may be before a use is noted again."""

_TABLES = {"service": table_of(Token), "person": table_of(Principal)}
_UPDATES = {
    kind: sa.update(table)
    .where(
        table.c.id == sa.bindparam("used"),
        sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("at")),
    )
    .values(last_used_at=sa.bindparam("at"))
    for kind, table in _TABLES.items()
}


class Uses(WriteBehind[tuple[str, int], datetime]):
    """The uses of one process that are not written yet: (kind of bearer, id) → instant."""

    name = "uses"
    pause = 30.0
    largest = 100_000

    def note(self, bearer: Bearer, now: datetime) -> None:
        """Remember a use, where the stored one is not of these minutes."""
        if bearer.last_used_at is None or now - bearer.last_used_at >= GRAIN:
            self.add({(bearer.kind, bearer.id): now})

    def save(self, session: Session, values: Mapping[tuple[str, int], datetime]) -> None:
        """Write the instants where they are later than the stored ones."""
        for kind, update in _UPDATES.items():
            used = [{"used": id, "at": at} for (of, id), at in values.items() if of == kind]
            if used:
                session.connection().execute(update, used)
