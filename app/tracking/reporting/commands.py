"""Commands of progress: a write of a thousand reports takes as many statements as a write of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session

from app.access.write import Write
from app.kit.batch import BatchWrite, Outcome
from app.kit.database.journal import Chain, Entry, hold, record
from app.kit.http.validation import body_errors, nearest, unknown_reference, validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, Forbidden, NotFound
from app.plans.actions.commands import Gone, not_your_agency
from app.plans.core.models import Plan
from app.plans.core.queries import read_again
from app.plans.core.rules import check_reportable, plan_chain
from app.plans.findings.kinds import Finding
from app.tracking.progress.commands import delete_report, write_reports
from app.tracking.progress.models import PROGRESS_PARTS, ProgressIn
from app.tracking.progress.queries import (
    Line,
    StoredProgress,
    findings_of_report,
    lines_by_code,
    stored_and_before,
)
from app.tracking.progress.rules import (
    check_period,
    cumulated,
    progress_subject,
    split_single_source,
    without_what_follows,
)
from app.tracking.quarters.queries import standing_of
from app.tracking.quarters.rules import REPORTING, Closed, closed_for


@dataclass(frozen=True)
class Report:
    """Progress on one action as the client wants it, with its place in the request."""

    code: str
    """The code of the action."""
    content: ProgressIn
    pointer: str = ""


@dataclass(frozen=True)
class Reported:
    """The result of a write of reports."""

    outcomes: list[Outcome]
    """In the order of the reports; `code` is the action's."""
    findings: dict[str, list[Finding]]
    """The findings of each report that is in force now, by action."""
    lines: dict[str, Line]


@dataclass(frozen=True)
class _Reporting:
    """The lines that a write reports on in a quarter, with their reports, under the held chain of the plan."""

    plan: Plan
    chain: Chain
    period: str
    lines: dict[str, Line]
    stored: dict[str, StoredProgress]
    """The reports of the quarter, by action."""
    before: dict[str, StoredProgress]
    """The latest earlier reports of the year, by action."""

    @classmethod
    def open(cls, write: Write, plan: Plan, period: str, actions: Sequence[str]) -> "_Reporting":
        """Hold the chain of the plan and read its lines. Raises PlanClosed (409) if it takes no reports any more."""
        write.actor.require("report_progress", plan.region_code)
        chain = hold(write.session, plan_chain(plan.code))
        plan = read_again(write.session, plan)
        check_reportable(plan.code, plan.state)
        lines = lines_by_code(write.session, plan, actions)
        codes = {line.id: code for code, line in lines.items()}
        stored, before = (
            {codes[id]: report for id, report in reports.items()}
            for reports in stored_and_before(write.session, list(codes), period)
        )
        return cls(plan, chain, period, lines, stored, before)

    def require(self, write: Write, action: str) -> tuple[Line, StoredProgress]:
        """Return a line and its report, which the actor may write. Raises NotFound if there is none."""
        if action not in self.stored:
            raise NotFound()
        line = self.lines[action]
        write.actor.require("report_progress", self.plan.region_code, line.lead_agency)
        return line, self.stored[action]

    def check_open(self, write: Write, line: Line) -> None:
        """Raise QuarterClosed (409) if the quarter, or the part of the line's agency, takes no reports now."""
        closed = check_reporting(write, self.plan, self.period, [line.lead_agency])
        if closed.by_agency:
            raise closed.problem()


def check_reporting(write: Write, plan: Plan, period: str, agencies: Iterable[str]) -> Closed:
    """Return the agencies whose lines take no reports now, with the reasons; the caller holds the plan's chain.

    Raises QuarterClosed (409) if no line takes any: the quarter is not open yet, under verification, or frozen.
    """
    standing = standing_of(write.session, plan, period, write.author.at)
    compiles = write.actor.may("return_part", plan.region_code)
    closed = closed_for(standing, agencies, compiles=compiles)
    if standing.state not in REPORTING:
        raise closed.problem()
    return closed


def report_progress(
    write: Write,
    plan: Plan,
    period: str,
    batch: BatchWrite[Report],
    *,
    is_period_only: bool = False,
    reason: str | None = None,
) -> Reported:
    """Create or replace reports of a quarter; one that is equal stays untouched.

    Raises Forbidden, QuarterClosed (409) or Invalid for all of them, unless the batch takes `each` by itself;
    QuarterClosed in any case if the quarter takes no reports now. With `is_period_only` the figures are those of
    the quarter alone, and the latest earlier report of the year is added to them.
    """
    check_period(plan.year, period)
    reporting = _Reporting.open(write, plan, period, list(batch.items))
    lines = reporting.lines
    closed = check_reporting(write, reporting.plan, period, {line.lead_agency for line in lines.values()})
    forbidden = _forbidden(write, plan, batch, lines)
    batch.forbid(forbidden)
    versions = [report.version for report in reporting.stored.values()]
    write.precondition.check_many(write.session, versions, plan_chain(plan.code))
    shut = {
        code: [closed.by_agency[lines[code].lead_agency]]
        for code in batch.items
        if code in lines and lines[code].lead_agency in closed.by_agency and code not in forbidden
    }
    batch.refuse(shut, lambda errors: closed.problem())
    return _store(write, reporting, batch, is_period_only=is_period_only, reason=reason)


