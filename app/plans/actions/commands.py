"""Commands of actions: a write of many lines takes as many statements as a write of one."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.access.commands import Write
from app.agencies.commands import replace_named
from app.agencies.queries import Referrer, count_by
from app.kit.batch import BatchWrite, Outcome
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Chain, Entry, hold, next_versions, record
from app.kit.database.parts import PartList, write_parts
from app.kit.database.upsert import upsert
from app.kit.http.validation import validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, Kind, Problem, Text, require_found
from app.plans.actions.models import PARTS, ActionFields, ActionIn, Part, SupportingAgencyRow
from app.plans.actions.queries import (
    StoredAction,
    actions,
    check_references,
    references_to,
    search_text,
    stored_actions,
)
from app.plans.actions.rules import ActionContent, Draft, Gone
from app.plans.core.models import Plan
from app.plans.core.queries import plans_in, read_again
from app.plans.core.rules import action_subject, check_editable, check_right, plan_chain

reported_part = Kind(
    "reported_part",
    id="{value} sudah ada laporan realisasinya; koreksi laporannya lebih dahulu",
    en="{value} has progress reported on it; correct the reports first",
)


IN_USE: list[Callable[[Session, Gone], Gone]] = []
"""Called with the items that are about to leave their actions; gives those that something hangs on.
`app.wiring` adds those of the areas above: plans must not know progress."""

FOLLOWED = ("outputs", "milestones")
"""Parts of an action that figures of areas above follow from."""

AFTER_ACTIONS: list[Callable[[Session, Sequence[int]], None]] = []
"""Functions that `app.wiring` adds. Each takes the ids of existing actions in which one of these parts changed."""


class PartInUse(Problem):
    status = 409
    code = "part_in_use"
    title = Text("Masih dipakai laporan", "Still reported on")
    detail = Text(
        "{keys} sudah ada laporan realisasinya; koreksi laporannya lebih dahulu.",
        "{keys} has progress reported on it; correct the reports first.",
    )


class ActionInUse(Problem):
    status = 409
    code = "action_in_use"
    title = Text("Masih dirujuk", "Still referred to")
    detail = Text(
        "Baris {action} masih dirujuk ({references}); lepaskan rujukannya lebih dahulu.",
        "Action {action} is still referred to ({references}); take the references out first.",
    )


_supporting = table_of(SupportingAgencyRow)


# Actions


class Written(NamedTuple):
    """The result of a write of lines."""

    outcomes: list[Outcome]
    """In the order of the drafts."""
    contents: dict[str, ActionContent]
    """The contents of lines without errors, by code."""


def put_actions(write: Write, plan: Plan, batch: BatchWrite[Draft], *, reason: str | None = None) -> Written:
    """Create or replace actions; one that is equal stays untouched.

    Raises Forbidden, Invalid or PartInUse for all of them, unless the batch takes `each` by itself.
    """
    write.actor.require("write_actions", plan.region_code)
    chain = hold(write.session, plan_chain(plan.code))
    stored = stored_actions(write.session, plan, list(batch.items))
    forbid_lines_of_others(
        write, plan, batch, {code: {line.content["lead_agency"]} for code, line in stored.items()}
    )
    versions = [line.version for line in stored.values()]
    write.precondition.check_many(write.session, versions, plan_chain(plan.code))
    if batch.items:
        _check_editable(write.session, plan)
    return _store(write, plan, chain, batch, stored, reason)


def patch_action(write: Write, plan: Plan, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into an action. Raises NotFound if there is none."""
    chain, stored = _hold_action(write, plan, code)
    content = validated(ActionIn, merge_patch(renamed(stored.content, patch), patch))
    batch = BatchWrite([Draft(code, content)])
    forbid_lines_of_others(write, plan, batch, {})
    _store(write, plan, chain, batch, {code: stored}, None)


def renamed(action: ActionContent, patch: dict[str, object]) -> ActionContent:
    """An action that is about to be patched: the names are those of the old code, a new one brings its own."""
    if patch.get("subactivity_code") in (None, action["subactivity_code"]):
        return action
    return {**action, "subactivity": None, "activity": None, "program": None}


def _hold_action(write: Write, plan: Plan, code: str) -> tuple[Chain, StoredAction]:
    """Hold the chain of the plan. Return it with the action, which this write may change under its condition."""
    write.actor.require("write_actions", plan.region_code)
    chain = hold(write.session, plan_chain(plan.code))
    stored = require_found(stored_actions(write.session, plan, [code]).get(code))
    write.actor.require("write_actions", plan.region_code, stored.content["lead_agency"])
    write.precondition.check(stored.version)
    _check_editable(write.session, plan)
    return chain, stored


