"""Writing plans and actions: many lines are written by as many statements as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.db import table_of
from app.kit.inputs import validated
from app.kit.journal import Author, Entry, hold, record
from app.kit.json_sql import upsert
from app.kit.patches import merge_patch
from app.kit.problems import FieldError, Forbidden, Invalid, Kind, NotFound, PreconditionFailed, Problem, Text
from app.plans.models import (
    PARTS,
    ActionIn,
    PlanIn,
    PlanRow,
    PriorityLocationRow,
)
from app.plans.queries import StoredAction, actions, plan_of, plans, stored_actions
from app.plans.references import check_locations, check_references, check_region, edition_in_force
from app.plans.rules import FIRST_YEAR, PLAN_CHAIN, Finding, findings_of, plan_key
from app.plans.storing import key_of, write_actions

CheckVersion = Callable[[int | None], None]
"""Holds a write to its conditions, given the version in force (None: it does not exist yet)."""


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
malformed_plan_key = Kind(
    "malformed_plan_key",
    id="{value} bukan kunci rencana; yang menyusun rencana hanya provinsi dan kabupaten/kota, sejak {first}: {allowed}",
    en="{value} is no key of a plan; only provinces and regencies make plans, from {first} on: {allowed}",
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


class PlanInUse(Problem):
    status = 409
    code = "plan_in_use"
    title = Text("Rencana masih berisi", "The plan is not empty")
    detail = Text(
        "Rencana masih memuat {count} baris; hapus barisnya lebih dahulu.",
        "The plan still has {count} actions; delete them first.",
    )


def plan_chain(code: str) -> str:
    """Chain of the journal in which a plan and all that hangs on it is written."""
    return f"{PLAN_CHAIN}{code}"


@dataclass(frozen=True)
class Draft:
    """An action as somebody wants it, and where in the request it stands."""

    code: str
    content: ActionIn
    pointer: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one draft."""

    code: str
    status: Literal["created", "updated", "unchanged", "refused"]
    version: int | None = None
    errors: tuple[FieldError, ...] = ()
    findings: tuple[Finding, ...] = ()


# Plans


def put_plan(
    session: Session, author: Author, actor: Actor, code: str, content: PlanIn, check: CheckVersion
) -> bool:
    """Create or replace a plan; True when it was created. NotFound where its region is none that is seen."""
    key = plan_key(code)
    if key is None:
        error = FieldError(
            malformed_plan_key,
            parameter="plan",
            value=code,
            allowed=["73-2026", "73.22-2026"],
            values={"first": FIRST_YEAR},
        )
        raise Invalid(errors=[error])
    if not actor.sees(key[0]):
        raise NotFound()
    region, year = key
    check_region(session, region)
    actor.require("write_plan", region)
    chain = hold(session, plan_chain(code))
    row = session.execute(sa.select(plans).where(plans.c.code == code)).one_or_none()
    check(row.version if row else None)
    places = [
        (f"/priority_locations/{n}/region_code", location.region_code)
        for n, location in enumerate(content.priority_locations)
    ]
    if errors := check_locations(session, region, places):
        raise Invalid(errors=errors)
    edition = edition_in_force(session, content.nomenclature_edition or None, pointer="/nomenclature_edition")
    after = {**content.model_dump(mode="json"), "nomenclature_edition": edition}
    before = stored_plan(session, row) if row else None
    if before == after:
        return False
    scalars = {name: value for name, value in after.items() if name != "priority_locations"}
    version = row.version + 1 if row else 1
    written = upsert(
        session,
        table_of(PlanRow),
        [
            {
                "code": code,
                "region_code": region,
                "year": year,
                "state": "draft",
                "version": version,
                "updated_at": author.at.isoformat(),
                **scalars,
            }
        ],
        key=["code"],
        versioned=True,
        returning=["id"],
    )
    if not written:
        raise PreconditionFailed(sent=version - 1, current="–")
    _replace_priority_locations(session, written[0].id, after["priority_locations"])
    entry = Entry(
        "plan.created" if row is None else "plan.changed", region, f"plans/{code}", version, before, after
    )
    record(session, chain, author, [entry])
    return row is None


def patch_plan(
    session: Session, author: Author, actor: Actor, code: str, patch: dict[str, Any], check: CheckVersion
) -> None:
    """Merge a patch into a plan, as it stands when it is this writer's turn."""
    plan = plan_of(session, actor, code)
    actor.require("write_plan", plan.region_code)
    hold(session, plan_chain(code))
    plan = plan_of(session, actor, code)
    check(plan.version)
    content = validated(PlanIn, merge_patch(stored_plan(session, plan), patch))
    put_plan(session, author, actor, code, content, check)


def stored_plan(session: Session, row: sa.Row[Any]) -> dict[str, Any]:
    """A plan's content as `PlanIn` has it."""
    table = table_of(PriorityLocationRow)
    found = session.execute(
        sa.select(table).where(table.c.plan_id == row.id).order_by(table.c.position)
    ).mappings()
    locations = [
        {k: v for k, v in location.items() if k not in ("plan_id", "position")} for location in found
    ]
    return {
        name: locations if name == "priority_locations" else row._mapping[name]
        for name in PlanIn.model_fields
    }


def _replace_priority_locations(session: Session, plan_id: int, locations: Sequence[dict[str, Any]]) -> None:
    table = table_of(PriorityLocationRow)
    session.execute(sa.delete(table).where(table.c.plan_id == plan_id))
    upsert(
        session,
        table,
        [{**location, "plan_id": plan_id, "position": n} for n, location in enumerate(locations)],
    )


def delete_plan(session: Session, author: Author, actor: Actor, code: str, check: CheckVersion) -> None:
    """Delete an empty plan. Conflict while it has actions."""
    plan = plan_of(session, actor, code)
    actor.require("write_plan", plan.region_code)
    chain = hold(session, plan_chain(code))
    plan = plan_of(session, actor, code)
    check(plan.version)
    count = session.scalar(sa.select(sa.func.count()).where(actions.c.plan_id == plan.id))
    if count:
        raise PlanInUse(count=count)
    before = stored_plan(session, plan)
    session.execute(
        sa.delete(table_of(PriorityLocationRow)).where(table_of(PriorityLocationRow).c.plan_id == plan.id)
    )
    session.execute(sa.delete(plans).where(plans.c.id == plan.id))
    record(
        session,
        chain,
        author,
        [Entry("plan.deleted", plan.region_code, f"plans/{code}", plan.version + 1, before, None)],
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
    """Delete an action. NotFound: there is none; Conflict: progress was reported on it."""
    actor.require("write_actions", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    stored = stored_actions(session, plan, [code]).get(code)
    if stored is None:
        raise NotFound()
    actor.require("write_actions", plan.region_code, stored.content["lead_agency"])
    check(stored.version)
    try:
        session.execute(sa.delete(actions).where(actions.c.id == stored.id))
    except IntegrityError as error:
        raise PartInUse(keys=code) from error
    record(session, chain, author, [_entry(plan, code, stored.version + 1, stored, None, None)])
