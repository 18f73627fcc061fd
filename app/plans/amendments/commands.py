"""Writing an amendment: the plan's own fields and its lines as they shall be, each with reasons.

Whoever writes holds the plan's chain first, as the moves of the plan do, then the amendment's own, in which
the drafting is recorded: readers of the plan in force never meet it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Chain, Entry, hold, next_versions, record
from app.kit.database.json_sql import to_json
from app.kit.database.upsert import records, upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, NotFound, Problem, Text
from app.plans.actions.commands import PartInUse, judge, raise_referred
from app.plans.actions.queries import StoredAction, references_to, reported_codes, stored_actions
from app.plans.actions.rules import Draft, Outcome, action_subject, renamed
from app.plans.amendments.models import AmendedActionIn, AmendmentIn
from app.plans.amendments.queries import (
    AmendedRow,
    Amendment,
    amended_actions,
    amended_rows,
    amendment_chain,
    amendment_of,
    amendments,
    untouched_version,
)
from app.plans.core.commands import fitting_plan
from app.plans.core.models import Plan, PlanIn, PlanState, Reason
from app.plans.core.queries import plans
from app.plans.core.rules import EDITABLE, plan_chain
from app.plans.revisions.models import AmendmentActionRow, AmendmentRow
from app.plans.workflow.commands import state_entry


class AmendmentNotEditable(Problem):
    status = 409
    code = "amendment_not_editable"
    title = Text("Perubahan rencana tidak dapat diubah", "The amendment cannot be changed")
    detail = Text(
        "Perubahan rencana {plan} berkeadaan {state}; provinsi dapat mengembalikannya: POST /v1/plans/{plan}/return.",
        "The amendment of plan {plan} is {state}; the province can return it: POST /v1/plans/{plan}/return.",
    )


def _editable(session: Session, actor: Actor, code: str, right: str) -> tuple[Amendment, Chain]:
    """The amendment, as it stands when it is this writer's turn, and its chain."""
    amendment = amendment_of(session, actor, code)
    actor.require(right, amendment.plan.region_code)
    hold(session, plan_chain(code))
    amendment = amendment_of(session, actor, code)
    if amendment.plan.state not in EDITABLE:
        raise AmendmentNotEditable(plan=code, state=amendment.plan.state)
    return amendment, hold(session, amendment_chain(code))


def _number(chain: Chain) -> int:
    """Of the next entry in the chain: higher than that of any earlier write, those of amendments before too."""
    return chain.position + 1


# The plan's own fields


def put_amendment(
    session: Session, author: Author, actor: Actor, code: str, content: AmendmentIn, check: CheckVersion
) -> None:
    """Replace the plan's own fields as they shall be."""
    amendment, chain = _editable(session, actor, code, "write_plan")
    check(amendment.version)
    _store_plan(session, author, amendment, chain, content)


def patch_amendment(
    session: Session, author: Author, actor: Actor, code: str, patch: dict[str, Any], check: CheckVersion
) -> None:
    amendment, chain = _editable(session, actor, code, "write_plan")
    check(amendment.version)
    target = {**amendment.content, "reasons": amendment.reasons}
    _store_plan(session, author, amendment, chain, validated(AmendmentIn, merge_patch(target, patch)))


def _store_plan(
    session: Session, author: Author, amendment: Amendment, chain: Chain, content: AmendmentIn
) -> None:
    own = PlanIn.model_construct(**{name: getattr(content, name) for name in PlanIn.model_fields})
    wanted = fitting_plan(session, amendment.plan.region_code, own)
    is_changed = wanted != amendment.in_force
    # What is as it is in force has nothing to explain.
    reasons = _plain(content.reasons) if is_changed else []
    before = {**amendment.content, "reasons": amendment.reasons}
    after = {**wanted, "reasons": reasons}
    if before == after:
        return
    plan, version = amendment.plan, _number(chain)
    row = {
        "plan_id": plan.id,
        "content": wanted if is_changed else None,
        "reasons": reasons,
        "opened_at": amendment.opened_at.isoformat(),
        "purpose": amendment.purpose,
        "version": version,
    }
    upsert(session, table_of(AmendmentRow), [row], key=["plan_id"])
    entry = Entry(
        "amendment.changed",
        plan.region_code,
        f"plans/{plan.code}/amendment",
        version,
        before,
        after,
        is_draft=True,
    )
    record(session, chain, author, [entry])