def _store(
    write: Write,
    reporting: _Reporting,
    batch: BatchWrite[Report],
    *,
    is_period_only: bool = False,
    reason: str | None = None,
) -> Reported:
    """Write the reports that fit; the caller has checked rights, precondition and the state of the quarter."""
    plan, period = reporting.plan, reporting.period
    lines, stored, before = reporting.lines, reporting.stored, reporting.before
    wanted = _complete(plan, batch, lines, before if is_period_only else {})
    changes = batch.changes(wanted, stored)
    versions = write_reports(write, plan, period, changes, lines, stored)
    entries = [
        _entry(
            plan, progress_subject(plan.code, code, period), versions[code], stored.get(code), content, reason
        )
        for code, content in changes.items()
    ]
    record(write.session, reporting.chain, write.author, entries)
    outcomes = batch.outcomes(wanted, stored, versions)
    findings = {
        one.code: list(findings_of_report(lines[one.code], one.content, before.get(one.code)))
        for one in outcomes
        if one.content is not None
    }
    return Reported(outcomes, findings, lines)


def _complete(
    plan: Plan, batch: BatchWrite[Report], lines: dict[str, Line], added: dict[str, StoredProgress]
) -> dict[str, dict[str, Any]]:
    """Return the contents by action, cumulative by the reports to be `added`; refuses reports that do not fit."""
    errors = _errors(plan, batch, lines)
    wanted: dict[str, dict[str, Any]] = {}
    for code, report in batch.items.items():
        if code in errors:
            continue
        content = report.content.model_dump(mode="json")
        content = split_single_source(content, list(lines[code].known["budget_lines"]))
        if code in added:
            try:
                cumulative = ProgressIn.model_validate(cumulated(content, added[code].content))
            except ValidationError as error:
                errors[code] = body_errors(error, prefix=_steps(report.pointer))
                continue
            content = cumulative.model_dump(mode="json")
        wanted[code] = content
    batch.invalidate(errors)
    return wanted


def _steps(pointer: str) -> list[str]:
    return pointer.split("/")[1:]


def _errors(plan: Plan, batch: BatchWrite[Report], lines: dict[str, Line]) -> dict[str, list[FieldError]]:
    errors: dict[str, list[FieldError]] = {}
    for code, report in batch.items.items():
        if code in lines:
            wrong = _foreign_keys(report, lines[code])
        elif report.pointer:
            place, source = f"{report.pointer}/action", {"source": f"plans/{plan.code}/actions"}
            wrong = [FieldError(unknown_reference, pointer=place, value=code, values=source)]
        else:
            raise NotFound()
        if wrong:
            errors[code] = wrong
    return errors


def _forbidden(
    write: Write, plan: Plan, batch: BatchWrite[Report], lines: dict[str, Line]
) -> dict[str, list[FieldError]]:
    """Return the errors of reports on lines that other agencies than the operator's lead."""
    errors: dict[str, list[FieldError]] = {}
    for code, report in batch.items.items():
        agencies = [lines[code].lead_agency] if code in lines else []
        try:
            write.actor.require("report_progress", plan.region_code, *agencies)
        except Forbidden as refused:
            error = FieldError(
                not_your_agency,
                pointer=f"{report.pointer}/action",
                value=next(iter(agencies), None),
                allowed=refused.values["memberships"],
                values=refused.values,
            )
            errors[code] = [error]
    return errors


def _foreign_keys(report: Report, line: Line) -> list[FieldError]:
    """Return the errors of items that refer to nothing of the action."""
    found = []
    for part in PROGRESS_PARTS:
        if part.reports_on is None:
            continue
        for n, item in enumerate(getattr(report.content, part.name)):
            key, allowed = getattr(item, part.key), list(line.known[part.reports_on])
            if key not in allowed:
                found.append(
                    FieldError(
                        unknown_reference,
                        pointer=f"{report.pointer}/{part.name}/{n}/{part.key}",
                        value=key,
                        allowed=allowed,
                        nearest=nearest(key, allowed),
                        values={"source": f"{report.code}/{part.reports_on}"},
                    )
                )
    return found


def _entry(
    plan: Plan,
    subject: str,
    version: int,
    stored: StoredProgress | None,
    after: dict[str, Any] | None,
    reason: str | None = None,
) -> Entry:
    before = stored.content if stored else None
    is_draft = plan.revision is None
    return Entry.of("progress", plan.region_code, subject, version, before, after, reason, is_draft=is_draft)


def patch_progress(write: Write, plan: Plan, action: str, period: str, patch: dict[str, Any]) -> Reported:
    """Merge a patch into a report; figures are cumulative. Raises NotFound if there is none."""
    check_period(plan.year, period)
    reporting = _Reporting.open(write, plan, period, [action])
    line, stored = reporting.require(write, action)
    write.precondition.check(stored.version)
    target = dict(stored.content)
    if {"spent", "spending", "components"} & patch.keys():
        target = without_what_follows(target, patch, list(line.known["budget_lines"]))
    content = validated(ProgressIn, merge_patch(target, patch))
    reporting.check_open(write, line)
    return _store(write, reporting, BatchWrite([Report(action, content)]))


def reported_items(session: Session, gone: Gone) -> Gone:
    """Return those of the items that a report refers to."""
    found: Gone = {}
    for part in PROGRESS_PARTS:
        if part.reports_on is None or part.reports_on not in gone:
            continue
        items = gone[part.reports_on]
        columns = part.table.c.action_id, part.table.c[part.key]
        of_actions = sa.select(*columns).distinct().where(part.table.c.action_id.in_({id for id, _ in items}))
        found[part.reports_on] = items & {(id, key) for id, key in session.execute(of_actions)}
    return found


def delete_progress(write: Write, plan: Plan, action: str, period: str) -> None:
    """Delete a report. Raises NotFound if there is none."""
    reporting = _Reporting.open(write, plan, period, [action])
    line, stored = reporting.require(write, action)
    reporting.check_open(write, line)
    write.precondition.check(stored.version)
    delete_report(write.session, line, stored)
    entry = _entry(plan, progress_subject(plan.code, action, period), stored.version + 1, stored, None)
    record(write.session, reporting.chain, write.author, [entry])
