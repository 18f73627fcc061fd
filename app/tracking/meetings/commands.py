"""Writing meetings and commitments, following commitments up, and what a merger of agencies makes of both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import Actor
from app.agencies.commands import replace_named
from app.agencies.queries import Referrer, check_agencies, count_by, home_of
from app.kit.database.journal import Chain, Entry, hold, next_version, record
from app.kit.database.resources import write_version
from app.kit.database.upsert import upsert
from app.kit.http.validation import checked_key, validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import Problem, Text, refuse, require_found
from app.tracking.meetings.models import CommitmentIn, FollowUpIn, MeetingIn
from app.tracking.meetings.queries import (
    StoredCommitment,
    StoredMeeting,
    attended,
    check_links,
    check_meeting,
    commitments,
    follow_ups,
    links,
    meetings,
    stored_commitments,
    stored_meetings,
    supported,
)
from app.tracking.meetings.rules import (
    STEPS,
    CommitmentContent,
    CommitmentState,
    MeetingContent,
    Verb,
    allowed,
    meetings_chain,
)

Noun = Literal["meeting", "commitment"]
FollowUpVerb = Literal["note", "start", "complete", "cancel", "reopen"]


class MeetingInUse(Problem):
    status = 409
    code = "meeting_in_use"
    title = Text("Masih dirujuk", "Still referred to")
    detail = Text(
        "Pada rapat {meeting} dibuat komitmen {commitments}; hapus atau lepaskan lebih dahulu.",
        "Commitments {commitments} were made at meeting {meeting}; delete them or take the meeting out of them first.",
    )


class WrongCommitmentState(Problem):
    status = 409
    code = "commitment_state"
    title = Text("Tidak dapat dari keadaan ini", "Not possible in this state")
    detail = Text(
        "Komitmen {commitment} berkeadaan {state}; {verb} tidak dapat dilakukan. Yang dapat Anda lakukan: {allowed}.",
        "Commitment {commitment} is {state}; it cannot {verb}. What you can do: {allowed}.",
    )


# Meetings


def put_meeting(write: Write, region: str, code: str, content: MeetingIn) -> bool:
    """Create a meeting (True) or replace its content (False); the same content changes nothing."""
    chain = _held(write, region)
    stored = _find_meeting(write.session, region, code)
    write.precondition.check(stored.version if stored else None)
    after: MeetingContent = to_jsonable_python(content)
    if stored is not None and stored.content == after:
        return False
    named = [(f"/agencies_present/{n}", agency) for n, agency in enumerate(after["agencies_present"])]
    kept = stored.content["agencies_present"] if stored else ()
    refuse(check_agencies(write.session, region, named, kept))
    _store(write, chain, _Address("meeting", region, code), stored, after, after["agencies_present"])
    return stored is None


def patch_meeting(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a meeting, read under the lock of its chain."""
    _held(write, region)
    stored = write.precondition.check_existing(_find_meeting(write.session, region, code))
    content = validated(MeetingIn, merge_patch(stored.content, patch))
    put_meeting(write.unconditional(), region, code, content)


def delete_meeting(write: Write, region: str, code: str) -> None:
    """Delete a meeting. Raises MeetingInUse with the commitments made there."""
    chain = _held(write, region)
    stored = write.precondition.check_existing(_find_meeting(write.session, region, code))
    made_there = stored_commitments(write.session, region, commitments.c.meeting == code)
    if made_there:
        raise MeetingInUse(meeting=code, commitments=", ".join(one.code for one in made_there))
    _delete(write, chain, _Address("meeting", region, code), stored)


# Commitments


def put_commitment(write: Write, region: str, code: str, content: CommitmentIn) -> bool:
    """Create a commitment (True) or replace its content (False); the same content changes nothing.

    Raises WrongCommitmentState if it is closed.
    """
    chain = _held(write, region)
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
    write.session.execute(sa.delete(links).where(links.c.commitment_id == id))
    upsert(
        write.session,
        links,
        [{"commitment_id": id, "action_id": line, "position": n} for n, line in enumerate(ids)],
    )
    return stored is None


