"""Reporting progress: a thousand reports are written by as many statements as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.journal import Author, Entry, hold, record
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import body_errors, nearest, unknown_reference, validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, Forbidden, Invalid, NotFound
from app.plans.actions.commands import Gone, not_your_agency
from app.plans.core.models import Plan
from app.plans.core.queries import read_again
from app.plans.core.rules import check_reportable, plan_chain
from app.plans.findings.kinds import Finding
from app.tracking.progress.models import PROGRESS_PARTS, ProgressIn
from app.tracking.progress.queries import (
    Line,
    StoredProgress,
    findings_of_report,
    lines_by_code,
    progress,
    stored_and_before,
    stored_progress,
)
from app.tracking.progress.rules import (
    check_period,
    cumulated,
    progress_subject,
    split_single_source,
    without_what_follows,
)
from app.tracking.progress.writes import clear_items, refresh_figures, write_reports
from app.tracking.quarters.commands import check_reporting


@dataclass(frozen=True)
class Report:
    """Progress as somebody wants it on one action, and where in the request it stands."""

    action: str
    content: ProgressIn
    pointer: str = ""


@dataclass(frozen=True)
class Reported:
    """What became of one report; `code` is the action's."""

    code: str
    status: Literal["created", "updated", "unchanged", "refused"]
    version: int | None = None
    findings: tuple[Finding, ...] = ()
    errors: tuple[FieldError, ...] = field(default_factory=tuple)
    line: Line | None = None


def _reportable(session: Session, plan: Plan) -> Plan:
    """The plan as it is once its chain is held. PlanClosed (409) where it takes no reports any more."""
    now = read_again(session, plan)
    check_reportable(now.code, now.state)
    return now


def report_progress(
    session: Session,
    author: Author,
    actor: Actor,
    plan: Plan,
    period: str,
    reports: Sequence[Report],
    *,
    check: Callable[[dict[str, StoredProgress]], None],
    is_period_only: bool = False,
    each: bool = False,
    reason: str | None = None,
    errors_before: Sequence[FieldError] = (),
) -> list[Reported]:
    """Create or replace reports of a quarter; what is as it was stays untouched.

    All or nothing (those errors among them that the caller found before), or with `each` report by
    report. With `is_period_only` the figures are those of the quarter alone and are stored added to the
    latest earlier report of the year. QuarterClosed (409) where the quarter, or an agency's part of it, is
    not to be reported on now.
    """
    check_period(plan.year, period)
    actor.require("report_progress", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    plan = _reportable(session, plan)
    lines = lines_by_code(session, plan, [report.action for report in reports])
    closed = check_reporting(
        session, author, actor, plan, period, {line.lead_agency for line in lines.values()}
    )
    ids = [line.id for line in lines.values()]
    code_of = {line.id: code for code, line in lines.items()}
    stored, before = (
        {code_of[id]: found for id, found in reports_of.items()}
        for reports_of in stored_and_before(session, ids, period)
    )
    forbidden = _forbidden(actor, plan, reports, lines)
    if forbidden and not each:
        raise Forbidden(errors=forbidden.values(), **next(iter(forbidden.values())).values)
    check(stored)
    if closed.by_agency and not each:
        raise closed.problem()
    errors = _errors(plan, reports, lines)
    wanted: dict[str, dict[str, Any]] = {}
    for report in reports:
        if report.action in errors:
            continue
        content = report.content.model_dump(mode="json")
        content = split_single_source(content, list(lines[report.action].known["budget_lines"]))
        if is_period_only and report.action in before:
            try:
                cumulative = ProgressIn.model_validate(cumulated(content, before[report.action].content))
            except ValidationError as error:
                errors[report.action] = body_errors(error, prefix=_steps(report.pointer))
                continue
            content = cumulative.model_dump(mode="json")
        wanted[report.action] = content
    if not each and (errors or errors_before):
        raise Invalid(errors=[*errors_before, *(error for found in errors.values() for error in found)])
    shut = {
        report.action: closed.by_agency[lines[report.action].lead_agency]
        for report in reports
        if report.action in lines and lines[report.action].lead_agency in closed.by_agency
    }
    for code, refusal in {**shut, **forbidden}.items():
        errors.setdefault(code, []).append(refusal)
        wanted.pop(code, None)
    changed = {
        code: content
        for code, content in wanted.items()
        if code not in stored or stored[code].content != content
    }
    versions = write_reports(session, author, actor, plan, period, changed, lines, stored)
    entries = [
        _entry(plan, period, code, versions[code], stored.get(code), changed[code], reason)
        for code in changed
    ]
    record(session, chain, author, entries)
    return [_reported(report.action, wanted, stored, versions, errors, before, lines) for report in reports]


def _steps(pointer: str) -> list[str]:
    return pointer.split("/")[1:]


def _errors(plan: Plan, reports: Sequence[Report], lines: dict[str, Line]) -> dict[str, list[FieldError]]:
    errors: dict[str, list[FieldError]] = {}
    for report in reports:
        line = lines.get(report.action)
        if line is not None:
            found = _foreign_keys(report, line)
        elif report.pointer:
            values = {"source": f"plans/{plan.code}/actions"}
            found = [
                FieldError(
                    unknown_reference, pointer=f"{report.pointer}/action", value=report.action, values=values
                )
            ]
        else:
            raise NotFound()
        if found:
            errors[report.action] = found
    return errors


def _forbidden(
    actor: Actor, plan: Plan, reports: Sequence[Report], lines: dict[str, Line]
) -> dict[str, FieldError]:
    """What an operator may not report on: lines that other agencies lead."""
    found: dict[str, FieldError] = {}
    for report in reports:
        agencies = [lines[report.action].lead_agency] if report.action in lines else []
        try:
            actor.require("report_progress", plan.region_code, *agencies)
        except Forbidden as refused:
            found[report.action] = FieldError(
                not_your_agency,
                pointer=f"{report.pointer}/action",
                value=next(iter(agencies), None),
                allowed=refused.values["memberships"],
                values=refused.values,
            )
    return found


def _foreign_keys(report: Report, line: Line) -> list[FieldError]:
    """A report may only speak of what the action has."""
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
                        values={"source": f"{report.action}/{part.reports_on}"},
                    )
                )
    return found


