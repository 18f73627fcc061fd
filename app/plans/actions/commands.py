"""Commands of actions: a batch takes as many statements as a single write."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import Write
from app.agencies.commands import replace_agency
from app.agencies.queries import Referrer, make_counter
from app.kit.batch import BatchWrite, ItemOutcome
from app.kit.database.engine import get_table
from app.kit.database.journal import Author, Chain, Entry, append, assign_versions, lock_chain
from app.kit.database.parts import PartList, write_parts
from app.kit.database.upsert import upsert
from app.kit.http.validation import apply_patch
from app.kit.problems import FieldError, Kind, Problem, require_found
from app.kit.wording import Text, declare_words
from app.plans.actions.models import PARTS, ActionFields, ActionIn, Part, SupportingAgencyRow
from app.plans.actions.queries import (
    StoredAction,
    actions,
    build_search_text,
    check_references,
    count_references,
    map_reported_quarters,
    read_stored_actions,
)
from app.plans.actions.rules import (
    QUARTERS,
    ActionContent,
    Draft,
    RemovedItems,
    check_quarters,
    list_quarters,
)
from app.plans.core.models import Plan
from app.plans.core.queries import read_again, read_plans_in
from app.plans.core.rules import check_editable, check_right, format_action_subject, format_plan_chain

reported_part = Kind(
    "reported_part",
    id="“{value}” sudah memiliki laporan realisasi; koreksi laporannya lebih dahulu",
    en="“{value}” has progress reports; correct the reports first",
)

reported_line = Kind(
    "reported_line",
    id="Baris ini sudah dilaporkan pada triwulan {value}. Hapus laporannya lebih dahulu.",
    en="The line has a report of quarter {value}. Delete the report first.",
)

counted_line = Kind(
    "counted_line",
    id="Triwulan {value} sudah diajukan dan masih menghitung laporan baris ini dari triwulan sebelumnya. Minta "
    "triwulan itu dikembalikan, atau buka koreksinya dan ajukan lagi.",
    en="Quarter {value} was submitted and still counts an earlier report of the line. Ask for the return of that "
    "quarter, or open its correction and submit it again.",
)

reported_quarter = Kind(
    "reported_quarter",
    id="baris ini sudah dilaporkan pada {value}; koreksi laporannya lebih dahulu, atau biarkan baris berlaku saat itu",
    en="the line has a report of {value}; correct the report first, or let the line cover that quarter",
)

IN_USE_HOOKS: list[Callable[[Session, RemovedItems], RemovedItems]] = []
"""Hooks of the areas above, from `app.wiring`: plans must not import progress. A write calls each with the items
that it is about to remove from their actions, and under `QUARTERS` with the quarters that they no
longer have; the hook returns those with reports."""

FIGURE_PARTS = ("outputs", "milestones")
"""Parts of an action from which the areas above compute figures."""

AFTER_REMOVAL: list[Callable[[Session, Plan, Sequence[int]], None]] = []
"""Hooks that run after lines of a first draft are deleted, with their ids."""

AFTER_ACTIONS: list[Callable[[Session, Plan, Sequence[int]], None]] = []
"""Hooks of the areas above, from `app.wiring`. A write calls each with the ids of existing actions if it changed their
parts in `FIGURE_PARTS`."""


class PartInUse(Problem):
    status = 409
    code = "part_in_use"
    title = Text("Sudah ada laporannya", "There are progress reports")
    detail = Text(
        "Laporan realisasi masih memakai “{keys}”; rinciannya di bawah.",
        "Progress reports still use “{keys}”; details below.",
    )


class ActionInUse(Problem):
    status = 409
    code = "action_in_use"
    title = Text("Masih dirujuk", "There are references")
    detail = Text(
        "Baris “{action}” masih dirujuk oleh {references}. Lepaskan rujukannya lebih dahulu.",
        "Line “{action}” still has references from {references}. Remove the references first.",
    )


declare_words(
    {
        "commitments": Text("komitmen bersama", "commitments"),
    }
)

_supporting = get_table(SupportingAgencyRow)


# Actions


class WrittenActions(NamedTuple):
    """The result of a write of lines."""

    outcomes: list[ItemOutcome]
    """In the order of the drafts."""
    contents: dict[str, ActionContent]
    """Contents of the lines without errors, by code."""


def put_actions(
    write: Write, plan: Plan, batch: BatchWrite[Draft], *, reason: str | None = None
) -> WrittenActions:
    """Create or replace actions, in one batch; equal ones keep their version.

    Raises Forbidden, Invalid or PartInUse for the whole batch; in a batch with `each` an item keeps its own errors.
    """
    write.actor.require("write_actions", plan.region_code)
    chain = lock_chain(write.session, format_plan_chain(plan.code))
    stored = read_stored_actions(write.session, plan, list(batch.items))
    forbid_lines_of_others(
        write, plan, batch, {code: {line.content["lead_agency"]} for code, line in stored.items()}
    )
    versions = [line.version for line in stored.values()]
    write.precondition.check_many(write.session, versions, format_plan_chain(plan.code))
    if batch.items:
        _check_editable(write.session, plan)
    return _store(write, plan, chain, batch, stored, reason)


def patch_action(write: Write, plan: Plan, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into an action. Raises NotFound if it does not exist."""
    chain, stored = _hold_action(write, plan, code)
    content = apply_patch(ActionIn, drop_old_names(stored.content, patch), patch)
    batch = BatchWrite([Draft(code, content)])
    forbid_lines_of_others(write, plan, batch, {})
    _store(write, plan, chain, batch, {code: stored}, None)


