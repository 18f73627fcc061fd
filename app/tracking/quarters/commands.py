"""Commands of quarters: steps of quarters and parts, extensions.

Each command, and each write of progress, locks the plan's chain first, so a report and the submission of its
quarter run one after the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.agencies.queries import Referrer, find_agencies_by_code, find_agency, make_counter
from app.kit.database.journal import Author, Chain, Entry, append, lock_chain
from app.kit.database.resources import StoredRow
from app.kit.database.upsert import upsert
from app.kit.http.validation import check_key, describe_unknown, unknown_reference
from app.kit.problems import FieldError, Kind, NotFound, refuse, require_found
from app.kit.wording import Text, declare_words
from app.plans.copies.commands import copy_plan, drop_unused_copy
from app.plans.copies.queries import find_copy, list_revision_numbers
from app.plans.core.models import Plan
from app.plans.core.queries import read_again, read_plans_in
from app.plans.core.rules import format_plan_chain
from app.tracking.progress.commands import carry_reports, drop_carried, refresh_physical
from app.tracking.quarters.models import (
    ExtensionIn,
    PartState,
    PartSubmitIn,
    PartVerb,
    QuarterState,
    QuarterSubmitIn,
    QuarterVerb,
)
from app.tracking.quarters.queries import (
    EXTENSION,
    extensions,
    find_report_errors,
    list_expected_lines,
    list_reports_outside,
    make_extension_resource,
    parts,
    quarters,
    read_plan_of_quarter,
    read_status,
)
from app.tracking.quarters.rules import (
    PART_STEPS,
    QUARTER_STEPS,
    QuarterFacts,
    QuarterStatus,
    QuarterStep,
    State,
    Verb,
    check_conditions,
    coverage_of_regencies,
    find_next_state,
    find_step,
)
from app.tracking.quarters.snapshots.commands import QuarterToFreeze, store_snapshot

extends_nothing = Kind(
    "extends_nothing",
    id="{value} tidak sesudah tenggat {due_on}. Pilih hari yang lebih lambat.",
    en="{value} is not after the deadline {due_on}. Choose a later day.",
)
declare_words(
    {
        "region.agencies": Text("daftar perangkat daerah wilayah ini", "the agencies of the region"),
        "plan_revisions": Text("daftar revisi rencana ini", "the revisions of the plan"),
    }
)

AFTER_FREEZING: list[Callable[[Session, QuarterToFreeze], list[Entry]]] = []
"""Hooks that run after a quarter is frozen, in its transaction, and return entries for the plan's chain. `app.wiring`
adds those of the areas above."""

HOLD_COVERAGE: list[Callable[[Write, Plan, QuarterStatus], list[str]]] = []
"""Hooks that lock the coverage of a region before a submission, store the editions of its figures and return the
priority locations without coverage."""

AFTER_BINDING: list[Callable[[Session, Plan, str], None]] = []
"""Hooks that run after a submission, and after any other change of the copy of the plan that a quarter keeps."""

_DONE = {
    "submit": "submitted",
    "return": "returned",
    "verify": "verified",
    "freeze": "frozen",
    "correct": "reopened",
}
"""Verb → its participle in the journal."""


@dataclass(frozen=True)
class QuarterMove(Generic[Verb]):
    """One step of a quarter or of an agency's part, with the content of the request."""

    verb: Verb
    submission: PartSubmitIn | None = None
    text: str | None = None
    """Notes of a return, or reason of a correction."""
    revision: int | None = None
    """Revision of the plan that a correction moves the quarter to; None: none."""


# The region's quarter


