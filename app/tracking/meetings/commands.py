"""Commands of meetings and commitments: write, follow up, merge agencies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import Actor
from app.agencies.commands import replace_agency
from app.agencies.queries import Referrer, check_agencies, check_agency_region, make_counter
from app.kit.database.journal import Chain, Entry, append, assign_version, lock_chain
from app.kit.database.resources import write_version
from app.kit.database.upsert import upsert
from app.kit.http.validation import apply_patch, check_key
from app.kit.problems import Problem, refuse, require_found
from app.kit.wording import Text
from app.tracking.meetings.models import CommitmentIn, FollowUpIn, MeetingIn
from app.tracking.meetings.queries import (
    StoredCommitment,
    StoredMeeting,
    check_links,
    check_meeting,
    commitment_actions,
    commitment_agencies,
    commitments,
    follow_ups,
    meeting_agencies,
    meetings,
    read_stored_commitments,
    read_stored_meetings,
)
from app.tracking.meetings.rules import (
    COMMITMENT_STEPS,
    CommitmentContent,
    CommitmentState,
    CommitmentVerb,
    MeetingContent,
    list_allowed_verbs,
    meetings_chain,
)

Noun = Literal["meeting", "commitment"]
FollowUpVerb = Literal["note", "start", "complete", "cancel", "reopen"]


class MeetingInUse(Problem):
    status = 409
    code = "meeting_in_use"
    title = Text("Masih dirujuk", "Still in use")
    detail = Text(
        "Rapat “{meeting}” masih dirujuk komitmen “{commitments}”. Hapus komitmen itu atau lepaskan rapat ini darinya.",
        "Commitments “{commitments}” refer to meeting “{meeting}”. Delete them, or remove the meeting from them first.",
    )


class WrongCommitmentState(Problem):
    status = 409
    code = "commitment_state"
    title = Text("Tidak dapat dilakukan dalam status ini", "Not possible in this state")
    detail = Text(
        "Komitmen “{commitment}” berstatus {state} dan sekarang tidak dapat {verb:passive}. "
        "Yang dapat Anda lakukan: {allowed:possible}.",
        "Commitment “{commitment}” is {state} and cannot be {verb:passive} now. What you can do: {allowed:possible}.",
    )


# Meetings


def put_meeting(write: Write, region: str, code: str, content: MeetingIn) -> bool:
    """Create a meeting (True) or replace its content (False). Equal content writes nothing."""
    chain = _lock_meetings(write, region)
    stored = _find_meeting(write.session, region, code)
    write.precondition.check(stored.version if stored else None)
    after: MeetingContent = to_jsonable_python(content)
    if stored is not None and stored.content == after:
        return False
    agencies = [(f"/agencies_present/{n}", agency) for n, agency in enumerate(after["agencies_present"])]
    kept = stored.content["agencies_present"] if stored else ()
    refuse(check_agencies(write.session, region, agencies, kept))
    _store(write, chain, _Address("meeting", region, code), stored, after, after["agencies_present"])
    return stored is None


def patch_meeting(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a meeting. Raises NotFound if it does not exist."""
    _lock_meetings(write, region)
    stored = write.precondition.check_existing(_find_meeting(write.session, region, code))
    content = apply_patch(MeetingIn, stored.content, patch)
    put_meeting(write.drop_precondition(), region, code, content)


def delete_meeting(write: Write, region: str, code: str) -> None:
    """Delete a meeting. Raises MeetingInUse if commitments name it."""
    chain = _lock_meetings(write, region)
    stored = write.precondition.check_existing(_find_meeting(write.session, region, code))
    named_by = read_stored_commitments(write.session, region, commitments.c.meeting == code)
    if named_by:
        raise MeetingInUse(meeting=code, commitments=", ".join(commitment.code for commitment in named_by))
    _delete(write, chain, _Address("meeting", region, code), stored)


# Commitments


def put_commitment(write: Write, region: str, code: str, content: CommitmentIn) -> bool:
    """Create a commitment (True) or replace its content (False). Equal content writes nothing.

    Raises WrongCommitmentState on a closed commitment.
    """
    chain = _lock_meetings(write, region)
    stored = _find_commitment(write.session, region, code)
    write.precondition.check(stored.version if stored else None)
    after: CommitmentContent = to_jsonable_python(content)
    if stored is not None:
        if stored.content == after:
            return False
        _check_step(write.actor, region, stored, "edit")
    ids = _check_references(write, region, after, stored.content if stored else None)
    address, state = _Address("commitment", region, code), stored.state if stored else CommitmentState.open
    id = _store(write, chain, address, stored, after, after["supporting_agencies"], state=state)
    write.session.execute(sa.delete(commitment_actions).where(commitment_actions.c.commitment_id == id))
    upsert(
        write.session,
        commitment_actions,
        [{"commitment_id": id, "action_id": line, "position": n} for n, line in enumerate(ids)],
    )
    return stored is None


