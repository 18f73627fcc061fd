"""Commands on principals, their memberships and their last uses: over HTTP and from the console.

Each command locks the principal's chain first. All memberships of a principal lie in its home, so an administrator
of the home can grant nothing beyond the regions that they administer.

A request only notes its use, and only if the stored one is older than a few minutes. A killed process loses the uses
since the last write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.models import Membership, Principal, PrincipalIn, Role, Token
from app.access.queries import MISSING_REGIONS, Bearer, find_principal_id
from app.access.rules import (
    SCOPE_CHANGED,
    Actor,
    Grant,
    find_common_region,
    find_scope_changes,
    format_principal_chain,
    format_principal_subject,
    format_scope_chain,
    hash_identity,
    is_within,
)
from app.kit.database.engine import get_table
from app.kit.database.journal import Author, Chain, Entry, append, assign_version, keep_order, lock_chain
from app.kit.database.resources import write_version
from app.kit.http.precondition import UNCONDITIONAL, Precondition
from app.kit.http.validation import check_key, describe_unknown
from app.kit.problems import Conflict, FieldError, Invalid, Kind, Problem, refuse, require_found
from app.kit.wording import Text
from app.kit.write_behind import WriteBehind


@dataclass(frozen=True, slots=True)
class Write:
    """The session, author, actor and precondition of a write: the first parameter of every command."""

    session: Session
    caller: Author
    """The journal's name for the actor, with the instant and the request."""
    actor: Actor
    """The holder of the rights that the command checks."""
    precondition: Precondition = UNCONDITIONAL

    @property
    def author(self) -> Author:
        """The caller, at an instant that suits the chains locked so far: read it after `lock_chain`."""
        return keep_order(self.session, self.caller)

    def drop_precondition(self) -> "Write":
        """Return a copy without the precondition, for the consequences of a write that already met it."""
        return replace(self, precondition=UNCONDITIONAL)


ACCESS_CHAIN = "access"
"""Journal chain of changes to the access of a whole region; only the nation's administrators see it."""

_principals, _tokens, _memberships = get_table(Principal), get_table(Token), get_table(Membership)

outside_home = Kind(
    "outside_home",
    id="Wilayah “{value}” berada di luar {allowed}, wilayah asal akun ini.",
    en="Region “{value}” lies outside {allowed}, the home region of this principal.",
)
not_administered = Kind(
    "region_not_administered",
    id="Anda bukan administrator wilayah “{value}”.",
    en="You are not an administrator of region “{value}”.",
)
home_stays = Kind(
    "home_stays",
    id="Wilayah asal akun ini tetap {allowed}. Buat akun lain untuk “{value}”.",
    en="The home of this principal stays {allowed}. Create another principal for “{value}”.",
)
no_issuer = Kind(
    "no_issuer",
    id="Layanan ini tidak menerima token dari penerbit OIDC. Kosongkan pengenal orangnya.",
    en="This service accepts no tokens of an OIDC issuer. Leave the identifier of the person empty.",
)
taken_subject = Kind(
    "taken_subject",
    id="Pengenal ini sudah dipakai akun lain. Periksa pengenalnya.",
    en="Another principal already has this identifier. Check the identifier.",
)


class NameTaken(Problem):
    """A name that a principal, token or webhook outside the actor's rights has: the reply tells nothing of it."""

    status = 409
    code = "name_taken"
    title = Text("Nama sudah dipakai", "Name taken")
    detail = Text(
        "Nama ini sudah dipakai di layanan ini. Pilih nama lain.",
        "This name is taken in this service. Choose another name.",
    )


class StoredPrincipal(NamedTuple):
    """A row of the principals, without memberships."""

    id: int
    name: str
    region_code: str
    issuer: str | None
    subject: str | None
    version: int


_STORED = [_principals.c[name] for name in StoredPrincipal._fields]


