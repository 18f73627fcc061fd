"""Commands of progress. A write of a thousand reports takes as many statements as a write of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import ValidationError
from pydantic_core import to_jsonable_python
from sqlmodel import Session

from app.access.commands import Write
from app.kit.batch import BatchItem, BatchWrite, ItemOutcome
from app.kit.database.journal import Chain, Entry, append, assign_versions, lock_chain
from app.kit.database.parts import PartList, delete_parts, write_parts
from app.kit.database.upsert import upsert
from app.kit.http.validation import apply_patch, list_body_errors, unknown_reference
from app.kit.problems import FieldError, NotFound
from app.plans.actions.queries import actions
from app.plans.core.models import Plan
from app.plans.core.queries import read_again
from app.plans.core.rules import check_reportable, check_right, format_plan_chain
from app.plans.findings.kinds import Finding
from app.tracking.progress.commands import copy_latest, drop_carried, refresh_physical
from app.tracking.progress.models import (
    PROGRESS_PARTS,
    ProgressFields,
    ProgressIn,
    ReportableLine,
    ReportContent,
    StoredProgress,
)
from app.tracking.progress.queries import progress, read_lines, read_physical_percents, read_stored_and_before
from app.tracking.progress.rules import (
    add_to_earlier,
    check_period,
    check_quarter,
    check_report,
    drop_derived_money,
    find_foreign_keys,
    format_progress_subject,
    split_single_source,
)
from app.tracking.quarters.queries import read_copies, read_status
from app.tracking.quarters.rules import REPORTING, ClosedAgencies, QuarterStatus, find_closed_agencies


class ReportDraft(BatchItem[ProgressIn]):
    """Report of an action (`code`) from a request body."""


@dataclass(frozen=True)
class ReportingResult:
    outcomes: list[ItemOutcome]
    """In the order of the reports; `code` is the action's."""
    findings: dict[str, list[Finding]]
    """Findings of the reports now in force, by action."""
    lines: dict[str, ReportableLine]


@dataclass(frozen=True)
class _Reporting:
    """Lines and reports of a quarter that a write reads under the lock of the plan's chain."""

    plan: Plan
    chain: Chain
    status: QuarterStatus
    lines: dict[str, ReportableLine]
    stored: dict[str, StoredProgress]
    """Reports of the quarter, by action."""
    before: dict[str, StoredProgress]
    """Latest earlier reports of the year, by action."""

    @classmethod
    def open(
        cls, write: Write, plan: Plan, period: str, actions: Sequence[str], *, takes_every_line: bool = False
    ) -> "_Reporting":
        """Lock the chain of the plan and read its lines as the quarter has them; with `takes_every_line`, those too
        that the quarter does not have.

        Raises PlanClosed (409) if the plan accepts no more reports.
        """
        write.actor.require("report_progress", plan.region_code)
        chain = lock_chain(write.session, format_plan_chain(plan.code))
        plan = read_again(write.session, plan)
        status = read_status(write.session, plan, period, write.author.at)
        check_reportable(plan.code, plan.state, is_corrected=status.is_corrected)
        lines = read_lines(write.session, plan, actions, status.copy_id)
        if takes_every_line:
            lines = {**read_lines(write.session, plan, actions, None), **lines}
        codes = {line.id: code for code, line in lines.items()}
        stored, before = (
            {codes[id]: report for id, report in reports.items()}
            for reports in read_stored_and_before(write.session, list(codes), period)
        )
        return cls(plan, chain, status, lines, stored, before)

    def require(self, write: Write, action: str) -> tuple[ReportableLine, StoredProgress]:
        """Return a line and its report. Raises NotFound without a report, Forbidden without the right to write it."""
        if action not in self.stored:
            raise NotFound()
        line = self.lines[action]
        write.actor.require("report_progress", self.plan.region_code, line.lead_agency)
        return line, self.stored[action]

    def find_closed(self, write: Write, lines: Iterable[ReportableLine]) -> ClosedAgencies:
        """Return the agencies whose parts accept no reports on their lines now, with the reasons.

        Raises QuarterClosed (409) if none of them does: the quarter is not open yet, submitted or frozen.
        """
        agencies = map(self.status.choose_part, lines)
        closed = find_closed_agencies(self.status, agencies, write.actor)
        if self.status.state not in REPORTING:
            raise closed.problem()
        return closed

    def check_open(self, write: Write, line: ReportableLine) -> None:
        """Raise QuarterClosed (409) if the quarter, or the part of the line's agency, accepts no reports now."""
        closed = self.find_closed(write, [line])
        if closed.by_agency:
            raise closed.problem()

    def make_entry(
        self, code: str, version: int, after: ReportContent | None, reason: str | None = None
    ) -> Entry:
        """Return the journal entry of a write of a report; `after` None is its deletion."""
        before = self.stored[code].content if code in self.stored else None
        subject = format_progress_subject(self.plan.code, code, self.status.period)
        region, is_draft = self.plan.region_code, self.plan.revision is None
        return Entry.of("progress", region, subject, version, before, after, reason, is_draft=is_draft)


