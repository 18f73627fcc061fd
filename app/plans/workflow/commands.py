"""Commands that move a plan, by every verb in the same steps, and the deletion of an empty plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import Actor, name_reviewer
from app.kit.database.engine import get_table
from app.kit.database.journal import Chain, Entry, append, lock_chain
from app.kit.database.upsert import upsert
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError, Kind, Problem, refuse
from app.kit.wording import Text
from app.plans.actions.queries import actions
from app.plans.amendments.adoption import apply_amendment
from app.plans.amendments.queries import amendments
from app.plans.copies.queries import list_kept_quarters
from app.plans.core.commands import build_state_entry, follow_locations, lock_plan
from app.plans.core.models import Plan, PlanNoteIn, PlanNoteRow, PriorityLocationRow
from app.plans.core.queries import find_plan, plans, read_again, read_plan_content
from app.plans.core.rules import AMENDMENT_CHAIN, format_plan_chain
from app.plans.revisions.commands import adopt_revision
from app.plans.revisions.models import AdoptIn
from app.plans.revisions.queries import read_instrument_in_force
from app.plans.workflow.queries import (
    NOTE_VERBS,
    Submission,
    check_submission,
    list_line_codes,
    read_last_move,
    read_moved_fields,
    read_plan_status,
)
from app.plans.workflow.rules import (
    BY_VERB,
    AlreadyMoved,
    ConditionFailed,
    PlanStatus,
    Transition,
    TransitionRefused,
    check_instrument_date,
    find_failures,
    is_done,
    list_allowed_verbs,
)

_NOT_CHECKED = Submission(())
_notes = get_table(PlanNoteRow)


@dataclass(frozen=True)
class Move:
    """A verb with the request's content."""

    verb: str
    note: str | None = None
    notes: Sequence[PlanNoteIn] = ()
    instrument: AdoptIn | None = None

    @property
    def fields(self) -> dict[str, object]:
        """The journal fields that the move sets besides state and revision (`read_moved_fields`)."""
        if self.instrument is not None:
            return self.instrument.model_dump(mode="json")
        if self.verb in NOTE_VERBS:
            return {"notes": [note.model_dump(mode="json") for note in self.notes] or None}
        return {}

    @property
    def transition(self) -> Transition:
        return BY_VERB[self.verb]


def move_plan(write: Write, code: str, move: Move) -> Submission:
    """Move a plan by one of `TRANSITIONS`. Return the warnings of a submission.

    Idempotent: a repeated call changes nothing. Raises TransitionRefused if the plan is in another state,
    ConditionFailed with the errors of all conditions, AlreadyMoved if a repeated call has another content.
    """
    session, actor = write.session, write.actor
    plan = find_plan(session, actor, code)
    actor.require(move.verb, plan.region_code)
    chain = lock_chain(session, format_plan_chain(code))
    plan = read_again(session, plan)
    write.precondition.check(plan.version)
    status = read_plan_status(session, plan, write.author.at)
    if is_done(move.transition, status):
        _check_repeated(session, plan, move)
        return check_submission(session, plan) if move.verb == "submit" else _NOT_CHECKED
    _check_state(actor, plan, status, move.transition)
    checked = _NOT_CHECKED
    if move.verb == "submit":
        checked = check_submission(session, plan)
        status = replace(status, errors=checked.errors)
    if errors := find_failures(move.transition, status):
        raise ConditionFailed(errors=errors, verb=move.verb)
    before = read_moved_fields(session, plan, move.verb)
    if prepare := _PREPARE.get(move.verb):
        prepare(write, plan, status, move)
    revision = plan.revision
    if move.verb == "adopt":
        assert move.instrument is not None
        chain, amended = apply_amendment(write, plan, chain) if plan.revision is not None else (chain, None)
        adopt_revision(write, plan, move.instrument, amended)
        revision = 0 if revision is None else revision + 1
    _move(write, plan, chain, move, {"revision": plan.revision, **before}, revision)
    return checked


def _check_repeated(session: Session, plan: Plan, move: Move) -> None:
    """Raise AlreadyMoved if the call that moved the plan had another content or another note."""
    last = read_last_move(session, plan.code, move.transition.kind)
    if last is None:
        return
    if last.reason != move.note or read_moved_fields(session, plan, move.verb) != move.fields:
        raise AlreadyMoved(verb=move.verb, actor=last.actor)


def _check_state(actor: Actor, plan: Plan, status: PlanStatus, transition: Transition) -> None:
    if status.state not in transition.from_states:
        raise TransitionRefused(
            plan=plan.code,
            state=status.state,
            verb=transition.verb,
            from_states=transition.from_states,
            allowed=list_allowed_verbs(actor, plan.region_code, status) or "",
        )


def _move(
    write: Write, plan: Plan, chain: Chain, move: Move, before: dict[str, object], revision: int | None
) -> None:
    """Set the state and record the move, for an amendment in its own chain, hidden from readers without drafts.

    An adoption writes two entries. Readers without drafts never saw the previous state, so only readers of drafts get
    the change of state; all readers get the other entry.
    """
    session, author, to_state = write.session, write.author, move.transition.to_state
    session.execute(
        sa.update(plans)
        .where(plans.c.id == plan.id, plans.c.version == plan.version)
        .values(state=to_state, revision=revision, version=plan.version + 1, updated_at=author.at)
    )
    is_draft = move.verb not in ("adopt", "close")
    drafting = chain
    if move.verb != "close" and plan.revision is not None:
        drafting = lock_chain(session, f"{AMENDMENT_CHAIN}{plan.code}")
    after = {"revision": revision, **move.fields}
    if move.verb == "adopt":
        drafting = append(session, drafting, author, [build_state_entry(plan, to_state)])
        chain = drafting if plan.revision is None else chain
    else:
        before, after = {"state": plan.state, **before}, {"state": str(to_state), **after}
    entry = Entry(
        move.transition.kind,
        plan.region_code,
        f"plans/{plan.code}",
        plan.version + 1,
        before,
        after,
        move.note,
        is_draft=is_draft,
    )
    entries = [entry]
    if move.verb == "amend":
        entries.append(_build_opening_entry(session, plan, move, drafting))
    append(session, drafting if is_draft else chain, author, entries)


