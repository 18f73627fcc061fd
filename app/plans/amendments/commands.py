"""Commands of an amendment: the draft of the plan's own fields and lines, with reasons.

A write locks the plan's chain first, like the moves of the plan, then the amendment's own chain, which records the
drafting: readers of the plan in force do not see it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlmodel import Session

from app.access.commands import Write
from app.access.rules import name_reviewer
from app.agencies.queries import Referrer
from app.kit.batch import BatchWrite
from app.kit.database.journal import Chain, Entry, append, assign_versions, lock_chain
from app.kit.database.parts import delete_parts
from app.kit.database.resources import StoredRow
from app.kit.database.upsert import upsert
from app.kit.http.validation import apply_patch, narrow
from app.kit.problems import NotFound, Problem
from app.kit.wording import Text
from app.plans.actions.commands import WrittenActions, complete_drafts, drop_old_names, forbid_lines_of_others
from app.plans.actions.queries import StoredAction, read_stored_actions
from app.plans.actions.rules import ActionContent, Draft
from app.plans.amendments.models import AmendedActionIn, AmendmentIn
from app.plans.amendments.queries import (
    AmendedRow,
    Amendment,
    amended_actions,
    amendments,
    compute_untouched_version,
    find_amendment,
    format_amendment_chain,
    read_amended_rows,
)
from app.plans.amendments.rules import end_line
from app.plans.core.commands import build_state_entry, complete_plan
from app.plans.core.models import Plan, PlanIn, PlanState, Reason, ReasonContent
from app.plans.core.queries import plans, read_plans
from app.plans.core.rules import EDITABLE, format_action_subject, format_plan_chain


class AmendmentNotEditable(Problem):
    status = 409
    code = "amendment_not_editable"
    title = Text("Perubahan rencana tidak dapat diubah", "The amendment cannot change")
    detail = Text(
        "Perubahan rencana {plan} sudah {state} dan tidak dapat diubah. Minta {reviewer} mengembalikannya.",
        "The amendment of plan {plan} is {state} and cannot change. Ask {reviewer} to return it.",
    )


def _lock_amendment(write: Write, code: str, right: str) -> tuple[Amendment, Chain]:
    """Lock the chains of the plan and of its amendment. Return the amendment and its chain."""
    amendment = find_amendment(write.session, write.actor, code)
    write.actor.require(right, amendment.plan.region_code)
    lock_chain(write.session, format_plan_chain(code))
    amendment = find_amendment(write.session, write.actor, code)
    if amendment.plan.state not in EDITABLE:
        reviewer = name_reviewer(amendment.plan.region_code)
        raise AmendmentNotEditable(plan=code, state=amendment.plan.state, reviewer=reviewer)
    return amendment, lock_chain(write.session, format_amendment_chain(code))


def _get_next_number(chain: Chain) -> int:
    """Return the number of the chain's next entry, which rises from one amendment to the next."""
    return chain.position + 1


# The plan's own fields


def put_amendment(write: Write, code: str, content: AmendmentIn) -> None:
    """Replace the draft of the plan's own fields."""
    amendment, chain = _lock_amendment(write, code, "write_plan")
    write.precondition.check(amendment.version)
    _store_plan(write, amendment, chain, content)