def report_progress(
    write: Write,
    plan: Plan,
    period: str,
    batch: BatchWrite[ReportDraft],
    *,
    is_period_only: bool = False,
    reason: str | None = None,
) -> ReportingResult:
    """Create or replace reports of a quarter. An equal report changes nothing.

    Raises Forbidden, QuarterClosed (409) or Invalid for all of them, unless the batch takes `each` by itself;
    always QuarterClosed if the quarter accepts no reports now. With `is_period_only`, the figures cover the quarter
    alone and the command adds the latest earlier report of the year to them.
    """
    check_period(plan.year, period)
    reporting = _Reporting.open(write, plan, period, list(batch.items))
    lines = reporting.lines
    closed = reporting.find_closed(write, lines.values())
    lacking = {
        code: check_right(
            write.actor, "report_progress", plan.region_code, f"{report.pointer}/action", *agencies
        )
        for code, report in batch.items.items()
        for agencies in [[lines[code].lead_agency] if code in lines else []]
    }
    forbidden = {code: errors for code, errors in lacking.items() if errors}
    batch.forbid(forbidden)
    versions = [report.version for report in reporting.stored.values()]
    write.precondition.check_many(write.session, versions, format_plan_chain(plan.code))
    closed_errors = {
        code: [closed.by_agency[part]]
        for code in batch.items
        if code in lines and code not in forbidden
        for part in [reporting.status.choose_part(lines[code])]
        if part in closed.by_agency
    }
    batch.refuse(closed_errors, lambda errors: closed.problem())
    return _store(write, reporting, batch, is_period_only=is_period_only, reason=reason)


def _store(
    write: Write,
    reporting: _Reporting,
    batch: BatchWrite[ReportDraft],
    *,
    is_period_only: bool = False,
    reason: str | None = None,
) -> ReportingResult:
    """Write the valid reports. The caller has checked rights, precondition and the state of the quarter."""
    lines, stored, before = reporting.lines, reporting.stored, reporting.before
    batch.find_numbers(stored)
    contents = _complete(batch, reporting, before if is_period_only else {})
    changes = batch.changes(contents, stored)
    versions = _write_reports(write, reporting, changes)
    entries = [
        reporting.make_entry(code, versions[code], content, reason) for code, content in changes.items()
    ]
    append(write.session, reporting.chain, write.author, entries)
    accepted = batch.select_accepted(contents)
    physical = read_physical_percents(
        write.session, [lines[code].id for code in accepted], reporting.status.period
    )
    findings = {
        code: check_report(content, before.get(code), lines[code], physical[lines[code].id])
        for code, content in accepted.items()
    }
    return ReportingResult(batch.outcomes(stored, versions), findings, lines)


def _complete(
    batch: BatchWrite[ReportDraft], reporting: _Reporting, added: dict[str, StoredProgress]
) -> dict[str, ReportContent]:
    """Return the contents by action, with the figures of `added` on top; refuse invalid reports in the batch."""
    lines, errors = reporting.lines, _find_errors(batch, reporting)
    contents: dict[str, ReportContent] = {}
    for code, report in batch.items.items():
        if code in errors:
            continue
        content = split_single_source(to_jsonable_python(report.content), lines[code].sources)
        if code in added:
            try:
                cumulative = ProgressIn.model_validate(add_to_earlier(content, added[code].content))
            except ValidationError as error:
                errors[code] = list_body_errors(error, prefix=report.pointer.split("/")[1:])
                continue
            content = to_jsonable_python(cumulative)
        contents[code] = content
    batch.invalidate(errors)
    return contents


def _find_errors(batch: BatchWrite[ReportDraft], reporting: _Reporting) -> dict[str, list[FieldError]]:
    lines, period = reporting.lines, reporting.status.period
    errors: dict[str, list[FieldError]] = {}
    for code, report in batch.items.items():
        if code in lines:
            unknown = [
                *check_quarter(code, lines[code], period, report.pointer),
                *find_foreign_keys(report.content, lines[code], report.pointer),
            ]
        elif report.pointer:
            pointer, source = f"{report.pointer}/action", {"source": "plan.lines"}
            unknown = [FieldError(unknown_reference, pointer=pointer, value=code, values=source)]
        else:
            raise NotFound()
        if unknown:
            errors[code] = unknown
    return errors