def move_quarter(write: Write, region: str, period: str, move: QuarterMove[QuarterVerb]) -> None:
    """Move a quarter one step.

    Raises QuarterStateProblem (409) from another state, QuarterNotReady (409) with the conditions that fail.
    """
    session, actor, verb = write.session, write.actor, move.verb
    plan = read_plan_of_quarter(session, actor, region, period)
    actor.require(next(step.right for step in QUARTER_STEPS if step.verb == verb), region)
    chain, author = lock_chain(session, format_plan_chain(plan.code)), write.author
    plan = read_again(session, plan)
    status = read_status(session, plan, period, author.at)
    write.precondition.check(status.version)
    facts = _read_facts(session, plan, status, None, move.submission)
    if isinstance(move.submission, QuarterSubmitIn):
        facts = _hold_coverage(write, plan, facts, move.submission)
    step = find_step(QUARTER_STEPS, verb, status.state, facts, actor)
    facts = _check_content(session, plan, step, facts)
    stored = _read_row(session, quarters, period, region_code=region)
    # The journal tells the revision that a submission settles, not the one that the rule gives until then.
    before = {**stored, "state": status.state, "revision": status.revision if stored["copy_id"] else None}
    state = find_next_state(step, status.amendment)
    copy_id = _choose_copy(session, plan, status, move, state)
    after = {
        **before,
        **_make_fields(author, status, move, facts),
        "state": state,
        "copy_id": copy_id,
        "revision": status.revision if copy_id else None,
        "version": status.version + 1,
        "updated_at": author.at,
    }
    entries = []
    frozen: QuarterToFreeze | None = None
    if verb == "correct":
        after["correction_reason"] = move.text
    if verb == "freeze":
        number = 0 if status.amendment is None else status.amendment + 1
        after |= {"amendment": number, "frozen_at": author.at}
        correction = before["correction_reason"] if number else None
        frozen = QuarterToFreeze(plan, status, number, correction, author.at, author.actor, before)
        entries.append(store_snapshot(session, frozen))
    row = {name: value for name, value in after.items() if name != "revision"}
    upsert(session, quarters, [row], key=["region_code", "period"])
    if copy_id != status.copy_id:
        revision = _follow_copy(session, plan, period, status.copy_id, author)
        after["revision"] = revision if copy_id else None
    if verb == "submit":
        assert copy_id is not None
        carry_reports(session, plan, period, copy_id)
    if verb == "submit" or copy_id != status.copy_id:
        for settle in AFTER_BINDING:
            settle(session, plan, period)
    reason = move.text if verb == "correct" else None
    chain = append(session, chain, author, [_make_entry(plan, _DONE[verb], before, after, reason), *entries])
    if frozen is not None:
        followed = [entry for follow in AFTER_FREEZING for entry in follow(session, frozen)]
        append(session, chain, author, followed)


def _hold_coverage(
    write: Write, plan: Plan, facts: QuarterFacts, submission: QuarterSubmitIn
) -> QuarterFacts:
    """Return the facts with the coverage that lacks. Raises Invalid if a province accepts that it lacks."""
    accepts = submission.accept_without_coverage
    if accepts and "." not in plan.region_code:
        refuse([FieldError(coverage_of_regencies, pointer="/accept_without_coverage", value="true")])
    uncovered = [code for hold in HOLD_COVERAGE for code in hold(write, plan, facts.status)]
    return replace(facts, uncovered=uncovered, accept_without_coverage=accepts)


def _choose_copy(
    session: Session,
    plan: Plan,
    status: QuarterStatus,
    move: QuarterMove[QuarterVerb],
    state: QuarterState,
) -> int | None:
    """Return the copy of the plan that a quarter keeps after a step; None if it is open then.

    Raises Invalid if a correction names a revision that the plan does not have.
    """
    if state == QuarterState.open:
        return None
    if move.verb == "submit" and status.copy_id is None:
        return copy_plan(session, plan, period=status.period)
    if move.revision is None:
        return status.copy_id
    copy_id = find_copy(session, plan, move.revision)
    if copy_id is None:
        known = list_revision_numbers(session, plan)
        refuse(
            [
                describe_unknown(
                    str(move.revision), "plan_revisions", known, pointer="/revision", allowed=known
                )
            ]
        )
    return copy_id


def _follow_copy(session: Session, plan: Plan, period: str, old: int | None, author: Author) -> int | None:
    """Recompute what follows from a quarter's copy after its change. Return the number of its revision."""
    status = read_status(session, plan, period, author.at)
    if status.state == QuarterState.open:
        drop_carried(session, plan, period)
    if old is not None:
        drop_unused_copy(session, old)
    refresh_physical(session, plan, period, status.copy_id)
    return status.revision


def _read_facts(
    session: Session,
    plan: Plan,
    status: QuarterStatus,
    agency: str | None,
    submission: PartSubmitIn | None,
) -> QuarterFacts:
    lines = list_expected_lines(session, plan, status, agency)
    codes = {code for code, _ in lines}
    return QuarterFacts(
        status,
        agency,
        lines=len(lines),
        outside=[] if agency else list_reports_outside(session, plan, status, codes),
        reported=[code for code, is_reported in lines if is_reported],
        missing=[code for code, is_reported in lines if not is_reported],
        accept_missing=submission is not None and submission.accept_missing,
    )