def patch_commitment(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a commitment. Raises NotFound if it does not exist."""
    _lock_meetings(write, region)
    stored = write.precondition.check_existing(_find_commitment(write.session, region, code))
    content = apply_patch(CommitmentIn, stored.content, patch)
    put_commitment(write.drop_precondition(), region, code, content)


def delete_commitment(write: Write, region: str, code: str) -> None:
    """Delete a commitment with its follow-up; the journal keeps both. Raises WrongCommitmentState on a closed one."""
    chain = _lock_meetings(write, region)
    stored = write.precondition.check_existing(_find_commitment(write.session, region, code))
    _check_step(write.actor, region, stored, "delete")
    _delete(write, chain, _Address("commitment", region, code), stored)


def move_commitment(write: Write, region: str, code: str, verb: FollowUpVerb, content: FollowUpIn) -> None:
    """Move a commitment one step, or only add a note; both add an entry to the follow-up.

    Writes nothing if the commitment is already in the state after the step. Raises WrongCommitmentState if the step
    does not begin in its state.
    """
    step = COMMITMENT_STEPS[verb]
    check_agency_region(write.session, write.actor, region)
    write.actor.require(step.right, region)
    chain = lock_chain(write.session, meetings_chain(region))
    stored = require_found(_find_commitment(write.session, region, code))
    write.actor.require(step.right, region, stored.content["responsible_agency"])
    write.precondition.check(stored.version)
    if step.to_state == stored.state:
        return
    _check_step(write.actor, region, stored, verb)
    state = step.to_state or stored.state
    write_version(write.session, commitments, stored, {"state": state, "updated_at": write.author.at})
    entry = {"state": state.value, **content.model_dump(mode="json")}
    count = sa.select(sa.func.count()).where(follow_ups.c.commitment_id == stored.id)
    row = {"commitment_id": stored.id, "position": (write.session.scalar(count) or 0) + 1}
    signature = {"at": write.author.at.isoformat(), "by": write.author.actor}
    upsert(write.session, follow_ups, [{**row, **signature, **entry}])
    subject = _Address("commitment", region, code).subject
    old, new = {"state": stored.state.value}, {"state": state.value, "follow_up": entry}
    done = Entry(step.kind, region, subject, stored.version + 1, old, new)
    append(write.session, chain, write.author, [done])


def _lock_meetings(write: Write, region: str) -> Chain:
    """Lock the chain of the region's meetings. Raises Forbidden without the right to write them."""
    check_agency_region(write.session, write.actor, region)
    write.actor.require("write_meetings", region)
    return lock_chain(write.session, meetings_chain(region))


def _find_meeting(session: Session, region: str, code: str) -> StoredMeeting | None:
    return next(iter(read_stored_meetings(session, region, meetings.c.code == code)), None)


def _find_commitment(session: Session, region: str, code: str) -> StoredCommitment | None:
    return next(iter(read_stored_commitments(session, region, commitments.c.code == code)), None)


def _check_step(actor: Actor, region: str, stored: StoredCommitment, verb: CommitmentVerb) -> None:
    """Raise WrongCommitmentState, with the verbs that the actor may use instead."""
    if stored.state in COMMITMENT_STEPS[verb].from_states:
        return
    verbs = list_allowed_verbs(actor, region, stored.content["responsible_agency"], stored.state)
    raise WrongCommitmentState(commitment=stored.code, state=stored.state, verb=verb, allowed=verbs or "")


def _check_references(
    write: Write, region: str, after: CommitmentContent, before: CommitmentContent | None
) -> list[int]:
    """Return the ids of the linked lines. Raises Invalid with every unknown reference."""
    agencies = [("/responsible_agency", after["responsible_agency"])]
    agencies += [
        (f"/supporting_agencies/{n}", agency) for n, agency in enumerate(after["supporting_agencies"])
    ]
    kept = {before["responsible_agency"], *before["supporting_agencies"]} if before else ()
    linked = before["linked_actions"] if before else ()
    ids, errors = check_links(write.session, write.actor, region, after["linked_actions"], linked)
    errors = [
        *check_agencies(write.session, region, agencies, kept),
        *check_meeting(write.session, region, after["meeting"]),
        *errors,
    ]
    refuse(errors)
    return ids


class _Address(NamedTuple):
    noun: Noun
    region: str
    code: str

    @property
    def subject(self) -> str:
        """Address below /v1/."""
        return f"regions/{self.region}/{self.noun}s/{self.code}"


def _store(
    write: Write,
    chain: Chain,
    address: _Address,
    stored: StoredMeeting | StoredCommitment | None,
    after: Mapping[str, object],
    agencies: Sequence[str],
    **columns: object,
) -> int:
    """Write the next version of a row with its agencies, and record it. Return its id."""
    session, (noun, region, code), owner = write.session, address, f"{address.noun}_id"
    table, named, _ = _NOUNS[noun]
    if stored is None:
        check_key(code)
    version = assign_version(session, address.subject, stored.version if stored else None)
    columns |= {name: value for name, value in after.items() if name in table.c}
    columns |= {"region_code": region, "code": code, "version": version}
    row = {**columns, "updated_at": write.author.at.isoformat()}
    key = ["region_code", "code"]
    written = upsert(session, table, [row], key=key, versioned=True, returning=["id"])
    id = int(written[0].id)
    session.execute(sa.delete(named).where(named.c[owner] == id))
    rows = [
        {owner: id, "agency_code": agency, "region_code": region, "position": n}
        for n, agency in enumerate(agencies)
    ]
    upsert(session, named, rows)
    before = stored.content if stored else None
    append(session, chain, write.author, [Entry.of(noun, region, address.subject, version, before, after)])
    return id


def _delete(write: Write, chain: Chain, address: _Address, stored: StoredMeeting | StoredCommitment) -> None:
    table, version = _NOUNS[address.noun].table, stored.version + 1
    write.session.execute(sa.delete(table).where(table.c.id == stored.id))
    entry = Entry.of(address.noun, address.region, address.subject, version, stored.content, None)
    append(write.session, chain, write.author, [entry])


# Mergers of agencies


def move_meetings(write: Write, region: str, old: str, new: str) -> None:
    """Move attendance, responsibility and support of an agency to another. Record an entry for each row.

    Lock the chain of the region's meetings first, so concurrent writes finish before or wait.
    """
    chain = lock_chain(write.session, meetings_chain(region))
    entries = [entry for noun in _NOUNS for entry in _move_references(write, noun, region, old, new)]
    append(write.session, chain, write.author, entries)


def _move_references(write: Write, noun: Noun, region: str, old: str, new: str) -> list[Entry]:
    """Move the references in all meetings or commitments, with a constant number of statements."""
    session, (table, named, read) = write.session, _NOUNS[noun]
    owner = named.c[f"{noun}_id"]
    of_old = sa.select(owner).where(named.c.region_code == region, named.c.agency_code == old)
    names_old: sa.ColumnElement[bool] = table.c.id.in_(of_old)
    if noun == "commitment":
        names_old = sa.or_(commitments.c.responsible_agency == old, names_old)
    before = read(session, region, names_old)
    if not before:
        return []
    ids = [item.id for item in before]
    chosen = table.c.id.in_(ids)
    replace_agency(session, owner, ids, old, new)
    if noun == "commitment":
        is_answered = sa.and_(chosen, commitments.c.responsible_agency == old)
        session.execute(sa.update(commitments).where(is_answered).values(responsible_agency=new))
        responsible = sa.select(commitments.c.id).where(chosen, commitments.c.responsible_agency == new)
        # An agency does not support a commitment for which it is responsible.
        session.execute(
            sa.delete(commitment_agencies).where(
                commitment_agencies.c.agency_code == new, owner.in_(responsible)
            )
        )
    values = {"version": table.c.version + 1, "updated_at": write.author.at}
    session.execute(sa.update(table).where(chosen).values(**values))
    after: dict[int, Mapping[str, object]] = {item.id: item.content for item in read(session, region, chosen)}
    why = f"merge {old} → {new}"
    return [
        Entry.of(noun, region, subject, item.version + 1, item.content, after[item.id], why)
        for item in before
        for subject in [_Address(noun, region, item.code).subject]
    ]


class _NounTables(NamedTuple):
    table: sa.Table
    named: sa.Table
    """Agencies that attended or support one."""
    read: Callable[[Session, str, sa.ColumnElement[bool]], Sequence[StoredMeeting | StoredCommitment]]


_NOUNS: dict[Noun, _NounTables] = {
    "meeting": _NounTables(meetings, meeting_agencies, read_stored_meetings),
    "commitment": _NounTables(commitments, commitment_agencies, read_stored_commitments),
}

REFERRERS = [
    Referrer(
        Text("rapat yang dihadirinya", "meetings it attended"), make_counter(meeting_agencies.c.agency_code)
    ),
    Referrer(
        Text("komitmen yang menjadi tanggung jawabnya", "commitments in its charge"),
        make_counter(commitments.c.responsible_agency),
    ),
    Referrer(
        Text("komitmen yang didukungnya", "commitments it supports"),
        make_counter(commitment_agencies.c.agency_code),
    ),
]