def put_principal(write: Write, name: str, content: PrincipalIn, *, issuer: str | None) -> bool:
    """Create a principal (True) or replace its subject and memberships (False). Equal content writes nothing.

    `issuer` is the trusted issuer of the settings, to which `content.subject` belongs.
    """
    write.actor.require_somewhere("read_access")
    chain = lock_chain(write.session, format_principal_chain(name))
    stored = find_principal(write.session, name)
    if stored is not None and not write.actor.may("read_access", stored.region_code):
        raise NameTaken()
    write.precondition.check(stored.version if stored else None)
    home = stored.region_code if stored else content.region_code
    _check_content(write, content, home, issuer)
    identity = (issuer if content.subject is not None else None, content.subject)
    _check_subject_is_free(write.session, identity, stored)
    grants = [Grant(m.role, m.region_code, m.agency_code) for m in content.memberships]
    _store(write, chain, stored, StoredPrincipal(0, check_key(name), home, *identity, 0), grants)
    return stored is None


def _store(
    write: Write,
    chain: Chain,
    stored: StoredPrincipal | None,
    target: StoredPrincipal,
    grants: Sequence[Grant],
) -> tuple[Chain, StoredPrincipal]:
    """Create or change a principal with its memberships. Ignores id and version of `target`."""
    session = write.session
    values = {"region_code": target.region_code, "issuer": target.issuer, "subject": target.subject}
    if stored is None:
        version = assign_version(session, format_principal_subject(target.name), None)
        row = {"name": target.name, "created_at": write.author.at, "version": version, **values}
        insert = sa.insert(_principals).values(**row).returning(_principals.c.id)
        new = target._replace(id=session.execute(insert).scalar_one(), version=version)
        _write_memberships(session, new.id, grants)
        return append(
            session, chain, write.author, [_build_entry("created", None, _PrincipalState(new, grants))]
        ), new
    before = _list_grants(session, stored.id)
    new = target._replace(id=stored.id, version=stored.version)
    if new == stored and set(before) == set(grants):
        return chain, stored
    new = new._replace(version=write_version(session, _principals, stored, values))
    entry = _build_entry("changed", _PrincipalState(stored, before), _PrincipalState(new, grants))
    chain = append(session, chain, write.author, [entry])
    _replace_memberships(write, stored, before, grants)
    return chain, new


def delete_principal(write: Write, name: str) -> None:
    """Delete a principal with its memberships and tokens, which end at once."""
    chain, stored = lock_principal(write, name)
    write.precondition.check(stored.version)
    before = _list_grants(write.session, stored.id)
    names = write.session.scalars(sa.select(_tokens.c.name).where(_tokens.c.principal_id == stored.id))
    entry = _build_entry("deleted", _PrincipalState(stored, before, sorted(names)), None)
    append(write.session, chain, write.author, [entry])
    _replace_memberships(write, stored, before, [])
    write.session.execute(sa.delete(_tokens).where(_tokens.c.principal_id == stored.id))
    write.session.execute(sa.delete(_principals).where(_principals.c.id == stored.id))


def lock_principal(write: Write, name: str) -> tuple[Chain, StoredPrincipal]:
    """Lock the chain of a principal and return both. Raises NotFound or Forbidden if the actor may not write it."""
    find_principal_id(write.session, write.actor, name)
    chain = lock_chain(write.session, format_principal_chain(name))
    stored = require_found(find_principal(write.session, name))
    write.actor.require("write_access", stored.region_code)
    return chain, stored


def find_principal(session: Session, name: str) -> StoredPrincipal | None:
    """Return a principal by name, without a check of rights. Returns None if it does not exist."""
    row = session.execute(sa.select(*_STORED).where(_principals.c.name == name)).one_or_none()
    return StoredPrincipal(*row) if row else None


def _check_content(write: Write, content: PrincipalIn, home: str, issuer: str | None) -> None:
    """Raise Invalid with every region that is unknown, outside the home or outside the actor's regions."""
    errors = []
    if not write.actor.may("write_access", content.region_code):
        errors.append(FieldError(not_administered, pointer="/region_code", value=content.region_code))
    elif content.region_code != home:
        errors.append(FieldError(home_stays, pointer="/region_code", value=content.region_code, allowed=home))
    if content.subject is not None and issuer is None:
        errors.append(FieldError(no_issuer, pointer="/subject", value=content.subject))
    places = {"/region_code": content.region_code} | {
        f"/memberships/{n}/region_code": m.region_code for n, m in enumerate(content.memberships)
    }
    missing = {code for find in MISSING_REGIONS for code in find(write.session, set(places.values()))}
    for pointer, code in places.items():
        if code in missing:
            errors.append(describe_unknown(code, "regions", (), pointer=pointer))
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