def _plain(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    return [reason.model_dump(mode="json") for reason in reasons]


def discard_amendment(session: Session, author: Author, actor: Actor, code: str, check: CheckVersion) -> None:
    """Drop the amendment with all its lines; the revision in force stays unchanged."""
    amendment, chain = _editable(session, actor, code, "amend")
    check(amendment.version)
    plan = amendment.plan
    gone = gone_entry(amendment, chain)
    session.execute(sa.delete(amendments).where(amendments.c.plan_id == plan.id))
    moved = {"state": PlanState.adopted, "version": plan.version + 1, "updated_at": author.at}
    session.execute(sa.update(plans).where(plans.c.id == plan.id).values(**moved))
    record(session, chain, author, [gone, state_entry(plan, PlanState.adopted)])


def gone_entry(amendment: Amendment, chain: Chain) -> Entry:
    """Say in the journal that an amendment is gone, and with it every line drafted for it."""
    plan = amendment.plan
    before = {**amendment.content, "reasons": amendment.reasons, "purpose": amendment.purpose}
    return Entry(
        "amendment.deleted",
        plan.region_code,
        f"plans/{plan.code}/amendment",
        _number(chain),
        before,
        None,
        is_draft=True,
    )


# Lines


def put_amended_actions(
    session: Session,
    author: Author,
    actor: Actor,
    code: str,
    drafts: Sequence[Draft],
    reasons: dict[str, list[Reason]],
    *,
    check: Callable[[dict[str, int]], None],
    each: bool = False,
    note: str | None = None,
    errors_before: Sequence[FieldError] = (),
) -> list[Outcome]:
    """Say how lines shall be; one that says what is in force is no longer changed by the amendment.

    All or nothing unless `each`, as where a plan's own lines are written. `check` sees the versions of those
    that exist; `note` is what the drafting's history says of the call.
    """
    amendment, chain = _editable(session, actor, code, "write_actions")
    return _put_lines(
        session,
        author,
        actor,
        amendment,
        chain,
        drafts,
        reasons,
        check=check,
        each=each,
        note=note,
        errors_before=errors_before,
    )


def _put_lines(
    session: Session,
    author: Author,
    actor: Actor,
    amendment: Amendment,
    chain: Chain,
    drafts: Sequence[Draft],
    reasons: dict[str, list[Reason]],
    *,
    check: Callable[[dict[str, int]], None],
    each: bool = False,
    note: str | None = None,
    errors_before: Sequence[FieldError] = (),
) -> list[Outcome]:
    plan, codes = amendment.plan, [draft.code for draft in drafts]
    stored, rows = stored_actions(session, plan, codes), amended_rows(session, plan, codes)
    now = {code: as_it_shall_be(amendment, stored.get(code), rows.get(code)) for code in codes}
    leads: dict[str, set[str]] = {}
    for found in (*[(c, s.content) for c, s in stored.items()], *[(c, r.content) for c, r in rows.items()]):
        if found[1] is not None:
            leads.setdefault(found[0], set()).add(found[1]["lead_agency"])
    judged = judge(
        session,
        actor,
        plan,
        drafts,
        stored,
        leads=leads,
        check=lambda: check({code: line.version for code, line in now.items() if line is not None}),
        each=each,
        errors_before=errors_before,
    )
    wanted = {code: content for code, content in judged.wanted.items() if code not in judged.errors}
    versions, shall_be = drafted_versions(session, plan, chain, wanted, stored), {}
    for code, content in wanted.items():
        is_in_force = code in stored and stored[code].content == content
        explained = [] if is_in_force else _plain(reasons.get(code, ()))
        line = AmendedRow(content, explained, versions[code], author.at)
        was = now[code]
        if was is None or (was.content, list(was.reasons)) != (line.content, line.reasons):
            shall_be[code] = line
    _store_lines(session, author, plan, chain, stored, now, shall_be, note)
    return [_outcome(draft.code, judged.wanted, judged.errors, now[draft.code], shall_be) for draft in drafts]


def as_it_shall_be(
    amendment: Amendment, stored: StoredAction | None, row: AmendedRow | None
) -> AmendedRow | None:
    """Return a line of the next revision; None if it has none of that key."""
    if row is not None or stored is None:
        return row
    return AmendedRow(stored.content, [], untouched_version(amendment, stored.version))


def drafted_versions(
    session: Session,
    plan: Plan,
    chain: Chain,
    codes: Iterable[str],
    stored: Mapping[str, StoredAction],
) -> dict[str, int]:
    """Return the versions of lines that are drafted now, by code.

    Each is the version in force (of a line that is not in force, its last one) plus the place of the write
    in the amendment's chain: neither ever falls.
    """
    in_force = next_versions(session, {code: action_subject(plan.code, code) for code in codes}, stored)
    return {code: version - 1 + _number(chain) for code, version in in_force.items()}


def _store_lines(
    session: Session,
    author: Author,
    plan: Plan,
    chain: Chain,
    stored: dict[str, StoredAction],
    now: dict[str, AmendedRow | None],
    shall_be: dict[str, AmendedRow],
    note: str | None = None,
) -> None:
    """Write lines whose content or reasons are others than by now; a new one that is taken out leaves.

    One that says again what is in force stays, for its version.
    """
    left = [code for code, line in shall_be.items() if line.content is None and code not in stored]
    rows = [
        {
            "plan_id": plan.id,
            "code": code,
            "content": line.content,
            "reasons": line.reasons,
            "version": line.version,
            "updated_at": author.at.isoformat(),
        }
        for code, line in shall_be.items()
        if code not in left
    ]
    forget_lines(session, plan, left)
    upsert(session, table_of(AmendmentActionRow), rows, key=["plan_id", "code"])
    entries = [drafted_entry(plan, code, now[code], line, note) for code, line in shall_be.items()]
    record(session, chain, author, entries)


def forget_lines(session: Session, plan: Plan, codes: Sequence[str]) -> None:
    """Lines that are no longer part of the amendment."""
    if codes:
        given = records(session, {"code": amended_actions.c.code.type})
        chosen = sa.select(given.c.code)
        statement = sa.delete(amended_actions).where(
            amended_actions.c.plan_id == plan.id, amended_actions.c.code.in_(chosen)
        )
        session.connection().execute(statement, {"records": to_json([{"code": code} for code in codes])})


def drafted_entry(
    plan: Plan, code: str, was: AmendedRow | None, line: AmendedRow, note: str | None = None
) -> Entry:
    """What the amendment's own chain says of a line that was written."""
    before, after = _shown(was), _shown(line)
    if line.content is None and was is not None and was.content is None:
        before, after = {"reasons": was.reasons}, {"reasons": line.reasons}
    return Entry.of(
        "amendment_action",
        plan.region_code,
        f"plans/{plan.code}/amendment/actions/{code}",
        line.version,
        before,
        after,
        note,
        is_draft=True,
    )


def _shown(line: AmendedRow | None) -> dict[str, Any] | None:
    if line is None or line.content is None:
        return None
    return {**line.content, "reasons": line.reasons}


def _outcome(
    code: str,
    wanted: dict[str, dict[str, Any]],
    errors: dict[str, list[FieldError]],
    was: AmendedRow | None,
    shall_be: dict[str, AmendedRow],
) -> Outcome:
    if code in errors:
        return Outcome(code, "refused", errors=tuple(errors[code]))
    if code in shall_be:
        return Outcome(code, "created" if was is None else "updated", shall_be[code].version, wanted[code])
    assert was is not None
    return Outcome(code, "unchanged", was.version, wanted[code])


def patch_amended_action(
    session: Session,
    author: Author,
    actor: Actor,
    code: str,
    action: str,
    patch: dict[str, Any],
    check: CheckVersion,
) -> None:
    """Merge a patch into a line as it shall be, reasons included; they stay unless the patch names them."""
    amendment, chain = _editable(session, actor, code, "write_actions")
    plan = amendment.plan
    stored = stored_actions(session, plan, [action]).get(action)
    line = as_it_shall_be(amendment, stored, amended_rows(session, plan, [action]).get(action))
    if line is None or line.content is None:
        raise NotFound()
    actor.require("write_actions", plan.region_code, line.content["lead_agency"])
    check(line.version)
    target = {**renamed(line.content, patch), "reasons": line.reasons}
    content = validated(AmendedActionIn, merge_patch(target, patch))
    _put_lines(
        session,
        author,
        actor,
        amendment,
        chain,
        [Draft(action, content.action)],
        {action: content.reasons},
        check=lambda versions: None,
    )


def remove_amended_action(
    session: Session,
    author: Author,
    actor: Actor,
    code: str,
    action: str,
    reason: Reason | None,
    check: CheckVersion,
) -> None:
    """Take a line out of the next revision. PartInUse: progress was reported on it."""
    amendment, chain = _editable(session, actor, code, "write_actions")
    plan = amendment.plan
    stored = stored_actions(session, plan, [action])
    line = as_it_shall_be(amendment, stored.get(action), amended_rows(session, plan, [action]).get(action))
    if line is None:
        raise NotFound()
    for content in (line.content, stored[action].content if action in stored else None):
        if content is not None:
            actor.require("write_actions", plan.region_code, content["lead_agency"])
    check(line.version)
    if reported := reported_codes(session, plan, [action]):
        raise PartInUse(keys=", ".join(reported))
    if references := references_to(session, plan, [action]):
        raise_referred(references)
    version = drafted_versions(session, plan, chain, [action], stored)[action]
    gone = AmendedRow(None, _plain([reason] if reason else []), version, author.at)
    if (line.content, list(line.reasons)) != (None, gone.reasons):
        _store_lines(session, author, plan, chain, stored, {action: line}, {action: gone})
