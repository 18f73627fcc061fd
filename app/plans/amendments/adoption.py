"""Adoption of an amendment: the conditions before it moves on, and the writes that make it the plan."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.kit.batch import flatten
from app.kit.database.journal import Chain, Entry, hold, record
from app.kit.problems import FieldError, Kind
from app.plans.actions.commands import (
    action_entry,
    part_in_use,
    parts_in_use,
    raise_referred,
    remove_actions,
    reported_part,
    write_actions,
)
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import (
    StoredAction,
    check_references,
    references_to,
    reported_codes,
    stored_actions,
)
from app.plans.actions.rules import ActionContent, Draft
from app.plans.amendments.commands import gone_entry
from app.plans.amendments.queries import (
    AmendedRow,
    Amendment,
    Editions,
    amended_rows,
    amendment_chain,
    amendments,
    editions,
    open_amendment,
)
from app.plans.amendments.rules import Amended, in_short, missing_reasons
from app.plans.core.commands import follow_locations, replace_priority_locations
from app.plans.core.models import Plan
from app.plans.core.queries import plans
from app.plans.revisions.differences.rules import Change, changes_of, telling

missing_reason = Kind(
    "missing_reason",
    id="{value}: perubahan {field} belum beralasan",
    en="{value}: the change of {field} has no reason",
)
referred_line = Kind(
    "referred_line",
    id="{value} masih dirujuk ({references}); baris ini tidak dapat dihapus",
    en="{value} is still referred to ({references}); this line cannot be taken out",
)
empty_amendment = Kind(
    "empty_amendment",
    id="perubahan rencana ini belum mengubah apa pun",
    en="this amendment changes nothing yet",
)


# Before it is submitted


def proposed(session: Session, plan: Plan) -> Mapping[str, ActionContent]:
    """Return the lines as the open amendment would make them."""
    return _open(session, plan)[1].after.actions


def blocks(session: Session, plan: Plan) -> Sequence[FieldError]:
    """Return the errors that block the submission of the open amendment, findings aside."""
    amendment, (before, after, reasons) = _open(session, plan)
    if before == after:
        return [FieldError(empty_amendment, pointer="/actions")]
    errors = [
        FieldError(
            missing_reason,
            pointer=f"/actions/{one.action}{field}" if one.action else field,
            value=one.action or plan.code,
            values={"field": field or "/"},
        )
        for one in missing_reasons(before, after, amendment.reasons, reasons)
        for field in one.fields
    ]
    rows, stored = _changed(session, plan)
    contents = {code: row.content for code, row in rows.items() if row.content is not None}
    # What a line refers to may have gone since it was written: an agency retired, a code withdrawn.
    drafts = [
        Draft(code, ActionIn.model_validate(content), pointer=f"/actions/{code}")
        for code, content in contents.items()
    ]
    _, unknown = check_references(session, plan, drafts)
    errors += flatten(unknown)
    errors += flatten(_in_use(session, plan, rows, stored))
    return errors + [
        FieldError(
            referred_line,
            pointer=f"/actions/{code}",
            value=code,
            values={"references": ", ".join(f"{name}: {count}" for name, count in found.items())},
        )
        for code, found in references_to(session, plan, _taken_out(rows)).items()
    ]


def _open(session: Session, plan: Plan) -> tuple[Amendment, Editions]:
    amendment = open_amendment(session, plan)
    assert amendment is not None, f"{plan.code} is being amended without an amendment"
    return amendment, editions(session, amendment)


def _changed(session: Session, plan: Plan) -> tuple[dict[str, AmendedRow], dict[str, StoredAction]]:
    """Return the lines that are to be others than in force, and those in force of them, by code."""
    rows = amended_rows(session, plan)
    stored = stored_actions(session, plan, list(rows))
    same = {code for code, line in stored.items() if line.content == rows[code].content}
    return {code: row for code, row in rows.items() if code not in same}, stored


def _taken_out(rows: Mapping[str, AmendedRow]) -> list[str]:
    return [code for code, row in rows.items() if row.content is None]


def _in_use(
    session: Session,
    plan: Plan,
    rows: Mapping[str, AmendedRow],
    stored: Mapping[str, StoredAction],
) -> dict[str, list[FieldError]]:
    """Return the errors of lines and parts that the amendment drops although progress refers to them, by line."""
    contents = {code: row.content for code, row in rows.items() if row.content is not None}
    pointers = {code: f"/actions/{code}" for code in rows}
    found = parts_in_use(session, pointers, contents, stored)
    for code in reported_codes(session, plan, _taken_out(rows)):
        found[code] = [FieldError(reported_part, pointer=pointers[code], value=code)]
    return found


# When it is adopted


def apply_amendment(write: Write, plan: Plan, chain: Chain) -> tuple[Chain, dict[str, object]]:
    """Write the drafted lines into the plan, by as many statements for many lines as for one.

    Return the plan's chain after that, and what the revision keeps: the reasons of the amendment and of each change.
    Raises PartInUse if a report refers by now to a line that the amendment drops, ActionInUse if something else does.
    """
    session, author = write.session, write.author
    amendment, (rows, stored) = open_amendment(session, plan), _changed(session, plan)
    assert amendment is not None, f"{plan.code} is being amended without an amendment"
    beside = hold(session, amendment_chain(plan.code))
    record(session, beside, author, [gone_entry(amendment, beside)])
    if in_use := _in_use(session, plan, rows, stored):
        raise part_in_use(flatten(in_use))
    if references := references_to(session, plan, _taken_out(rows)):
        raise_referred(references)
    contents = {code: row.content for code, row in rows.items() if row.content is not None}
    gone = {code: stored[code] for code, row in rows.items() if row.content is None and code in stored}
    if gone:
        remove_actions(session, gone)
    versions = write_actions(session, author, plan, contents, stored)
    versions |= {code: line.version + 1 for code, line in gone.items()}
    own = changes_of(amendment.in_force, amendment.content)
    entries = [_store_own(session, plan, amendment, own)] if own else []
    lines = {
        code: Amended(stored[code].content if code in stored else None, row.content, row.reasons)
        for code, row in sorted(rows.items())
    }
    entries += [
        action_entry(
            plan,
            code,
            versions[code],
            stored.get(code),
            line.after,
            in_short(line.reasons),
        )
        for code, line in lines.items()
        if code in versions
    ]
    kept: list[object] = [{"action": None, **reason} for reason in telling(own, amendment.reasons)]
    kept += [
        {"action": code, **reason}
        for code, line in lines.items()
        for reason in telling(line.changes, line.reasons)
    ]
    session.execute(sa.delete(amendments).where(amendments.c.plan_id == plan.id))
    return record(session, chain, author, entries), {"purpose": amendment.purpose, "reasons": kept}


def _store_own(session: Session, plan: Plan, amendment: Amendment, own: list[Change]) -> Entry:
    """Write the plan's own fields; the adoption that follows raises its version."""
    locations = amendment.content["priority_locations"]
    content = {name: value for name, value in amendment.content.items() if name != "priority_locations"}
    session.execute(sa.update(plans).where(plans.c.id == plan.id).values(**content))
    replace_priority_locations(session, plan.id, locations)
    were = amendment.in_force["priority_locations"]
    follow_locations(session, plan.region_code, plan.year, [*were, *locations])
    return Entry(
        "plan.changed",
        plan.region_code,
        f"plans/{plan.code}",
        plan.version + 1,
        amendment.in_force,
        amendment.content,
        in_short(telling(own, amendment.reasons)),
    )