def patch_progress(
    write: Write, plan: Plan, action: str, period: str, patch: dict[str, object]
) -> ReportingResult:
    """Merge a patch with cumulative figures into a report. Raises NotFound if it does not exist."""
    check_period(plan.year, period)
    reporting = _Reporting.open(write, plan, period, [action])
    line, stored = reporting.require(write, action)
    write.precondition.check(stored.version)
    target: Mapping[str, object] = stored.content
    if {"spent", "spending", "components"} & patch.keys():
        target = drop_derived_money(stored.content, patch, line.sources)
    content = apply_patch(ProgressIn, target, patch)
    reporting.check_open(write, line)
    return _store(write, reporting, BatchWrite([ReportDraft(action, content)]))


def delete_progress(write: Write, plan: Plan, action: str, period: str) -> None:
    """Delete a report. Raises NotFound if it does not exist."""
    reporting = _Reporting.open(write, plan, period, [action], takes_every_line=True)
    line, stored = reporting.require(write, action)
    reporting.check_open(write, line)
    write.precondition.check(stored.version)
    _delete_report(write.session, line, stored)
    entry = reporting.make_entry(action, stored.version + 1, None)
    append(write.session, reporting.chain, write.author, [entry])


def _write_reports(write: Write, reporting: _Reporting, contents: dict[str, ReportContent]) -> dict[str, int]:
    """Write reports with all their parts. Return the new versions, by action."""
    if not contents:
        return {}
    session, author = write.session, write.author
    plan, status, lines, stored = reporting.plan, reporting.status, reporting.lines, reporting.stored
    period, ids = status.period, [lines[code].id for code in contents]
    subjects = {code: format_progress_subject(plan.code, code, period) for code in contents}
    versions = assign_versions(session, subjects, stored)
    rows = [
        {
            **{name: value for name, value in content.items() if name in ProgressFields.model_fields},
            "action_id": lines[code].id,
            "period": period,
            "plan_id": plan.id,
            "region_code": plan.region_code,
            "year": plan.year,
            "carried_from": None,
            "spent": content["spent"],
            "version": versions[code],
            "reported_at": author.at.isoformat(),
            "reported_by": author.actor,
        }
        for code, content in contents.items()
    ]
    drop_carried(session, plan, period, ids)
    upsert(session, progress, rows, key=["action_id", "period"], versioned=True)
    for part in PROGRESS_PARTS:
        lists = [
            PartList(
                {"action_id": lines[code].id, "period": period},
                part.list_items(content),
                part.list_items(stored[code].content) if code in stored else [],
            )
            for code, content in contents.items()
        ]
        write_parts(session, part.table, part.key, lists)
    refresh_physical(session, plan, period, status.copy_id, ids)
    copy_latest(session, ids)
    return versions


def _delete_report(session: Session, line: ReportableLine, stored: StoredProgress) -> None:
    of_report = {"action_id": line.id, "period": stored.period}
    for part in PROGRESS_PARTS:
        keys = [{**of_report, part.key: item[part.key]} for item in part.list_items(stored.content)]
        delete_parts(session, part.table, keys)
    session.execute(
        sa.delete(progress).where(progress.c.action_id == line.id, progress.c.period == stored.period)
    )
    copy_latest(session, [line.id])


def refresh_figures(session: Session, plan: Plan, action_ids: Sequence[int]) -> None:
    """Recompute what follows from the targets and milestones of lines, after a write of the lines.

    Quarters that are submitted keep their figures.
    """
    refresh_open_quarters(session, plan, action_ids)
    copy_latest(session, action_ids)


def refresh_after_adoption(session: Session, plan: Plan) -> None:
    """Recompute the physical progress in the open quarters of a plan, which may have a new revision."""
    refresh_open_quarters(session, plan)
    ids = session.scalars(sa.select(actions.c.id).where(actions.c.plan_id == plan.id)).all()
    copy_latest(session, ids)


def refresh_open_quarters(session: Session, plan: Plan, action_ids: Sequence[int] | None = None) -> None:
    """Recompute the physical progress of reports in the plan's open quarters."""
    for period, copy_id in read_copies(session, plan, is_open=True).items():
        refresh_physical(session, plan, period, copy_id, action_ids)