def patch_amendment(write: Write, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into the draft of the plan's own fields."""
    amendment, chain = _lock_amendment(write, code, "write_plan")
    write.precondition.check(amendment.version)
    target = {**amendment.content, "reasons": amendment.reasons}
    _store_plan(write, amendment, chain, apply_patch(AmendmentIn, target, patch))


def _store_plan(write: Write, amendment: Amendment, chain: Chain, content: AmendmentIn) -> None:
    own = narrow(content, PlanIn)
    new = complete_plan(write.session, amendment.plan.region_code, own)
    is_changed = new != amendment.in_force
    # Equal to the revision in force: no change, no reason.
    reasons = _dump_reasons(content.reasons) if is_changed else []
    before = {**amendment.content, "reasons": amendment.reasons}
    after = {**new, "reasons": reasons}
    if before == after:
        return
    plan, version = amendment.plan, _get_next_number(chain)
    row = {
        "plan_id": plan.id,
        "content": new if is_changed else None,
        "reasons": reasons,
        "opened_at": amendment.opened_at.isoformat(),
        "purpose": amendment.purpose,
        "version": version,
    }
    upsert(write.session, amendments, [row], key=["plan_id"])
    append(write.session, chain, write.author, [_build_entry(plan, version, before, after)])


def _dump_reasons(reasons: Sequence[Reason]) -> list[ReasonContent]:
    return [to_jsonable_python(reason) for reason in reasons]


def discard_amendment(write: Write, code: str) -> None:
    """Delete the amendment with its lines; the revision in force remains."""
    amendment, chain = _lock_amendment(write, code, "amend")
    write.precondition.check(amendment.version)
    session, plan = write.session, amendment.plan
    entry = build_gone_entry(amendment, chain)
    session.execute(sa.delete(amendments).where(amendments.c.plan_id == plan.id))
    adopted = {"state": PlanState.adopted, "version": plan.version + 1, "updated_at": write.author.at}
    session.execute(sa.update(plans).where(plans.c.id == plan.id).values(**adopted))
    append(session, chain, write.author, [entry, build_state_entry(plan, PlanState.adopted)])


def build_gone_entry(amendment: Amendment, chain: Chain) -> Entry:
    """Return the journal entry of the end of an amendment and its lines."""
    plan = amendment.plan
    before = {**amendment.content, "reasons": amendment.reasons, "purpose": amendment.purpose}
    return _build_entry(plan, _get_next_number(chain), before, None)


def _build_entry(
    plan: Plan, version: int, before: Mapping[str, object], after: Mapping[str, object] | None
) -> Entry:
    subject = f"plans/{plan.code}/amendment"
    return Entry.of("amendment", plan.region_code, subject, version, before, after, is_draft=True)


# Lines


@dataclass(frozen=True)
class _Drafting:
    """An open amendment with the lines of a write, which locked both chains."""

    amendment: Amendment
    chain: Chain
    stored: dict[str, StoredAction]
    """The lines in force, by code."""
    rows: dict[str, AmendedRow]
    """The drafted lines, by code."""

    @classmethod
    def open(cls, write: Write, code: str, lines: list[str]) -> "_Drafting":
        """Lock the chains of the plan and of its amendment, and read these lines."""
        amendment, chain = _lock_amendment(write, code, "write_actions")
        stored = read_stored_actions(write.session, amendment.plan, lines)
        return cls(amendment, chain, stored, read_amended_rows(write.session, amendment.plan, lines))

    @property
    def plan(self) -> Plan:
        return self.amendment.plan

    @property
    def lines(self) -> dict[str, AmendedRow]:
        """The drafted lines, and the lines in force without a draft, by code."""
        untouched = {
            code: AmendedRow(line.content, [], compute_untouched_version(self.amendment, line.version))
            for code, line in self.stored.items()
        }
        return untouched | self.rows

    @property
    def leads(self) -> dict[str, set[str]]:
        """The lead agencies of each line, in force and in the amendment."""
        leads = {code: {line.content["lead_agency"]} for code, line in self.stored.items()}
        for code, row in self.rows.items():
            leads.setdefault(code, set()).add(row.content["lead_agency"])
        return leads


ReasonsByLine = Mapping[str, Sequence[Reason]]
"""The reasons for the changes of each line, by its code."""


def put_amended_actions(
    write: Write, code: str, batch: BatchWrite[Draft], reasons: ReasonsByLine, *, note: str | None = None
) -> WrittenActions:
    """Draft lines; a draft equal to its line in force withdraws the change.

    Raises like `put_actions`; `note` goes into the history of the drafting.
    """
    drafting = _Drafting.open(write, code, list(batch.items))
    forbid_lines_of_others(write, drafting.plan, batch, drafting.leads)
    versions = [line.version for line in drafting.lines.values()]
    write.precondition.check_many(write.session, versions, format_amendment_chain(code))
    return _store(write, drafting, batch, reasons, note)


def _store(
    write: Write,
    drafting: _Drafting,
    batch: BatchWrite[Draft],
    reasons: ReasonsByLine,
    note: str | None = None,
) -> WrittenActions:
    """Write the drafts without errors; the caller checked rights and precondition."""
    plan, stored, lines = drafting.plan, drafting.stored, drafting.lines
    drafted = {
        code: StoredRow({**line.content, "reasons": line.reasons}, line.version)
        for code, line in lines.items()
    }
    batch.find_numbers(stored, drafted, beside={code: {"reasons": reasons.get(code)} for code in batch.items})
    contents = complete_drafts(write.session, plan, batch, stored)
    accepted = batch.select_accepted(contents)
    versions = _assign_line_versions(write.session, plan, drafting.chain, accepted, stored)
    changes: dict[str, AmendedRow] = {}
    for code, content in accepted.items():
        is_in_force = code in stored and stored[code].content == content
        new_reasons = [] if is_in_force else _dump_reasons(reasons.get(code, ()))
        before = lines.get(code)
        if before is None or (before.content, list(before.reasons)) != (content, new_reasons):
            changes[code] = AmendedRow(
                content,
                new_reasons,
                versions[code],
                write.author.at,
                is_ending=before is not None and before.is_ending and before.content == content,
            )
    _store_lines(write, drafting, changes, note)
    return WrittenActions(
        batch.outcomes(lines, {code: line.version for code, line in changes.items()}), accepted
    )


def _assign_line_versions(
    session: Session, plan: Plan, chain: Chain, codes: Iterable[str], stored: Mapping[str, StoredAction]
) -> dict[str, int]:
    """Return the versions that this write gives to drafted lines, by code.

    A version is the version in force (for a deleted line its last one) plus the place of the write in the amendment's
    chain, so it never falls.
    """
    in_force = assign_versions(
        session, {code: format_action_subject(plan.code, code) for code in codes}, stored
    )
    return {code: version - 1 + _get_next_number(chain) for code, version in in_force.items()}


def _store_lines(
    write: Write, drafting: _Drafting, changes: dict[str, AmendedRow], note: str | None = None
) -> None:
    """Write drafts with another content or other reasons. One equal to its line in force stays, for its version."""
    plan, lines = drafting.plan, drafting.lines
    _write_lines(write, plan, changes)
    entries = [
        _build_line_entry(plan, code, line.version, lines.get(code), line, note)
        for code, line in changes.items()
    ]
    append(write.session, drafting.chain, write.author, entries)


def _write_lines(write: Write, plan: Plan, lines: Mapping[str, AmendedRow]) -> None:
    rows = [
        {
            "plan_id": plan.id,
            "code": code,
            "content": None if line.is_ending else line.content,
            "reasons": line.reasons,
            "version": line.version,
            "updated_at": write.author.at.isoformat(),
        }
        for code, line in lines.items()
    ]
    upsert(write.session, amended_actions, rows, key=["plan_id", "code"])


def _build_line_entry(
    plan: Plan,
    code: str,
    version: int,
    old: AmendedRow | None,
    line: AmendedRow | None,
    note: str | None = None,
) -> Entry:
    return Entry.of(
        "amendment_action",
        plan.region_code,
        f"plans/{plan.code}/amendment/actions/{code}",
        version,
        old and {**old.content, "reasons": old.reasons},
        line and {**line.content, "reasons": line.reasons},
        note,
        is_draft=True,
    )


def patch_amended_action(write: Write, code: str, action: str, patch: dict[str, object]) -> None:
    """Merge a patch into a drafted line and its reasons. Raises NotFound if the amendment does not have the line."""
    drafting = _Drafting.open(write, code, [action])
    line = drafting.lines.get(action)
    if line is None:
        raise NotFound()
    write.actor.require("write_actions", drafting.plan.region_code, line.content["lead_agency"])
    write.precondition.check(line.version)
    target = {**drop_old_names(line.content, patch), "reasons": line.reasons}
    content = apply_patch(AmendedActionIn, target, patch)
    batch = BatchWrite([Draft(action, content.action)])
    forbid_lines_of_others(write, drafting.plan, batch, drafting.leads)
    _store(write, drafting, batch, {action: content.reasons})


def remove_amended_action(write: Write, code: str, action: str, reason: Reason | None) -> None:
    """End a line of the plan in force after its last reported quarter; drop one that the amendment alone has."""
    drafting = _Drafting.open(write, code, [action])
    plan, line, stored = drafting.plan, drafting.lines.get(action), drafting.stored.get(action)
    if line is None:
        raise NotFound()
    for lead in sorted(drafting.leads[action]):
        write.actor.require("write_actions", plan.region_code, lead)
    write.precondition.check(line.version)
    version = _assign_line_versions(write.session, plan, drafting.chain, [action], drafting.stored)[action]
    if stored is None:
        delete_parts(write.session, amended_actions, [{"plan_id": plan.id, "code": action}])
        entry = _build_line_entry(plan, action, version, line, None)
        append(write.session, drafting.chain, write.author, [entry])
        return
    content = end_line(stored.content, stored.progress_period, plan.year)
    reasons = _dump_reasons([reason] if reason and content != stored.content else [])
    if (line.content, list(line.reasons)) != (content, reasons):
        ending = AmendedRow(content, reasons, version, write.author.at, is_ending=True)
        _store_lines(write, drafting, {action: ending})


# Merge of agencies


def _names_agency(row: AmendedRow, agency: str) -> bool:
    """Return whether a draft with a content of its own names the agency; one that ends is the line in force."""
    return not row.is_ending and agency in (row.content["lead_agency"], *row.content["supporting_agencies"])


def _read_amended_plans(session: Session, region: str) -> list[Plan]:
    statement = sa.select(plans).join(amendments, amendments.c.plan_id == plans.c.id)
    return read_plans(session, statement.where(plans.c.region_code == region).order_by(plans.c.code))


def _count_drafted(session: Session, region: str, agency: str) -> int:
    return sum(
        _names_agency(row, agency)
        for plan in _read_amended_plans(session, region)
        for row in read_amended_rows(session, plan).values()
    )


def move_drafted(write: Write, region: str, old: str, new: str) -> None:
    """Replace an agency by another in every drafted line of a region; locks the plans' chains first."""
    session = write.session
    for plan in _read_amended_plans(session, region):
        lock_chain(session, format_plan_chain(plan.code))
        chain, author = lock_chain(session, format_amendment_chain(plan.code)), write.author
        before = {
            code: row for code, row in read_amended_rows(session, plan).items() if _names_agency(row, old)
        }
        if not before:
            continue
        stored = read_stored_actions(session, plan, list(before))
        versions, after = _assign_line_versions(session, plan, chain, before, stored), {}
        for code, row in before.items():
            content = _replace_agency(row.content, old, new)
            is_in_force = code in stored and content == stored[code].content
            after[code] = AmendedRow(content, [] if is_in_force else row.reasons, versions[code], author.at)
        _write_lines(write, plan, after)
        entries = [
            _build_line_entry(plan, code, row.version, before[code], row) for code, row in after.items()
        ]
        append(session, chain, author, entries)


def _replace_agency(content: ActionContent, old: str, new: str) -> ActionContent:
    """Return a line's content with one agency in place of another, like `move_lines` for the line in force.

    An agency does not support a line that it leads, and supports a line once: at its present position.
    """
    lead = new if content["lead_agency"] == old else content["lead_agency"]
    supporting = list(content["supporting_agencies"])
    if old in supporting and new in supporting:
        supporting.remove(old)
    supporting = [new if agency == old else agency for agency in supporting]
    return {
        **content,
        "lead_agency": lead,
        "supporting_agencies": [agency for agency in supporting if agency != lead],
    }


REFERRERS = [Referrer(Text("baris dalam perubahan rencana", "lines in amendments"), _count_drafted)]