def _check_content(
    session: Session, plan: Plan, step: QuarterStep[State, Verb], facts: QuarterFacts
) -> QuarterFacts:
    """Check the conditions of a step on the reports. Return the facts with the errors in reports."""
    if step.content:
        errors = find_report_errors(session, plan, facts.status, facts.reported)
        facts = replace(facts, errors=errors)
        check_conditions(step, step.content, facts)
    return facts


def _make_fields(
    author: Author,
    status: QuarterStatus,
    move: QuarterMove[QuarterVerb] | QuarterMove[PartVerb],
    facts: QuarterFacts,
) -> dict[str, Any]:
    """Return the fields that a step of a quarter or of a part writes, without the state."""
    verb, submission = move.verb, move.submission
    if verb == "submit":
        fields = {
            "submitted_at": author.at,
            "submitted_by": author.actor,
            "missing_reason": submission.reason
            if submission and (facts.missing or facts.uncovered)
            else None,
        }
        if not status.is_corrected:
            days = status.late_by_days(author.at, facts.agency)
            fields |= {"is_late": days > 0, "late_by_days": days}
        return fields
    if verb == "return":
        fields = {"returned_at": author.at, "returned_by": author.actor, "notes": move.text}
        return fields if facts.agency else {**fields, "verified_at": None, "verified_by": None}
    if verb == "verify":
        return {"verified_at": author.at, "verified_by": author.actor}
    if verb == "correct":
        return dict.fromkeys(("returned_at", "returned_by", "notes", "verified_at", "verified_by"))
    return {}


def _read_row(session: Session, table: sa.Table, period: str, **key: str) -> dict[str, Any]:
    """Return the row of a quarter or of a part; before its first step an empty one with version 0."""
    key |= {"period": period}
    row = session.execute(
        sa.select(table).where(*[table.c[name] == value for name, value in key.items()])
    ).one_or_none()
    if row is not None:
        return dict(row._mapping)
    return {**dict.fromkeys(table.c.keys()), **key, "year": int(period[:4]), "version": 0}


_NOT_IN_JOURNAL = {"region_code", "period", "year", "agency_code", "copy_id", "version", "updated_at"}


def _select_journal_fields(row: dict[str, object]) -> dict[str, object]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if name not in _NOT_IN_JOURNAL
    }


# An agency's part


def move_part(write: Write, region: str, period: str, agency: str, move: QuarterMove[PartVerb]) -> None:
    """Move an agency's part one step. Raises NotFound if it leads no line of the quarter, and all of `move_quarter`."""
    session, actor, verb = write.session, write.actor, move.verb
    plan = read_plan_of_quarter(session, actor, region, period)
    status = read_status(session, plan, period, write.author.at)
    if not list_expected_lines(session, plan, status, agency):
        raise NotFound()
    merged_into = require_found(find_agency(session, region, agency)).merged_into
    right = next(step.right for step in PART_STEPS if step.verb == verb)
    actor.require(right, region, merged_into or agency)
    chain, author = lock_chain(session, format_plan_chain(plan.code)), write.author
    plan = read_again(session, plan)
    status = read_status(session, plan, period, author.at)
    before = _read_row(session, parts, period, region_code=region, agency_code=agency)
    before["state"] = before["state"] or PartState.open
    write.precondition.check(before["version"])
    facts = replace(_read_facts(session, plan, status, agency, move.submission), merged_into=merged_into)
    step = find_step(PART_STEPS, verb, before["state"], facts, actor)
    facts = _check_content(session, plan, step, facts)
    after = {
        **before,
        **_make_fields(author, status, move, facts),
        "state": step.to_state,
        "version": before["version"] + 1,
        "updated_at": author.at,
    }
    upsert(session, parts, [after], key=["region_code", "period", "agency_code"])
    append(session, chain, author, [_make_entry(plan, _DONE[verb], before, after)])


def _make_entry(
    plan: Plan, what: str, before: dict[str, object], after: dict[str, Any], reason: str | None = None
) -> Entry:
    """Return the journal entry of a step of a quarter, or of an agency's part."""
    noun, subject = "quarter", f"regions/{plan.region_code}/quarters/{after['period']}"
    if "agency_code" in after:
        noun, subject = "quarter_part", f"{subject}/agencies/{after['agency_code']}"
    return Entry(
        f"{noun}.{what}",
        plan.region_code,
        subject,
        after["version"],
        _select_journal_fields(before),
        _select_journal_fields(after),
        reason,
        is_draft=plan.revision is None,
    )


# Extensions