def _list_grants(session: Session, owner: int) -> list[Grant]:
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
    """Replace a principal's memberships, and record each change of visibility for its feed."""
    write.session.execute(sa.delete(_memberships).where(_memberships.c.principal_id == stored.id))
    _write_memberships(write.session, stored.id, grants)
    # A principal that saw nothing before has no copy to correct.
    changes = find_scope_changes(before, grants) if before else []
    if changes:
        chain = lock_chain(write.session, format_scope_chain(stored.name))
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
        append(write.session, chain, write.author, entries)


class _PrincipalState(NamedTuple):
    row: StoredPrincipal
    grants: Sequence[Grant]
    tokens: Sequence[str] = ()


def _build_entry(what: str, before: _PrincipalState | None, after: _PrincipalState | None) -> Entry:
    """Return the journal entry; of a person's subject only a digest, since the journal stays for ever."""

    def describe(state: _PrincipalState | None) -> dict[str, object] | None:
        if state is None:
            return None
        return {
            "region_code": state.row.region_code,
            "identity": hash_identity(state.row.issuer, state.row.subject),
            "memberships": sorted([g.role, g.region, g.agency or ""] for g in state.grants),
            **({"tokens": list(state.tokens)} if state.tokens else {}),
        }

    latest = after or before
    assert latest is not None
    row, version = latest.row, latest.row.version + (after is None)
    subject = format_principal_subject(row.name)
    return Entry(f"principal.{what}", row.region_code, subject, version, describe(before), describe(after))


# From the console


def enrol(
    write: Write, *, principal: str, grants: Sequence[Grant], identity: tuple[str, str] | None = None
) -> None:
    """Give a principal exactly these memberships and, with an identity (issuer, subject), that person as its holder.

    Creates the principal if it is new. Without an identity the holder stays. Raises Conflict if another principal
    has that subject, Invalid if the HTTP interface would refuse the name.
    """
    principal = check_key(principal)
    chain = lock_chain(write.session, format_principal_chain(principal))
    if identity:
        try:
            _check_subject_is_free(write.session, identity, find_principal(write.session, principal))
        except Invalid:
            raise Conflict() from None
    enrol_locked(write, chain, principal, grants, identity)


def enrol_locked(
    write: Write,
    chain: Chain,
    principal: str,
    grants: Sequence[Grant],
    identity: tuple[str, str] | None = None,
) -> tuple[Chain, StoredPrincipal]:
    """Create or change a principal under its locked chain; its home grows to contain its memberships."""
    stored = find_principal(write.session, principal)
    regions = [grant.region for grant in grants]
    home = find_common_region([stored.region_code, *regions] if stored else regions)
    target = (stored or StoredPrincipal(0, principal, home, None, None, 0))._replace(region_code=home)
    if identity:
        target = target._replace(issuer=identity[0], subject=identity[1])
    return _store(write, chain, stored, target, grants)


# Last uses of tokens and persons, in a write-behind buffer


USE_PRECISION = timedelta(minutes=5)
"""Age of the stored instant from which a request notes its use again."""

_TABLES = {"service": get_table(Token), "person": get_table(Principal)}
_UPDATES = {
    kind: sa.update(table)
    .where(
        table.c.id == sa.bindparam("used"),
        sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("at")),
    )
    .values(last_used_at=sa.bindparam("at"))
    for kind, table in _TABLES.items()
}


class LastUses(WriteBehind[tuple[str, int], datetime]):
    """The last uses that this process has yet to write: (kind of bearer, id) → instant."""

    name = "uses"
    pause = 30.0
    largest = 100_000

    def note(self, bearer: Bearer, now: datetime) -> None:
        """Note a use, unless the stored one is younger than `USE_PRECISION`."""
        if bearer.last_used_at is None or now - bearer.last_used_at >= USE_PRECISION:
            self.add({(bearer.kind, bearer.id): now})

    def save(self, session: Session, values: Mapping[tuple[str, int], datetime]) -> None:
        """Write the instants that are later than the stored ones."""
        for kind, update in _UPDATES.items():
            rows = [{"used": id, "at": at} for (other, id), at in values.items() if other == kind]
            if rows:
                session.connection().execute(update, rows)
