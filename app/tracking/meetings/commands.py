"""Writing meetings and commitments, following commitments up, and what a merger of agencies makes of both."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.access.write import Write
from app.agencies.queries import Referrer, check_agencies, count_by, home_of
from app.kit.database.journal import Chain, Entry, hold, next_version, record
from app.kit.database.resources import update_versioned
from app.kit.database.upsert import upsert
from app.kit.http.validation import checked_key, validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import Invalid, NotFound, PreconditionFailed, Problem, Text
from app.tracking.meetings.models import CommitmentIn, FollowUpIn, MeetingIn
from app.tracking.meetings.queries import (
    Stored,
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
from app.tracking.meetings.rules import STEPS, CommitmentState, Verb, allowed, meetings_chain

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
    stored = _find(write.session, "meeting", region, code)
    write.precondition.check(stored.version if stored else None)
    after = content.model_dump(mode="json")
    if stored is not None and stored.content == after:
        return False
    named = [(f"/agencies_present/{n}", agency) for n, agency in enumerate(after["agencies_present"])]
    kept = stored.content["agencies_present"] if stored else ()
    if errors := check_agencies(write.session, region, named, kept):
        raise Invalid(errors=errors)
    new = stored or _begin(write.session, "meeting", region, code)
    said = {name: value for name, value in after.items() if name != "agencies_present"}
    id = _write(write, meetings, region, new, said)
    _replace_agencies(write.session, "meeting", id, region, after["agencies_present"])
    record(write.session, chain, write.author, [_entry("meeting", region, new, after)])
    return stored is None


def patch_meeting(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a meeting, read under the lock of its chain."""
    _held(write, region)
    stored = write.precondition.check_existing(_find(write.session, "meeting", region, code))
    content = validated(MeetingIn, merge_patch(stored.content, patch))
    put_meeting(write.unconditional(), region, code, content)


def delete_meeting(write: Write, region: str, code: str) -> None:
    """Delete a meeting. Raises MeetingInUse with the commitments made there."""
    chain = _held(write, region)
    stored = write.precondition.check_existing(_find(write.session, "meeting", region, code))
    made_there = stored_commitments(write.session, region, commitments.c.meeting == code)
    if made_there:
        raise MeetingInUse(meeting=code, commitments=", ".join(one.code for one in made_there))
    write.session.execute(sa.delete(meetings).where(meetings.c.id == stored.id))
    record(write.session, chain, write.author, [_entry("meeting", region, stored, None)])


# Commitments


def put_commitment(write: Write, region: str, code: str, content: CommitmentIn) -> bool:
    """Create a commitment (True) or replace its content (False); the same content changes nothing.

    Raises WrongCommitmentState if it is closed.
    """
    chain = _held(write, region)
    stored = _find(write.session, "commitment", region, code)
    write.precondition.check(stored.version if stored else None)
    after = content.model_dump(mode="json")
    if stored is not None:
        if stored.content == after:
            return False
        _check_step(write.actor, region, stored, "edit")
    ids = _check_references(write, region, after, stored)
    new = stored or _begin(write.session, "commitment", region, code)
    lists = ("supporting_agencies", "linked_actions")
    said = {name: value for name, value in after.items() if name not in lists}
    id = _write(write, commitments, region, new, {**said, "state": new.state or CommitmentState.open})
    _replace_agencies(write.session, "commitment", id, region, after["supporting_agencies"])
    write.session.execute(sa.delete(links).where(links.c.commitment_id == id))
    upsert(
        write.session,
        links,
        [{"commitment_id": id, "action_id": line, "position": n} for n, line in enumerate(ids)],
    )
    record(write.session, chain, write.author, [_entry("commitment", region, new, after)])
    return stored is None


