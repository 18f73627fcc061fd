"""Writing actions: many lines are written by as many statements as one."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.etags import CheckVersion
from app.kit.inputs import validated
from app.kit.journal import Author, Entry, hold, record
from app.kit.patches import merge_patch
from app.kit.problems import FieldError, Forbidden, Invalid, Kind, NotFound, Problem, Text
from app.plans.actions.models import PARTS, ActionIn
from app.plans.actions.queries import StoredAction, actions, references_to, stored_actions
from app.plans.actions.references import check_references
from app.plans.actions.rules import Draft, Outcome, findings_of
from app.plans.actions.storing import key_of, write_actions
from app.plans.commands import plan_chain

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
Areas above this one add theirs: plans must not know progress."""


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
    plan: sa.Row[Any],
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
    forbidden = _forbidden(actor, plan, drafts, stored)
    if forbidden and not each:
        found = [error for of_draft in forbidden.values() for error in of_draft]
        raise Forbidden(errors=found, **found[0].values)
    check(stored)
    wanted, errors = check_references(session, plan, drafts)
    if not each and (errors or errors_before):
        raise Invalid(errors=[*errors_before, *(error for of_draft in errors.values() for error in of_draft)])
    in_use = _in_use(session, drafts, wanted, stored)
    if in_use and not each:
        found = [error for of_draft in in_use.values() for error in of_draft]
        raise PartInUse(errors=found, keys=", ".join(str(error.value) for error in found))
    for more in (forbidden, in_use):
        for code, of_draft in more.items():
            errors.setdefault(code, []).extend(of_draft)
    changed = [
        code
        for code, content in wanted.items()
        if code not in errors and (code not in stored or stored[code].content != content)
    ]
    versions = write_actions(session, author, plan, {code: wanted[code] for code in changed}, stored)
    record(
        session,
        chain,
        author,
        [_entry(plan, code, versions[code], stored.get(code), wanted[code], reason) for code in changed],
    )
    return [_outcome(draft.code, plan.year, wanted, stored, versions, errors) for draft in drafts]


def _forbidden(
    actor: Actor, plan: sa.Row[Any], drafts: Sequence[Draft], stored: dict[str, StoredAction]
) -> dict[str, list[FieldError]]:
    """What an operator may not write: lines that other agencies lead, now or by this draft."""
    found: dict[str, list[FieldError]] = {}
    for draft in drafts:
        agencies = {draft.content.lead_agency}
        if draft.code in stored:
            agencies.add(stored[draft.code].content["lead_agency"])
        for agency in sorted(agencies):
            try:
                actor.require("write_actions", plan.region_code, agency)
            except Forbidden as refused:
                error = FieldError(
                    not_your_agency,
                    pointer=f"{draft.pointer}/lead_agency",
                    value=agency,
                    values=refused.values,
                )
                found.setdefault(draft.code, []).append(error)
    return found


def _in_use(
    session: Session,
    drafts: Sequence[Draft],
    wanted: dict[str, dict[str, Any]],
    stored: dict[str, StoredAction],
) -> dict[str, list[FieldError]]:
    """Items that drafts leave out although something hangs on them."""
    gone: Gone = {}
    for code, content in wanted.items():
        for part in PARTS if code in stored else ():
            kept = {key_of(part, item) for item in content[part.name]}
            left = {key_of(part, item) for item in stored[code].content[part.name]} - kept
            if left:
                gone.setdefault(part.name, set()).update((stored[code].id, key) for key in left)
    if not gone:
        return {}
    drafts_of = {stored[draft.code].id: draft for draft in drafts if draft.code in stored}
    found: dict[str, list[FieldError]] = {}
    for ask in IN_USE:
        for name, items in ask(session, gone).items():
            for id, key in sorted(items):
                draft = drafts_of[id]
                error = FieldError(reported_part, pointer=f"{draft.pointer}/{name}", value=key)
                found.setdefault(draft.code, []).append(error)
    return found


def patch_action(
    session: Session,
    author: Author,
    actor: Actor,
    plan: sa.Row[Any],
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
    target = dict(stored.content)
    if patch.get("subactivity_code") not in (None, target["subactivity_code"]):
        # The names are those of the old code; the new one brings its own.
        target |= dict.fromkeys(("subactivity", "activity", "program"))
    content = validated(ActionIn, merge_patch(target, patch))
    (outcome,) = put_actions(session, author, actor, plan, [Draft(code, content)], check=lambda stored: None)
    return outcome


def _outcome(
    code: str,
    year: int,
    wanted: dict[str, dict[str, Any]],
    stored: dict[str, StoredAction],
    versions: dict[str, int],
    errors: dict[str, list[FieldError]],
) -> Outcome:
    if code in errors:
        return Outcome(code, "refused", errors=tuple(errors[code]))
    findings = tuple(findings_of(wanted[code], year))
    if code not in versions:
        return Outcome(code, "unchanged", stored[code].version, findings=findings)
    return Outcome(code, "updated" if code in stored else "created", versions[code], findings=findings)


def _entry(
    plan: sa.Row[Any],
    code: str,
    version: int,
    stored: StoredAction | None,
    after: dict[str, Any] | None,
    reason: str | None,
) -> Entry:
    verb = "created" if stored is None else "deleted" if after is None else "changed"
    before = stored.content if stored else None
    return Entry(
        f"action.{verb}",
        plan.region_code,
        f"plans/{plan.code}/actions/{code}",
        version,
        before,
        after,
        reason,
    )


def delete_action(
    session: Session, author: Author, actor: Actor, plan: sa.Row[Any], code: str, check: CheckVersion
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
    if references := references_to(session, plan, code):
        shown = ", ".join(f"{name}: {count}" for name, count in references.items())
        raise ActionInUse(action=code, references=shown)
    try:
        session.execute(sa.delete(actions).where(actions.c.id == stored.id))
    except IntegrityError as error:
        raise PartInUse(keys=code) from error
    record(session, chain, author, [_entry(plan, code, stored.version + 1, stored, None, None)])
