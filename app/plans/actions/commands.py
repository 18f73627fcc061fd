"""Writing actions: many lines are written by as many statements as one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Entry, hold, record
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, Forbidden, Invalid, Kind, NotFound, Problem, Text
from app.plans.actions.models import PARTS, ActionIn
from app.plans.actions.queries import StoredAction, actions, references_to, stored_actions
from app.plans.actions.references import check_references
from app.plans.actions.rules import Draft, Outcome, action_subject, renamed
from app.plans.actions.writes import key_of, write_actions
from app.plans.core.commands import follow_locations
from app.plans.core.models import Plan, PriorityLocationRow
from app.plans.core.queries import plan_of, plans, read_again, stored_plan
from app.plans.core.rules import check_editable, plan_chain

not_your_agency = Kind(
    "not_your_agency",
    id="Anda tidak dapat menulis baris {value}; perlu peran {roles}",
    en="you cannot write lines of {value}; the role {roles} is needed",
)


reported_part = Kind(
    "reported_part",
    id="{value} sudah ada laporan realisasinya; koreksi laporannya lebih dahulu",
    en="{value} has progress reported on it; correct the reports first",
)


Gone = dict[str, set[tuple[int, str]]]
"""Items of parts, by the part's name: (action id, item's key)."""

IN_USE: list[Callable[[Session, Gone], Gone]] = []
"""Called with the items that are about to leave their actions; gives those that something hangs on.
`app.wiring` adds those of the areas above: plans must not know progress."""


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


# Actions


def put_actions(
    session: Session,
    author: Author,
    actor: Actor,
    plan: Plan,
    drafts: Sequence[Draft],
    *,
    check: Callable[[dict[str, StoredAction]], None],
    each: bool = False,
    reason: str | None = None,
    errors_before: Sequence[FieldError] = (),
) -> list[Outcome]:
    """Create or replace the actions of `drafts`; what is as it was stays untouched.

    All or nothing: any error refuses all (Invalid, Forbidden, PartInUse), those found before by the
    caller among them. With `each`, a draft with errors is refused and the others are written. `check`
    sees what exists of them before anything is written.
    """
    actor.require("write_actions", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    stored = stored_actions(session, plan, [draft.code for draft in drafts])
    leads = {code: {one.content["lead_agency"]} for code, one in stored.items()}

    def check_all() -> None:
        check(stored)
        if drafts:
            _check_editable(session, plan)

    judged = judge(
        session,
        actor,
        plan,
        drafts,
        stored,
        leads=leads,
        check=check_all,
        each=each,
        errors_before=errors_before,
    )
    wanted, changed = judged.wanted, judged.unlike({code: one.content for code, one in stored.items()})
    versions = write_actions(session, author, plan, {code: wanted[code] for code in changed}, stored)
    record(
        session,
        chain,
        author,
        [
            action_entry(plan, code, versions[code], stored.get(code), wanted[code], reason)
            for code in changed
        ],
    )
    return [_outcome(draft.code, wanted, stored, versions, judged.errors) for draft in drafts]


@dataclass(frozen=True)
class Judged:
    """Drafts that were held against everything they have to fit."""

    wanted: dict[str, dict[str, Any]]
    """Content by code, completed with edition and official names."""
    errors: dict[str, list[FieldError]]
    """By code, of those that are refused."""

    def unlike(self, before: Mapping[str, Any]) -> list[str]:
        """The codes of those that may be written and say something else than before."""
        return [
            code
            for code, content in self.wanted.items()
            if code not in self.errors and before.get(code) != content
        ]


def judge(
    session: Session,
    actor: Actor,
    plan: Plan,
    drafts: Sequence[Draft],
    stored: dict[str, StoredAction],
    *,
    leads: Mapping[str, set[str]],
    check: Callable[[], None],
    each: bool = False,
    errors_before: Sequence[FieldError] = (),
) -> Judged:
    """Hold drafts against the actor's rights, what they refer to, and what hangs on what they leave out.

    `stored` is what is in force of them, `leads` who leads them by now. Unless `each`, the first kind of
    error refuses all (Forbidden, Invalid, PartInUse); `check`, the request's condition, comes after rights.
    """
    forbidden = _forbidden(actor, plan, drafts, leads)
    if forbidden and not each:
        found = [error for of_draft in forbidden.values() for error in of_draft]
        raise Forbidden(errors=found, **found[0].values)
    check()
    wanted, errors = check_references(session, plan, drafts)
    if not each and (errors or errors_before):
        raise Invalid(errors=[*errors_before, *(error for of_draft in errors.values() for error in of_draft)])
    in_use = parts_in_use(session, {draft.code: draft.pointer for draft in drafts}, wanted, stored)
    if in_use and not each:
        raise_in_use(in_use)
    for more in (forbidden, in_use):
        for code, of_draft in more.items():
            errors.setdefault(code, []).extend(of_draft)
    return Judged(wanted, errors)


def _check_editable(session: Session, plan: Plan) -> None:
    """Once the chain is held: the plan may have been moved since it was found."""
    now = read_again(session, plan)
    check_editable(now.code, now.state, now.revision)


def _forbidden(
    actor: Actor, plan: Plan, drafts: Sequence[Draft], leads: Mapping[str, set[str]]
) -> dict[str, list[FieldError]]:
    """What an operator may not write: lines that other agencies lead, now or by this draft."""
    found: dict[str, list[FieldError]] = {}
    for draft in drafts:
        for agency in sorted({draft.content.lead_agency, *leads.get(draft.code, ())}):
            try:
                actor.require("write_actions", plan.region_code, agency)
            except Forbidden as refused:
                error = FieldError(
                    not_your_agency,
                    pointer=f"{draft.pointer}/lead_agency",
                    value=agency,
                    allowed=refused.values["memberships"],
                    values=refused.values,
                )
                found.setdefault(draft.code, []).append(error)
    return found


def parts_in_use(
    session: Session,
    pointers: Mapping[str, str],
    wanted: Mapping[str, dict[str, Any]],
    stored: Mapping[str, StoredAction],
) -> dict[str, list[FieldError]]:
    """Items that are left out although something hangs on them, by code; `pointers` say where a line stands."""
    gone: Gone = {}
    for code, content in wanted.items():
        for part in PARTS if code in stored else ():
            kept = {key_of(part, item) for item in content[part.name]}
            left = {key_of(part, item) for item in stored[code].content[part.name]} - kept
            if left:
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


def raise_in_use(in_use: Mapping[str, Sequence[FieldError]]) -> NoReturn:
    found = [error for of_line in in_use.values() for error in of_line]
    raise PartInUse(errors=found, keys=", ".join(str(error.value) for error in found))


def patch_action(
    session: Session,
    author: Author,
    actor: Actor,
    plan: Plan,
    code: str,
    patch: dict[str, Any],
    check: CheckVersion,
) -> Outcome:
    """Merge a patch into an action, as it stands when it is this writer's turn."""
    actor.require("write_actions", plan.region_code)
    hold(session, plan_chain(plan.code))
    stored = stored_actions(session, plan, [code]).get(code)
    if stored is None:
        raise NotFound()
    actor.require("write_actions", plan.region_code, stored.content["lead_agency"])
    check(stored.version)
    _check_editable(session, plan)
    content = validated(ActionIn, merge_patch(renamed(stored.content, patch), patch))
    (outcome,) = put_actions(session, author, actor, plan, [Draft(code, content)], check=lambda stored: None)
    return outcome