def _entry(
    plan: Plan,
    period: str,
    code: str,
    version: int,
    stored: StoredProgress | None,
    after: dict[str, Any] | None,
    reason: str | None,
) -> Entry:
    return Entry.of(
        "progress",
        plan.region_code,
        progress_subject(plan.code, code, period),
        version,
        stored.content if stored else None,
        after,
        reason,
        is_draft=plan.revision is None,
    )


def _reported(
    code: str,
    wanted: dict[str, dict[str, Any]],
    stored: dict[str, StoredProgress],
    versions: dict[str, int],
    errors: dict[str, list[FieldError]],
    before: dict[str, StoredProgress],
    lines: dict[str, Line],
) -> Reported:
    if code in errors:
        return Reported(code, "refused", errors=tuple(errors[code]))
    line = lines[code]
    findings = tuple(findings_of_report(line, wanted[code], before.get(code)))
    if code not in versions:
        return Reported(code, "unchanged", stored[code].version, findings, line=line)
    return Reported(code, "updated" if code in stored else "created", versions[code], findings, line=line)


def patch_progress(
    session: Session,
    author: Author,
    actor: Actor,
    plan: Plan,
    action: str,
    period: str,
    patch: dict[str, Any],
    check: CheckVersion,
) -> Reported:
    """Merge a patch into a report, as it stands when it is this writer's turn; figures are cumulative."""
    check_period(plan.year, period)
    actor.require("report_progress", plan.region_code)
    hold(session, plan_chain(plan.code))
    plan = _reportable(session, plan)
    line = lines_by_code(session, plan, [action]).get(action)
    stored = stored_progress(session, [line.id], period).get(line.id) if line else None
    if line is None or stored is None:
        raise NotFound()
    actor.require("report_progress", plan.region_code, line.lead_agency)
    check(stored.version)
    target = dict(stored.content)
    if {"spent", "spending", "components"} & patch.keys():
        target = without_what_follows(target, patch, list(line.known["budget_lines"]))
    content = validated(ProgressIn, merge_patch(target, patch))
    (done,) = report_progress(
        session, author, actor, plan, period, [Report(action, content)], check=lambda stored: None
    )
    return done


def reported_items(session: Session, gone: Gone) -> Gone:
    """Those of the items that a report speaks of."""
    found: Gone = {}
    for part in PROGRESS_PARTS:
        if part.reports_on is None or part.reports_on not in gone:
            continue
        items = gone[part.reports_on]
        columns = part.table.c.action_id, part.table.c[part.key]
        of_actions = sa.select(*columns).distinct().where(part.table.c.action_id.in_({id for id, _ in items}))
        found[part.reports_on] = items & {(id, key) for id, key in session.execute(of_actions)}
    return found


def delete_progress(
    session: Session,
    author: Author,
    actor: Actor,
    plan: Plan,
    action: str,
    period: str,
    check: CheckVersion,
) -> None:
    """Take a report back. NotFound: none was made."""
    actor.require("report_progress", plan.region_code)
    chain = hold(session, plan_chain(plan.code))
    plan = _reportable(session, plan)
    line = lines_by_code(session, plan, [action]).get(action)
    stored = stored_progress(session, [line.id], period).get(line.id) if line else None
    if line is None or stored is None:
        raise NotFound()
    actor.require("report_progress", plan.region_code, line.lead_agency)
    closed = check_reporting(session, author, actor, plan, period, [line.lead_agency])
    if closed.by_agency:
        raise closed.problem()
    check(stored.version)
    for part in PROGRESS_PARTS:
        items = stored.content[part.name]
        clear_items(
            session,
            part,
            [{"action_id": line.id, "period": period, part.key: item[part.key]} for item in items],
        )
    session.execute(sa.delete(progress).where(progress.c.action_id == line.id, progress.c.period == period))
    refresh_figures(session, [line.id])
    record(session, chain, author, [_entry(plan, period, action, stored.version + 1, stored, None, None)])