def _build_opening_entry(session: Session, plan: Plan, move: Move, chain: Chain) -> Entry:
    """Return the journal entry of a new amendment (`_open_amendment`); it begins as the plan in force."""
    after = {**read_plan_content(session, plan), "reasons": [], "purpose": move.note}
    subject = f"plans/{plan.code}/amendment"
    version = chain.position + 1
    return Entry("amendment.created", plan.region_code, subject, version, None, after, is_draft=True)


# Preparations of a move


def _answer_notes(write: Write, plan: Plan, status: PlanStatus, move: Move) -> None:
    """Mark the province's open notes as answered by the new submission."""
    write.session.execute(
        sa.update(_notes)
        .where(_notes.c.plan_id == plan.id, _notes.c.answered_at.is_(None))
        .values(answered_at=write.author.at, answer=move.note)
    )


def _store_notes(write: Write, plan: Plan, status: PlanStatus, move: Move) -> None:
    """Store the notes of a return. Raises Invalid if a note names an unknown line."""
    known = list_line_codes(write.session, plan)
    errors = [
        describe_unknown(note.action, "plan_lines", known, pointer=f"/notes/{n}/action")
        for n, note in enumerate(move.notes)
        if note.action is not None and note.action not in known
    ]
    refuse(errors)
    last = (
        write.session.scalar(sa.select(sa.func.max(_notes.c.number)).where(_notes.c.plan_id == plan.id)) or 0
    )
    write.session.execute(
        sa.insert(_notes),
        [
            {
                **note.model_dump(),
                "plan_id": plan.id,
                "number": last + n,
                "at": write.author.at,
                "author": write.author.actor,
            }
            for n, note in enumerate(move.notes, 1)
        ],
    )


def _check_instrument(write: Write, plan: Plan, status: PlanStatus, move: Move) -> None:
    assert move.instrument is not None
    previous = read_instrument_in_force(write.session, plan)["date"]
    refuse([*check_instrument_date(move.instrument.date, status, previous)])


def _open_amendment(write: Write, plan: Plan, status: PlanStatus, move: Move) -> None:
    """Open an amendment; its version is its position in the chain of all amendments of the plan."""
    # By `upsert`, which takes JSON: a plain INSERT stores None in a JSON column as the text `null`.
    row: dict[str, object] = {
        "plan_id": plan.id,
        "content": None,
        "reasons": [],
        "purpose": move.note,
        "opened_at": write.author.at.isoformat(),
        "version": lock_chain(write.session, f"{AMENDMENT_CHAIN}{plan.code}").position + 1,
    }
    upsert(write.session, amendments, [row])


_PREPARE = {
    "submit": _answer_notes,
    "return": _store_notes,
    "adopt": _check_instrument,
    "amend": _open_amendment,
}


# Deletion


class PlanInUse(Problem):
    status = 409
    code = "plan_in_use"
    title = Text("Rencana masih berisi", "The plan is not empty")
    detail = Text(
        "Rencana ini belum dapat dihapus; rinciannya di bawah.",
        "The plan cannot be deleted yet; details below.",
    )


has_lines = Kind(
    "plan_has_lines",
    id="Rencana masih memuat {value} baris. Hapus barisnya lebih dahulu.",
    en="The plan still has {value} lines. Delete them first.",
)
has_quarter = Kind(
    "plan_has_quarter",
    id="Triwulan {value} sudah diajukan menurut rencana ini. Minta {reviewer} mengembalikannya; triwulan yang "
    "sudah dibekukan tetap memerlukan rencananya.",
    en="Quarter {value} was submitted by this plan. Ask {reviewer} to return it; a frozen quarter needs its plan for "
    "ever.",
)


def delete_plan(write: Write, code: str) -> None:
    """Delete an empty plan. Raises PlanInUse if it has lines, or a submitted quarter keeps its lines."""
    session = write.session
    plan, chain = lock_plan(write, code)
    count = session.scalar(sa.select(sa.func.count()).where(actions.c.plan_id == plan.id))
    errors = [FieldError(has_lines, parameter="plan", value=count)] if count else []
    reviewer = {"reviewer": name_reviewer(plan.region_code)}
    errors += [
        FieldError(has_quarter, parameter="plan", value=quarter, values=reviewer)
        for quarter in list_kept_quarters(session, plan)
    ]
    if errors:
        raise PlanInUse(errors=errors)
    content = read_plan_content(session, plan)
    before = {**content, "state": plan.state}
    session.execute(
        sa.delete(get_table(PriorityLocationRow)).where(get_table(PriorityLocationRow).c.plan_id == plan.id)
    )
    session.execute(sa.delete(plans).where(plans.c.id == plan.id))
    follow_locations(session, plan.region_code, plan.year, content["priority_locations"])
    version = plan.version + 1
    entry = Entry("plan.deleted", plan.region_code, f"plans/{code}", version, before, None, is_draft=True)
    append(session, chain, write.author, [entry])
