"""Commands on agencies. Each locks the region's chain, reads the agency, writes it and records the change."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.access.models import Membership, Principal
from app.agencies.models import AgencyIn, AgencyRow, AgencyState
from app.agencies.queries import (
    StoredAgency,
    check_agency_region,
    count_references,
    find_agency,
    list_stored,
    read_agency_names,
)
from app.agencies.rules import AgencyVerb, format_region_chain, list_possible_verbs
from app.kit.database.engine import get_table
from app.kit.database.journal import Chain, Entry, append, assign_version, lock_chain
from app.kit.database.resources import write_version
from app.kit.fields import AgencyCode, fold_name
from app.kit.http.validation import apply_patch, describe_unknown, unknown_reference
from app.kit.problems import FieldError, Invalid, Kind, Problem
from app.kit.wording import Text

MergeHook = Callable[[Write, str, str, str], None]
"""(write, region code, from agency, to agency): redirect all references from the one to the other."""

MERGE_HOOKS: list[MergeHook] = []
"""`app.wiring` adds those of the areas above: a merge moves a plan's lines, yet this area cannot import plans.

A mover runs in the merge's transaction, under the lock of the region's chain. It locks the chains of the rows that it
changes and records each change there. It must lock *every* chain under which a writer can add a line of the region:
then a writer that saw the agency active has committed before the mover reads."""

_table, _memberships, _principals = get_table(AgencyRow), get_table(Membership), get_table(Principal)
_CODE: TypeAdapter[str] = TypeAdapter(AgencyCode)

malformed_code = Kind(
    "malformed_agency_code",
    id="“{value}” bukan kode perangkat daerah. Gunakan huruf besar, angka, titik dan tanda hubung.",
    en="“{value}” is not the code of an agency. Use capital letters, digits, dots and hyphens.",
)
into_itself = Kind(
    "merged_into_itself",
    id="Perangkat daerah tidak dapat digabung ke dirinya sendiri. Pilih yang lain.",
    en="An agency cannot merge into itself. Choose another one.",
)
not_active = Kind(
    "agency_not_active",
    id="Perangkat daerah “{value}” tidak aktif. Yang aktif dan terdekat: {nearest}.",
    en="Agency “{value}” is not active. The nearest active ones: {nearest}.",
)


class AgencyInUse(Problem):
    status = 409
    code = "agency_in_use"
    title = Text("Masih dirujuk", "Still in use")
    detail = Text(
        "Perangkat daerah “{agency}” masih dirujuk: {references}. Nonaktifkan atau gabungkan dengan yang lain.",
        "Agency “{agency}” is still in use: {references}. Retire it, or merge it into another one.",
    )


class WrongState(Problem):
    status = 409
    code = "agency_state"
    title = Text("Status perangkat daerah tidak mengizinkan", "Not possible in this state")
    detail = Text(
        "Perangkat daerah “{agency}” berstatus {state} dan tidak dapat {verb:passive}.",
        "Agency “{agency}” is {state} and cannot be {verb:passive}.",
    )


def put_agency(write: Write, region: str, code: str, content: AgencyIn) -> bool:
    """Create an agency (True) or replace its content (False). Equal content writes nothing."""
    chain = _lock_region(write, region)
    stored = find_agency(write.session, region, code)
    write.precondition.check(stored.version if stored else None)
    if stored is not None:
        _replace(write, chain, stored, content)
        return False
    _check_code(code)
    new = {
        **content.model_dump(mode="json"),
        "region_code": region,
        "code": code,
        "state": AgencyState.active,
        "merged_into": None,
        "folded": fold_name(content.name),
        "version": assign_version(write.session, _format_address(region, code), None),
    }
    write.session.execute(sa.insert(_table).values(**new))
    append(write.session, chain, write.author, [_build_entry("created", None, StoredAgency(id=0, **new))])
    return True


def patch_agency(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Apply a merge patch to an agency."""
    chain = _lock_region(write, region)
    stored = _find_existing(write, region, code)
    content = {name: getattr(stored, name) for name in AgencyIn.model_fields}
    _replace(write, chain, stored, apply_patch(AgencyIn, content, patch))


def set_state(write: Write, region: str, code: str, verb: AgencyVerb) -> None:
    """Retire or restore an agency. Raises WrongState if its state does not allow the verb."""
    chain = _lock_region(write, region)
    stored = _find_existing(write, region, code)
    _check_state(stored, verb)
    state = AgencyState.retired if verb == "retire" else AgencyState.active
    _change(write, chain, stored, stored._replace(state=state), f"{verb}d")


def merge_agency(write: Write, region: str, code: str, into: str) -> None:
    """Merge an agency into another, with its references: lines, memberships, agencies merged into it before."""
    chain = _lock_region(write, region)
    stored = _find_existing(write, region, code)
    _check_state(stored, "merge")
    target = _check_target(write.session, region, code, into)
    merged = stored._replace(state=AgencyState.merged, merged_into=into)
    chain = _change(write, chain, stored, merged, "merged")
    for earlier in list_stored(write.session, region, _table.c.merged_into == code):
        chain = _change(write, chain, earlier, earlier._replace(merged_into=into), "merged")
    _move_memberships(write, region, code, target)
    for move in MERGE_HOOKS:
        move(write, region, code, into)