def drop_old_names(action: ActionContent, patch: dict[str, object]) -> ActionContent:
    """Return the action to patch: without its names if the patch changes the code, which brings its own names."""
    if patch.get("subactivity_code") in (None, action["subactivity_code"]):
        return action
    return {**action, "subactivity": None, "activity": None, "program": None}


def _hold_action(write: Write, plan: Plan, code: str) -> tuple[Chain, StoredAction]:
    """Lock the plan's chain, check right, precondition and state. Return the chain and the action."""
    write.actor.require("write_actions", plan.region_code)
    chain = lock_chain(write.session, format_plan_chain(plan.code))
    stored = require_found(read_stored_actions(write.session, plan, [code]).get(code))
    write.actor.require("write_actions", plan.region_code, stored.content["lead_agency"])
    write.precondition.check(stored.version)
    _check_editable(write.session, plan)
    return chain, stored


def _check_editable(session: Session, plan: Plan) -> None:
    """Raise PlanNotEditable by the plan's state under the lock: it may have changed since the first read."""
    plan_now = read_again(session, plan)
    check_editable(plan_now.code, plan_now.state, plan_now.revision)


def _store(
    write: Write,
    plan: Plan,
    chain: Chain,
    batch: BatchWrite[Draft],
    stored: dict[str, StoredAction],
    reason: str | None,
) -> WrittenActions:
    """Write the drafts without errors; the caller locked the chain and checked rights, precondition and state."""
    batch.find_numbers(stored)
    contents = complete_drafts(write.session, plan, batch, stored)
    changes = batch.changes(contents, stored)
    versions = write_actions(write.session, write.author, plan, changes, stored)
    entries = [
        build_action_entry(plan, code, versions[code], stored.get(code), content, reason)
        for code, content in changes.items()
    ]
    append(write.session, chain, write.author, entries)
    return WrittenActions(batch.outcomes(stored, versions), batch.select_accepted(contents))


def forbid_lines_of_others(
    write: Write, plan: Plan, batch: BatchWrite[Draft], leads: Mapping[str, set[str]]
) -> None:
    """Refuse lines that another agency leads, by the draft or by `leads`, if the actor may not write for it."""
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
    """Return the drafts' contents by code, with edition and official names; `stored` are the lines in force.

    Refuses drafts with unknown references or wrong quarters (Invalid) and those that drop reported parts (PartInUse).
    """
    drafts = list(batch.items.values())
    contents, errors = check_references(session, plan, drafts)
    for draft in drafts:
        if wrong := [*check_quarters(contents[draft.code], plan, draft.pointer)]:
            errors.setdefault(draft.code, []).extend(wrong)
    batch.invalidate(errors)
    in_use = find_parts_in_use(
        session, plan, {draft.code: draft.pointer for draft in drafts}, contents, stored
    )
    batch.refuse(in_use, build_part_in_use)
    return contents


def find_parts_in_use(
    session: Session,
    plan: Plan,
    pointers: Mapping[str, str],
    contents: Mapping[str, ActionContent],
    stored: Mapping[str, StoredAction],
) -> dict[str, list[FieldError]]:
    """Return the errors of items and quarters with reports that the contents drop, by code of the line.

    `pointers` are the JSON Pointers of the lines in the request, by code.
    """
    removed: RemovedItems = {}
    for code in contents.keys() & stored.keys():
        old, new = stored[code].content, contents[code]
        dropped = {part.name: part.list_keys(old) - part.list_keys(new) for part in PARTS}
        dropped[QUARTERS] = list_quarters(old, plan.year) - list_quarters(new, plan.year)
        for name, keys in dropped.items():
            if keys:
                removed.setdefault(name, set()).update((stored[code].id, key) for key in keys)
    if not removed:
        return {}
    codes = {stored[code].id: code for code in contents if code in stored}
    errors: dict[str, list[FieldError]] = {}
    for hook in IN_USE_HOOKS:
        for name, items in hook(session, removed).items():
            for id, key in sorted(items):
                error = _describe_in_use(name, key, contents[codes[id]], pointers[codes[id]])
                errors.setdefault(codes[id], []).append(error)
    return errors


def _describe_in_use(name: str, key: str, content: ActionContent, pointer: str) -> FieldError:
    if name != QUARTERS:
        return FieldError(reported_part, pointer=f"{pointer}/{name}", value=key)
    last = content["ends_after"]
    field = "starts_in" if last is None or key <= last else "ends_after"
    return FieldError(reported_quarter, pointer=f"{pointer}/{field}", value=key)


