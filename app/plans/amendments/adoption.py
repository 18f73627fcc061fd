"""Submission and adoption of an amendment: the errors that block it, and the writes that make it the plan."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.kit.batch import flatten
from app.kit.database.journal import Chain, Entry, append, lock_chain
from app.kit.problems import FieldError, Kind
from app.plans.actions.commands import build_action_entry, build_part_in_use, find_parts_in_use, write_actions
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import StoredAction, check_references, read_stored_actions
from app.plans.actions.rules import ActionContent, Draft
from app.plans.amendments.commands import build_gone_entry
from app.plans.amendments.queries import (
    AmendedRow,
    Amendment,
    AmendmentEditions,
    amendments,
    format_amendment_chain,
    read_amended_rows,
    read_editions,
    read_open_amendment,
)
from app.plans.amendments.rules import AmendedLine, find_missing_reasons, shorten_reasons
from app.plans.core.commands import follow_locations, replace_priority_locations
from app.plans.core.models import Plan
from app.plans.core.queries import plans
from app.plans.revisions.differences.rules import ChangedField, compare_contents, select_relevant_reasons

missing_reason = Kind(
    "missing_reason",
    id="perubahan pada “{value}” belum diberi alasan",
    en="a change of “{value}” has no reason yet",
)
empty_amendment = Kind(
    "empty_amendment",
    id="perubahan rencana ini belum mengubah apa pun",
    en="this amendment changes nothing yet",
)


# Submission


def read_proposed_lines(session: Session, plan: Plan) -> Mapping[str, ActionContent]:
    """Return the contents of the plan's lines after the adoption of its open amendment, by code."""
    return _read_amendment(session, plan)[1].after.actions


def list_blocking_errors(session: Session, plan: Plan) -> Sequence[FieldError]:
    """Return the errors that block the submission of the open amendment, findings aside."""
    amendment, (before, after, reasons) = _read_amendment(session, plan)
    if before == after:
        return [FieldError(empty_amendment, pointer="/actions")]
    errors = [
        FieldError(
            missing_reason,
            pointer=f"/actions/{missing.action}{field}" if missing.action else field,
            value=missing.action or plan.code,
        )
        for missing in find_missing_reasons(before, after, amendment.reasons, reasons)
        for field in missing.fields
    ]
    rows, stored = _read_changes(session, plan)
    # A reference of a line may have become invalid since its write: an agency retired, an edition dropped a code.
    # A line that ends keeps what it has.
    drafts = [
        Draft(code, ActionIn.model_validate(row.content), pointer=f"/actions/{code}")
        for code, row in rows.items()
        if not row.is_ending
    ]
    _, unknown = check_references(session, plan, drafts)
    return errors + flatten(unknown) + flatten(_find_in_use(session, plan, rows, stored))


def _read_amendment(session: Session, plan: Plan) -> tuple[Amendment, AmendmentEditions]:
    amendment = read_open_amendment(session, plan)
    assert amendment is not None, f"{plan.code} is being amended without an amendment"
    return amendment, read_editions(session, amendment)


def _read_changes(session: Session, plan: Plan) -> tuple[dict[str, AmendedRow], dict[str, StoredAction]]:
    """Return the drafted lines that differ from the lines in force, and the latter, by code."""
    rows = read_amended_rows(session, plan)
    stored = read_stored_actions(session, plan, list(rows))
    unchanged = {code for code, line in stored.items() if line.content == rows[code].content}
    return {code: row for code, row in rows.items() if code not in unchanged}, stored


def _find_in_use(
    session: Session, plan: Plan, rows: Mapping[str, AmendedRow], stored: Mapping[str, StoredAction]
) -> dict[str, list[FieldError]]:
    """Return the errors of parts and quarters with reports that the amendment drops, by code of the line."""
    contents = {code: row.content for code, row in rows.items()}
    return find_parts_in_use(session, plan, {code: f"/actions/{code}" for code in rows}, contents, stored)


# Adoption


def apply_amendment(write: Write, plan: Plan, chain: Chain) -> tuple[Chain, dict[str, object]]:
    """Write the drafted lines into the plan, with as many statements for many lines as for one.

    Returns the plan's chain and what the revision keeps: `purpose`, and `reasons` of the amendment and of each change.
    Raises PartInUse if the amendment drops a part or a quarter of a line that has reports by now.
    """
    session, author = write.session, write.author
    amendment, (rows, stored) = read_open_amendment(session, plan), _read_changes(session, plan)
    assert amendment is not None, f"{plan.code} is being amended without an amendment"
    drafting = lock_chain(session, format_amendment_chain(plan.code))
    append(session, drafting, author, [build_gone_entry(amendment, drafting)])
    if in_use := _find_in_use(session, plan, rows, stored):
        raise build_part_in_use(flatten(in_use))
    contents = {code: row.content for code, row in rows.items()}
    versions = write_actions(session, author, plan, contents, stored)
    own = compare_contents(amendment.in_force, amendment.content)
    entries = [_store_plan(session, plan, amendment, own)] if own else []
    lines = {
        code: AmendedLine(stored[code].content if code in stored else None, row.content, row.reasons)
        for code, row in sorted(rows.items())
    }
    entries += [
        build_action_entry(
            plan, code, versions[code], stored.get(code), line.after, shorten_reasons(line.reasons)
        )
        for code, line in lines.items()
    ]
    reasons: list[object] = [
        {"action": None, **reason} for reason in select_relevant_reasons(own, amendment.reasons)
    ]
    reasons += [
        {"action": code, **reason}
        for code, line in lines.items()
        for reason in select_relevant_reasons(line.changes, line.reasons)
    ]
    session.execute(sa.delete(amendments).where(amendments.c.plan_id == plan.id))
    return append(session, chain, author, entries), {"purpose": amendment.purpose, "reasons": reasons}


def _store_plan(session: Session, plan: Plan, amendment: Amendment, own: list[ChangedField]) -> Entry:
    """Write the plan's own fields. Return the journal entry; the adoption that follows raises the plan's version."""
    locations = amendment.content["priority_locations"]
    content = {name: value for name, value in amendment.content.items() if name != "priority_locations"}
    session.execute(sa.update(plans).where(plans.c.id == plan.id).values(**content))
    replace_priority_locations(session, plan.id, locations)
    old_locations = amendment.in_force["priority_locations"]
    follow_locations(session, plan.region_code, plan.year, [*old_locations, *locations])
    return Entry(
        "plan.changed",
        plan.region_code,
        f"plans/{plan.code}",
        plan.version + 1,
        amendment.in_force,
        amendment.content,
        shorten_reasons(select_relevant_reasons(own, amendment.reasons)),
    )