def replace_agency(session: Session, owner: sa.Column[int], ids: Sequence[int], old: str, new: str) -> None:
    """Replace an agency in the rows of some owners, for movers. Deletes the row of an owner that has both."""
    table = owner.table
    is_old = sa.and_(owner.in_(ids), table.c.agency_code == old)
    both = sa.select(owner).where(owner.in_(ids), table.c.agency_code == new)
    session.execute(sa.delete(table).where(is_old, owner.in_(both)))
    session.execute(sa.update(table).where(is_old).values(agency_code=new))


def delete_agency(write: Write, region: str, code: str) -> None:
    """Delete an agency. Raises AgencyInUse with the number of references if it has any."""
    chain = _lock_region(write, region)
    stored = _find_existing(write, region, code)
    if references := count_references(write.session, region, code):
        counts = [Text(f"{name.id} ({n})", f"{name.en} ({n})") for name, n in references.items()]
        raise AgencyInUse(agency=code, references=counts)
    write.session.execute(sa.delete(_table).where(_table.c.id == stored.id))
    append(write.session, chain, write.author, [_build_entry("deleted", stored, None)])


def _lock_region(write: Write, region: str) -> Chain:
    """Lock the region's chain. Raises NotFound or Forbidden if the actor may not write its agencies."""
    check_agency_region(write.session, write.actor, region)
    write.actor.require("write_agencies", region)
    return lock_chain(write.session, format_region_chain(region))


def _find_existing(write: Write, region: str, code: str) -> StoredAgency:
    return write.precondition.check_existing(find_agency(write.session, region, code))


def _replace(write: Write, chain: Chain, stored: StoredAgency, content: AgencyIn) -> None:
    _check_state(stored, "edit")
    new = stored._replace(**content.model_dump(), folded=fold_name(content.name))
    if new != stored:
        _change(write, chain, stored, new, "changed")


def _check_code(code: str) -> None:
    try:
        _CODE.validate_python(code)
    except ValidationError:
        raise Invalid(errors=[FieldError(malformed_code, parameter="agency", value=code)]) from None


def _check_state(stored: StoredAgency, verb: AgencyVerb) -> None:
    if verb not in list_possible_verbs(stored.state):
        raise WrongState(agency=stored.code, state=stored.state, verb=verb)


def _check_target(session: Session, region: str, code: str, into: str) -> StoredAgency:
    """Return the target of a merge. Raises Invalid if it is unknown, not active, or the agency itself."""
    if into == code:
        raise Invalid(errors=[FieldError(into_itself, pointer="/into", value=into)])
    target = find_agency(session, region, into)
    if target is not None and target.state == AgencyState.active:
        return target
    active = read_agency_names(session, region, state=AgencyState.active)
    others = [f"{other} {name}" for other, name in active.items() if other != code]
    kind = unknown_reference if target is None else not_active
    error = describe_unknown(into, f"regions/{region}/agencies", others, pointer="/into")
    raise Invalid(errors=[replace(error, kind=kind)])


def _change(write: Write, chain: Chain, stored: StoredAgency, new: StoredAgency, what: str) -> Chain:
    changed = {name: value for name, value in new._asdict().items() if value != getattr(stored, name)}
    new = new._replace(version=write_version(write.session, _table, stored, changed))
    return append(write.session, chain, write.author, [_build_entry(what, stored, new)])


_RECORDED = (*AgencyIn.model_fields, "state", "merged_into")


def _build_entry(what: str, before: StoredAgency | None, after: StoredAgency | None) -> Entry:
    row = after or before
    assert row is not None
    old, new = ({name: getattr(r, name) for name in _RECORDED} if r else None for r in (before, after))
    version = row.version if after else row.version + 1
    return Entry(
        f"agency.{what}", row.region_code, _format_address(row.region_code, row.code), version, old, new
    )


def _format_address(region: str, code: str) -> str:
    return f"regions/{region}/agencies/{code}"


def _move_memberships(write: Write, region: str, code: str, target: StoredAgency) -> None:
    """Make the operators of a merged agency operators of its successor, which now leads their lines."""
    c, into = _memberships.c, target.code
    is_old = sa.and_(c.region_code == region, c.agency_code == code)
    if write.session.scalar(sa.select(sa.func.count()).select_from(_memberships).where(is_old)) == 0:
        return
    chain = lock_chain(write.session, "access")
    has_old = _principals.c.id.in_(sa.select(c.principal_id).where(is_old))
    write.session.execute(sa.update(_principals).where(has_old).values(version=_principals.c.version + 1))
    twin = _memberships.alias("twin")
    has_both = sa.exists().where(
        twin.c.principal_id == c.principal_id,
        twin.c.role == c.role,
        twin.c.region_code == region,
        twin.c.agency_code == into,
    )
    write.session.execute(sa.delete(_memberships).where(is_old, has_both))
    write.session.execute(sa.update(_memberships).where(is_old).values(agency_code=into))
    before, after = {"agency": code}, {"agency": into}
    entry = Entry("membership.moved", region, _format_address(region, into), target.version, before, after)
    append(write.session, chain, write.author, [entry])