def patch_commitment(write: Write, region: str, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a commitment, read under the lock of its chain."""
    _held(write, region)
    stored = write.precondition.check_existing(_find(write.session, "commitment", region, code))
    content = validated(CommitmentIn, merge_patch(stored.content, patch))
    put_commitment(write.unconditional(), region, code, content)


def delete_commitment(write: Write, region: str, code: str) -> None:
    """Delete a commitment that is not closed, its follow-up with it; the journal keeps both."""
    chain = _held(write, region)
    stored = write.precondition.check_existing(_find(write.session, "commitment", region, code))
    _check_step(write.actor, region, stored, "delete")
    write.session.execute(sa.delete(commitments).where(commitments.c.id == stored.id))
    record(write.session, chain, write.author, [_entry("commitment", region, stored, None)])


def follow_up(write: Write, region: str, code: str, verb: FollowUpVerb, said: FollowUpIn) -> None:
    """Take a step in a commitment's follow-up, or only note something, as an entry with its instant.

    Writes nothing if the commitment is in the step's state already. Raises WrongCommitmentState if the step is not
    possible from its state.
    """
    step = STEPS[verb]
    home_of(write.session, write.actor, region)
    write.actor.require(step.right, region)
    chain = hold(write.session, meetings_chain(region))
    stored = _find(write.session, "commitment", region, code)
    if stored is None or stored.state is None:
        raise NotFound()
    write.actor.require(step.right, region, stored.content["responsible_agency"])
    write.precondition.check(stored.version)
    if step.to_state == stored.state:
        return
    _check_step(write.actor, region, stored, verb)
    state = step.to_state or stored.state
    before = {"id": stored.id, "version": stored.version}
    update_versioned(write.session, commitments, before, {"state": state, "updated_at": write.author.at})
    told = {"state": state.value, **said.model_dump(mode="json")}
    count = sa.select(sa.func.count()).where(follow_ups.c.commitment_id == stored.id)
    row = {"commitment_id": stored.id, "position": (write.session.scalar(count) or 0) + 1}
    signed = {"at": write.author.at.isoformat(), "by": write.author.actor}
    upsert(write.session, follow_ups, [{**row, **signed, **told}])
    subject = _subject("commitment", region, code)
    old, new = {"state": stored.state.value}, {"state": state.value, "follow_up": told}
    done = Entry(step.kind, region, subject, stored.version + 1, old, new)
    record(write.session, chain, write.author, [done])


def _held(write: Write, region: str) -> Chain:
    """Lock the chain of the region's meetings for an actor with the right to write them."""
    home_of(write.session, write.actor, region)
    write.actor.require("write_meetings", region)
    return hold(write.session, meetings_chain(region))


def _find(session: Session, noun: Noun, region: str, code: str) -> Stored | None:
    table, _, read = _NOUNS[noun]
    return next(iter(read(session, region, table.c.code == code)), None)


def _check_step(actor: Actor, region: str, stored: Stored, verb: Verb) -> None:
    """WrongCommitmentState, with what this caller can do instead."""
    assert stored.state is not None
    if stored.state in STEPS[verb].from_states:
        return
    verbs = allowed(actor, region, stored.content["responsible_agency"], stored.state)
    shown = ", ".join(verbs) or "–"
    raise WrongCommitmentState(commitment=stored.code, state=stored.state.value, verb=verb, allowed=shown)


def _check_references(write: Write, region: str, after: dict[str, Any], stored: Stored | None) -> list[int]:
    """Return the ids of the linked lines. Raises Invalid with every unknown reference."""
    before = stored.content if stored else {"supporting_agencies": [], "linked_actions": []}
    named = [("/responsible_agency", after["responsible_agency"])]
    named += [(f"/supporting_agencies/{n}", one) for n, one in enumerate(after["supporting_agencies"])]
    kept = {before.get("responsible_agency"), *before["supporting_agencies"]} - {None}
    ids, errors = check_links(
        write.session, write.actor, region, after["linked_actions"], before["linked_actions"]
    )
    errors = [
        *check_agencies(write.session, region, named, kept),
        *check_meeting(write.session, region, after["meeting"]),
        *errors,
    ]
    if errors:
        raise Invalid(errors=errors)
    return ids


def _write(write: Write, table: sa.Table, region: str, stored: Stored, values: dict[str, object]) -> int:
    """Write the row as its next version and give its id."""
    fixed = {
        "region_code": region,
        "code": stored.code,
        "version": stored.version + 1,
        "updated_at": write.author.at.isoformat(),
    }
    key = ["region_code", "code"]
    written = upsert(write.session, table, [{**fixed, **values}], key=key, versioned=True, returning=["id"])
    if not written:
        raise PreconditionFailed()
    return int(written[0].id)


def _replace_agencies(session: Session, noun: Noun, id: int, region: str, agencies: list[str]) -> None:
    named, owner = _NOUNS[noun].named, f"{noun}_id"
    session.execute(sa.delete(named).where(named.c[owner] == id))
    rows = [
        {owner: id, "agency_code": agency, "region_code": region, "position": n}
        for n, agency in enumerate(agencies)
    ]
    upsert(session, named, rows)


def _begin(session: Session, noun: Noun, region: str, code: str) -> Stored:
    """Return what a create starts from: nothing, at the version before its first."""
    version = next_version(session, _subject(noun, region, checked_key(code)), None)
    return Stored(0, code, version - 1, {})


def _entry(
    noun: Noun, region: str, stored: Stored, after: dict[str, object] | None, reason: str | None = None
) -> Entry:
    """Return the journal's entry for a write of a whole meeting or commitment."""
    subject = _subject(noun, region, stored.code)
    return Entry.of(noun, region, subject, stored.version + 1, stored.content or None, after, reason)


def _subject(noun: Noun, region: str, code: str) -> str:
    return f"regions/{region}/{noun}s/{code}"


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
    is_old = sa.and_(owner.in_(ids), named.c.agency_code == old)
    # Where both are named, the one that stays.
    both = sa.select(owner).where(owner.in_(ids), named.c.agency_code == new)
    session.execute(sa.delete(named).where(is_old, owner.in_(both)))
    session.execute(sa.update(named).where(is_old).values(agency_code=new))
    if noun == "commitment":
        answered = sa.and_(chosen, commitments.c.responsible_agency == old)
        session.execute(sa.update(commitments).where(answered).values(responsible_agency=new))
        answers = sa.select(commitments.c.id).where(chosen, commitments.c.responsible_agency == new)
        # Nobody supports what it answers for.
        session.execute(sa.delete(supported).where(supported.c.agency_code == new, owner.in_(answers)))
    raised = {"version": table.c.version + 1, "updated_at": write.author.at}
    session.execute(sa.update(table).where(chosen).values(**raised))
    after = {one.id: one.content for one in read(session, region, chosen)}
    return [_entry(noun, region, one, after[one.id], f"merge {old} → {new}") for one in before]


class _Kind(NamedTuple):
    """Where meetings or commitments are stored."""

    table: sa.Table
    named: sa.Table
    """Agencies that attended or support one."""
    read: Callable[[Session, str, sa.ColumnElement[bool]], list[Stored]]


_NOUNS: dict[Noun, _Kind] = {
    "meeting": _Kind(meetings, attended, stored_meetings),
    "commitment": _Kind(commitments, supported, stored_commitments),
}

REFERRERS = [
    Referrer("meetings it attended", count_by(attended.c.agency_code)),
    Referrer("commitments it answers for", count_by(commitments.c.responsible_agency)),
    Referrer("commitments it supports", count_by(supported.c.agency_code)),
]