def build_part_in_use(errors: Sequence[FieldError]) -> PartInUse:
    """Return the problem of drafts that drop items with reports."""
    return PartInUse(errors=errors, keys=", ".join(str(error.value) for error in errors))


def build_action_entry(
    plan: Plan,
    code: str,
    version: int,
    stored: StoredAction | None,
    after: ActionContent | None,
    reason: str | None = None,
) -> Entry:
    """Return the journal entry of a write of a line, or of its deletion if `after` is None."""
    return Entry.of(
        "action",
        plan.region_code,
        format_action_subject(plan.code, code),
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
    subjects = {code: format_action_subject(plan.code, code) for code in contents}
    versions = assign_versions(session, subjects, stored)
    rows = [
        {
            **{name: value for name, value in content.items() if name in ActionFields.model_fields},
            **fixed,
            "code": code,
            "search": build_search_text(content),
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
                _list_rows(part, content, plan),
                _list_rows(part, stored[code].content, plan) if code in stored else [],
            )
            for code, content in contents.items()
        ]
        write_parts(session, part.table, part.key, lists)
    followed = [part for part in PARTS if part.name in FIGURE_PARTS]
    rewritten = [
        ids[code]
        for code, content in contents.items()
        if code in stored
        and any(part.list_items(content) != part.list_items(stored[code].content) for part in followed)
    ]
    if rewritten:
        for hook in AFTER_ACTIONS:
            hook(session, plan, rewritten)
    return {row.code: row.version for row in written}


def _list_rows(part: Part, content: ActionContent, plan: Plan) -> list[dict[str, object]]:
    """Return one part of an action as rows; rows of agencies have the plan's region too."""
    extra = {"region_code": plan.region_code} if part.name == "supporting_agencies" else {}
    return [{**item, **extra} for item in part.list_items(content)]


def delete_action(write: Write, plan: Plan, code: str) -> None:
    """Delete an action.

    Raises NotFound if it does not exist, PartInUse if a quarter counts a report on it, ActionInUse if another thing
    refers to it.
    """
    chain, stored = _hold_action(write, plan, code)
    if references := count_references(write.session, plan, [code]):
        raise_referred(references)
    if reported := map_reported_quarters(write.session, plan, code):
        errors = [
            FieldError(reported_line if own else counted_line, parameter="action", value=quarter)
            for quarter, own in reported.items()
        ]
        raise PartInUse(keys=code, errors=errors)
    write.session.execute(sa.delete(actions).where(actions.c.id == stored.id))
    for hook in AFTER_REMOVAL:
        hook(write.session, plan, [stored.id])
    entry = build_action_entry(plan, code, stored.version + 1, stored, None)
    append(write.session, chain, write.author, [entry])


def raise_referred(references: Mapping[str, Mapping[str, int]]) -> NoReturn:
    """Raise ActionInUse for the first of these lines."""
    code, counts = min(references.items())
    raise ActionInUse(action=code, references=[*counts])


# Merge of agencies


def move_lines(write: Write, region: str, old: str, new: str) -> None:
    """Replace an agency by another in all lines of a region that it leads or supports, plan by plan.

    Locks each plan's chain first, so that other writes of its lines end before or wait.
    """
    session, reason = write.session, f"merge {old} → {new}"
    supported = sa.select(_supporting.c.action_id).where(
        _supporting.c.region_code == region, _supporting.c.agency_code == old
    )
    names_old = sa.or_(actions.c.lead_agency == old, actions.c.id.in_(supported))
    for plan in read_plans_in(session, region):
        chain = lock_chain(session, format_plan_chain(plan.code))
        plan = read_again(session, plan)
        of_plan = sa.select(actions.c.code).where(actions.c.plan_id == plan.id, names_old)
        codes = list(session.scalars(of_plan.order_by(actions.c.code)))
        if not codes:
            continue
        before = read_stored_actions(session, plan, codes)
        ids = [line.id for line in before.values()]
        chosen = actions.c.id.in_(ids)
        session.execute(
            sa.update(actions).where(chosen, actions.c.lead_agency == old).values(lead_agency=new)
        )
        replace_agency(session, _supporting.c.action_id, ids, old, new)
        # An agency does not support a line that it leads.
        leads = sa.select(actions.c.id).where(chosen, actions.c.lead_agency == new)
        supports = sa.and_(_supporting.c.agency_code == new, _supporting.c.action_id.in_(leads))
        session.execute(sa.delete(_supporting).where(supports))
        changes = {"version": actions.c.version + 1, "updated_at": write.author.at}
        session.execute(sa.update(actions).where(chosen).values(**changes))
        after = read_stored_actions(session, plan, codes)
        entries = [
            build_action_entry(
                plan, code, before[code].version + 1, before[code], after[code].content, reason
            )
            for code in codes
        ]
        append(session, chain, write.author, entries)


REFERRERS = [
    Referrer(Text("baris rencana yang dipimpinnya", "lines it leads"), make_counter(actions.c.lead_agency)),
    Referrer(
        Text("baris rencana yang didukungnya", "lines it supports"), make_counter(_supporting.c.agency_code)
    ),
]