def _check_editable(session: Session, plan: Plan) -> None:
    """Raise PlanNotEditable by the state under the held chain: the plan may have moved since the caller read it."""
    now = read_again(session, plan)
    check_editable(now.code, now.state, now.revision)


def _store(
    write: Write,
    plan: Plan,
    chain: Chain,
    batch: BatchWrite[Draft],
    stored: dict[str, StoredAction],
    reason: str | None,
) -> Written:
    """Write the drafts that fit; the caller holds the chain, and has checked rights, precondition and state."""
    wanted = complete_drafts(write.session, plan, batch, stored)
    changes = batch.changes(wanted, stored)
    versions = write_actions(write.session, write.author, plan, changes, stored)
    entries = [
        action_entry(plan, code, versions[code], stored.get(code), content, reason)
        for code, content in changes.items()
    ]
    record(write.session, chain, write.author, entries)
    return Written(batch.outcomes(stored, versions), batch.select_accepted(wanted))


def forbid_lines_of_others(
    write: Write, plan: Plan, batch: BatchWrite[Draft], leads: Mapping[str, set[str]]
) -> None:
    """Refuse lines that the actor may not write: other agencies lead them, by `leads` or by the draft."""
    lacking = {
        code: [
            error
            for agency in sorted({draft.content.lead_agency, *leads.get(code, ())})
            for error in check_right(
                write.actor, "write_actions", plan.region_code, f"{draft.pointer}/lead_agency", agency
            )
        ]
        for code, draft in batch.items.items()
    }
    batch.forbid({code: errors for code, errors in lacking.items() if errors})


def complete_drafts(
    session: Session, plan: Plan, batch: BatchWrite[Draft], stored: dict[str, StoredAction]
) -> dict[str, ActionContent]:
    """Return the contents by code, with edition and official names.

    Refuses drafts that refer to something unknown (Invalid), or leave out what progress was reported on
    (PartInUse); `stored` are the lines in force.
    """
    drafts = list(batch.items.values())
    wanted, errors = check_references(session, plan, drafts)
    batch.invalidate(errors)
    in_use = parts_in_use(session, {draft.code: draft.pointer for draft in drafts}, wanted, stored)
    batch.refuse(in_use, part_in_use)
    return wanted


def parts_in_use(
    session: Session,
    pointers: Mapping[str, str],
    wanted: Mapping[str, ActionContent],
    stored: Mapping[str, StoredAction],
) -> dict[str, list[FieldError]]:
    """Return the errors of items that are left out although progress refers to them, by code of the line.

    `pointers` are the places of the lines in the request.
    """
    gone: Gone = {}
    for code, content in wanted.items():
        for part in PARTS if code in stored else ():
            if left := part.list_keys(stored[code].content) - part.list_keys(content):
                gone.setdefault(part.name, set()).update((stored[code].id, key) for key in left)
    if not gone:
        return {}
    codes = {stored[code].id: code for code in wanted if code in stored}
    found: dict[str, list[FieldError]] = {}
    for ask in IN_USE:
        for name, items in ask(session, gone).items():
            for id, key in sorted(items):
                error = FieldError(reported_part, pointer=f"{pointers[codes[id]]}/{name}", value=key)
                found.setdefault(codes[id], []).append(error)
    return found


def part_in_use(errors: Sequence[FieldError]) -> PartInUse:
    """Return the problem of items that drafts leave out although progress refers to them."""
    return PartInUse(errors=errors, keys=", ".join(str(error.value) for error in errors))


def action_entry(
    plan: Plan,
    code: str,
    version: int,
    stored: StoredAction | None,
    after: ActionContent | None,
    reason: str | None = None,
) -> Entry:
    """Return the journal's entry of a write of a line; `after` None: of its deletion."""
    return Entry.of(
        "action",
        plan.region_code,
        action_subject(plan.code, code),
        version,
        stored.content if stored else None,
        after,
        reason,
        is_draft=plan.revision is None,
    )