def put_extension(write: Write, region: str, period: str, name: str, content: ExtensionIn) -> bool:
    """Grant an extension or change one. Return whether it is new. Raises Invalid if it extends nothing."""
    session, key = write.session, (region, period, name)
    plan, chain, stored = _lock_extension(write, region, period, name)
    write.precondition.check(stored[key].version if stored else None)
    if not stored:
        check_key(name)
    status = read_status(session, plan, period, write.author.at)
    errors = []
    if content.until <= status.due_on:
        due = {"due_on": status.due_on}
        errors.append(FieldError(extends_nothing, pointer="/until", value=str(content.until), values=due))
    agency = content.agency_code
    if agency is not None and agency not in find_agencies_by_code(session, region, [agency]):
        values = {"source": "region.agencies"}
        errors.append(FieldError(unknown_reference, pointer="/agency_code", value=agency, values=values))
    refuse(errors)
    drafts = {key: content.model_dump(mode="json")}
    make_extension_resource(plan).put(session, write.author, chain, drafts, stored)
    return not stored


def delete_extension(write: Write, region: str, period: str, name: str) -> None:
    """Delete an extension. Raises NotFound if it does not exist."""
    plan, chain, stored = _lock_extension(write, region, period, name)
    key = (region, period, name)
    existing = write.precondition.check_existing(stored.get(key))
    make_extension_resource(plan).delete(write.session, write.author, chain, key, existing)


Key = tuple[str, str, str]
"""Region, period and name of an extension."""


def _lock_extension(
    write: Write, region: str, period: str, name: str
) -> tuple[Plan, Chain, dict[Key, StoredRow]]:
    """Lock the chain of the plan. Return the plan, the chain, and the extension if it exists."""
    plan = read_plan_of_quarter(write.session, write.actor, region, period)
    write.actor.require("extend_quarter", region)
    chain = lock_chain(write.session, format_plan_chain(plan.code))
    plan = read_again(write.session, plan)
    return plan, chain, EXTENSION.read(write.session, [(region, period, name)])


# Mergers of agencies


def move_parts(write: Write, region: str, old: str, new: str) -> None:
    """Move the extensions of an agency to the one that it merges into, and reopen the submitted parts of both.

    The new agency gets more lines, so its part is incomplete. Submitted quarters keep their parts.
    """
    session = write.session
    for plan in read_plans_in(session, region):
        chain = lock_chain(session, format_plan_chain(plan.code))
        plan = read_again(session, plan)
        entries = [*_reopen_parts(write, plan, old, new), *_move_extensions(session, plan, old, new)]
        append(session, chain, write.author, entries)


def _reopen_parts(write: Write, plan: Plan, old: str, new: str) -> list[Entry]:
    session, at, c, entries = write.session, write.author.at, parts.c, []
    here = sa.and_(c.region_code == plan.region_code, c.year == plan.year, c.state == PartState.submitted)
    for row in session.execute(
        sa.select(parts).where(here, c.agency_code.in_([old, new])).order_by(c.period, c.agency_code)
    ).all():
        before = dict(row._mapping)
        if read_status(session, plan, row.period, at).keeps_copy:
            continue
        after = {**before, "state": PartState.open, "version": row.version + 1, "updated_at": at}
        upsert(session, parts, [after], key=["region_code", "period", "agency_code"])
        entries.append(_make_entry(plan, "reopened", before, after, f"merge {old} → {new}"))
    return entries


def _move_extensions(session: Session, plan: Plan, old: str, new: str) -> list[Entry]:
    c = extensions.c
    of_year = c.period.in_([f"{plan.year}-Q{n}" for n in range(1, 5)])
    of_old = sa.and_(c.region_code == plan.region_code, of_year, c.agency_code == old)
    names = sa.select(c.region_code, c.period, c.name).where(of_old).order_by(c.period, c.name)
    keys: list[Key] = [(region, period, name) for region, period, name in session.execute(names)]
    if not keys:
        return []
    before = EXTENSION.read(session, keys)
    session.execute(sa.update(extensions).where(of_old).values(agency_code=new, version=c.version + 1))
    resource = make_extension_resource(plan)
    return [
        resource.make_entry(key, stored.version + 1, stored, {**stored.content, "agency_code": new})
        for key, stored in sorted(before.items())
    ]


REFERRERS = [
    Referrer(
        Text("bagian dan perpanjangan waktu triwulan", "parts and extensions of quarters"),
        make_counter(parts.c.agency_code, extensions.c.agency_code),
    )
]