def patch_commitment(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a commitment, read under the lock of its chain."""
    _held(write, region)
    stored = write.precondition.check_existing(_find_commitment(write.session, region, code))
    content = validated(CommitmentIn, merge_patch(stored.content, patch))
    put_commitment(write.unconditional(), region, code, content)


def delete_commitment(write: Write, region: str, code: str) -> None:
    """Delete a commitment that is not closed, its follow-up with it; the journal keeps both."""
    chain = _held(write, region)
    stored = write.precondition.check_existing(_find_commitment(write.session, region, code))
    _check_step(write.actor, region, stored, "delete")
    _delete(write, chain, _Address("commitment", region, code), stored)


def follow_up(write: Write, region: str, code: str, verb: FollowUpVerb, said: FollowUpIn) -> None:
    """Take a step in a commitment's follow-up, or only note something, as an entry with its instant.

    Writes nothing if the commitment is in the step's state already. Raises WrongCommitmentState if the step is not
    possible from its state.
    """
    step = STEPS[verb]
    home_of(write.session, write.actor, region)
    write.actor.require(step.right, region)
    chain = hold(write.session, meetings_chain(region))
    stored = require_found(_find_commitment(write.session, region, code))
    write.actor.require(step.right, region, stored.content["responsible_agency"])
    write.precondition.check(stored.version)
    if step.to_state == stored.state:
        return
    _check_step(write.actor, region, stored, verb)
    state = step.to_state or stored.state
    write_version(write.session, commitments, stored, {"state": state, "updated_at": write.author.at})
    told = {"state": state.value, **said.model_dump(mode="json")}
    count = sa.select(sa.func.count()).where(follow_ups.c.commitment_id == stored.id)
    row = {"commitment_id": stored.id, "position": (write.session.scalar(count) or 0) + 1}
    signed = {"at": write.author.at.isoformat(), "by": write.author.actor}
    upsert(write.session, follow_ups, [{**row, **signed, **told}])
    subject = _Address("commitment", region, code).subject
    old, new = {"state": stored.state.value}, {"state": state.value, "follow_up": told}
    done = Entry(step.kind, region, subject, stored.version + 1, old, new)
    record(write.session, chain, write.author, [done])


def _held(write: Write, region: str) -> Chain:
    """Lock the chain of the region's meetings for an actor with the right to write them."""
    home_of(write.session, write.actor, region)
    write.actor.require("write_meetings", region)
    return hold(write.session, meetings_chain(region))


def _find_meeting(session: Session, region: str, code: str) -> StoredMeeting | None:
    return next(iter(stored_meetings(session, region, meetings.c.code == code)), None)


def _find_commitment(session: Session, region: str, code: str) -> StoredCommitment | None:
    return next(iter(stored_commitments(session, region, commitments.c.code == code)), None)


def _check_step(actor: Actor, region: str, stored: StoredCommitment, verb: Verb) -> None:
    """WrongCommitmentState, with what this caller can do instead."""
    if stored.state in STEPS[verb].from_states:
        return
    verbs = allowed(actor, region, stored.content["responsible_agency"], stored.state)
    shown = ", ".join(verbs) or "–"
    raise WrongCommitmentState(commitment=stored.code, state=stored.state.value, verb=verb, allowed=shown)


def _check_references(
    write: Write, region: str, after: CommitmentContent, before: CommitmentContent | None
) -> list[int]:
    """Return the ids of the linked lines. Raises Invalid with every unknown reference."""
    named = [("/responsible_agency", after["responsible_agency"])]
    named += [(f"/supporting_agencies/{n}", one) for n, one in enumerate(after["supporting_agencies"])]
    kept = {before["responsible_agency"], *before["supporting_agencies"]} if before else ()
    linked = before["linked_actions"] if before else ()
    ids, errors = check_links(write.session, write.actor, region, after["linked_actions"], linked)
    errors = [
        *check_agencies(write.session, region, named, kept),
        *check_meeting(write.session, region, after["meeting"]),
        *errors,
    ]
    refuse(errors)
    return ids


class _Address(NamedTuple):
    """The noun and the key of a meeting or a commitment in its region."""

    noun: Noun
    region: str
    code: str

    @property
    def subject(self) -> str:
        """The address below /v1/."""
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
    """Write the next version of a row, with the agencies that it names, and record it. Return its id."""
    session, (noun, region, code), owner = write.session, address, f"{address.noun}_id"
    table, named, _ = _NOUNS[noun]
    if stored is None:
        checked_key(code)
    version = next_version(session, address.subject, stored.version if stored else None)
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
    record(session, chain, write.author, [Entry.of(noun, region, address.subject, version, before, after)])
    return id


def _delete(write: Write, chain: Chain, address: _Address, stored: StoredMeeting | StoredCommitment) -> None:
    table, version = _NOUNS[address.noun].table, stored.version + 1
    write.session.execute(sa.delete(table).where(table.c.id == stored.id))
    entry = Entry.of(address.noun, address.region, address.subject, version, stored.content, None)
    record(write.session, chain, write.author, [entry])


# Agencies that are merged


def move_meetings(write: Write, region: str, old: str, new: str) -> None:
    """Point attendance, responsibility and support of an agency at another; each leaves its entry.

    The region's chain is held first: whoever writes meanwhile is done before, or waits.
    """
    chain = hold(write.session, meetings_chain(region))
    entries = [one for noun in _NOUNS for one in _move(write, noun, region, old, new)]
    record(write.session, chain, write.author, entries)


def _move(write: Write, noun: Noun, region: str, old: str, new: str) -> list[Entry]:
    """Move the references of all meetings or commitments, by as many statements as for one."""
    session, (table, named, read) = write.session, _NOUNS[noun]
    owner = named.c[f"{noun}_id"]
    of_old = sa.select(owner).where(named.c.region_code == region, named.c.agency_code == old)
    names_old: sa.ColumnElement[bool] = table.c.id.in_(of_old)
    if noun == "commitment":
        names_old = sa.or_(commitments.c.responsible_agency == old, names_old)
    before = read(session, region, names_old)
    if not before:
        return []
    ids = [one.id for one in before]
    chosen = table.c.id.in_(ids)
    replace_named(session, owner, ids, old, new)
    if noun == "commitment":
        answered = sa.and_(chosen, commitments.c.responsible_agency == old)
        session.execute(sa.update(commitments).where(answered).values(responsible_agency=new))
        answers = sa.select(commitments.c.id).where(chosen, commitments.c.responsible_agency == new)
        # Nobody supports what it answers for.
        session.execute(sa.delete(supported).where(supported.c.agency_code == new, owner.in_(answers)))
    raised = {"version": table.c.version + 1, "updated_at": write.author.at}
    session.execute(sa.update(table).where(chosen).values(**raised))
    after: dict[int, Mapping[str, object]] = {one.id: one.content for one in read(session, region, chosen)}
    why = f"merge {old} → {new}"
    return [
        Entry.of(noun, region, subject, one.version + 1, one.content, after[one.id], why)
        for one in before
        for subject in [_Address(noun, region, one.code).subject]
    ]


class _Kind(NamedTuple):
    """Where meetings or commitments are stored."""

    table: sa.Table
    named: sa.Table
    """Agencies that attended or support one."""
    read: Callable[[Session, str, sa.ColumnElement[bool]], Sequence[StoredMeeting | StoredCommitment]]


_NOUNS: dict[Noun, _Kind] = {
    "meeting": _Kind(meetings, attended, stored_meetings),
    "commitment": _Kind(commitments, supported, stored_commitments),
}

REFERRERS = [
    Referrer("meetings it attended", count_by(attended.c.agency_code)),
    Referrer("commitments it answers for", count_by(commitments.c.responsible_agency)),
    Referrer("commitments it supports", count_by(supported.c.agency_code)),
]