def write_actions(
    session: Session,
    author: Author,
    plan: Plan,
    contents: dict[str, ActionContent],
    stored: dict[str, StoredAction],
) -> dict[str, int]:
    """Write whole actions. Return their new versions, by code."""
    if not contents:
        return {}
    fixed = {
        "plan_id": plan.id,
        "region_code": plan.region_code,
        "year": plan.year,
        "updated_at": author.at.isoformat(),
    }
    subjects = {code: action_subject(plan.code, code) for code in contents}
    versions = next_versions(session, subjects, stored)
    rows = [
        {
            **{name: value for name, value in content.items() if name in ActionFields.model_fields},
            **fixed,
            "code": code,
            "search": search_text(content),
            "version": versions[code],
        }
        for code, content in contents.items()
    ]
    key = ["plan_id", "code"]
    written = upsert(session, actions, rows, key=key, versioned=True, returning=["id", "code", "version"])
    ids = {row.code: row.id for row in written}
    for part in PARTS:
        lists = [
            PartList(
                {"action_id": ids[code]},
                _items_of(part, content, plan),
                _items_of(part, stored[code].content, plan) if code in stored else [],
            )
            for code, content in contents.items()
        ]
        write_parts(session, part.table, part.key, lists)
    followed = [part for part in PARTS if part.name in FOLLOWED]
    rewritten = [
        ids[code]
        for code, content in contents.items()
        if code in stored
        and any(part.list_items(content) != part.list_items(stored[code].content) for part in followed)
    ]
    if rewritten:
        for follow in AFTER_ACTIONS:
            follow(session, rewritten)
    return {row.code: row.version for row in written}


def _items_of(part: Part, content: ActionContent, plan: Plan) -> list[dict[str, object]]:
    """Return the rows of one list of an action; rows of agencies name the region too."""
    extra = {"region_code": plan.region_code} if part.name == "supporting_agencies" else {}
    return [{**item, **extra} for item in part.list_items(content)]


def delete_action(write: Write, plan: Plan, code: str) -> None:
    """Delete an action.

    Raises NotFound if there is none, PartInUse if progress refers to it, ActionInUse if something else does.
    """
    chain, stored = _hold_action(write, plan, code)
    if references := references_to(write.session, plan, [code]):
        raise_referred(references)
    remove_actions(write.session, {code: stored})
    entry = action_entry(plan, code, stored.version + 1, stored, None)
    record(write.session, chain, write.author, [entry])


def raise_referred(references: Mapping[str, Mapping[str, int]]) -> NoReturn:
    """Raise ActionInUse for the first of the lines that something refers to."""
    code, found = min(references.items())
    raise ActionInUse(action=code, references=", ".join(f"{name}: {count}" for name, count in found.items()))


def remove_actions(session: Session, gone: Mapping[str, StoredAction]) -> None:
    """Delete lines, by code. Raises PartInUse if progress refers to them."""
    try:
        session.execute(sa.delete(actions).where(actions.c.id.in_([one.id for one in gone.values()])))
    except IntegrityError as error:
        raise PartInUse(keys=", ".join(sorted(gone))) from error


# Agencies that are merged


def move_lines(write: Write, region: str, old: str, new: str) -> None:
    """Point every line of a region that an agency leads or supports at another, plan by plan.

    It locks each plan's chain first, so that another write of its lines ends before it or waits.
    """
    session, reason = write.session, f"merge {old} → {new}"
    of_old = sa.select(_supporting.c.action_id).where(
        _supporting.c.region_code == region, _supporting.c.agency_code == old
    )
    names_old = sa.or_(actions.c.lead_agency == old, actions.c.id.in_(of_old))
    for plan in plans_in(session, region):
        chain = hold(session, plan_chain(plan.code))
        plan = read_again(session, plan)
        of_plan = sa.select(actions.c.code).where(actions.c.plan_id == plan.id, names_old)
        codes = list(session.scalars(of_plan.order_by(actions.c.code)))
        if not codes:
            continue
        before = stored_actions(session, plan, codes)
        ids = [line.id for line in before.values()]
        chosen = actions.c.id.in_(ids)
        session.execute(
            sa.update(actions).where(chosen, actions.c.lead_agency == old).values(lead_agency=new)
        )
        replace_named(session, _supporting.c.action_id, ids, old, new)
        # No agency supports what it leads.
        leads = sa.select(actions.c.id).where(chosen, actions.c.lead_agency == new)
        supports = sa.and_(_supporting.c.agency_code == new, _supporting.c.action_id.in_(leads))
        session.execute(sa.delete(_supporting).where(supports))
        raised = {"version": actions.c.version + 1, "updated_at": write.author.at}
        session.execute(sa.update(actions).where(chosen).values(**raised))
        after = stored_actions(session, plan, codes)
        entries = [
            action_entry(plan, code, before[code].version + 1, before[code], after[code].content, reason)
            for code in codes
        ]
        record(session, chain, write.author, entries)


REFERRERS = [
    Referrer("lines it leads", count_by(actions.c.lead_agency)),
    Referrer("lines it supports", count_by(_supporting.c.agency_code)),
]