def _outcome(
    code: str,
    wanted: dict[str, dict[str, Any]],
    stored: dict[str, StoredAction],
    versions: dict[str, int],
    errors: dict[str, list[FieldError]],
) -> Outcome:
    if code in errors:
        return Outcome(code, "refused", errors=tuple(errors[code]))
    if code not in versions:
        return Outcome(code, "unchanged", stored[code].version, wanted[code])
    return Outcome(code, "updated" if code in stored else "created", versions[code], wanted[code])


def action_entry(
    plan: Plan,
    code: str,
    version: int,
    stored: StoredAction | None,
    after: dict[str, Any] | None,
    reason: str | None,
    *,
    is_draft: bool = True,
) -> Entry:
    """What the journal says of a line that was written; `after` None: taken out."""
    return Entry.of(
        "action",
        plan.region_code,
        action_subject(plan.code, code),
        version,
        stored.content if stored else None,
        after,
        reason,
        is_draft=is_draft,
    )


def delete_action(
    session: Session, author: Author, actor: Actor, plan: Plan, code: str, check: CheckVersion
) -> None:
    """Delete an action. NotFound: there is none; PartInUse: progress was reported on it; ActionInUse: something
    else names it."""
    actor.require("write_actions", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    stored = stored_actions(session, plan, [code]).get(code)
    if stored is None:
        raise NotFound()
    actor.require("write_actions", plan.region_code, stored.content["lead_agency"])
    check(stored.version)
    _check_editable(session, plan)
    if references := references_to(session, plan, [code]):
        raise_referred(references)
    remove_actions(session, {code: stored})
    record(session, chain, author, [action_entry(plan, code, stored.version + 1, stored, None, None)])


def raise_referred(references: Mapping[str, Mapping[str, int]]) -> NoReturn:
    """ActionInUse of the first of the lines that something refers to."""
    code, found = min(references.items())
    raise ActionInUse(action=code, references=", ".join(f"{name}: {count}" for name, count in found.items()))


def remove_actions(session: Session, gone: Mapping[str, StoredAction]) -> None:
    """Take lines out, by code. PartInUse: progress was reported on them."""
    try:
        session.execute(sa.delete(actions).where(actions.c.id.in_([one.id for one in gone.values()])))
    except IntegrityError as error:
        raise PartInUse(keys=", ".join(sorted(gone))) from error


class PlanInUse(Problem):
    status = 409
    code = "plan_in_use"
    title = Text("Rencana masih berisi", "The plan is not empty")
    detail = Text(
        "Rencana masih memuat {count} baris; hapus barisnya lebih dahulu.",
        "The plan still has {count} actions; delete them first.",
    )


def delete_plan(session: Session, author: Author, actor: Actor, code: str, check: CheckVersion) -> None:
    """Delete an empty plan. Conflict while it has actions."""
    plan = plan_of(session, actor, code)
    actor.require("write_plan", plan.region_code)
    chain = hold(session, plan_chain(code))
    plan = plan_of(session, actor, code)
    check(plan.version)
    check_editable(code, plan.state, plan.revision)
    count = session.scalar(sa.select(sa.func.count()).where(actions.c.plan_id == plan.id))
    if count:
        raise PlanInUse(count=count)
    before = {**stored_plan(session, plan), "state": plan.state}
    session.execute(
        sa.delete(table_of(PriorityLocationRow)).where(table_of(PriorityLocationRow).c.plan_id == plan.id)
    )
    session.execute(sa.delete(plans).where(plans.c.id == plan.id))
    follow_locations(session, plan.region_code, plan.year, before["priority_locations"])
    version = plan.version + 1
    entry = Entry("plan.deleted", plan.region_code, f"plans/{code}", version, before, None, is_draft=True)
    record(session, chain, author, [entry])
